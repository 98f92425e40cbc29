"""What became of a finding is told to each channel that was told of the finding, after it, and once."""

import json
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import jsonschema
import pytest
from pydantic import ValidationError

from guardian.alerting.jsonl import JsonlChannel
from guardian.alerting.port import Alert, RetryLater
from guardian.alerting.rules import rank
from guardian.control.cases.case import alert_name
from guardian.control.lapse import sweep
from guardian.control.switch import SwitchRule
from guardian.control.telling import became, outcomes
from guardian.control.telling.alert_outbox import AlertQueues
from guardian.domain.finding import Effect
from guardian.errors import AlertError
from guardian.store.control import alerts
from guardian.store.control.alerts import AlertRows, Chosen, Settled

SCHEMA = Path(__file__).parents[2] / "alerting" / "golden" / "ocsf_2004.schema.json"


@dataclass
class Kept:
    """A channel that keeps what it was sent, or raises the troubles that are set."""

    name: str = "webhook"
    told: list[Alert] = field(default_factory=list)
    troubles: list[Exception] = field(default_factory=list)

    def deliver(self, alert: Alert) -> str:
        if self.troubles:
            raise self.troubles.pop(0)
        self.told.append(alert)
        return "x"

    def find(self, _alert: Alert) -> None:
        return None

    @property
    def heard(self) -> list[tuple[str, str, str, bool]]:
        """Of each follow-up: whose it was, what, the state, and whether that is the end of it."""
        became = [each.became for each in self.told if each.became is not None]
        return [(each.by, each.what, each.state, each.over) for each in became]


@dataclass
class Mailed(Kept):
    """One that people read."""

    name: str = "email"
    floor: str = "info"

    def shows(self, finding):
        return rank(finding.severity) >= rank(self.floor)

    @property
    def digests(self) -> list[int]:
        """Of what became of findings, how many cases each message tells of."""
        return [1 if each.digest is None else each.digest.total for each in self.told if each.became]


class Desk:
    """A stage whose alerts go to these channels; a new one is control started again."""

    def __init__(self, stage, *channels, slack=False) -> None:
        self.stage = stage
        more = {"metrics": stage.deps.metrics, "now": stage.clock, "fallback": lambda: Kept("log")}
        self.queues = AlertQueues(stage.deps.store, channels, **more, beside_slack=slack)
        self.queues.start()
        self.queues.stop()

    def settle(self) -> None:
        for worker in self.queues._workers:
            while worker.step():
                pass

    def after(self, **amount) -> None:
        self.stage.clock.pass_(**amount)
        self.settle()

    def judge(self, finding, verdict, who="analyst", **more):
        body = {"verdict": verdict, "reason": "looked at it", **more}
        got = self.stage.call("POST", f"/v1/findings/{finding.id}/verdict", who, json=body)
        assert got.status_code == 200, got.text


@pytest.fixture
def webhook():
    return Kept()


@pytest.fixture
def mailed():
    return Mailed()


@pytest.fixture
def desk(stage, webhook):
    return Desk(stage, webhook)


def revoked_itself(desk, a_finding):
    """Guardian revoked the session, and it was told of that."""
    desk.stage.enforce()
    assert desk.stage.submit(a_finding()).json()["effect"] == "revoke"
    desk.settle()


@pytest.mark.parametrize("verdict", ["false_positive", "benign"])
def test_a_siem_closes_what_was_dismissed(stage, a_finding, tmp_path, verdict) -> None:
    desk = Desk(stage, JsonlChannel(tmp_path / "alerts.jsonl"))
    stage.submit(a_finding())
    desk.after(minutes=5)
    desk.judge(a_finding(), verdict)
    desk.after(minutes=5)
    first, second = (json.loads(line) for line in (tmp_path / "alerts.jsonl").read_text().splitlines())
    jsonschema.validate(second, json.loads(SCHEMA.read_text("utf-8")))
    assert (first["activity_id"], second["activity_id"], second["type_uid"]) == (1, 3, 200403)
    assert first["finding_info"]["uid"] == second["finding_info"]["uid"] == a_finding().id
    assert first["metadata"]["uid"] != second["metadata"]["uid"]
    assert (second["status"], second["unmapped"]["verdict"]) == ("Suppressed", verdict)
    assert second["comment"] == "looked at it"
    assert second["time"] == second["finding_info"]["modified_time"] > first["time"]


def test_what_people_do_to_a_session_is_told_of_its_findings(desk, webhook, a_finding) -> None:
    stage = desk.stage
    stage.submit(a_finding(wanted=Effect.FLAG))
    desk.after(minutes=1)
    for protected in (True, False):
        protect(stage, protected=protected)
        desk.after(minutes=1)
    stage.revoke()
    desk.after(minutes=1)
    desk.judge(a_finding(), "confirmed")
    desk.after(minutes=1)
    stage.reinstate()
    desk.after(minutes=1)
    changed = ("approver-1", "changed the session's protection", "flagged", False)
    assert [each for each in webhook.heard if "approved:" not in each[1]] == [
        *[changed] * 2,
        ("responder-1", "revoked the session", "revoked", False),
        ("analyst-1", "confirmed it as drift", "revoked", True),
        ("responder-1", "gave the session back, approved by approver-1", "reinstated", True),
    ]
    assert {alert.finding.id for alert in webhook.told} == {a_finding().id, *asked_for(webhook)}


