"""The message as Slack gets it."""

import json
import math
import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from guardian.alerting.blocks import message
from guardian.alerting.email import mail
from guardian.alerting.plain_text import as_text
from guardian.alerting.port import Alert
from guardian.alerting.sentences import SIGNS, fallback, rarity
from guardian.domain.finding import Act, Effect, Evidence, Finding, Kind, NamedBreach, Reason, Subject
from guardian.wire.findings import AlertOutcome

GOLDEN = Path(__file__).parent / "golden"
FLAGGED = AlertOutcome(
    effect=Effect.FLAG,
    allowed=False,
    note="the automatic budget of tenant_acme is spent (5 of 5 in 1 h)",
    policy_ids=("budget-of-automatic-revocations",),
    mode="enforce",
)
BIG = st.text(
    alphabet=st.one_of(st.characters(codec="utf-8"), st.sampled_from("<>&`*\n\u202e")), max_size=60
).flatmap(lambda text: st.sampled_from([1, 40]).map(lambda times: (text * times)[:2000]))
NAME = st.text(alphabet=st.sampled_from("<>&`*ab_@"), min_size=1, max_size=40).flatmap(
    lambda text: st.sampled_from([1, 20]).map(lambda times: (text * times)[:512])
)
NUMBER = st.floats()


def texts(blocks: list[dict[str, Any]]) -> str:
    return json.dumps(blocks, ensure_ascii=False)


@st.composite
def alerts(draw: st.DrawFn) -> Alert:
    """Any finding that the domain lets through, the unbounded fields at length."""
    long = st.one_of(BIG, BIG.map(lambda text: text * 20))
    at = datetime(2026, 5, 12, tzinfo=UTC)
    subject = st.none() | st.builds(
        Subject,
        delegator_id=NAME,
        agent_id=st.none() | long,
        task_id=st.none() | long,
        purpose=BIG,
        expires_at=st.none() | st.just(at),
        parent_session_id=st.none() | long,
    )
    act = st.none() | st.builds(
        Act,
        decision_id=long,
        gateway=long,
        tool=long,
        arguments=BIG,
        argument=st.none() | long,
        effect=st.sampled_from(["allow", "deny", "<!here>"]),
        time=st.just(at),
    )
    reason = st.builds(Reason, signal=long, share=NUMBER, value=NUMBER, text=BIG)
    breach = st.builds(NamedBreach, name=long, detail=BIG, hard=st.booleans())
    evidence = st.builds(
        Evidence,
        score=NUMBER,
        p_value=NUMBER,
        one_in=NUMBER,
        promised=st.booleans(),
        actions_seen=st.integers(-5, 10**12),
    )
    finding = Finding(
        id=draw(NAME),
        kind=draw(st.sampled_from(Kind)),
        tenant_id=draw(NAME),
        session_id=draw(NAME),
        wanted=draw(st.sampled_from(Effect)),
        severity=draw(st.sampled_from(["info", "low", "medium", "high", "critical"])),
        title=draw(BIG)[:300],
        subject=draw(subject),
        act=draw(act),
        reasons=tuple(draw(st.lists(reason, max_size=6))),
        breaches=tuple(draw(st.lists(breach, max_size=3))) * draw(st.sampled_from([1, 40])),
        evidence=draw(evidence),
        features_missing=tuple(draw(st.lists(long, max_size=3))) * draw(st.sampled_from([1, 40])),
        versions=draw(st.dictionaries(BIG, BIG, max_size=4)),
        correlation_id=draw(long),
        time=at,
    )
    outcome = AlertOutcome(
        effect=draw(st.sampled_from(Effect)),
        allowed=draw(st.booleans()),
        note=draw(BIG),
        policy_ids=tuple(draw(st.lists(long, max_size=3))) * draw(st.sampled_from([1, 20])),
        mode=draw(st.sampled_from(["shadow", "canary", "enforce"])),
    )
    return Alert(
        finding=finding, outcome=outcome, case=draw(NAME), link=draw(st.none() | st.just("https://g/?a&b"))
    )


@settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
@given(alert=alerts())
def test_any_finding_fits_slacks_limits_and_carries_no_live_markup(alert: Alert, broken_limits) -> None:
    blocks = message(alert)
    assert broken_limits(blocks) == []
    assert 1 <= len(fallback(alert)) <= 1000
    shown = texts(blocks).replace("<https://g/?a&amp;b|Open the evidence>", "") + fallback(alert)
    assert "<" not in shown
    assert ">" not in shown


@pytest.mark.parametrize(
    ("name", "changes", "outcome"),
    [
        ("drift_revoked", {}, None),
        ("drift_flagged", {"severity": "high"}, FLAGGED),
        (
            "gateway_flagged",
            {
                "kind": Kind.GATEWAY,
                "severity": "medium",
                "wanted": Effect.FLAG,
                "title": "mcp-gw-eu-1 allowed a call outside its envelope",
                "reasons": (),
                "evidence": Evidence(),
            },
            AlertOutcome(effect=Effect.FLAG, allowed=True, policy_ids=("guardian-may-flag",), mode="shadow"),
        ),
        (
            "bus_noted",
            {
                "kind": Kind.BUS,
                "severity": "info",
                "wanted": Effect.NONE,
                "title": "",
                "subject": None,
                "act": None,
                "reasons": (),
                "breaches": (),
                "evidence": Evidence(),
                "features_missing": (),
                "versions": {},
                "correlation_id": "",
            },
            AlertOutcome(effect=Effect.NONE, allowed=True, mode="shadow"),
        ),
    ],
)
def test_the_message_is_the_one_that_was_looked_at(
    name: str, changes: dict[str, Any], outcome: AlertOutcome | None, make_alert: Callable[..., Alert]
) -> None:
    alert = make_alert(outcome=outcome, **changes)
    shown = {"text": fallback(alert), "blocks": message(alert)}
    golden = GOLDEN / f"{name}.json"
    if os.environ.get("WRITE_GOLDEN"):  # then look at it: https://app.slack.com/block-kit-builder
        golden.write_text(json.dumps(shown, ensure_ascii=False, indent=1) + "\n", "utf-8")
    assert shown == json.loads(golden.read_text("utf-8"))


def test_every_severity_has_a_sign_of_its_own_and_its_word(make_alert) -> None:
    assert len(set(SIGNS.values())) == 5
    for severity, sign in SIGNS.items():
        header = message(make_alert(severity=severity))[0]["text"]["text"]
        assert header.startswith(f"{sign} {severity.upper()} ")


def test_the_three_strongest_reasons_are_shown_strongest_first_with_their_shares(make_alert) -> None:
    shown = texts(message(make_alert()))
    assert "▰▰▰▰▰▰▱▱▱▱ 55% does not fit the declared purpose" in shown
    assert shown.index("55%") < shown.index("30%") < shown.index("12%")
    assert "one denial" not in shown


def test_a_revocation_that_policy_refused_is_told_as_a_flag_with_the_reason(make_alert) -> None:
    shown = texts(message(make_alert(outcome=FLAGGED)))
    assert "Flagged only: policy did not let guardian revoke" in shown
    assert "the automatic budget of tenant_acme is spent" in shown
    assert "`budget-of-automatic-revocations`" in shown


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        ([NamedBreach(name="tool_not_allowed", detail="", hard=True)], "the session broke a hard rule"),
        ([NamedBreach(name="parent_unknown", detail="", hard=False)], "the session left its purpose"),
        (
            [NamedBreach(name="tenant_mismatch", detail="", hard=False, wanted=Effect.FLAG)],
            "the session left its purpose",
        ),
        (
            [NamedBreach(name="tenant_mismatch", detail="", hard=False, wanted=Effect.REVOKE)],
            "the session may have broken a rule",
        ),
        ([], "the session left its purpose"),
    ],
)
def test_a_broken_rule_is_not_told_as_a_lost_purpose(broken: list[NamedBreach], said: str, make_alert) -> None:
    alert = make_alert(breaches=tuple(broken))
    for told in (as_text(message(alert)), mail(alert, "guardian@a.example", ("b@a.example",)).get_content()):
        assert f"Session revoked · {said}" in told


