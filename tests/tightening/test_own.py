from datetime import UTC, datetime, timedelta
from typing import get_args

from guardian.bootstrap.resources import resource
from guardian.policy.cedar_text import forbid_problems
from guardian.policy.port import PolicyAction
from guardian.tightening.backtest import Backtest
from guardian.tightening.history import History
from guardian.tightening.mining import mine
from guardian.tightening.own import EMERGENCIES, FILE, UNAUDITED, OwnForbids, audited_calls, narrowable
from guardian.tightening.proposal import Proposal
from guardian.tightening.surface import Surface
from guardian.tightening.trust import Trust
from guardian.wire.approvals import ApprovableAction

BEGIN = datetime(2026, 1, 5, 9, tzinfo=UTC)
ACTIONS = ("flag", "revoke", "approve")


def entry(day, actor="monitor", role="monitor", action="flag", **more):
    at = (BEGIN + timedelta(days=day)).isoformat()
    return {"at": at, "actor": actor, "role": role, "action": action, "allowed": True, "seq": day} | more


def proposal_of(restrictions):
    return Proposal(
        tenant_id="guardian", since=BEGIN, until=BEGIN, made_at=BEGIN, restrictions=restrictions, grants={},
        backtest=Backtest(), surface=Surface(),
    )  # fmt: skip


def test_what_a_role_never_asked_of_control_is_forbidden_to_it_in_guardians_own_schema():
    entries = [entry(day) for day in range(90)] + [entry(day, action="revoke") for day in range(0, 90, 7)]
    entries = [*sorted(entries, key=lambda told: told["at"]), {"actor": "x", "action": "revokeToken"}]
    calls = list(audited_calls(entries, ACTIONS))
    assert len(calls) == 90 + 13
    mined = mine(History.learn(calls, trust=Trust(), split=BEGIN + timedelta(days=60)))
    assert [r.rule.subject for r in mined.restrictions if r.rule.kind == "forbid_tool"] == ["approve"]
    proposal = proposal_of(mined.restrictions)
    schema = (resource("config") / "policies" / "guardian.cedarschema").read_text(encoding="utf-8")
    own = OwnForbids(forbid_problems, schema)
    files = own.files(proposal)
    assert 'principal in Guardian::Role::"monitor", action == Guardian::Action::"approve"' in files[FILE]
    assert own.check(proposal, files) == []


def test_what_no_audit_trail_shows_and_what_is_for_emergencies_is_never_narrowed():
    actions = get_args(PolicyAction)
    left = narrowable(actions)
    assert {*left} | UNAUDITED | EMERGENCIES == {*actions}
    assert not [action for action in left if action.startswith("read")]
    asked_for = {*get_args(ApprovableAction), "propose", "approve"} - UNAUDITED
    assert asked_for <= EMERGENCIES, "a second person's word is about these alone"
    entries = [entry(day, action=action) for day in range(90) for action in ("flag", "permitCall", "breakGlass")]
    calls = list(audited_calls(entries, left))
    assert {call.tool for call in calls} == {"flag"}
    assert {call.allowed_tools for call in calls} == {tuple(sorted(left))}


def test_exemptions_fit_guardians_own_schema_too_and_hours_are_not_said(restricted):
    from guardian.domain.restriction import Scope
    from guardian.domain.rules import ForbidTool, MaxRecords, OnlyHours

    scope = Scope("guardian", "guardian", "responder", "")
    rules = ForbidTool("revoke", ("maya",)), OnlyHours((8, 9)), MaxRecords(3)
    restrictions = tuple(restricted(rule, scope) for rule in rules)
    proposal = proposal_of(restrictions)
    schema = (resource("config") / "policies" / "guardian.cedarschema").read_text(encoding="utf-8")
    own = OwnForbids(forbid_problems, schema)
    files = own.files(proposal)
    assert files[FILE].count("forbid") == 1
    assert own.check(proposal, files) == []
    assert own.files(proposal_of(())) == {}