@pytest.mark.parametrize("whole", [False, True])
def test_what_a_verdict_had_closed_is_open_again_once_it_is_taken_back(stage, a_finding, tmp_path, whole) -> None:
    desk, path = Desk(stage, JsonlChannel(tmp_path / "alerts.jsonl")), tmp_path / "alerts.jsonl"
    for n in range(2):
        stage.submit(a_finding(n=n))
    desk.after(minutes=5)
    for verdict in ("false_positive", "withdrawn"):
        desk.judge(a_finding(n=1), verdict, case=whole)
        desk.after(minutes=5)
    told = [json.loads(line) for line in path.read_text().splitlines()]
    shape = json.loads(SCHEMA.read_text("utf-8"))
    last = told[-1 - whole :]
    assert {each["finding_info"]["uid"] for each in last} == {a_finding(n=n).id for n in range(1 - whole, 2)}
    for each in last:
        jsonschema.validate(each, shape)
        assert (each["activity_id"], each["status"], each["unmapped"]["state"]) == (2, "In Progress", "flagged")
        assert "verdict" not in each["unmapped"]
        assert "took the verdict back" in each["status_detail"]
    assert len(told) == 2 + 2 * (1 + whole)


def test_of_what_was_judged_anew_meanwhile_nobody_hears_that_it_was_open(desk, webhook, a_finding) -> None:
    desk.stage.submit(a_finding())
    desk.settle()
    for verdict in ("false_positive", "withdrawn", "confirmed"):
        desk.judge(a_finding(), verdict)
        desk.stage.clock.pass_(seconds=1)
    desk.after(minutes=5)
    assert [(what, state) for _, what, state, _ in webhook.heard] == [("confirmed it as drift", "confirmed")]


def protect(stage, *, protected=True):
    body = {"protected": protected, "reason": "payroll"}
    got = stage.call("PUT", "/v1/sessions/acme/sess_1/protection", "approver", json=body)
    assert got.status_code == 200, got.text


def asked_for(channel):
    """The news that somebody asks for a second person."""
    return {alert.finding.id for alert in channel.told if alert.finding.kind.value == "control"}


def test_a_revocation_that_lapses_closes_what_guardian_revoked(desk, webhook, a_finding) -> None:
    revoked_itself(desk, a_finding)
    webhook.told.clear()
    desk.stage.clock.pass_(days=3)
    sweep(desk.stage.deps)
    desk.settle()
    assert webhook.heard == [("guardian", "the revocation reached its expiry and has lapsed", "lapsed", True)]


def test_what_was_revoked_anew_before_anybody_heard_of_the_lapse_has_not_lapsed(desk, webhook, a_finding) -> None:
    revoked_itself(desk, a_finding)
    webhook.told.clear()
    desk.stage.clock.pass_(days=3)
    sweep(desk.stage.deps)
    desk.stage.clock.pass_(minutes=1)
    desk.stage.revoke()
    desk.settle()
    assert webhook.heard == [("responder-1", "revoked the session", "revoked", False)]


def test_a_session_that_follows_its_parent_down_and_up_is_told_of(family, webhook, a_finding) -> None:
    desk = Desk(family, webhook)
    family.submit(a_finding("child", wanted=Effect.FLAG))
    desk.after(minutes=1)
    family.revoke("root")
    family.walk()
    desk.after(minutes=1)
    family.reinstate("root")
    family.walk()
    desk.after(minutes=1)
    heard = [each for each in webhook.told if each.became and each.finding.session_id == "child"]
    assert [(each.became.what, each.became.over) for each in heard] == [
        ("revoked the session with the one that delegated it", False),
        ("the session that this one was delegated by was given back, and this one with it", False),
    ]


def test_of_all_a_session_is_accused_of_people_hear_once_and_machines_of_each(
    stage, webhook, mailed, a_finding
) -> None:
    desk = Desk(stage, webhook, mailed)
    desk.stage.submit(a_finding(wanted=Effect.FLAG))
    desk.stage.submit(a_finding(n=1, wanted=Effect.FLAG))
    desk.stage.submit(a_finding(n=2, wanted=Effect.FLAG))
    desk.after(minutes=1)
    desk.judge(a_finding(), "false_positive")
    desk.after(minutes=1)
    desk.after(minutes=1)
    webhook.told.clear()
    mailed.told.clear()
    desk.stage.revoke()
    desk.settle()
    desk.after(minutes=1)
    assert [each.finding.id for each in webhook.told] == [a_finding(n=2).id, a_finding(n=1).id]
    assert [(each.finding.id, each.digest) for each in mailed.told] == [(a_finding(n=2).id, None)]
    webhook.told.clear()
    desk.judge(a_finding(n=1), "benign", case=True)
    desk.settle()
    desk.after(minutes=1)
    assert [each.finding.id for each in webhook.told] == [a_finding(n=1).id, a_finding(n=2).id]
    assert len(mailed.told) == 2
    assert all(not worker._outbox.depth() for worker in desk.queues._workers)


