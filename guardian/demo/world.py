"""Everything the demo needs around it, on free ports of this machine: broker, control API, monitor, keys."""

import tempfile
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from guardian.bootstrap.clock import utc_now
from guardian.bootstrap.control import Control
from guardian.bootstrap.monitor import Monitor
from guardian.bootstrap.secrets import SecretFiles
from guardian.bus.admin import ensure_topics
from guardian.bus.kafka_producer import KafkaProducer
from guardian.bus.local_broker import LocalBroker
from guardian.commands import tokens
from guardian.config import Settings, load
from guardian.demo.history import Progress, teach
from guardian.demo.jobs import TENANTS
from guardian.demo.log import GATEWAY
from guardian.demo.writing import gateway_of
from guardian.keys.files import write_secret
from guardian.scoring.calibration import Calibration
from guardian.telemetry import Metrics
from guardian.wire.client import ControlClient
from guardian.wire.principal import Role

PARTITIONS = 3
_DAY = timedelta(days=1)


@dataclass(frozen=True)
class World:
    """What the demo's screen and gateway hold on to."""

    settings: Settings
    folder: Path
    control: Control
    monitor: Monitor
    metrics: Metrics
    producer: KafkaProducer
    admin: ControlClient
    approver: ControlClient
    delegation: ControlClient
    gateway_token: str
    broker: LocalBroker

    def enforce(self, tenant_id: str, reason: str) -> None:
        """Leave shadow, which takes two people."""
        asked = self.admin.set_mode(tenant_id, "enforce", reason=reason)
        if asked.approval is not None:
            self.approver.decide_approval(asked.approval.id, "approve", reason=reason)


@contextmanager
def open_world(
    seed: int, progress: Progress, *, budget: int = 50, format: str = "guardian", pages: bool = False
) -> Iterator[World]:
    """Start everything; stop and remove everything on the way out, whatever happens.

    `pages`: also the evidence pages, and the archive that they read.
    """
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="guardian-demo-")))
        broker = stack.enter_context(LocalBroker())
        settings = _settings(folder, broker, budget, format, pages=pages)
        SecretFiles.of(settings).create()
        ensure_topics(broker.settings, {settings.kafka.topic: PARTITIONS, f"dlq.{settings.kafka.topic}": 1})
        taught = teach(settings, seed, progress)
        settings = _calibrated(settings, taught.calibration)
        control = Control(settings, metrics=Metrics(), port=0)
        stack.callback(control.stop)
        control.start()
        settings = settings.model_copy(
            update={"control": settings.control.model_copy(update={"url": control.url})}
        )
        write_secret(
            settings.resolve(settings.monitor.token_file), _token(settings, "monitor").encode(), replace=False
        )
        admin_token = _token(settings, "admin")
        admin = stack.enter_context(ControlClient(control.url, lambda: admin_token))
        approver_token = _token(settings, "approver")
        approver = stack.enter_context(ControlClient(control.url, lambda: approver_token))
        delegation_token = _token(settings, "delegation")
        delegation = stack.enter_context(ControlClient(control.url, lambda: delegation_token))
        metrics = Metrics()
        monitor = Monitor(settings, metrics=metrics, judge=taught.judge)
        monitor.store.baselines.install(taught.baselines, utc_now())
        producer = KafkaProducer(broker.settings)
        stack.callback(producer.close)
        stop = threading.Event()
        thread = threading.Thread(target=monitor.run, args=(stop,), name="guardian-monitor", daemon=True)

        def end() -> None:
            stop.set()
            thread.join(timeout=20)

        stack.callback(end)
        thread.start()
        yield World(
            settings=settings,
            folder=folder,
            control=control,
            monitor=monitor,
            metrics=metrics,
            producer=producer,
            admin=admin,
            approver=approver,
            delegation=delegation,
            gateway_token=_token(settings, "gateway"),
            broker=broker,
        )


def _settings(folder: Path, broker: LocalBroker, budget: int, format: str, *, pages: bool) -> Settings:
    return load(
        None,
        overrides={
            "base": str(folder),
            "kafka": {
                "group": "guardian-demo",  # who points a monitor of theirs here shares no partition with this one
                "bootstrap_servers": broker.address,
                "session_timeout_ms": broker.settings.session_timeout_ms,
                "heartbeat_interval_ms": broker.settings.heartbeat_interval_ms,
                "assignor": broker.settings.assignor,
                "options": {"fetch_max_wait_ms": broker.settings.fetch_max_wait_ms},
            },
            "source": {"format": format},
            "gateways": {GATEWAY: ["*"], **{gateway_of(tenant): [tenant] for tenant in TENANTS}},
            "control": {
                "budget": {"revocations": budget, "reserved_for_breaches": 0},
                "breaker": {"least": budget},
            },
            "monitor": {"poll_timeout_s": 0.05, "changes_every_s": 0.25, "batch": 64},
            "store": {"monitor": "sqlite:///monitor.db", "control": "sqlite:///control.db"},
            "archive": {"path": "archive" if pages else None, "flush_s": 1},
            "console": {"enabled": pages, "link_s": _DAY.total_seconds() / 3},
        },
        apart=True,
    )


def _calibrated(settings: Settings, calibration: Calibration) -> Settings:
    """With the calibration as the file that everybody reads."""
    path = settings.resolve(Path("calibration.json"))
    path.write_text(calibration.to_json(), encoding="utf-8")
    return settings.model_copy(update={"model": settings.model.model_copy(update={"calibration": path})})


def _token(settings: Settings, role: Role) -> str:
    return tokens.issue(settings, role, role=role, tenants={"*"}, ttl=_DAY).text
