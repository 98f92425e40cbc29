"""Who judged the wrong finding takes that back: for all who read verdicts it is as if nobody had judged it."""

import json
from datetime import timedelta
from typing import Literal

import pytest
from pydantic import BaseModel

from guardian.control.findings import found
from guardian.domain.breach import marks
from guardian.domain.finding import Effect, Kind, NamedBreach
from guardian.domain.session import judged
from guardian.wire.client import ControlClient
from guardian.wire.findings import FindingOutcome
from guardian.wire.monitor import MonitorClient


def outside(value):
    return (NamedBreach(name="outside", detail=value, hard=True, about=marks((value,))),)


EXPORT, SEND = outside("crm.export"), outside("email.send")
KNOWS = {"Guardian-Knows": "more, withdrawn"}
VERDICTS = ["false_positive", "benign", "confirmed"]


@pytest.fixture
def two(stage, a_finding):
    """The ids of two drifts of one session, the older first."""
    ids = [
        stage.submit(a_finding(n=n, breaches=each)).json()["finding_id"] for n, each in enumerate((EXPORT, SEND))
    ]
    stage.clock.pass_(minutes=1)
    return ids


def ask(stage, finding_id, verdict="withdrawn", role="analyst", *, who=None, seen=None, **more):
    headers = {} if seen is None else {"If-Match": f'"{seen}"'}
    body = {"verdict": verdict, "reason": "pressed on the wrong one", **more}
    path = f"/v1/findings/{finding_id}/verdict"
    return stage.call("POST", path, role, who=who, json=body, headers=headers)


def say(stage, finding_id, verdict="withdrawn", **more):
    got = ask(stage, finding_id, verdict, **more)
    assert got.status_code == 200, got.text
    stage.clock.pass_(minutes=1)
    return got.json()


def case(stage):
    told = stage.call("GET", "/v1/cases/acme/sess_1", "analyst").json()
    return told["state"], told["unjudged"], told["digest"]


def session(stage):
    return stage.call("GET", "/v1/sessions/acme/sess_1", "analyst").json()["session"]


def labels(stage):
    items = stage.call("GET", "/v1/feedback", "analyst").json()["items"]
    return [(each["finding_id"], each["label"]) for each in items]


def newest_words(stage, count=1):
    items = stage.call("GET", "/v1/session-changes", "monitor", headers=KNOWS).json()["items"][-count:]
    return [(each["word"], *judged(each["detail"])) for each in items]


@pytest.mark.parametrize("verdict", VERDICTS)
def test_nobody_has_judged_what_is_taken_back(stage, two, verdict):
    before, seen = session(stage), case(stage)
    say(stage, two[1], verdict)
    told = say(stage, two[1])
    assert (told["verdict"], told["also"], told["unjudged"]) == (None, [], 1)
    assert (case(stage)[:2], stage.status(), labels(stage)) == (("flagged", 2), "flagged", [])
    assert {**session(stage), "last_word_at": None} == before, "only when people last spoke is another time"
    assert told["digest"] == case(stage)[2] != seen[2]
    listed = stage.call("GET", "/v1/findings", "analyst", params={"judged": False}).json()["items"]
    assert {each["finding"]["id"] for each in listed} == set(two)
    [line] = stage.audit(result="withdrawn")
    assert (line["action"], line["word"], line["actor"]) == ("dismiss", "take back the verdict", "analyst-1")
    assert (line["finding_id"], line["reason"]) == (two[1], "pressed on the wrong one")


def test_it_accuses_again_and_what_another_dismissal_waved_through_does_not(stage, a_finding):
    both = (*EXPORT, *SEND)
    one = stage.submit(a_finding(breaches=EXPORT)).json()["finding_id"]
    other = stage.submit(a_finding(n=1, breaches=both)).json()["finding_id"]
    stage.clock.pass_(minutes=1)
    say(stage, one, "benign")
    say(stage, other, "benign")
    assert stage.status() == "active"
    say(stage, other)
    assert stage.status() == "flagged"
    assert newest_words(stage) == [("withdrawn", other, set(SEND[0].told.remembered))]
    late = [stage.submit(a_finding(n=n, breaches=each)) for n, each in ((5, EXPORT), (6, SEND))]
    assert [each.json().get("code", each.json().get("effect")) for each in late] == ["superseded", "flag"]