def test_who_hears_once_hears_it_of_a_finding_that_it_was_told_of(stage, mailed, a_finding) -> None:
    worst = a_finding(wanted=Effect.FLAG).model_copy(update={"severity": "critical"})
    for number, channels in ((worst, [Kept()]), (a_finding(n=1, wanted=Effect.FLAG), [Kept(), mailed])):
        desk = Desk(stage, *channels)
        stage.submit(number)
        desk.after(minutes=1)
    stage.revoke()
    desk.settle()
    desk.after(minutes=1)
    assert [each.finding.id for each in mailed.told if each.became] == [a_finding(n=1).id]


def many(desk, a_finding, sessions=5):
    """That many sessions with two findings each, which everybody was told of."""
    found = [[a_finding(f"sess_{s}", n=n, wanted=Effect.FLAG) for n in range(2)] for s in range(sessions)]
    for each in (finding for of_it in found for finding in of_it):
        assert desk.stage.submit(each).status_code == 200
    desk.after(minutes=1)
    for channel in (worker._channel for worker in desk.queues._workers):
        channel.told.clear()
    return found


def test_what_one_dismisses_in_one_go_is_one_mail_and_an_event_for_each(stage, webhook, mailed, a_finding) -> None:
    desk = Desk(stage, webhook, mailed)
    found = many(desk, a_finding)
    for of_it in found:
        for each in of_it:
            desk.judge(each, "false_positive")
        desk.after(seconds=10)
    assert (len(webhook.told), mailed.told) == (10, []), "more may come"
    desk.after(seconds=30)
    assert mailed.digests == [5]
    (mail,) = mailed.told
    assert (mail.digest.tenant_id, mail.digest.severities) == ("acme", {"high": 5})
    assert {event.by for event in mail.events} == {f"sess_{s}" for s in range(5)}
    assert mail.events[0].what == "high · Dismissed · 2 findings · agent_1"
    desk.after(hours=1)
    assert mailed.digests == [5]
    assert desk.queues._workers[1]._outbox.depth() == 0


def test_what_is_too_much_for_one_mail_is_some(stage, mailed, a_finding, monkeypatch) -> None:
    monkeypatch.setattr(alerts, "_TOGETHER", 2)
    desk = Desk(stage, mailed)
    for each in many(desk, a_finding):
        desk.judge(each[0], "false_positive")
    desk.settle()
    assert mailed.digests == [2, 2], "nothing more has room there"
    desk.after(minutes=1)
    assert mailed.digests == [2, 2, 1]


def test_a_mail_tells_of_nothing_that_there_was_no_mail_of(stage, mailed, a_finding) -> None:
    desk = Desk(stage, mailed)
    found = [a_finding(f"sess_{s}", wanted=Effect.FLAG) for s in range(4)]
    for n, severity in enumerate(("low", "high", "info", "info")):
        found[n] = found[n].model_copy(update={"severity": severity})
        stage.submit(found[n])
    desk.after(minutes=1)
    mailed.told.clear()
    mailed.floor = "medium"
    for each in found:
        desk.judge(each, "false_positive")
    desk.settle()
    desk.after(minutes=1)
    (told,) = mailed.told
    assert (told.finding.id, told.digest, told.events) == (found[1].id, None, ()), "in the thread of the first"
    assert desk.queues._workers[0]._outbox.depth() == 0


def test_what_was_held_while_a_channel_was_away_is_gathered_all_the_same(
    stage, webhook, mailed, a_finding
) -> None:
    desk = Desk(stage, webhook, mailed)
    found = [a_finding(f"sess_{s}", wanted=Effect.FLAG).model_copy(update={"severity": "low"}) for s in range(5)]
    mailed.troubles = [RetryLater("away", after_s=1800)] * 5
    for each in found:
        stage.submit(each)
    desk.settle()
    for each in found:
        desk.judge(each, "false_positive")
    desk.settle()
    assert (len(webhook.heard), mailed.told) == (5, []), "which waits for nobody"
    desk.after(hours=1)
    assert ([each.finding.id for each in mailed.told], mailed.digests) == ([each.id for each in found], [])
    desk.after(seconds=30)
    assert mailed.digests == [5]


def test_so_many_acts_at_once_are_put_off_a_few_in_one_transaction(stage, mailed, a_finding, monkeypatch) -> None:
    desk = Desk(stage, mailed)
    for n, each in enumerate(many(desk, a_finding)):
        desk.judge(each[0], "false_positive", reason=f"looked at {n}")
    monkeypatch.setattr(alerts, "_AT_ONCE", 2)
    with stage.deps.store.read() as rows:
        heads = rows.head().audit_seq
    outcomes.tell_outcomes(stage.deps.store, stage.clock())
    with stage.deps.store.write() as rows:
        assert rows.alerts.claim_together("email", stage.clock(), alerts.Turns()) == []
        assert rows.alerts.due("email", stage.clock()), "others have their turn at writing"
    assert heads == position(desk)
    desk.settle()
    assert mailed.told == []
    desk.after(minutes=1)
    assert mailed.digests == [1] * 5


def test_who_goes_on_and_on_is_not_waited_for(stage, mailed, a_finding) -> None:
    desk = Desk(stage, mailed)
    found = many(desk, a_finding, sessions=20)
    for of_it in found:
        desk.judge(of_it[0], "false_positive")
        desk.after(seconds=20)
    assert mailed.digests == [16]
    desk.after(minutes=1)
    assert mailed.digests == [16, 4]


