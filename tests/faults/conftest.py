"""Real processes around a real broker: a control API that stays up, and a monitor that may be killed anywhere."""

import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import crashing
import pytest
import yaml
from ports import port_of, reserve
from quick_broker import QuickBroker
from until import until

from guardian.bus.admin import ensure_topics
from guardian.bus.kafka_producer import KafkaProducer
from guardian.bus.local_broker import LocalBroker
from guardian.commands.initialise import initialise
from guardian.control.telling.news import NEWS
from guardian.demo.log import log_lines
from guardian.demo.scenario import Scenario
from guardian.domain.finding import Effect
from guardian.wire.client import ControlClient
from guardian.wire.findings import FindingView

TOPIC = "guardian.decisions"


def _bare() -> dict[str, str]:
    """The environment without settings of guardian's."""
    return {k: v for k, v in os.environ.items() if not k.startswith("GUARDIAN_")}


@dataclass
class Estate:
    """One deployment in a folder. `watch` starts monitors; nothing here is simulated but the gateway."""

    folder: Path
    broker: LocalBroker
    control: subprocess.Popen[bytes]
    client: ControlClient
    held: socket.socket
    monitors: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def watch(self, *, crash_at: str | None = None, name: str = "monitor") -> subprocess.Popen[bytes]:
        with (self.folder / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                [*crashing.command(crash_at), "watch", "-c", str(self.folder / "guardian.yaml")],
                env=_bare(),
                stdout=log,
                stderr=log,
            )
        self.monitors.append(process)
        return process

    def produce(self, lines: list[bytes]) -> None:
        producer = KafkaProducer(self.broker.settings)
        try:
            for line in lines:
                producer.send(TOPIC, line, key=_session(line))
        finally:
            producer.close()

    def findings(self) -> list[FindingView]:
        found: list[FindingView] = []
        cursor = None
        while True:
            page = self.client.findings(limit=200, cursor=cursor)
            found.extend(page.items)
            cursor = page.next
            if cursor is None:
                return found

    def count(self, question: str) -> int:
        """A count from the monitor's own database."""
        (path,) = self.folder.rglob("monitor.db")
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
            return int(connection.execute(question).fetchone()[0])

    def finished(self, lines: int) -> bool:
        """Whether so many records are judged or kept as dead letters, and what they led to is delivered."""
        if not any(self.folder.rglob("monitor.db")):
            return False
        if self.count("select count(*) from sqlite_master where name = 'dead_letters'") == 0:
            return False
        taken = self.count("select (select count(*) from seen) + (select count(*) from dead_letters)")
        return taken >= lines and self.count("select count(*) from outbox where state = 'due'") == 0

    def told(self) -> set[tuple[str, str, str]]:
        """(finding id, wanted, effect) of every finding. Where a session was to be revoked and is, the effect is
        left out: policy answers otherwise once another of its findings had it revoked, and after a kill either may
        come first. The ledger says what came of both.

        Without the news about guardian itself: that nobody watched while monitors were killed is true, and told.
        """
        revoked = {(tenant, session) for tenant, session, _ in self.revocations()}
        told = set()
        for view in self.findings():
            found, effect = view.finding, view.outcome.effect.value
            if found.wanted is Effect.REVOKE and (found.tenant_id, found.session_id) in revoked:
                effect = ""
            if not found.id.startswith(NEWS):
                told.add((found.id, found.wanted.value, effect))
        return told

    def lapse(self) -> None:
        """Time passes while no monitor runs: what one that was killed was sending is anybody's again."""
        (path,) = self.folder.rglob("monitor.db")
        with closing(sqlite3.connect(path)) as connection, connection:
            connection.execute("update outbox set next_at = '1970-01-01 00:00:00.000000' where state = 'due'")

    def dead_letters(self) -> int:
        """How many are kept in the monitor's store."""
        return self.count("select count(*) from dead_letters")

    def revocations(self) -> list[tuple[str, str, str]]:
        """The whole ledger as (tenant, session, status), in order."""
        changed = self.client.revocations(since="1.0")
        return [(e.tenant_id, e.subject_id, e.status) for e in changed.entries]


@pytest.fixture(name="open_estate", scope="session")
def open_estate_fixture() -> object:
    return open_estate


@pytest.fixture(name="close", scope="session")
def close_fixture() -> object:
    return close


@pytest.fixture
def estate(tmp_path: Path) -> Iterator[Estate]:
    with QuickBroker() as broker:
        made = open_estate(tmp_path / "estate", broker)
        try:
            yield made
        finally:
            close(made)


def open_estate(folder: Path, broker: LocalBroker) -> Estate:
    initialise(folder)
    path = folder / "guardian.yaml"
    settings = yaml.safe_load(path.read_text(encoding="utf-8"))
    held = reserve()
    port = port_of(held)
    settings["kafka"] |= {
        "bootstrap_servers": broker.address,
        "session_timeout_ms": broker.settings.session_timeout_ms,
        "heartbeat_interval_ms": broker.settings.heartbeat_interval_ms,
        "assignor": broker.settings.assignor,
    }
    settings["model"] = {"engine": "lexical"}
    settings["control"] |= {"port": port, "url": f"http://127.0.0.1:{port}", "default_mode": "enforce"}
    settings["monitor"] |= {"batch": 40, "poll_timeout_s": 0.05}
    path.write_text(yaml.safe_dump(settings), encoding="utf-8")
    ensure_topics(broker.settings, {TOPIC: 2, f"dlq.{TOPIC}": 1})
    with (folder / "control.log").open("ab") as log:
        control = subprocess.Popen(
            [sys.executable, "-m", "guardian", "serve", "-c", str(path)], env=_bare(), stdout=log, stderr=log
        )
    token = (folder / "keys" / "admin.token").read_text(encoding="utf-8").strip()
    client = ControlClient(f"http://127.0.0.1:{port}", lambda: token)
    until(lambda: client.ready() or control.poll() is not None)
    assert control.poll() is None, (folder / "control.log").read_text(encoding="utf-8")
    return Estate(folder, broker, control, client, held)


def close(estate: Estate) -> None:
    for process in [*estate.monitors, estate.control]:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
    for process in [*estate.monitors, estate.control]:
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    estate.client.close()
    estate.held.close()


@pytest.fixture(scope="session")
def day() -> list[bytes]:
    """A log with every planted kind of drift and a few honest sessions."""
    plan = Scenario(seed=4, sessions=10 + int(os.environ.get("KILLS", "0")) // 2, each=2).plan()
    return list(log_lines(plan, begin=datetime.now(UTC) - timedelta(hours=3), seed=4))


def _session(line: bytes) -> bytes | None:
    try:
        return str(json.loads(line)["envelope"]["session_id"]).encode()
    except (ValueError, KeyError, TypeError):
        return None
