"""A finding tells one step in bounded, ordered words, and its id is the step's."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guardian.domain.breach import Breach
from guardian.domain.drift import Drift
from guardian.domain.event import DecisionEvent
from guardian.domain.finding import Effect, Finding, Kind, NamedBreach
from guardian.domain.session import SessionState
from guardian.domain.signal import Signal
from guardian.response.findings import act_of, drift_finding, named, side_finding, subject_of, title_of
from guardian.response.ladder import Ladder

NOW = datetime(2026, 5, 12, 17, tzinfo=UTC)
TITLES = {
    "envelope_expired": "Acts on an expired envelope",
    "copied_authority": "Child session kept its parent's full authority",
}
HARD, SOFT = Breach("envelope_expired", "expired an hour ago"), Breach("copied_authority", "a copy", hard=False)


def event(**action: Any) -> DecisionEvent:
    return DecisionEvent.model_validate(
        {
            "schema": "guardian.decision/v1", "id": "dec_1", "time": NOW, "gateway": "gw",
            "envelope": {"delegator_id": "u", "tenant_id": "acme", "session_id": "s1", "purpose": "review"},
            "action": {"tool": "crm.read", **action}, "decision": {"effect": "deny"},
        }
    )  # fmt: skip


def drift(*signals: Signal, shares: dict[str, float] | None = None) -> Drift:
    return Drift(
        score=0.9, p_value=0.01, e_value=4.0, session_evidence=2.5, one_in=1_500.0, promised=False,
        shares=shares or {}, signals=signals, features_missing=("result",),
    )  # fmt: skip


def finding(verdict: Drift, *, wanted: Effect = Effect.FLAG, state: SessionState | None = None) -> Finding:
    state = state or SessionState(epoch=1, transition=2, actions=9)
    asked: dict[str, Any] = {"wanted": wanted, "now": NOW, "argument": "to", "versions": {"model": "m"}}
    title = title_of(verdict.breaches, TITLES)
    return drift_finding(event(), verdict, state, title=title, asks=Ladder().breach_effect, **asked)


@pytest.mark.parametrize(
    ("told", "utc"),
    [
        ("9999-12-31T23:59:59-05:00", datetime.max),
        ("0001-01-01T00:00:00+05:00", datetime.min),
        ("2026-05-12T19:00:00+02:00", datetime(2026, 5, 12, 17)),
    ],
)
def test_no_time_of_a_log_lies_outside_the_calendar(told: str, utc: datetime) -> None:
    said = event().model_copy(update={"time": datetime.fromisoformat(told)})
    envelope = said.envelope.model_copy(update={"expires_at": said.time})
    times = act_of(said).time, subject_of(said.model_copy(update={"envelope": envelope})).expires_at
    assert times == (utc.replace(tzinfo=UTC),) * 2
    assert [at is not None and at.tzinfo for at in times] == [UTC, UTC]


def test_a_call_that_crossed_the_line_says_that_an_earlier_one_was_odder() -> None:
    verdict = drift(Signal("a", 0.1, "git.push fits"), Signal("b", 0.3, "odd hour"), shares={"a": 0.2, "b": 0.8})
    made = drift_finding(
        event(), verdict, SessionState(actions=9), wanted=Effect.FLAG, now=NOW, argument=None, versions={},
        title="t", asks=Ladder().breach_effect, odder="mail.send",
    )  # fmt: skip
    assert [reason.text for reason in made.reasons] == [
        "an earlier mail.send was odder than this call; odd hour; about 1 in 100 honest calls scores so high",
        "git.push fits",
    ]


def test_the_numbers_are_those_of_the_verdict() -> None:
    made = finding(drift(Signal("a", 0.7), shares={"a": 1.0}))
    evidence = made.evidence
    assert (evidence.score, evidence.p_value, evidence.session_evidence, evidence.one_in) == (
        0.9,
        0.01,
        2.5,
        1_500.0,
    )
    assert (evidence.promised, evidence.actions_seen) == (False, 9)
    assert (made.epoch, made.transition, made.features_missing, made.versions) == (
        1,
        2,
        ("result",),
        {"model": "m"},
    )
    assert (made.correlation_id, made.act.argument if made.act else None) == ("dec_1", "to")


def test_a_voice_counts_as_independent_if_it_is_loud_spoke_and_weighed() -> None:
    signals = (
        Signal("a", 0.5),
        Signal("b", 0.49),
        Signal("c", 1.0),
        Signal("d", 0.9, silent=True),
        Signal("e", 0.8),
    )
    made = finding(drift(*signals, shares={"a": 0.3, "b": 0.2, "d": 0.1, "e": 0.4}))
    assert made.evidence.independent_signals == 2


def test_reasons_come_by_their_share_and_leave_out_who_said_nothing() -> None:
    signals = (
        Signal("small", 0.2, "s"),
        Signal("zero", 0.0, "z"),
        Signal("big", 0.9, "b"),
        Signal("mute", 0.0, silent=True),
        Signal("named", 0.0, "n", breaches=(SOFT,)),
        Signal("of papers", 0.0, "p", breaches=(SOFT,), silent=True),
        Signal("also", 0.2, "a"),
    )
    made = finding(drift(*signals, shares={"small": 0.1, "also": 0.1, "big": 0.8}))
    assert [reason.signal for reason in made.reasons] == ["big", "also", "small", "named", "of papers"]


@pytest.mark.parametrize(
    ("wanted", "breaches", "severity", "title"),
    [
        (Effect.REVOKE, (HARD,), "critical", "Acts on an expired envelope"),
        (Effect.REVOKE, (), "high", "Actions no longer fit the declared purpose"),
        (Effect.FLAG, (HARD,), "high", "Acts on an expired envelope"),
        (Effect.FLAG, (SOFT,), "medium", "Child session kept its parent's full authority"),
        (Effect.FLAG, (SOFT, HARD), "high", "Acts on an expired envelope"),
        (Effect.FLAG, (Breach("rule_of_your_own", ""),), "high", "Rule of your own"),
    ],
)
def test_severity_and_title_come_from_the_hardest_rule(
    wanted: Effect, breaches: tuple[Breach, ...], severity: str, title: str
) -> None:
    made = finding(drift(Signal("a", 1.0, breaches=breaches)), wanted=wanted)
    assert (made.severity, made.title) == (severity, title)
    assert [b.name for b in made.breaches] == [b.name for b in breaches]


@pytest.mark.parametrize(
    ("breach", "revokes"),
    [
        (HARD, True),
        (Breach("tool_not_allowed", ""), False),
        (Breach("envelope_expired", "", hard=False), False),
        (Breach("wider_tools", ""), True),
        (Breach("copied_authority", "", hard=False), False),
    ],
)
def test_a_finding_says_of_each_rule_whether_that_asks_for_revocation(breach: Breach, revokes: bool) -> None:
    effects = {"wider_tools": Effect.REVOKE, "copied_authority": Effect.REVOKE}
    (named_,) = named([breach], Ladder(breach_effects=effects).breach_effect)
    assert named_.revokes is revokes
    assert NamedBreach(name=breach.name, detail="", hard=breach.hard).revokes is breach.hard, "one of old does not"


def test_every_step_of_every_session_has_an_id_of_its_own() -> None:
    states = [SessionState(epoch=e, transition=t) for e in range(3) for t in range(3)]
    assert len({finding(drift(), state=state).id for state in states}) == 9
    again = SessionState(epoch=1, transition=1, actions=99, tools=("x",))
    assert finding(drift(), state=again).id == finding(drift(), state=states[4]).id


def test_a_step_is_not_taken_for_one_before_the_session_was_forgotten() -> None:
    first, second = (SessionState(transition=1, first_seen=NOW + timedelta(days=n)) for n in (0, 91))
    assert finding(drift(), state=first).id != finding(drift(), state=second).id
    asked: dict[str, Any] = {"wanted": Effect.FLAG, "now": NOW, "argument": None, "versions": {}, "title": "t"}
    asked["asks"] = Ladder().breach_effect
    another_act = event().model_copy(update={"id": "dec_2"})
    ids = {drift_finding(act, drift(), first, **asked).id for act in (event(), event(), another_act)}
    assert len(ids) == 2


@given(st.text(st.characters(blacklist_categories=["Cs"]), max_size=5000), st.text(max_size=40))
def test_text_of_any_length_is_bounded(text: str, key: str) -> None:
    verdict = drift(Signal("a", 1.0, text, breaches=(Breach("x", text),)), shares={"a": 1.0})
    made = finding(verdict)
    assert len(made.reasons[0].text) <= 2000
    assert len(made.breaches[0].detail) <= 2000
    act = act_of(event(arguments={"note": text, "key": key}))
    assert len(act.arguments) <= 2000
    assert act.arguments.endswith("…") or act.arguments.endswith("}")


@pytest.mark.parametrize("arguments", [None, {}])
def test_no_arguments_are_shown_as_nothing(arguments: dict[str, Any] | None) -> None:
    assert act_of(event(arguments=arguments)).arguments == ""


def test_arguments_are_shown_in_the_language_they_were_written() -> None:
    assert act_of(event(arguments={"an": "Müller"})).arguments == '{"an": "Müller"}'


def side(kind: Kind, session: str = "s1", tenant: str = "acme", **more: Any) -> Finding:
    given_: dict[str, Any] = {"identity": ("x",), "title": "t", "severity": "low", "now": NOW}
    return side_finding(kind, tenant_id=tenant, session_id=session, **{**given_, **more})


@pytest.mark.parametrize("kind", [k for k in Kind if k is not Kind.DRIFT])
def test_a_side_finding_only_flags(kind: Kind) -> None:
    made = side(kind, event=event(), breaches=[SOFT])
    assert (made.wanted, made.epoch, made.transition) == (Effect.FLAG, 0, 0)
    assert made.subject is not None
    assert made.correlation_id == "dec_1"


def test_what_is_no_sessions_fault_is_told_once_for_all_of_them() -> None:
    shared = {kind for kind in Kind if side(kind).id == side(kind, session="s2").id}
    assert shared == {Kind.HYGIENE, Kind.GATEWAY, Kind.ENTITLEMENT, Kind.BUS}
    assert all(side(kind).id != side(kind, tenant="globex").id for kind in Kind)


def test_a_side_finding_without_an_event_says_what_it_knows() -> None:
    made = side(Kind.UNSCORABLE, title="t" * 999)
    assert (made.subject, made.act, made.features_missing, made.correlation_id) == (None, None, (), "")
    assert len(made.title) == 300


@pytest.mark.parametrize(
    ("p_value", "share", "said"),
    [(0.03, 1.0, "about 1 in 33"), (1e-9, 1.0, "fewer than 1 in 100"), (0.2, 1.0, ""), (0.01, 0.0, "")],
)
def test_how_rare_a_score_is_stands_with_what_made_it(p_value: float, share: float, said: str) -> None:
    verdict = replace(drift(Signal("a", 0.3, "so it is"), shares={"a": share}), p_value=p_value)
    (reason,) = finding(verdict).reasons
    assert reason.text == ("so it is" + (f"; {said} honest calls scores so high" if said else ""))