def test_a_finding_that_cannot_be_read_keeps_nothing_waved_through(stage, two):
    say(stage, two[1], "benign")
    with stage.deps.store.write() as rows:
        rows.connection.exec_driver_sql("UPDATE control_finding SET finding = '{}' WHERE id = ?", (two[0],))
    assert say(stage, two[1])["digest"] == ""
    assert newest_words(stage) == [("withdrawn", two[1], set(SEND[0].told.remembered))]


def test_whoever_saw_the_case_takes_back_all_that_one_dismissal_was_of(stage, a_finding, two):
    say(stage, two[1], "benign", case=True)
    third = stage.submit(a_finding(epoch=2, n=5, breaches=outside("c_9"))).json()["finding_id"]
    stage.clock.pass_(minutes=1)
    say(stage, third, "benign", who="analyst-2")
    assert (stage.status(), case(stage)[1]) == ("active", 0)
    told = say(stage, two[1], case=True)
    assert (told["also"], told["unjudged"]) == ([two[0]], 0)
    assert (stage.status(), case(stage)[:2], labels(stage)) == ("flagged", ("flagged", 2), [(third, "benign")])
    assert [words[1] for words in newest_words(stage, 2)] == two
    assert stage.audit(result="withdrawn")[-1]["with_it"] == [two[0]]
    assert session(stage)["last_word"] == "false_positive", "of the third it stands"


def test_of_a_findings_own_page_it_is_that_finding_alone(stage, two):
    say(stage, two[1], "benign", case=True)
    assert say(stage, two[1])["also"] == []
    assert labels(stage) == [(two[0], "benign")]


@pytest.mark.parametrize("verdict", VERDICTS)
def test_nothing_is_given_back_by_it_and_nothing_revoked(stage, two, verdict):
    stage.revoke()
    stage.clock.pass_(minutes=1)
    entries = stage.ledger()
    say(stage, two[0], verdict)
    say(stage, two[0])
    assert (stage.status(), case(stage)[0], stage.ledger()) == ("revoked", "revoked", entries)
    assert session(stage)["last_word"] == "revoked", "so it is nobody's example of an honest session"


@pytest.mark.parametrize("verdict", VERDICTS)
def test_a_session_that_was_given_back_stays_so(stage, two, verdict):
    stage.revoke()
    stage.clock.pass_(minutes=1)
    stage.reinstate()
    stage.clock.pass_(minutes=1)
    before = case(stage)[0]
    say(stage, two[1], verdict)
    say(stage, two[1])
    assert (before, case(stage)[0], stage.status()) == ("reinstated", "reinstated", "active")
    assert session(stage)["last_word"] == "reinstated"
    rules = newest_words(stage)[0][2]
    assert rules == {"-"}, "of what they knew when they gave it back it is not accused again"


def test_what_was_confirmed_beside_it_stands_for_monitors_too(stage, two):
    say(stage, two[0], "confirmed")
    say(stage, two[1], "benign")
    say(stage, two[1])
    assert session(stage)["last_word"] == "confirmed"
    rules = {*SEND[0].told.remembered, "confirmed"}
    assert newest_words(stage) == [("withdrawn", two[1], rules)]
    say(stage, two[0])
    assert newest_words(stage) == [("withdrawn", two[0], {"-"})], "a confirmation had pardoned nothing"
    assert session(stage)["last_word"] is None