def test_other_words_another_tenant_or_another_person_make_it_another_act(stage, mailed, a_finding) -> None:
    desk = Desk(stage, mailed)
    found = many(desk, a_finding, sessions=4)
    desk.judge(found[0][0], "false_positive")
    desk.judge(found[1][0], "benign")
    desk.judge(found[2][0], "false_positive", reason="another look")
    desk.judge(found[3][0], "false_positive", who="responder")
    desk.settle()
    desk.after(minutes=1)
    assert mailed.digests == [1, 1, 1, 1]


def test_a_mail_that_was_late_is_the_same_one_though_more_was_done_since(stage, mailed, a_finding) -> None:
    desk = Desk(stage, mailed)
    found = many(desk, a_finding, sessions=3)
    for each in found[:2]:
        desk.judge(each[0], "false_positive")
    desk.settle()
    for trouble in (RetryLater("busy", after_s=900), RetryLater("busy", after_s=600)):
        mailed.troubles = [trouble]
        desk.after(minutes=1)
        desk.judge(found[2][0], "false_positive")
        desk.settle()
    desk.after(hours=1)
    assert sorted(mailed.digests) == [1, 2]


def test_what_is_refused_together_is_released_together(stage, mailed, a_finding) -> None:
    desk = Desk(stage, mailed)
    for each in many(desk, a_finding, sessions=3):
        desk.judge(each[0], "false_positive")
    desk.settle()
    mailed.troubles = [AlertError("no")]
    desk.after(minutes=1)
    with stage.deps.store.write() as rows:
        assert len(list(rows.alerts.refused())) == 3
        rows.alerts.release(Chosen(), stage.clock())
    desk.settle()
    assert mailed.digests == [3]


def test_a_crash_while_a_mail_is_sent_loses_none_of_it(stage, mailed, a_finding) -> None:
    desk = Desk(stage, mailed)
    for each in many(desk, a_finding, sessions=3):
        desk.judge(each[0], "false_positive")
    desk.settle()
    stage.clock.pass_(minutes=1)
    assert desk.queues._workers[0]._outbox.claim(stage.clock()) is not None
    again = Desk(stage, mailed)
    again.queues._workers[0].recover()
    again.settle()
    assert mailed.digests == [3]


def test_what_another_version_queued_stops_no_digest(stage, mailed, a_finding) -> None:
    desk = Desk(stage, mailed)
    for each in many(desk, a_finding, sessions=3):
        desk.judge(each[0], "false_positive")
    desk.settle()
    with stage.deps.store.write() as rows:
        last = "SELECT max(id) FROM control_alert WHERE kind = 'outcome'"
        rows.connection.exec_driver_sql(f"UPDATE control_alert SET payload = '{{}}' WHERE id = ({last})")
    desk.after(minutes=1)
    assert mailed.digests == [2]
    with stage.deps.store.read() as rows:
        assert [each.why for each in rows.alerts.refused()] == ["the stored alert cannot be read"]


def subject(stage, verb, kind="agent", name="agent_1"):
    path = f"/v1/subjects/acme/{kind}/{name}/{verb}"
    got = stage.call("POST", path, "admin", who=f"{verb}s-it", json={"reason": "its image was altered"})
    assert got.status_code == 200, got.text


@pytest.mark.parametrize("glance", [1, 5000])
def test_when_its_agent_is_revoked_or_given_back_what_is_told_of_its_sessions_says_so(
    stage, webhook, mailed, a_finding, monkeypatch, glance
) -> None:
    monkeypatch.setattr(outcomes, "_MOST", 2)
    monkeypatch.setattr(became, "_AT_A_GLANCE", glance)
    desk = Desk(stage, webhook, mailed)
    found = many(desk, a_finding, sessions=6)
    for each in found[0]:
        desk.judge(each, "false_positive")
    desk.judge(found[1][0], "false_positive")
    stage.revoke("sess_2")
    other = found[3][0].subject.model_copy(update={"agent_id": "agent_2"})
    stage.submit(a_finding("elsewhere", wanted=Effect.FLAG).model_copy(update={"subject": other}))
    stage.submit(a_finding("registered", wanted=Effect.FLAG).model_copy(update={"subject": None}))
    stage.delegate("registered", agent_id="agent_1")
    desk.settle()
    desk.after(minutes=1)
    webhook.told.clear()
    mailed.told.clear()
    subject(stage, "revoke")
    desk.settle()
    desk.after(minutes=1)
    theirs = [found[1][1], *(each for of_it in found[3:] for each in of_it), a_finding("registered")]
    heard = [each for each in webhook.told if each.became]
    assert sorted(each.finding.id for each in heard) == sorted(each.id for each in theirs)
    told = {(b.by, b.what, b.why, b.state, b.also_revoked, b.over) for b in (each.became for each in heard)}
    why = "its image was altered"
    assert told == {("revokes-it", "revoked the session's agent", why, "flagged", ("agent",), False)}
    assert mailed.digests == [5]
    webhook.told.clear()
    subject(stage, "reinstate")
    desk.settle()
    desk.after(minutes=1)
    heard = [each.became for each in webhook.told if each.became]
    assert [each.what for each in heard] == ["gave the session's agent back"] * len(theirs)
    assert {each.also_revoked for each in heard} == {()}
    assert mailed.digests == [5, 5]


