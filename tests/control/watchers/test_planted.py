"""Planted drift must become a finding, a decision and a refusal; whatever keeps it from that pages people."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from whole_store import alert_states

from guardian.bootstrap.judgement import open_judge, open_pipeline, unchecked
from guardian.bus.memory import MemoryBroker
from guardian.config import load
from guardian.control.switch import SelfTestRule, SwitchRule
from guardian.control.watchers.self_testing import test_the_switch as check_the_switch
from guardian.domain.batch import Memory
from guardian.domain.session import HumanWord
from guardian.embedding.fit import FitRequest
from guardian.errors import BusError

TOPIC, PARTITIONS = "decisions", 2
DRIFTED = {"email.send", "payments.create", "crm.export", "iam.create_access_key"}


class SeeingFit:
    """Stands for the drift model: it sees what the plants do wrong. `blind` is one that answers zero."""

    version = "fit-1"

    def __init__(self, *, blind: bool = False) -> None:
        self.blind = blind

    def score(self, requests: Sequence[FitRequest]) -> list[float]:
        return [0.0 if self.blind else 0.95 if r.tool in DRIFTED else 0.03 for r in requests]

    def explain(self, request: FitRequest) -> list[tuple[str, float]]:
        return []


class Topic:
    """The live topic, as control plants on it."""

    def __init__(self, clock: Any) -> None:
        self.broker = MemoryBroker(clock=clock)
        self.broker.create_topic(TOPIC, PARTITIONS)

    def places(self) -> Sequence[int]:
        if self.broker._down:
            raise BusError("away")
        return range(PARTITIONS)

    def plant(self, place: int, session_id: str, line: bytes) -> None:
        self.broker.append(TOPIC, line, key=session_id.encode(), partition=place)


class Watcher:
    """The monitor's own rooms over the topic; `partitions` are those that it reads."""

    def __init__(self, stage: Any, topic: Topic, fit: Any, partitions: set[int]) -> None:
        settings = load(None, overrides={"gateways": {"gw-9": ["*"]}})
        judge = open_judge(settings, fingerprint_key=b"k" * 32, fit=fit)
        self.pipeline = open_pipeline(
            settings, judge, verify=unchecked, clock=stage.clock, redaction_key=b"k" * 32
        )
        self.stage, self.topic, self.partitions = stage, topic, partitions

    def read_all(self) -> list[dict[str, Any]]:
        records = [r for r in self.topic.broker.records(TOPIC) if r.partition in self.partitions]
        decoded, letters = self.pipeline.decode(records)
        assert letters == []
        judged = self.pipeline.judge(decoded, letters, Memory())
        return [self.stage.submit(each).json() for each in judged.findings]


class Bench:
    def __init__(self, stage: Any, topic: Topic) -> None:
        self.stage, self.topic = stage, topic

    def plant(self) -> None:
        check_the_switch(self.stage.deps)

    def after(self, seconds: float) -> list[str]:
        """Results of the tests, once the time has passed."""
        self.stage.clock.pass_(seconds=seconds)
        check_the_switch(self.stage.deps)
        with self.stage.deps.store.read() as rows:
            tests = sorted(rows.self_tests.recent(None, 50), key=lambda each: (each.kind, each.place))
        return [f"{each.kind} {each.place} {each.result} {each.missing}".strip() for each in tests]

    def pages(self) -> list[str]:
        with self.stage.deps.store.read() as rows:
            found = rows.findings.page(None, limit=50, kind="control")
            told = [each.view.finding for each in found if each.view.finding.reasons[0].signal == "self_test"]
        return sorted(each.reasons[0].text for each in told)

    def ack(self, revision: str) -> None:
        body = {"revision": revision}
        assert self.stage.call("POST", "/v1/revocations/ack", "gateway", json=body).status_code == 204


@pytest.fixture
def bench(make_stage):
    rule = SelfTestRule(
        canary_every=None,
        plant_every=timedelta(hours=1),
        noticed_within=timedelta(seconds=90),
        tenant_id="acme",
        gateway="gw-9",
    )
    stage = make_stage(switch=SwitchRule(watch_every_s=3600, self_test=rule))
    topic = Topic(stage.clock)
    object.__setattr__(stage.deps, "planter", topic)
    stage.enforce()
    return Bench(stage, topic)


def watcher(bench, *, fit=None, partitions=frozenset({0, 1})):
    return Watcher(bench.stage, bench.topic, fit or SeeingFit(), set(partitions))


def test_what_is_planted_becomes_a_finding_a_decision_and_a_refusal(bench):
    bench.plant()
    outcomes = watcher(bench).read_all()
    assert {each["effect"] for each in outcomes} == {"flag", "revoke"}
    newest = str(bench.stage.deps.store.head().revision)
    bench.ack(newest)
    assert bench.after(5) == [
        "planted_breach 0 passed",
        "planted_breach 1 passed",
        "planted_drift 0 passed",
        "planted_drift 1 passed",
    ]
    assert bench.pages() == []
    assert {reason for _, reason, _ in bench.stage.ledger()} == {"self_test"}, "so that CAEP tells nobody of them"
    assert bench.stage.revocations().json()["entries"] == []  # nothing is left on the list
    page = bench.stage.deps.metrics.render().decode()
    counted = [line for line in page.splitlines() if line.startswith("guardian_revocations_total{")]
    assert {line.rpartition(" ")[2] for line in counted} == {"0.0"}