def test_a_verdict_on_a_gateway_is_taken_back_too_and_monitors_hear_of_neither(stage, a_finding, two):
    gap = a_finding(n=9, wanted=Effect.FLAG).model_copy(update={"id": "fnd_gap", "kind": Kind.GATEWAY})
    stage.submit(gap)
    say(stage, two[0], "confirmed")
    before, heard = case(stage), newest_words(stage)
    say(stage, gap.id, "benign")
    say(stage, gap.id)
    assert (case(stage)[:2], labels(stage)) == (before[:2], [(two[0], "confirmed")])
    assert case(stage)[2] != before[2], "people spoke since"
    assert (newest_words(stage), session(stage)["last_word"]) == (heard, "confirmed")


def test_that_a_gateway_was_at_fault_leaves_nothing_confirmed_of_what_the_session_did(stage, a_finding, two):
    gap = a_finding(n=9, wanted=Effect.FLAG).model_copy(update={"id": "fnd_gap", "kind": Kind.GATEWAY})
    stage.submit(gap)
    say(stage, gap.id, "confirmed")
    say(stage, two[1], "benign")
    say(stage, two[1])
    assert newest_words(stage) == [("withdrawn", two[1], {*SEND[0].told.remembered})]


def test_what_a_dismissal_had_cleared_with_it_accuses_again(stage, a_finding, two):
    gap = a_finding(n=9, wanted=Effect.FLAG).model_copy(
        update={"id": "fnd_gap", "kind": Kind.GATEWAY, "severity": "critical"}
    )
    stage.submit(gap)
    stage.clock.pass_(minutes=1)

    def worst():
        listed = stage.call("GET", "/v1/sessions", "analyst", params={"status": "flagged"}).json()["items"]
        return [each["severity"] for each in listed]

    assert worst() == ["critical"]
    say(stage, two[0], "benign")
    assert worst() == ["high"]
    say(stage, two[1], "benign")
    assert worst() == []
    say(stage, two[1])
    assert worst() == ["high"], "the other dismissal stands"
    say(stage, two[0])
    assert worst() == ["critical"]


def test_a_verdict_on_news_of_guardian_says_nothing_of_a_session_that_is_called_so(stage, a_finding, two):
    news = a_finding(n=9, wanted=Effect.FLAG).model_copy(update={"id": "ctl_news", "kind": Kind.CONTROL})
    about = {"finding_id": news.id, "tenant_id": news.tenant_id, "session_id": news.session_id}
    outcome = FindingOutcome(**about, wanted=Effect.FLAG, effect=Effect.FLAG, mode="shadow", at=stage.clock())
    with stage.deps.store.write() as rows:
        rows.findings.add(news, outcome, stage.clock())
    before = session(stage)
    for verdict in ("benign", "withdrawn"):
        assert ask(stage, news.id, verdict).status_code == 200
    assert session(stage) == before


def test_a_second_click_changes_nothing_and_is_no_act_on_the_case(stage, two):
    say(stage, two[1], "benign")
    seen = case(stage)[2]
    say(stage, two[1], seen=seen)
    before = case(stage)
    assert say(stage, two[1], seen=seen)["verdict"] is None
    assert (case(stage), newest_words(stage)[0][1]) == (before, two[1])
    assert [line["result"] for line in stage.audit(action="dismiss")] == ["benign", "withdrawn", "not_judged"]


def test_it_is_bound_to_what_was_shown(stage, two):
    say(stage, two[1], "benign")
    seen = case(stage)[2]
    say(stage, two[0], "confirmed")
    got = ask(stage, two[1], seen=seen)
    assert (got.status_code, got.json()["code"]) == (412, "stale")
    assert sorted(labels(stage)) == sorted([(two[0], "confirmed"), (two[1], "benign")])
    [line] = stage.audit(result="stale")
    assert (line["word"], line["finding_id"]) == ("take back the verdict", two[1])


