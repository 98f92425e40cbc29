"""A case as people read it: nothing that they have to know is cut away, and no button is beside the point."""

import json
import math
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from slack_server import message_limits, view_limits

from guardian.alerting import approval_blocks, blocks, case_blocks, modals
from guardian.alerting.clicks import Click
from guardian.alerting.neutralise import code, prose
from guardian.alerting.plain_text import as_text
from guardian.alerting.port import Alert, Digest
from guardian.commands.samples import samples
from guardian.domain.finding import OPERATORS, Act, Kind, NamedBreach, Reason, Subject
from guardian.domain.revocation import LedgerEntry
from guardian.domain.text import cut_off, one_in
from guardian.wire.approvals import ApprovalView
from guardian.wire.cases import CaseEvent, TrendPoint

NOW = datetime(2026, 5, 12, 17, 4, 11, tzinfo=UTC)


def case(**changes: Any) -> Alert:
    """The sample of a flagged case, with another finding at its head."""
    sample = samples(NOW)["flagged"]
    assert sample.view is not None
    finding = sample.finding.model_copy(update=changes)
    view = sample.view.model_copy(update={"shown": sample.view.shown.model_copy(update={"finding": finding})})
    return sample.model_copy(update={"finding": finding, "view": view})


def revoked(kind: str, name: str) -> LedgerEntry:
    """A live revocation of what a session acts under."""
    return LedgerEntry.model_validate(
        {
            "revision": {"epoch": 1, "n": 7},
            "tenant_id": "tenant_example",
            "subject_type": kind,
            "subject_id": name,
            "status": "revoked",
            "reason_code": "comes_back",
            "actor": name,
            "at": NOW,
            "expires_at": NOW + timedelta(hours=1),
        }
    )


@pytest.mark.parametrize("shows", ["reply", "reply with evidence", "page"])
def test_of_a_long_history_the_newest_is_shown(shows: str) -> None:
    known = case().finding.id if shows == "reply with evidence" else None
    events = tuple(
        CaseEvent(at=NOW + timedelta(minutes=n), by="maya", what=f"act {n} of 60", why="w" * 300, finding_id=known)
        for n in range(60)
    )
    broken = tuple(NamedBreach(name=f"rule_{n}", detail="d" * 400, hard=True) for n in range(5))
    act = case().finding.act
    assert act is not None
    long = act.model_copy(update={"arguments": "a" * 2000, "tool": "t" * 300, "argument": "n" * 300})
    alert = case(breaches=broken, act=long).model_copy(update={"events": events})
    shown = case_blocks.evidence(alert, events) if shows == "page" else case_blocks.reply(alert)
    told = [n for n in range(60) if f"act {n} of 60" in str(shown)]
    assert told == list(range(60 - len(told), 60))
    assert f"60 events; the newest {len(told)}:" in str(shown)
    page = {"type": "modal", "title": {"type": "plain_text", "text": "Evidence"}, "blocks": shown}
    assert (view_limits(page) if shows == "page" else message_limits(shown)) == []


def test_a_history_of_days_says_which_day_and_in_which_zone() -> None:
    events = tuple(CaseEvent(at=NOW + timedelta(days=n), by="maya", what="looked") for n in range(2))
    told = str(case_blocks.reply(case().model_copy(update={"events": events})))
    assert all(f"{blocks.moment(event.at)} *maya*" in told for event in events)


@pytest.mark.parametrize("letter", ["a", '"', "\\", "&"])
def test_a_digest_lists_all_its_cases_whatever_they_are_called(letter: str) -> None:
    name = letter * 200
    events = tuple(CaseEvent(at=NOW, by=name, what=f"case {n}: {name}") for n in range(40))
    digest = Digest(tenant_id="tenant_acme", since=NOW, total=40, severities={"high": 40})
    shown = case_blocks.reply(case().model_copy(update={"digest": digest, "events": events}))
    assert message_limits(shown) == []
    assert all(f"case {n}" in str(shown) for n in range(40))


