"""`guardian run` and `guardian watch --file`: one deployment, as an operator starts and stops it."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
import yaml
from ports import port_of, reserve
from until import until

from guardian.bus.admin import ensure_topics
from guardian.bus.kafka_producer import KafkaProducer
from guardian.bus.local_broker import LocalBroker
from guardian.commands import tokens
from guardian.commands.initialise import initialise
from guardian.config import load
from guardian.demo.log import log_lines
from guardian.demo.scenario import Plant, Scenario
from guardian.gateway.client import RevocationList
from guardian.wire.client import ControlClient
from guardian.wire.findings import FindingView


@pytest.fixture
def home(tmp_path: Path) -> Path:
    initialise(tmp_path / "home")
    return tmp_path / "home"


@pytest.fixture
def port() -> Iterator[int]:
    with reserve() as held:
        yield port_of(held)


def configure(home: Path, port: int, **changes: dict[str, object]) -> str:
    path = home / "guardian.yaml"
    body = yaml.safe_load(path.read_text(encoding="utf-8"))
    body["control"] |= {"port": port, "url": f"http://127.0.0.1:{port}"}
    body["model"] = {"engine": "lexical"}
    for section, values in changes.items():
        body[section] |= values
    path.write_text(yaml.safe_dump(body), encoding="utf-8")
    return f"http://127.0.0.1:{port}"


def start(home: Path, *command: str) -> subprocess.Popen[bytes]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith("GUARDIAN_")}
    log = (home / f"{command[0]}.log").open("wb")
    config = str(home / "guardian.yaml")
    return subprocess.Popen(
        [sys.executable, "-m", "guardian", *command, "-c", config], env=kept, stdout=log, stderr=log
    )


def client(home: Path, url: str) -> ControlClient:
    token = (home / "keys" / "admin.token").read_text(encoding="utf-8").strip()
    made = ControlClient(url, lambda: token)
    until(made.ready)
    return made


def second_person(home: Path, url: str) -> ControlClient:
    settings = load(home / "guardian.yaml")
    token = tokens.issue(settings, "bea", role="approver", tenants={"*"}, ttl=timedelta(hours=1)).text
    return ControlClient(url, lambda: token)


def metrics_of(home: Path, url: str) -> dict[str, float]:
    """Control's page for Prometheus, by sample."""
    token = (home / "keys" / "admin.token").read_text(encoding="utf-8").strip()
    page = httpx.get(f"{url}/metrics", headers={"Authorization": f"Bearer {token}"}).raise_for_status().text
    samples = (line.rpartition(" ") for line in page.splitlines() if not line.startswith("#"))
    return {name: float(value) for name, _, value in samples}


def expired_day() -> tuple[list[bytes], set[str]]:
    """A log, and which of its sessions act on an expired envelope; without the model others may stand out."""
    plan = [
        s for s in Scenario(seed=2, sessions=4, each=2).plan() if s.plant in (Plant.NONE, Plant.EXPIRED_ENVELOPE)
    ]
    lines = list(log_lines(plan, begin=datetime.now(UTC) - timedelta(hours=3), seed=2))
    return lines, {s.session_id for s in plan if s.plant is Plant.EXPIRED_ENVELOPE}


@pytest.mark.slow
def test_run_revokes_what_policy_lets_it_and_stops_in_order(home: Path, port: int) -> None:
    with LocalBroker() as broker:
        kafka = {"bootstrap_servers": broker.address, "session_timeout_ms": 6000, "heartbeat_interval_ms": 500}
        url = configure(home, port, kafka=kafka)
        ensure_topics(broker.settings, {"guardian.decisions": 1, "dlq.guardian.decisions": 1})
        process = start(home, "run")
        try:
            with client(home, url) as control:
                asked = control.set_mode("tenant_acme", "enforce", reason="a test")
                assert asked.approval is not None, "one person alone must not leave shadow"
                with second_person(home, url) as approver:
                    approver.decide_approval(asked.approval.id, "approve", reason="a test")
                producer = KafkaProducer(broker.settings)
                lines, expired = expired_day()
                for line in lines:
                    session = json.loads(line)["envelope"]["session_id"]
                    producer.send("guardian.decisions", line, key=session.encode())
                producer.close()

                def drifts() -> list[FindingView]:
                    found = control.findings(kind="drift").items
                    return [view for view in found if view.finding.session_id in expired]

                until(lambda: {view.finding.session_id for view in drifts()} == expired)
                drift = drifts()
                for view in drift:
                    enforced = view.finding.tenant_id == "tenant_acme"
                    assert view.outcome.effect.value == ("revoke" if enforced else "flag"), view.outcome.note
                    assert view.outcome.would_revoke is not enforced
                page = metrics_of(home, url)
                assert page['guardian_events_total{outcome="judged"}'] >= len(expired), "one page of one process"
                assert sum(n for name, n in page.items() if name.startswith("guardian_findings_total{")) >= len(
                    expired
                )
                gateway = (home / "keys" / "gateway.token").read_text(encoding="utf-8").strip()
                with RevocationList(url, gateway) as revocations:
                    assert revocations.wait_ready(30)
                    for view in drift:
                        assert revocations.is_revoked(view.finding.tenant_id, view.finding.session_id) is (
                            view.outcome.effect.value == "revoke"
                        )
            process.send_signal(signal.SIGTERM)
            assert process.wait(timeout=30) == 0
        finally:
            process.kill()
            process.wait()


@pytest.mark.slow
def test_a_file_is_judged_once_delivered_and_its_bad_lines_kept(home: Path, port: int) -> None:
    url = configure(home, port)
    log = home / "log.jsonl"
    lines, expired = expired_day()
    log.write_bytes(b"\n".join([*lines, b"{broken"]) + b"\n")
    serve = start(home, "serve")
    try:
        with client(home, url) as control:
            found, ended = [], []
            for _ in range(2):
                command = ["guardian", "watch", "--file", str(log), "-c", str(home / "guardian.yaml")]
                done = subprocess.run(
                    [sys.executable, "-m", *command], capture_output=True, text=True, timeout=60, check=False
                )
                ended.append((done.returncode, done.stderr.splitlines()[-1]))
                drift = control.findings(kind="drift").items
                found.append({view.finding.id: view.finding.session_id for view in drift})
            assert expired <= set(found[0].values())
            assert found[0] == found[1], "the second time there is nothing new"
        refused = f"1 could not be read or believed, kept in {log}.dlq/ and by `guardian dlq list`"
        assert ended == [
            (3, f"{len(lines)} decisions judged, 0 came twice, {refused}"),
            (0, "0 decisions judged, 0 came twice, 0 could not be read or believed"),
        ]
        letters = list((home / "log.jsonl.dlq").iterdir())
        assert len(letters) == 1
        assert letters[0].read_bytes().count(b"\n") == 1
        assert b"{broken" not in letters[0].read_bytes(), "dead letters are sealed"
    finally:
        serve.send_signal(signal.SIGTERM)
        assert serve.wait(timeout=30) == 0