@pytest.mark.parametrize(
    ("role", "who", "status"),
    [
        ("analyst", None, 200),
        ("responder", None, 200),
        ("analyst", "user_1", 403),  # for whom the session acts
        ("monitor", None, 403),
        ("auditor", None, 403),
        ("gateway", None, 403),
    ],
)
@pytest.mark.parametrize("verdict", ["benign", "confirmed"])
def test_whoever_may_not_dismiss_a_finding_takes_no_verdict_on_it_back(stage, two, verdict, role, who, status):
    say(stage, two[1], verdict, who="analyst-2")
    assert ask(stage, two[1], role=role, who=who).status_code == status
    if who is not None:
        [line] = stage.audit(result="refused")
        assert (line["word"], line["actor"]) == ("take back the verdict", who)
        assert "delegators-clear-nothing" in line["policy_ids"]
    assert (labels(stage) == []) is (status == 200)


def test_a_finding_that_is_not_there_has_no_verdict(stage, two):
    assert ask(stage, "fnd_none").status_code == 404


def test_one_that_is_gone_before_it_is_done_is_absent(stage, two, monkeypatch):
    sole = found.sole_finding

    def gone(rows, scope, finding_id):
        view = sole(rows, scope, finding_id)
        with stage.deps.store.write() as other:
            other.connection.exec_driver_sql("DELETE FROM control_finding WHERE id = ?", (finding_id,))
        return view

    monkeypatch.setattr(found, "sole_finding", gone)
    assert ask(stage, two[1]).status_code == 404


class OlderChange(BaseModel):
    """An entry of the feed as monitors read it that knew no verdict to be taken back."""

    word: Literal["revoked", "reinstated", "false_positive", "confirmed", "lapsed", "registered"]
    detail: str = ""
    envelope: dict[str, object] | None = None


def test_a_monitor_that_does_not_know_the_word_goes_on_without_it(stage, two):
    for verdict in VERDICTS:
        say(stage, two[1], verdict)
        say(stage, two[1])
    for knows in ({}, {"Guardian-Knows": "more"}):
        page = stage.call("GET", "/v1/session-changes", "monitor", headers=knows).json()
        heard = [OlderChange.model_validate(each) for each in page["items"]]
        assert [each.word for each in heard] == ["false_positive", "false_positive", "confirmed"]
        assert page["more"] is False
    after = stage.call("GET", "/v1/session-changes", "monitor", params={"since": page["next"]}).json()
    assert (after["items"], after["next"], after["more"]) == ([], page["next"], False)
    listed = json.dumps(stage.call("GET", "/v1/sessions", "analyst").json())
    assert "withdrawn" not in listed, "nor does a list of sessions say it"


def test_a_monitor_that_knows_it_hears_it(stage, two, monkeypatch):
    say(stage, two[1], "benign")
    say(stage, two[1])
    client = ControlClient("http://127.0.0.1", lambda: stage.token("monitor"))
    monkeypatch.setattr(client, "_http", stage.client)
    words = [(each.word.value, judged(each.detail)[0]) for each in MonitorClient(client).changes(0).items]
    assert words == [("false_positive", two[1]), ("withdrawn", two[1])]


def test_it_may_be_judged_again(stage, two):
    for verdict in ("benign", "withdrawn", "confirmed"):
        say(stage, two[1], verdict)
    assert labels(stage) == [(two[1], "confirmed")]


def test_a_request_to_revoke_it_is_asked_again(stage, a_finding):
    stage.enforce()
    stage.call("PUT", "/v1/sessions/acme/sess_1/protection", "approver", json={"protected": True, "reason": "x"})
    expired = (NamedBreach(name="envelope_expired", detail="", hard=True),)
    told = stage.submit(a_finding(breaches=expired, time=stage.clock() + timedelta(seconds=1))).json()
    stage.clock.pass_(minutes=1)
    assert case(stage)[0] == "revoke_requested"
    say(stage, told["finding_id"], "benign")
    assert case(stage)[0] == "dismissed"
    say(stage, told["finding_id"])
    assert case(stage)[0] == "revoke_requested"