@pytest.mark.parametrize("letter", ["a", '"', "&", "\U0001f600"])
def test_long_names_take_no_button_away(letter: str) -> None:
    """Slack refuses all blocks of a message that is too long together; then a line without buttons is left."""
    name, text = letter * 300, letter * 2000
    waits = samples(NOW)["waits_for_approval"].view
    assert waits is not None
    asked = waits.approvals[0].model_copy(update={"reason": text[:1000], "proposer": name})
    alert = case(
        title=name,
        subject=Subject(purpose=text, delegator_id=name, agent_id=name, task_id=name, parent_session_id=name),
        act=Act(decision_id=name, gateway=name, tool=name, arguments=text, argument=name, time=NOW),
        reasons=tuple(Reason(signal=name, share=0.3, value=1, text=text) for _ in range(9)),
        breaches=tuple(NamedBreach(name=name, detail=text, hard=True) for _ in range(9)),
        features_missing=(name,) * 20,
    )
    assert alert.view is not None
    similar = tuple(each.model_copy(update={"tool": name, "session_id": name}) for each in waits.similar * 3)
    approvals = tuple(asked.model_copy(update={"id": f"apr_{n}"}) for n in range(5))
    more = {"approvals": approvals, "similar": similar, "snoozed_until": NOW, "snoozed_by": name}
    more |= {"also_revoked": tuple(revoked("agent", name) for _ in range(6))}
    view = alert.view.model_copy(update=more)
    outcome = alert.outcome.model_copy(update={"note": text, "policy_ids": (name,) * 9})
    link = "https://guardian.example.com/" + "%41" * 600
    shown = case_blocks.root(alert.model_copy(update={"view": view, "outcome": outcome, "link": link}))
    assert message_limits(shown) == []
    assert "Revoke now" in str(shown)


def test_what_there_is_to_do_is_not_cut_off_with_the_title() -> None:
    told = (
        "Traffic has left the calibration: " + "promises are broken more often than they say. " * 3 + "Calibrate"
    )
    alert = case(title=told)
    for text in (as_text(case_blocks.root(alert)), as_text(blocks.message(alert))):
        assert told in text
    short = as_text(case_blocks.root(case(title="Acts on an expired envelope")))
    assert short.count("Acts on an expired envelope") == 1


@pytest.mark.parametrize(
    ("told", "offered"),
    [
        ({"kind": Kind.BUS}, False),
        ({"kind": Kind.CALIBRATION}, False),
        ({"kind": Kind.DRIFT}, True),
        ({"kind": Kind.ENTITLEMENT, "subject": None}, True),
        ({"kind": Kind.ENTITLEMENT, "subject": None, "tenant_id": OPERATORS}, False),
        ({"kind": Kind.DRIFT, "tenant_id": OPERATORS}, True),
    ],
)
def test_nobody_is_asked_to_revoke_where_there_is_no_session(told: dict[str, Any], offered: bool) -> None:
    text = as_text(case_blocks.root(case(**told)))
    assert ("Revoke now" in text, "Snooze" in text) == (offered, True)


def asking(action: str, **particulars: str) -> Alert:
    """Guardian's own news that somebody asks for this act."""
    waits, news = samples(NOW)["waits_for_approval"].view, samples(NOW)["news"]
    assert waits is not None
    approval = waits.approvals[0].model_copy(update={"action": action, "particulars": particulars})
    return news.model_copy(update={"approval": approval})


def test_whoever_approves_a_mode_is_shown_which_one() -> None:
    text = as_text(case_blocks.root(asking("setMode", mode="canary", canary_percent="25")))
    assert "asks to change what guardian may do by itself: mode canary, canary_percent 25" in text


@pytest.mark.parametrize(
    ("action", "particulars", "offered"),
    [
        ("setMode", {"mode": "enforce"}, True),
        ("setMode", {}, False),
        ("permitCall", {"tool": "email.send"}, True),
        ("permitCall", {}, False),
        ("revoke", {}, True),
        ("reinstate", {}, True),
    ],
)
def test_what_would_be_done_has_to_be_known_before_it_can_be_approved(
    action: str, particulars: dict[str, str], offered: bool
) -> None:
    text = as_text(case_blocks.root(asking(action, **particulars)))
    assert ("[ Approve … ]" in text, "Deny …" in text) == (offered, True)
    assert ("it is not known which" in text) is not offered


def held(**particulars: str) -> ApprovalView:
    approval = asking("permitCall", tool="email.send", **particulars).approval
    assert approval is not None
    return approval


