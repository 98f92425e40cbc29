"""What a stolen monitor token, a wrong model or a forged envelope can do: no combination of facts gives more."""

from dataclasses import fields, replace
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guardian.policy.cases import PolicyCase
from guardian.policy.cedar import CedarPolicies
from guardian.policy.files import PolicyFiles
from guardian.policy.port import (
    ActFacts,
    Asker,
    BudgetFacts,
    EvidenceFacts,
    HarmFacts,
    PolicyAction,
    PolicyRequest,
    SessionFacts,
    WhomFacts,
)
from guardian.wire.principal import ROLES

SHIPPED = CedarPolicies.from_files(PolicyFiles.read(Path(__file__).parents[2] / "config" / "policies"))
ON_TENANTS = {"setMode", "breakGlass", "resetBreaker", "revokeSubject", "reinstateSubject", "endException"}
READS = {"read", "readRevocations", "readChanges", "readMetrics", "readAudit"}
EITHER = {"propose", "approve"} | READS
ACTIONS = get_args(PolicyAction)
KINDS = ("agent", "delegator", "task", "jti")
BY_MACHINES = {
    "monitor": {"flag", "revoke", "propose", "revokeSubject", "permitCall", "readChanges", "readMetrics"},
    "gateway": {"readRevocations", "registerEnvelope"},
    "delegation": {"registerEnvelope"},
    "metrics": {"readMetrics"},
    "auditor": READS,
}

names = st.sampled_from(["acme", "globex", "monitor-1", "zoe"])
some = st.frozensets(names, max_size=3)


def around(*places: int) -> st.SearchStrategy[int]:
    """Numbers on both sides of where a policy draws its line, and absurd ones."""
    near = [place + step for place in places for step in (-1, 0, 1)]
    return st.sampled_from([*near, 0, 10**6, 10**20, -1, -(10**20)])


@st.composite
def requests(draw, role=None, action=None) -> PolicyRequest:
    """Any facts at all about any act. Names collide on purpose: delegators called like the monitor, and so on."""
    action = draw(st.sampled_from(ACTIONS)) if action is None else action
    bits = draw(st.integers(0, 2**14 - 1))  # one draw for all that is true or false
    truth = (bool(bits >> place & 1) for place in range(14))
    with_session = action not in ON_TENANTS and (action not in EITHER or next(truth))
    session = SessionFacts(
        "sess_1",
        protected=next(truth),
        revoked=next(truth),
        registered=next(truth),
        delegator_id=draw(names | st.none()),
        purpose=draw(st.sampled_from(["", "renewal_review", "payroll"])),
        data_classes=draw(st.frozensets(st.sampled_from(["public", "restricted"]))),
        purpose_owners=draw(some),
    )
    return PolicyRequest(
        asker=Asker(
            draw(names),
            draw(st.sampled_from(ROLES)) if role is None else role,
            draw(st.frozensets(st.sampled_from(["acme", "globex", "*"]), max_size=2)),
        ),
        action=action,
        tenant_id="acme",
        session=session if with_session else None,
        mode=draw(st.sampled_from(["shadow", "canary", "enforce"])),
        in_canary=next(truth),
        solo=next(truth),
        on_call=draw(some),
        evidence=EvidenceFacts(
            one_in=draw(around(20_000)),
            session_evidence_milli=draw(around(1000)),
            score_permille=draw(around(500)),
            independent_signals=draw(around(2)),
            hard_breach=next(truth),
            breaches=draw(st.frozensets(st.sampled_from(["envelope_expired", "widened"]))),
            promised=next(truth),
        ),
        budget=BudgetFacts(
            total=draw(around(10)),
            reserved=draw(around(3)),
            used=draw(around(7, 10)),
            used_general=draw(around(7)),
        ),
        harm=HarmFacts(
            registered_sessions=draw(around(20)),
            revoked_permille=draw(around(333)),
            breaker_open=next(truth),
            minutes_since_model_change=draw(around(60)),
        ),
        act=ActFacts(**{told.name: next(truth) for told in fields(ActFacts)}),
        target=draw(st.none() | st.sampled_from(ACTIONS)),
        whom=draw(st.none() | st.builds(WhomFacts, st.sampled_from(KINDS), st.booleans())),
        hour=draw(st.integers(0, 23)),
        weekday=draw(st.integers(0, 6)),
    )


PERMITTED = PolicyCase(
    name="permitted",
    expect="allow",
    role="monitor",
    action="revoke",
    evidence={"one_in": 20_000, "session_evidence_milli": 1000, "independent_signals": 2},
).request
NEEDED = ("asker", "session", "mode", "in_canary", "evidence", "budget", "harm", "act")


@st.composite
def wishes(draw) -> PolicyRequest:
    """A revocation that the monitor may make, but for up to three groups of facts; all else is anything at all."""
    other = draw(requests(role="monitor", action="revoke"))
    kept = draw(st.frozensets(st.sampled_from(NEEDED), min_size=len(NEEDED) - 3))
    return replace(other, **{name: getattr(PERMITTED, name) for name in kept})


def in_reach(asked: PolicyRequest) -> bool:
    return bool(asked.asker.tenants & {"acme", "*"})


