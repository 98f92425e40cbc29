"""Everything the demo needs around it, on free ports of this machine: broker, control API, monitor, keys."""

import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from guardian.bootstrap import tokens
from guardian.bootstrap.control import Control
from guardian.bootstrap.judgement import open_judge, open_pipeline, unchecked, utc_now
from guardian.bootstrap.monitor import Monitor, learn_all
from guardian.bootstrap.secrets import SecretFiles
from guardian.bus.admin import ensure_topics
from guardian.bus.file import FileConsumer
from guardian.bus.kafka_producer import KafkaProducer
from guardian.bus.local_broker import LocalBroker
from guardian.config import Settings, load
from guardian.demo.log import GATEWAY, log_lines
from guardian.demo.scenario import Scenario
from guardian.embedding import load as load_model
from guardian.keys.files import write_secret
from guardian.stream.commit import Committer
from guardian.stream.worker import Worker, WorkerOptions
from guardian.telemetry import Metrics
from guardian.wire.client import ControlClient
from guardian.wire.principal import Role

PARTITIONS = 3
HISTORY_SESSIONS = 600
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
    gateway_token: str
    broker: LocalBroker


@contextmanager
def open_world(seed: int) -> Iterator[World]:
    """Start everything; stop and remove everything on the way out, whatever happens."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="guardian-demo-")))
        broker = stack.enter_context(LocalBroker())
        settings = _settings(folder, broker)
        SecretFiles.of(settings).create()
        ensure_topics(broker.settings, {settings.kafka.topic: PARTITIONS, f"dlq.{settings.kafka.topic}": 1})
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
        metrics = Metrics()
        monitor = Monitor(settings, metrics=metrics)
        _learn_from_history(monitor, settings, seed)
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
            settings, folder, control, monitor, metrics, producer, admin, _token(settings, "gateway"), broker
        )


def _settings(folder: Path, broker: LocalBroker) -> Settings:
    return load(
        None,
        overrides={
            "base": str(folder),
            "kafka": {
                "bootstrap_servers": broker.address,
                "session_timeout_ms": broker.settings.session_timeout_ms,
                "heartbeat_interval_ms": broker.settings.heartbeat_interval_ms,
            },
            "gateways": {GATEWAY: ["*"]},
            "monitor": {"poll_timeout_s": 0.05, "changes_every_s": 0.25, "batch": 64},
            "store": {"monitor": "sqlite:///monitor.db", "control": "sqlite:///control.db"},
        },
    )


def _token(settings: Settings, role: Role) -> str:
    return tokens.issue(settings, role, role=role, tenants={"*"}, ttl=_DAY).text


def _learn_from_history(monitor: Monitor, settings: Settings, seed: int) -> None:
    """Last week's honest log teaches the purpose baselines. No drift model is needed for that."""
    lines = history(seed, utc_now() - 7 * _DAY)
    path = settings.base / "history.jsonl"
    path.write_bytes(b"\n".join(lines) + b"\n")
    teaching = settings.model_copy(update={"signals": {"purpose_baseline": {}}, "weights": {}})
    judge = open_judge(teaching, fingerprint_key=b"history", fit=load_model(path, "lexical"))
    metrics = Metrics()
    Worker(
        consumer=FileConsumer(path, topic="history"),
        store=monitor.store,
        committer=Committer(
            pipeline=open_pipeline(teaching, judge, verify=unchecked, clock=utc_now),
            store=monitor.store,
            clock=utc_now,
            timer=lambda: 0.0,
            metrics=metrics,
        ),
        clock=utc_now,
        metrics=metrics,
        options=WorkerOptions(max_records=1000, max_outbox_depth=None),
    ).run(threading.Event())
    monitor.store.baselines.publish(utc_now() + timedelta(seconds=1), idle=timedelta(0), learn=learn_all)


def history(seed: int, begin: datetime, sessions: int = HISTORY_SESSIONS) -> Sequence[bytes]:
    """An honest week: the same teams, other people, customers and tickets."""
    plan = Scenario(seed=seed + 1_000_003, sessions=sessions, each=0, label="h").plan()
    return list(log_lines(plan, begin=begin, seed=seed))