def form_of(approval: ApprovalView) -> dict[str, Any]:
    click = Click(kind="button", user="U1", verb="approve", case="c", seen="s", approval=approval.id)
    return modals.form(click, approval_blocks.asked(approval), whole=approval_blocks.in_full(approval))


def test_what_a_message_has_no_room_for_is_marked_and_the_form_shows_it_whole() -> None:
    approval = held(
        arguments=json.dumps({"body": "Here is the renewal summary. " * 25, "to": "thief@evil.example"}),
        resource="customer " + "c" * 280 + "the_other",
    )
    news = samples(NOW)["news"].model_copy(update={"approval": approval})
    text = as_text(case_blocks.root(news))
    assert ("thief" in text, "the_other" in text) == (False, False)
    assert "Cut here: Approve … shows all of it" in text
    assert "[ Approve … ]" in text
    form = form_of(approval)
    assert view_limits(form) == []
    assert ("thief" in str(form), "the_other" in str(form)) == (True, True)
    assert "Cut here" not in as_text(case_blocks.root(asking("permitCall", tool="t", arguments='{"n": 1}')))


@pytest.mark.parametrize(
    ("arguments", "offered"),
    [
        ("a" * 8000, True),
        (cut_off("a" * 8001, 8000), False),
        ("a\u202e" * 1600, True),
        ("a\u202e" * 2000, False),  # it would be shown with so many code points spelt out
    ],
)
def test_what_nobody_can_be_shown_whole_can_only_be_denied(arguments: str, offered: bool) -> None:
    approval = held(arguments=arguments)
    news = samples(NOW)["news"].model_copy(update={"approval": approval})
    text = as_text(case_blocks.root(news))
    assert ("[ Approve … ]" in text, "Deny …" in text) == (offered, True)
    form = form_of(approval)
    assert view_limits(form) == []
    for shown in (text, str(form)):
        assert ("Nobody can approve it: it is too long to be shown whole" in shown) is not offered


def test_the_form_for_a_call_with_the_most_that_is_kept_is_within_slacks_limits() -> None:
    hostile = "&" * 8000
    assert view_limits(form_of(held(arguments=hostile, purpose="&" * 3000, resource="&" * 2500))) == []
    beyond = held(**dict.fromkeys(("agent", "purpose", "resource", "records", "arguments"), "&\u202e" * 8000))
    assert view_limits(form_of(beyond)) == []


def test_the_trend_ends_at_the_figure_that_the_evidence_names() -> None:
    text = as_text(case_blocks.root(case()))
    assert "at most 1 in 40,000 honest sessions" in text
    assert "from 1 in 2 to 1 in 40,000 over 4 findings" in text


@pytest.mark.parametrize("n", [19_960.0, 999.6, 1_000.0, 40_000.0, 1e9])
def test_the_trend_ends_at_the_figure_of_the_last_finding_whatever_that_is(n: float) -> None:
    alert = case()
    assert alert.view is not None
    point = TrendPoint(weight=math.log10(n), actions=9)
    view = alert.view.model_copy(update={"trend": (point, point)})
    text = as_text(case_blocks.root(alert.model_copy(update={"view": view})))
    assert f"from 1 in {one_in(n)} to 1 in {one_in(n)} over 2 findings" in text


def test_the_trend_says_what_is_estimated_and_counts_no_further_than_a_billion() -> None:
    alert = case()
    assert alert.view is not None
    trend = (TrendPoint(weight=-1.0, actions=1), TrendPoint(weight=12.0, actions=2, promised=False))
    text = as_text(
        case_blocks.root(alert.model_copy(update={"view": alert.view.model_copy(update={"trend": trend})}))
    )
    assert "from 1 in 1 to 1 in 1,000,000,000 or more (estimated) over 2 findings" in text


def test_a_notification_says_how_the_case_stands_now() -> None:
    flagged = case()
    assert flagged.view is not None
    revoked = flagged.model_copy(update={"view": flagged.view.model_copy(update={"state": "revoked"})})
    assert case_blocks.fallback(revoked).endswith("in tenant_example · ■ Revoked")


def test_the_notification_of_a_reply_says_who_did_it() -> None:
    assert case_blocks.fallback(samples(NOW)["reply"]) == "maya: snoozed the case"