def test_once_it_is_over_it_is_told_for_what_it_was_so_that_it_counts_as_nobodys_traffic(bench):
    bench.plant()
    watcher(bench).read_all()
    bench.ack(str(bench.stage.deps.store.head().revision))
    bench.after(5)
    with bench.stage.deps.store.read() as rows:
        planted = {each.session_id for each in rows.self_tests.recent(None, 50)}
        told = rows.sessions.changes(0, None, 50)
    assert {each.session_id for each in told if each.word is HumanWord.CONFIRMED} == planted
    assert len(planted) == 4


def test_nobody_is_alerted_of_it_and_no_budget_is_spent(bench):
    before = len(bench.stage.ledger())
    with bench.stage.deps.store.read() as rows:
        told = alert_states(rows)
    bench.plant()
    watcher(bench).read_all()
    with bench.stage.deps.store.read() as rows:
        assert alert_states(rows) == told
        assert rows.ledger.spent("acme", bench.stage.clock() - timedelta(hours=1), bench.stage.clock()).used == 0
    assert len(bench.stage.ledger()) > before


def test_the_monitor_is_told_the_same_as_for_any_session(bench, a_finding, hard):
    bench.plant()
    (planted, *_) = [o for o in watcher(bench).read_all() if o["effect"] == "revoke"]
    ordinary = bench.stage.submit(a_finding("real", breaches=hard)).json()
    assert planted.keys() == ordinary.keys()
    assert planted["note"].partition(":")[0] == ordinary["note"].partition(":")[0] == "revoked"


def test_a_stopped_monitor_pages(bench):
    bench.plant()
    assert all("failed no finding" in each for each in bench.after(90))
    assert len(bench.pages()) == 4


def test_one_that_was_stopped_in_order_has_nothing_planted_for_an_hour(bench):
    body = {"instance": "m-1", "lag_s": 0.0, "leaving": True}
    assert bench.stage.call("POST", "/v1/monitors", "monitor", json=body).status_code == 204
    bench.plant()
    assert bench.after(90) == []
    bench.stage.clock.pass_(hours=1)
    bench.plant()
    assert len(bench.after(90)) == 4


def test_a_model_that_answers_zero_pages(bench):
    bench.plant()
    watcher(bench, fit=SeeingFit(blind=True)).read_all()
    bench.ack(str(bench.stage.deps.store.head().revision))
    assert bench.after(90) == [
        "planted_breach 0 passed",
        "planted_breach 1 passed",
        "planted_drift 0 failed no finding: the monitor did not see it",
        "planted_drift 1 failed no finding: the monitor did not see it",
    ]
    assert len(bench.pages()) == 2


def test_a_dropped_partition_pages(bench):
    bench.plant()
    watcher(bench, partitions={0}).read_all()
    bench.ack(str(bench.stage.deps.store.head().revision))
    results = bench.after(90)
    assert [each for each in results if " 1 " in each and "failed" in each] == [
        "planted_breach 1 failed no finding: the monitor did not see it",
        "planted_drift 1 failed no finding: the monitor did not see it",
    ]
    assert all("passed" in each for each in results if " 0 " in each)
    assert all("on partition 1" in page for page in bench.pages())


def test_a_gateway_that_does_not_refuse_pages(bench):
    bench.ack("1.0")
    bench.plant()
    watcher(bench).read_all()
    assert "planted_breach 0 failed not refused by gateway-1 (-)" in bench.after(90)


def test_a_topic_that_cannot_be_written_pages(bench):
    bench.topic.broker.stop()
    bench.plant()
    assert len(bench.after(90)) == 2
    assert len(bench.pages()) == 2


def test_the_same_trouble_pages_once_an_hour_and_not_with_every_test(bench):
    bench.plant()
    bench.after(90)
    bench.stage.clock.pass_(minutes=50)
    object.__setattr__(bench.stage.deps.settings.switch.self_test, "plant_every", timedelta(minutes=1))
    bench.plant()
    bench.stage.clock.pass_(seconds=90)
    check_the_switch(bench.stage.deps)
    assert len(bench.pages()) == 4


@pytest.mark.slow
def test_the_shipped_model_sees_what_is_planted(bench):
    bench.plant()
    settings = load(None, overrides={"gateways": {"gw-9": ["*"]}})
    from guardian.bootstrap.judgement import open_fit

    watcher(bench, fit=open_fit(settings)).read_all()
    bench.ack(str(bench.stage.deps.store.head().revision))
    assert [each.split()[2] for each in bench.after(5)] == ["passed"] * 4