@pytest.mark.parametrize("kind", ["task", "delegator"])
def test_so_it_is_with_a_task_and_a_delegator_and_when_that_lapses(desk, webhook, a_finding, kind) -> None:
    desk.stage.submit(a_finding(wanted=Effect.FLAG))
    desk.stage.delegate("sess_1", task_id="task_9")
    desk.after(minutes=1)
    subject(desk.stage, "revoke", kind, {"task": "task_9"}.get(kind, "user_1"))
    desk.after(minutes=1)
    desk.stage.clock.pass_(days=3)
    sweep(desk.stage.deps)
    desk.settle()
    assert webhook.heard == [
        ("revokes-it", f"revoked the session's {kind}", "flagged", False),
        (
            "guardian",
            f"the revocation of the session's {kind} has reached its expiry and has lapsed",
            "flagged",
            False,
        ),
    ]


def test_what_keeps_a_session_from_coming_back_is_told_of_the_others(make_stage, webhook, a_finding, hard) -> None:
    stage = make_stage(switch=SwitchRule(comes_back={"task": timedelta(hours=1)}))
    desk = Desk(stage, webhook)
    stage.enforce()
    for session in ("sess_1", "other"):
        stage.delegate(session, task_id="task_9")
    stage.submit(a_finding("other", wanted=Effect.FLAG))
    assert stage.submit(a_finding(breaches=hard)).json()["effect"] == "revoke"
    desk.after(minutes=1)
    (heard,) = [each for each in webhook.told if each.became and each.finding.session_id == "other"]
    what = "revoked the session's task, so that a revoked session does not come back under a new id"
    assert (heard.became.by, heard.became.what) == ("guardian", what)


def test_a_session_that_cannot_be_read_keeps_none_of_the_others_from_being_told_of(
    desk, webhook, a_finding, monkeypatch
) -> None:
    many(desk, a_finding, sessions=2)
    read = became._teller

    def torn(rows, key, *more):
        if key.session_id == "sess_0":
            raise ValidationError.from_exception_data("session", [])
        return read(rows, key, *more)

    monkeypatch.setattr(became, "_teller", torn)
    subject(desk.stage, "revoke")
    desk.after(minutes=1)
    assert {each.finding.session_id for each in webhook.told if each.became} == {"sess_1"}


def test_where_its_agent_is_revoked_nobody_is_told_that_a_session_may_act_again(desk, webhook, a_finding) -> None:
    revoked_itself(desk, a_finding)
    subject(desk.stage, "revoke")
    desk.after(minutes=1)
    desk.stage.reinstate()
    desk.after(minutes=1)
    last = webhook.told[-1].became
    assert (last.state, last.also_revoked) == ("reinstated", ("agent",))


def test_the_same_word_again_is_no_news(desk, webhook, a_finding) -> None:
    desk.stage.submit(a_finding(wanted=Effect.FLAG))
    desk.after(minutes=1)
    for _ in range(2):
        desk.judge(a_finding(), "confirmed")
        desk.after(minutes=1)
    assert webhook.heard == [("analyst-1", "confirmed it as drift", "confirmed", False)]
    desk.judge(a_finding(), "false_positive")
    desk.after(minutes=1)
    assert webhook.heard[1:] == [("analyst-1", "called it a false positive", "dismissed", True)]


def test_what_a_person_approved_is_told_of_the_finding_and_is_no_second_one(
    desk, webhook, a_finding, hard
) -> None:
    stage = desk.stage
    stage.enforce()
    protect(stage)
    asked = stage.submit(a_finding(breaches=hard)).json()["approval_id"]
    desk.after(minutes=1)
    webhook.told.clear()
    stage.decide(asked, "approve")
    desk.after(minutes=1)
    assert webhook.heard == [("guardian", "revoked the session, as approver-1 had approved", "revoked", False)]
    (told,) = webhook.told
    assert told.became.why == "looked at it"


def test_a_request_that_was_denied_is_told_of_the_finding(desk, webhook, a_finding, hard) -> None:
    stage = desk.stage
    stage.enforce()
    protect(stage)
    asked = stage.submit(a_finding(breaches=hard)).json()["approval_id"]
    desk.after(minutes=1)
    webhook.told.clear()
    stage.decide(asked, "deny")
    desk.after(minutes=1)
    assert webhook.heard == [("approver-1", "said no: revoke", "flagged", False)]


@pytest.mark.parametrize(("word", "state"), [("approve", "approved"), ("deny", "denied"), (None, "expired")])
def test_what_asked_for_a_second_person_is_closed_when_somebody_answered_or_nobody_can(
    desk, webhook, word, state
) -> None:
    desk.stage.revoke()
    path = "/v1/sessions/acme/sess_1/reinstate"
    asked = desk.stage.call("POST", path, "responder", json={"reason": "typo"}).json()["approval"]["id"]
    desk.after(minutes=1)
    if word is None:
        desk.stage.clock.pass_(hours=5)
        sweep(desk.stage.deps)
    else:
        desk.stage.decide(asked, word)
    desk.after(minutes=1)
    (news,) = [each for each in webhook.told if each.became is None]
    (end,) = [each for each in webhook.told if each.became is not None]
    assert (end.finding.id, end.became.state, end.became.over) == (news.finding.id, state, True)


