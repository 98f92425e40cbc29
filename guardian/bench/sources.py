"""`guardian bench sources`: records a second that each log format decodes into decisions.

Baseline of each row: the standard library parsing the same records' JSON, and nothing else.
"""

import json
import time
from collections.abc import Callable
from datetime import timedelta

from guardian.bench.report import Row
from guardian.bootstrap import plugins
from guardian.bootstrap.clock import utc_now
from guardian.bootstrap.sources import open_source
from guardian.config import load
from guardian.demo.log import GATEWAY, log_lines
from guardian.demo.scenario import Scenario
from guardian.demo.writing import Writing
from guardian.domain.record import Record
from guardian.errors import DecodeError

_DISTINCT = 2000


def run(*, records: int, seed: int, progress: Callable[[int, int], None]) -> list[Row]:
    """`records` of each format, from the scenario's decisions over and over."""
    plan = Scenario(seed=seed, sessions=200).plan()
    lines = list(log_lines(plan, begin=utc_now() - timedelta(hours=4), seed=seed))[:_DISTINCT]
    names = plugins.names("sources")
    rows = []
    for number, name in enumerate(names):
        writing = Writing(name)
        values = [writing.of(json.loads(line)) for line in lines]
        batch = [Record("bench", 0, n, values[n % len(values)]) for n in range(records)]
        source = open_source(
            load(
                None,
                overrides={"source": {"format": name, "tenant": "tenant_acme", "gateway": GATEWAY}},
                apart=True,
            )
        )
        began = time.perf_counter()
        for record in batch:
            json.loads(record.value)
        parsed = time.perf_counter() - began
        began = time.perf_counter()
        for record in batch:
            for each in source.read(record):
                if isinstance(each, DecodeError):
                    raise each
        took = time.perf_counter() - began
        rows.append(Row(f"decode, {name}", "records/s", records / took, records, baseline=records / parsed))
        progress(number + 1, len(names))
    return rows
