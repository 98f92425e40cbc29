"""A verdict on a call that reached the topic long before says that it is late."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

from guardian.domain.batch import DecisionKey, Judgement
from guardian.domain.finding import Act, Effect, Finding, Kind
from guardian.stream.commit import marked_late

NOW = datetime(2026, 5, 12, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def finding(decision="d1", tenant="acme"):
    act = Act(decision_id=decision, gateway="gw", tool="crm.export", time=NOW)
    return Finding(
        id="f", kind=Kind.DRIFT, tenant_id=tenant, session_id="s", wanted=Effect.FLAG, severity="high",
        title="left its purpose", act=act, time=NOW,
    )  # fmt: skip


def verdict(stamp, gateway="gw"):
    event = SimpleNamespace(id="d1", gateway=gateway, envelope=SimpleNamespace(tenant_id="acme"))
    record, decision = SimpleNamespace(timestamp=stamp), DecisionKey("acme", gateway, "d1")
    return SimpleNamespace(decoded=SimpleNamespace(event=event, record=record, decision=decision))


def late(stamp, told=None):
    judged = Judgement(scored=(verdict(stamp),), findings=(told or finding(),))
    return marked_late(judged, NOW, MINUTE).findings[0].late_s


def test_by_the_brokers_time_and_only_beyond_the_bound():
    assert late(NOW - 14 * MINUTE) == 840
    assert late(NOW - MINUTE) == 0
    assert late(NOW + MINUTE) == 0


def test_what_has_no_time_or_no_call_is_not_called_late():
    assert late(None) == 0
    assert late(NOW - 14 * MINUTE, finding().model_copy(update={"act": None})) == 0
    assert late(NOW - 14 * MINUTE, finding(tenant="globex")) == 0


def test_calls_of_two_gateways_under_one_id_are_late_each_for_itself():
    verdicts = (verdict(NOW - 14 * MINUTE), verdict(NOW, gateway="other"))
    (told,) = marked_late(Judgement(scored=verdicts, findings=(finding(),)), NOW, MINUTE).findings
    assert told.late_s == 840