def test_news_of_guardian_are_told_without_an_agent_a_session_or_a_score() -> None:
    """By mail too, and on the page of evidence."""
    text = as_text(blocks.message(samples(NOW)["news"]))
    assert "maya may act without a second person for 30 minutes" in text
    for foreign in ("Agent", "Session", "score", "Evidence", "Policy let"):
        assert foreign not in text


@pytest.mark.parametrize(("kind", "counts"), [(Kind.DRIFT, True), (Kind.GATEWAY, False), (Kind.BUS, False)])
def test_only_of_drift_guardian_says_what_the_statistics_say(kind: Kind, counts: bool) -> None:
    text = as_text(blocks.message(case(kind=kind)))
    assert ("Evidence " in text) is counts


@pytest.mark.parametrize(
    ("state", "means"),
    [
        ("flagged", "Not revoked: the session can still act"),
        ("revoked", "Gateways that follow the revocation list refuse the session's calls"),
        ("reinstated", "The session may act again"),
    ],
)
def test_whether_the_session_can_still_act_is_said(state: str, means: str) -> None:
    for kind, said in ((Kind.DRIFT, True), (Kind.BUS, False)):
        alert = case(kind=kind)
        assert alert.view is not None
        text = as_text(
            case_blocks.root(alert.model_copy(update={"view": alert.view.model_copy(update={"state": state})}))
        )
        assert (f"{means}\n" in text) is said


@pytest.mark.parametrize(
    ("severity", "said"), [("critical", "a gateway let it act after that"), ("medium", "the log does not say")]
)
@pytest.mark.parametrize("also", [(), ("agent",)])
def test_no_revoked_session_is_said_to_be_refused_where_a_gateway_lets_it_act(
    severity: str, said: str, also: tuple[str, ...]
) -> None:
    alert = under("revoked", *(revoked(kind, "agent_7") for kind in also))
    assert alert.view is not None
    view = alert.view.model_copy(update={"ignored": severity})
    text = as_text(case_blocks.root(alert.model_copy(update={"view": view})))
    assert (said in text, "Gateways that follow" in text) == (True, False)


def under(state: str, *also: LedgerEntry, **changes: Any) -> Alert:
    alert = case(**changes)
    assert alert.view is not None
    view = alert.view.model_copy(update={"state": state, "also_revoked": also})
    return alert.model_copy(update={"view": view})


@pytest.mark.parametrize(
    ("state", "means"),
    [
        ("flagged", "Not revoked itself, but gateways that know its agent and task refuse its calls:"),
        ("dismissed", "Not revoked itself, but gateways that know its agent and task refuse its calls:"),
        ("reinstated", "Given back itself, but gateways that know its agent and task refuse its calls:"),
        ("lapsed", "Its own revocation is over, but gateways that know its agent and task refuse its calls:"),
        (
            "revoked",
            "Gateways that follow the list refuse its calls; given back it is still refused where they know its"
            " agent and task:",
        ),
    ],
)
def test_no_session_is_said_to_act_while_what_it_acts_under_is_revoked(state: str, means: str) -> None:
    alert = under(state, revoked("task", "task_9"), revoked("agent", "agent_7"))
    text = as_text(case_blocks.root(alert))
    assert f"{means}\n" in text
    assert "• task task_9 revoked until 2026-05-12 18:04 UTC by task_9; " in text
    assert "guardian reinstate TENANT ID --subject task lifts that" in text
    for wrong in ("can still act", "may act again", "no longer refuse"):
        assert wrong not in text
    assert case_blocks.fallback(alert).endswith(", its agent and task revoked")
    assert "its agent and task revoked" not in as_text(case_blocks.root(under(state)))
    assert "refuse" not in as_text(case_blocks.root(under("flagged", revoked("task", "t"), kind=Kind.BUS)))


def test_the_name_of_what_is_revoked_is_hostile_text() -> None:
    name = "<!channel> *task* [x](https://evil.example) `7`\u202e:skull:"
    shown = case_blocks.root(under("reinstated", revoked("task", name)))
    text = next(str(block["text"]["text"]) for block in shown if block["type"] == "section")
    assert f"• task {code(name, 120)} revoked until" in text, "a span of code cannot be left"
    assert f"by {prose(name, 80)}; " in text
    assert not [foreign for foreign in ("<!", "https://", "\u202e") if foreign in text]