@pytest.mark.parametrize("trouble", [RetryLater("busy"), AlertError("no")], ids=["late", "refused"])
def test_nothing_goes_before_what_it_follows(desk, webhook, a_finding, trouble) -> None:
    webhook.troubles = [trouble]
    desk.stage.submit(a_finding())
    desk.settle()
    desk.judge(a_finding(), "confirmed")
    desk.settle()
    desk.stage.clock.pass_(seconds=1)
    desk.judge(a_finding(), "false_positive")
    desk.settle()
    assert webhook.told == []
    desk.after(minutes=20)
    if isinstance(trouble, AlertError):
        assert webhook.told == []
        with desk.stage.deps.store.write() as rows:
            rows.alerts.release(Chosen(), desk.stage.clock())
        desk.settle()
    states = [None if each.became is None else each.became.state for each in webhook.told]
    assert states == [None, "confirmed", "dismissed"]
    assert desk.queues._workers[0]._outbox.depth() == 0


def test_what_a_refused_alert_holds_back_is_counted_and_can_be_given_up_with_it(desk, webhook, a_finding) -> None:
    webhook.troubles = [AlertError("no")]
    desk.stage.submit(a_finding(wanted=Effect.FLAG))
    desk.settle()
    desk.judge(a_finding(), "confirmed")
    desk.after(minutes=1)
    desk.stage.revoke()
    desk.after(minutes=1)
    desk.queues.measure()
    assert desk.stage.deps.metrics.value("guardian_alerts_held", channel="webhook") == 2
    with desk.stage.deps.store.write() as rows:
        (refused,) = rows.alerts.refused()
        assert (refused.held, rows.alerts.held()) == (2, 2)
        assert rows.alerts.drop(Chosen([refused.id, 99])) == [Settled(refused.id, "webhook", "acme", held=2)]
        assert (rows.alerts.refused_count(), rows.alerts.held()) == (0, 0)
        assert rows.alerts.release(Chosen(), desk.stage.clock()) == []
    desk.judge(a_finding(), "false_positive")
    desk.after(minutes=1)
    assert webhook.told == [], "of a finding that it was not told of it hears nothing more"


def test_where_what_became_of_it_is_given_up_what_came_next_is_told(desk, webhook, a_finding) -> None:
    desk.stage.submit(a_finding(wanted=Effect.FLAG))
    desk.settle()
    webhook.troubles = [AlertError("no")]
    desk.judge(a_finding(), "confirmed")
    desk.after(minutes=1)
    desk.judge(a_finding(), "false_positive")
    desk.after(minutes=1)
    with desk.stage.deps.store.write() as rows:
        (refused,) = rows.alerts.refused()
        assert rows.alerts.drop(Chosen([refused.id])) == [Settled(refused.id, "webhook", "acme")]
    desk.settle()
    assert [each.became and each.became.state for each in webhook.told] == [None, "dismissed"]


def test_what_waits_for_a_channel_that_is_gone_goes_to_the_others_in_its_order(stage, a_finding) -> None:
    gone, there = Kept("gone"), Kept("there")
    desk = Desk(stage, gone)
    gone.troubles = [AlertError("no")]
    stage.submit(a_finding())
    desk.settle()
    desk.judge(a_finding(), "false_positive")
    desk.settle()
    again = Desk(stage, there)
    with stage.deps.store.write() as rows:
        rows.alerts.release(Chosen(), stage.clock())
    again.settle()
    assert [each.became is None for each in there.told] == [True, False]


def test_what_was_held_for_a_channel_that_is_gone_goes_at_once_where_nothing_has_to_go_before(
    stage, a_finding
) -> None:
    gone, there = Kept("gone", troubles=[AlertError("no")]), Kept("there")
    desk = Desk(stage, gone, there)
    stage.submit(a_finding())
    desk.settle()
    alone = Desk(stage, gone)
    alone.judge(a_finding(), "false_positive")
    alone.settle()
    Desk(stage, there).settle()
    assert [each.became is None for each in there.told] == [True, False]


def test_a_restart_loses_nothing_and_repeats_nothing(stage, a_finding, webhook) -> None:
    desk = Desk(stage, webhook)
    stage.submit(a_finding())
    desk.settle()
    desk.judge(a_finding(), "false_positive")  # and nobody has looked at it when control ends
    for _ in range(2):
        Desk(stage, webhook).settle()
    assert [each.became is None for each in webhook.told] == [True, False]


@pytest.mark.parametrize("most", [1, 2])
def test_many_findings_take_several_transactions_and_each_is_told_once(
    desk, webhook, a_finding, monkeypatch, most
) -> None:
    monkeypatch.setattr(outcomes, "_MOST", most)
    for n in range(5):
        desk.stage.submit(a_finding(n=n, wanted=Effect.FLAG))
    desk.after(minutes=1)
    webhook.told.clear()
    desk.stage.revoke()
    desk.after(minutes=1)
    assert [each.finding.id for each in webhook.told] == [a_finding(n=n).id for n in reversed(range(5))]


