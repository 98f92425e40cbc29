"""The consumer."""

from pathlib import Path
from typing import Annotated

from pydantic import Field

from guardian.config.base import Host, OneIn, Seconds, Section
from guardian.config.judging import BaselineSection


class MonitorSection(Section):
    token_file: Path = Path("keys/monitor.token")
    batch: Annotated[int, Field(ge=1, le=10_000)] = 500
    poll_timeout_s: Seconds = 0.5
    outbox_limit: Annotated[int, Field(ge=1)] = 50_000
    changes_every_s: Seconds = 1.0
    parent_grace_s: Seconds = 60.0
    clock_ahead_s: Seconds = 300.0
    clock_behind_s: Seconds = 86_400.0
    fuse_ratio: Annotated[float, Field(gt=0, le=1)] = 0.5
    fuse_records: Annotated[int, Field(ge=1)] = 200  # the window; a quarter of it is the least that can blow
    departure_one_in: OneIn = 1_000  # "traffic has left the calibration" is false at most this rarely
    housekeeping_every_s: Seconds = 60.0
    health_host: Host = "127.0.0.1"
    health_port: Annotated[int, Field(ge=0, le=65_535)] = 0  # /healthz, /readyz, /metrics; 0: none
    late_after_s: Seconds = 60.0  # a verdict on a call that is older says that it is late
    advise_host: Host = "127.0.0.1"
    advise_port: Annotated[int, Field(ge=0, le=65_535)] = 0  # where control asks for advice; 0: none
    baseline: BaselineSection = BaselineSection()
