"""May ROLE do ACTION to this session now, and which policy decides?"""

from dataclasses import replace
from datetime import timedelta

from guardian.control.authority.asking import consider, evidence_of, facts_of
from guardian.control.authority.bounds import READING
from guardian.control.authority.situation import situation
from guardian.control.cases.view import LATEST, as_it_went
from guardian.control.deps import ControlDeps
from guardian.control.findings.superseded import superseded, weighed
from guardian.control.heard import unheard_session, unheard_tenant
from guardian.control.problems import Refusal
from guardian.domain.finding import Finding, Kind
from guardian.domain.identity import SessionKey
from guardian.policy.port import ActFacts, BudgetFacts, EvidenceFacts, HarmFacts, PolicyAction
from guardian.store.control.rows import ControlRows
from guardian.wire.policies import PolicyExplanation
from guardian.wire.principal import Principal, Role

_ON_SESSIONS: frozenset[PolicyAction] = frozenset(
    {
        "flag",
        "revoke",
        "reinstate",
        "dismiss",
        "confirm",
        "protect",
        "registerEnvelope",
        "permitCall",
        "snooze",
        "take",
        "note",
        "makeException",
    }
)
_ON_TENANTS: frozenset[PolicyAction] = frozenset(
    {"setMode", "breakGlass", "resetBreaker", "revokeSubject", "reinstateSubject", "endException"}
)


def explanation(
    deps: ControlDeps,
    caller: Principal,
    tenant_id: str,
    session_id: str | None,
    action: PolicyAction,
    role: Role,
) -> PolicyExplanation:
    """Policy's answer with every fact that it was shown. Raises Refusal for a question that makes no sense."""
    if action in _ON_SESSIONS and session_id is None:
        raise Refusal(422, f"session_id: {action} is about a session; name one")
    if action in _ON_TENANTS and session_id is not None:
        raise Refusal(422, f"session_id: {action} is about a tenant; leave it out")
    now = deps.clock()
    target: PolicyAction | None = None
    if action in ("propose", "approve"):
        target = "setMode" if session_id is None else "revoke"
    somebody = Principal(role, role, frozenset({tenant_id}), jti="", expires_at=now + timedelta(minutes=1))
    with deps.store.read() as rows:
        newest = (
            None if session_id is None or action in READING else _newest(rows, SessionKey(tenant_id, session_id))
        )
        evidence, less = _evidence(rows, newest)
        if session_id is None:
            unheard = unheard_tenant(rows, tenant_id, caller.tenants, now)
        else:
            unheard = unheard_session(rows, SessionKey(tenant_id, session_id))
        asked = situation(
            deps,
            rows,
            somebody,
            action,
            tenant_id,
            session_id,
            now,
            evidence=evidence,
            agent_id=None if newest is None or newest.subject is None else newest.subject.agent_id,
            act=ActFacts(widens=True) if action == "setMode" else None,
            target=target,
        )
    if action in READING:  # as it is asked then
        asked = replace(asked, evidence=EvidenceFacts(), budget=BudgetFacts(), harm=HarmFacts(), act=ActFacts())
    decision = consider(deps, asked)
    seconded = asked.approved()
    return PolicyExplanation(
        actor=somebody.id,
        role=role,
        action=action,
        tenant_id=tenant_id,
        session_id=session_id,
        unheard=unheard,
        allowed=decision.allowed,
        needs_approval=not decision.allowed and not decision.errors and consider(deps, seconded).allowed,
        policy_ids=decision.policy_ids,
        reasons=dict(decision.reasons),
        errors=decision.errors,
        policy_version=decision.version,
        facts={
            **facts_of(asked),
            "evidence_from": None if newest is None else newest.id,
            "evidence_counts_less": less or None,
        },
    )


def _evidence(rows: ControlRows, newest: Finding | None) -> tuple[EvidenceFacts, str]:
    """What this finding would count for if it came now, and why that is less than it says; empty if it is not."""
    if newest is None:
        return EvidenceFacts(), ""
    session = rows.sessions.get(newest.key)
    counts, less = weighed(rows, newest, session)
    return evidence_of(counts), superseded(rows, newest, session) or less


def _newest(rows: ControlRows, key: SessionKey) -> Finding | None:
    """The session's newest finding of drift, or else of anything."""
    for kind in (Kind.DRIFT.value, None):
        found = rows.findings.page({key.tenant_id}, limit=LATEST, session_id=key.session_id, kind=kind)
        if found:
            return as_it_went([each.view for each in found], rows.sessions.get(key))[0].finding
    return None