def test_each_of_many_findings_is_read_a_few_times_however_many_transactions_they_take(
    desk, webhook, a_finding, monkeypatch
) -> None:
    monkeypatch.setattr(outcomes, "_MOST", 2)
    monkeypatch.setattr(alerts, "_AT_ONCE", 2)
    found = [a_finding(n=n, wanted=Effect.FLAG) for n in range(20)]
    for each in found:
        desk.stage.submit(each)
    desk.after(minutes=1)
    webhook.told.clear()
    read = []
    payload = AlertRows.payload
    monkeypatch.setattr(AlertRows, "payload", lambda self, number: read.append(number) or payload(self, number))
    desk.stage.revoke()
    desk.after(minutes=1)
    desk.judge(found[0], "false_positive", case=True)
    desk.after(minutes=1)
    assert len(webhook.told) == 40
    assert len(read) < 4 * len(webhook.told)


def test_a_channel_hears_only_of_what_it_was_told(stage, a_finding) -> None:
    old, new = Kept("old"), Kept("new")
    Desk(stage, old)
    stage.submit(a_finding())
    both = Desk(stage, old, new)
    both.settle()
    both.judge(a_finding(), "false_positive")
    both.after(minutes=1)
    assert (len(old.told), new.told) == (2, [])


def test_beside_slack_alone_nothing_is_queued_and_later_channels_hear_of_later_acts(
    stage, a_finding, webhook
) -> None:
    desk = Desk(stage, slack=True)
    stage.submit(a_finding())
    desk.judge(a_finding(), "confirmed")
    desk.settle()
    later = Desk(stage, webhook, slack=True)
    later.settle()
    assert webhook.told == []
    stage.submit(a_finding("sess_2"))
    later.judge(a_finding("sess_2"), "confirmed")
    later.settle()
    assert [each.finding.session_id for each in webhook.told] == ["sess_2", "sess_2"]


def test_an_upgrade_tells_nothing_of_before_and_all_of_what_was_queued_then(stage, a_finding, webhook) -> None:
    stage.submit(a_finding())
    stage.submit(a_finding("sess_2"))
    body = {"verdict": "confirmed", "reason": "before"}
    stage.call("POST", f"/v1/findings/{a_finding().id}/verdict", "analyst", json=body)
    with stage.deps.store.write() as rows:  # as a version before wrote it, one for what was approved beside it
        payload = rows.alerts.payload(rows.alerts.named(alert_name("acme", a_finding().id)))
        told = {key: each for key, each in json.loads(payload).items() if key != "became"}
        known = {"kind": "finding", "case_key": told["case"], "payload": json.dumps(told), "now": stage.clock()}
        rows.alerts.add(**known, idempotency_key="approved")
    desk = Desk(stage, webhook)
    desk.settle()
    assert [each for each in webhook.told if each.became is not None] == []
    stage.clock.pass_(minutes=1)
    stage.revoke()
    desk.settle()
    assert [each.finding.id for each in webhook.told if each.became] == [a_finding().id]


def test_after_a_session_was_given_back_only_what_came_since_is_told_of(desk, webhook, a_finding) -> None:
    revoked_itself(desk, a_finding)
    desk.after(minutes=1)
    desk.stage.reinstate()
    desk.after(minutes=1)
    webhook.told.clear()
    desk.stage.revoke()
    desk.after(minutes=1)
    assert [each.finding.id for each in webhook.told] == [a_finding().id], "or nobody heard that it is revoked"
    desk.stage.reinstate()
    desk.after(minutes=1)
    later = a_finding(n=0, epoch=2, time=desk.stage.clock(), wanted=Effect.FLAG)
    assert desk.stage.submit(later).status_code == 200
    desk.after(minutes=1)
    webhook.told.clear()
    desk.stage.revoke()
    desk.after(minutes=1)
    assert [each.finding.id for each in webhook.told] == [later.id]


def test_what_another_version_wrote_stops_nothing(desk, webhook, a_finding) -> None:
    desk.stage.submit(a_finding())
    desk.stage.submit(a_finding("sess_2"))
    desk.settle()
    with desk.stage.deps.store.write() as rows:
        number = rows.alerts.named(alert_name("acme", a_finding().id))
        rows.connection.exec_driver_sql(f"UPDATE control_alert SET payload = '{{}}' WHERE id = {number}")
    desk.stage.clock.pass_(minutes=1)
    for session in ("sess_1", "sess_2"):
        desk.judge(a_finding(session), "confirmed")
        desk.stage.revoke(session)
    asked = desk.stage.call("POST", "/v1/sessions/acme/sess_1/reinstate", "responder", json={"reason": "typo"})
    desk.stage.decide(asked.json()["approval"]["id"], "deny")
    with desk.stage.deps.store.write() as rows:
        rows.connection.exec_driver_sql("UPDATE control_approval SET action = 'of a later version'")
    desk.settle()
    heard = [each for each in webhook.told if each.became]
    assert [each.finding.session_id for each in heard] == ["sess_2", "sess_2"]


def test_an_act_on_a_session_of_which_nobody_was_told_is_no_news(desk, webhook) -> None:
    desk.stage.revoke("sess_9")
    desk.after(seconds=timedelta(minutes=1).total_seconds())
    assert webhook.told == []