def test_a_soft_rule_that_flags_a_session_is_told_as_a_doubt(make_alert) -> None:
    named = NamedBreach(name="tenant_mismatch", detail="", hard=False, wanted=Effect.FLAG)
    flagged = AlertOutcome(effect=Effect.FLAG, allowed=True, mode="enforce")
    alert = make_alert(breaches=(named,), wanted=Effect.FLAG, outcome=flagged)
    assert "Flagged* · the session may have broken a rule" in texts(message(alert))


def test_hard_breaches_come_first(make_alert) -> None:
    soft = NamedBreach(name="soft_rule", detail="", hard=False)
    hard = NamedBreach(name="hard_rule", detail="", hard=True)
    shown = texts(message(make_alert(breaches=(soft, hard))))
    assert shown.index("✖ `hard_rule`") < shown.index("△ `soft_rule`")


def test_what_is_missing_is_said(make_alert) -> None:
    assert "Missing from the log: result, trace_id" in texts(message(make_alert()))


def test_a_decision_that_the_log_does_not_say_is_not_told_as_one(make_alert) -> None:
    told = texts(message(make_alert(features_missing=("decision",))))
    assert "decided by gateway `mcp-gw-eu-1`, whose log does not say how" in told
    alert = make_alert(features_missing=("decision",), kind=Kind.GATEWAY, breaches=())
    assert "the gateway's log does not say what it allowed" in texts(message(alert))


def test_an_agent_cannot_forge_a_second_line_of_the_message(make_alert) -> None:
    act = make_alert().finding.act.model_copy(update={"tool": "x`\n*Policy let guardian* revoke"})
    [shown] = [b["text"]["text"] for b in message(make_alert(act=act)) if "What the agent did" in str(b)]
    assert "\n*Policy" not in shown


@pytest.mark.parametrize(
    ("evidence", "says"),
    [
        (
            Evidence(one_in=19_960),
            "at most 1 in 19,900 honest sessions gathers this much evidence (covered by the calibration)",
        ),
        (
            Evidence(one_in=40_000, promised=False),
            "an estimated 1 in 40,000 honest sessions gathers this much evidence (not covered by the calibration)",
        ),
        (Evidence(one_in=1.9), "nothing unusual by the statistics"),
        (Evidence(one_in=math.nan), "nothing unusual by the statistics"),
        (
            Evidence(one_in=math.inf, promised=False),
            "an estimated 1 in 1,000,000,000 or more honest sessions gathers this much evidence"
            " (not covered by the calibration)",
        ),
    ],
)
def test_evidence_is_told_as_honest_sessions(evidence: Evidence, says: str) -> None:
    assert rarity(evidence) == says


@pytest.mark.parametrize("link", ["javascript:alert(1)", "https://g/x y", "https://g/>x", "https://g/a|b"])
def test_a_link_that_could_leave_its_place_is_refused(link: str, make_alert) -> None:
    with pytest.raises(ValueError, match="link"):
        Alert(**{**dict(make_alert()), "link": link})


def test_as_plain_text_what_was_done_keeps_its_stars(make_alert) -> None:
    act = Act(
        decision_id="dec_9",
        gateway="gw",
        tool="db.query",
        arguments='{"sql": "SELECT * FROM a; SELECT * FROM b"}',
        time=datetime(2026, 5, 12, tzinfo=UTC),
    )
    text = as_text(message(make_alert(act=act)))
    assert "SELECT * FROM a; SELECT * FROM b" in text
    assert "*What the agent did*" not in text