def promised(asked: PolicyRequest) -> bool:
    """When the monitor may revoke, as the README tells it, written without looking at the policies."""
    evidence, budget, harm = asked.evidence, asked.budget, asked.harm
    assert asked.session is not None
    strong = (
        evidence.one_in >= 20_000 and evidence.session_evidence_milli >= 1000 and evidence.independent_signals >= 2
    )
    acts = asked.mode == "enforce" or (asked.mode == "canary" and asked.in_canary)
    a_person_is_needed = asked.session.protected or (
        not evidence.hard_breach
        and ("restricted" in asked.session.data_classes or harm.minutes_since_model_change < 60)
    )
    return (
        in_reach(asked)
        and acts
        and (strong or evidence.hard_breach)
        and (asked.act.approved or not a_person_is_needed)
        and budget.used < budget.total
        and (evidence.hard_breach or budget.used_general < budget.total - budget.reserved)
        and not harm.breaker_open
        and not (harm.registered_sessions >= 20 and harm.revoked_permille >= 333)
    )


@settings(max_examples=150, deadline=None)
@given(wishes())
def test_the_monitor_revokes_exactly_when_it_was_promised_whatever_else_is_true(asked):
    assert SHIPPED.decide(asked).allowed is promised(asked)


@settings(max_examples=100, deadline=None)
@given(requests(role="monitor", action="revokeSubject"), st.booleans())
def test_the_monitor_stops_a_registered_task_after_a_hard_breach_and_nothing_else(asked, broken):
    if broken:  # alone it would seldom be drawn together
        asked = replace(asked, whom=WhomFacts("task", registered=True), evidence=EvidenceFacts(hard_breach=True))
    acts = asked.mode == "enforce" or (asked.mode == "canary" and asked.in_canary)
    task = asked.whom == WhomFacts("task", registered=True) and asked.evidence.hard_breach
    expected = in_reach(asked) and task and acts and not asked.harm.breaker_open
    assert SHIPPED.decide(asked).allowed is expected


LIMITS = {
    "in shadow": lambda asked: replace(asked, mode="shadow"),
    "beside the canary": lambda asked: replace(asked, mode="canary", in_canary=False),
    "a protected session without a person's word": lambda asked: replace(
        asked, session=replace(asked.session, protected=True), act=replace(asked.act, approved=False)
    ),
    "with a spent budget": lambda asked: replace(
        asked, budget=replace(asked.budget, used=max(asked.budget.used, asked.budget.total))
    ),
    "with an open breaker": lambda asked: replace(asked, harm=replace(asked.harm, breaker_open=True)),
    "in another tenant": lambda asked: replace(asked, asker=replace(asked.asker, tenants=frozenset({"globex"}))),
    "without any evidence": lambda asked: replace(asked, evidence=EvidenceFacts()),
}


@pytest.mark.parametrize("limit", LIMITS)
@settings(max_examples=25, deadline=None)
@given(asked=wishes())
def test_the_monitor_never_revokes(limit, asked):
    assert not SHIPPED.decide(LIMITS[limit](asked)).allowed


@settings(max_examples=50, deadline=None)
@given(requests())
def test_nobody_does_anything_in_a_tenant_that_their_token_does_not_cover(asked):
    if not in_reach(asked):
        assert not SHIPPED.decide(asked).allowed


@pytest.mark.parametrize("role", BY_MACHINES)
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_no_relation_and_no_grant_gives_a_machine_or_an_auditor_more_than_its_work(role, data):
    action = data.draw(st.sampled_from([each for each in ACTIONS if each not in BY_MACHINES[role]]))
    asked = data.draw(requests(role=role, action=action))
    assert not SHIPPED.decide(asked).allowed


@settings(max_examples=50, deadline=None)
@given(requests())
def test_every_question_that_control_can_ask_has_an_answer_without_errors(asked):
    assert SHIPPED.decide(asked).errors == ()


@settings(max_examples=50, deadline=None)
@given(requests())
def test_a_second_persons_word_never_takes_anything_away(asked):
    alone = replace(asked, act=replace(asked.act, approved=False))
    approved = replace(asked, act=replace(asked.act, approved=True))
    assert SHIPPED.decide(alone).allowed <= SHIPPED.decide(approved).allowed


HARD = {"evidence": {"hard_breach": True}}


@pytest.mark.parametrize(
    ("facts", "alone", "approved"),
    [
        ({"role": "analyst", "action": "reinstate"}, False, False),
        ({"role": "responder", "action": "reinstate"}, False, True),
        ({"role": "responder", "action": "reinstate", "act": {"break_glass": True}}, True, True),
        ({"role": "responder", "action": "reinstate", "solo": True}, True, True),
        ({"role": "responder", "action": "reinstate", "delegator": "responder-1"}, False, False),
        ({"role": "approver", "action": "setMode", "session": None, "act": {"widens": True}}, False, True),
        ({"role": "responder", "action": "setMode", "session": None, "act": {"widens": True}}, False, False),
        ({"role": "approver", "action": "setMode", "session": None}, True, True),
        ({"role": "monitor", "action": "revoke", "protected": True, **HARD}, False, True),
        ({"role": "monitor", "action": "revoke", "protected": True}, False, False),
        ({"role": "monitor", "action": "revoke", "mode": "shadow", **HARD}, False, False),
        ({"role": "monitor", "action": "revoke", "protected": True, "mode": "shadow", **HARD}, False, False),
        ({"role": "monitor", "action": "revoke", "budget": {"used": 10}, **HARD}, False, False),
        ({"role": "monitor", "action": "revoke", "harm": {"breaker_open": True}, **HARD}, False, False),
        ({"role": "monitor", "action": "revoke", "tenants": ["globex"], "protected": True, **HARD}, False, False),
        ({"role": "auditor", "action": "revoke"}, False, False),
    ],
)
def test_asking_again_with_a_second_persons_word_tells_whether_only_that_is_missing(facts, alone, approved):
    case = PolicyCase(name="a question", expect="deny", **facts)
    asked = case.request
    assert SHIPPED.decide(asked).allowed is alone
    assert SHIPPED.decide(replace(asked, act=replace(asked.act, approved=True))).allowed is approved