def test_what_is_urgent_goes_before_what_people_know_already(desk, webhook, a_finding) -> None:
    for n in range(4):
        desk.stage.submit(a_finding(f"sess_{n}"))
    desk.after(minutes=1)
    webhook.told.clear()
    for n in range(4):
        desk.judge(a_finding(f"sess_{n}"), "false_positive")
    desk.stage.clock.pass_(minutes=1)
    (worker,) = desk.queues._workers
    assert worker.step()
    desk.stage.clock.pass_(minutes=1)
    desk.stage.submit(a_finding("sess_9"))
    desk.after(minutes=1)
    assert [each.became is None for each in webhook.told] == [False, True, False, False, False]


def test_an_alert_does_not_wait_until_the_whole_trail_is_read(desk, webhook, a_finding, monkeypatch) -> None:
    desk.stage.submit(a_finding())
    desk.stage.submit(a_finding("sess_2"))
    for _ in range(3):
        desk.judge(a_finding(), "confirmed")
        desk.judge(a_finding(), "false_positive")
    monkeypatch.setattr(outcomes, "_AT_ONCE", 1)
    (worker,) = desk.queues._workers
    before = position(desk)
    assert worker.step()
    assert position(desk) == before + 1
    desk.settle()
    assert [each.became is None for each in webhook.told[:2]] == [True, True]
    assert len(webhook.heard) == 6


def test_one_look_ends_however_much_is_to_be_read_or_nothing_that_comes_is_due(
    stage, mailed, a_finding, monkeypatch
) -> None:
    desk = Desk(stage, mailed)
    for n in range(15):
        stage.submit(a_finding(n=n, wanted=Effect.FLAG))
    desk.after(minutes=1)
    monkeypatch.setattr(outcomes, "_MOST", 1)
    stage.revoke()
    outbox = desk.queues._workers[0]._outbox
    assert outbox.claim(stage.clock()) is None
    stage.clock.pass_(seconds=1)
    urgent = a_finding("sess_2")
    stage.submit(urgent)
    taken = outbox.claim(stage.clock())
    assert taken is not None
    assert Alert.model_validate_json(taken.payload).finding.id == urgent.id
    assert not is_read(desk)


def is_read(desk):
    with desk.stage.deps.store.read() as rows:
        return position(desk) == rows.head().audit_seq


def position(desk):
    with desk.stage.deps.store.read() as rows:
        return rows.feeds.position("outcomes")


def test_of_however_many_findings_people_hear_of_the_worst(stage, mailed, a_finding, monkeypatch) -> None:
    desk = Desk(stage, mailed)
    monkeypatch.setattr(outcomes, "_MOST", 2)
    worst = a_finding(wanted=Effect.FLAG).model_copy(update={"severity": "critical"})
    desk.stage.submit(worst)
    for n in range(1, 25):
        desk.stage.submit(a_finding(n=n, wanted=Effect.FLAG))
    desk.after(minutes=1)
    mailed.told.clear()
    desk.stage.revoke()
    for _ in range(2):  # a look ends before all is read
        desk.settle()
    assert is_read(desk)
    desk.after(minutes=1)
    assert [each.finding.id for each in mailed.told] == [worst.id]


def test_what_no_channel_was_told_of_holds_nothing_up(desk, webhook, a_finding, monkeypatch) -> None:
    monkeypatch.setattr(outcomes, "_MOST", 2)
    for n in range(5):
        desk.stage.submit(a_finding(n=n, wanted=Effect.FLAG))
    with desk.stage.deps.store.write() as rows:
        rows.connection.exec_driver_sql("UPDATE control_delivery SET channel = 'gone'")
    desk.stage.clock.pass_(minutes=1)
    desk.stage.revoke()
    desk.stage.submit(a_finding("sess_2"))
    desk.after(minutes=1)
    assert [each.finding.session_id for each in webhook.told] == ["sess_2"]


def test_of_one_finding_ever_so_much_may_become(desk, webhook, a_finding) -> None:
    desk.stage.submit(a_finding())
    desk.settle()
    with desk.stage.deps.store.write() as rows:
        first = rows.alerts.named(alert_name("acme", a_finding().id))
        known = rows.alerts.payload(first)
        last = first
        for n in range(1200):
            last = rows.connection.exec_driver_sql(
                "INSERT INTO control_alert (kind, case_key, idempotency_key, payload, created_at, follows)"
                f" SELECT 'outcome', case_key, 'n{n}', '{{}}', created_at, {last} FROM control_alert"
                f" WHERE id = {first} RETURNING id"
            ).scalar_one()
        assert rows.alerts.follow_up(first, idempotency_key="end", payload=known, now=desk.stage.clock())
        end = rows.alerts.named("end")
        got = rows.connection.exec_driver_sql(f"SELECT follows FROM control_alert WHERE id = {end}").scalar_one()
        assert got == last


def test_a_record_that_cannot_be_read_stops_nothing(desk, webhook, a_finding, monkeypatch) -> None:
    desk.stage.submit(a_finding())
    desk.stage.submit(a_finding("sess_2"))
    desk.settle()
    desk.judge(a_finding(), "false_positive")
    desk.judge(a_finding("sess_2"), "false_positive")
    read = became._act

    def torn(record, did):
        return read({k: v for k, v in record.items() if k != "at" or record["session_id"] == "sess_2"}, did)

    monkeypatch.setattr(became, "_act", torn)
    desk.after(minutes=1)
    assert [each.finding.session_id for each in webhook.told if each.became] == ["sess_2"]
