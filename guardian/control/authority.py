"""Asking policy: facts from control's own records, evidence from the finding, and nothing but a clean permit."""

import hashlib
import math
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

from guardian.control.deps import ControlDeps
from guardian.control.problems import Refusal, absent
from guardian.domain.finding import Finding
from guardian.policy.port import (
    Asker,
    EvidenceFacts,
    PolicyAction,
    PolicyDecision,
    PolicyRequest,
)
from guardian.store.control import ControlRows
from guardian.store.control_audit import canonical
from guardian.telemetry import logger
from guardian.wire.principal import Principal

_log = logger("control")
_MOST = 10**15


def ask(deps: ControlDeps, request: PolicyRequest) -> PolicyDecision:
    """Policy's answer; a decision point that fails in any way has denied."""
    try:
        decision = deps.pdp.decide(request)
    except Exception as error:
        _log.error("policy_failed", action=request.action, error=type(error).__name__, detail=str(error)[:300])
        decision = PolicyDecision(False, errors=(f"the decision point failed ({type(error).__name__})",))
    outcome = "error" if decision.errors else "allow" if decision.allowed else "deny"
    deps.metrics.add("guardian_policy_decisions_total", action=request.action, decision=outcome)
    return decision


def asker(principal: Principal) -> Asker:
    return Asker(principal.id, principal.role, principal.tenants)


def may_read(deps: ControlDeps, principal: Principal, action: PolicyAction, tenant_id: str | None = None) -> None:
    """Refuses what policy does not permit. `tenant_id` None: the list is filtered by the caller's reach."""
    if tenant_id is not None and not principal.reaches(tenant_id):
        raise absent("tenant")
    decision = ask(deps, PolicyRequest(asker(principal), action, tenant_id))
    if not decision.allowed:
        raise denied(decision)


def denied(decision: PolicyDecision) -> Refusal:
    return Refusal(403, explain(decision), code="policy_error" if decision.errors else "denied")


def explain(decision: PolicyDecision) -> str:
    """One sentence on why not."""
    if decision.errors:
        return "policy could not decide, which counts as no: " + "; ".join(decision.errors)[:300]
    if not decision.policy_ids:
        return "no policy permits it"
    named = (f"{name} ({decision.reasons.get(name) or 'no reason given'})" for name in decision.policy_ids)
    return "denied by " + ", ".join(named)


def evidence_of(finding: Finding) -> EvidenceFacts:
    """Numbers become integers, rounded down: what is not quite enough must not become enough.

    Raises Refusal for a number that is not finite: it could not be stored, nor compared.
    """
    told = finding.evidence
    numbers = (told.score, told.p_value, told.session_evidence, told.one_in)
    shares = (number for reason in finding.reasons for number in (reason.share, reason.value))
    if not all(math.isfinite(number) for number in (*numbers, *shares)):
        raise Refusal(422, "every number of the evidence must be finite")
    return EvidenceFacts(
        one_in=_floor(told.one_in),
        session_evidence_milli=_floor(told.session_evidence * 1000),
        score_permille=_floor(told.score * 1000),
        independent_signals=_floor(told.independent_signals),
        hard_breach=any(breach.hard for breach in finding.breaches),
        breaches=frozenset(breach.name[:128] for breach in finding.breaches[:64]),
        promised=told.promised,
    )


def record(
    rows: ControlRows,
    request: PolicyRequest,
    decision: PolicyDecision,
    now: datetime,
    policy_version: str,
    **result: Any,
) -> None:
    """Write one decision to the audit trail: who, what, on what, by which policies, and what came of it."""
    rows.audit.append(
        {
            "at": now.isoformat(),
            "actor": request.asker.id,
            "role": request.asker.role,
            "action": request.action,
            "tenant_id": request.tenant_id,
            "session_id": request.session.session_id if request.session else None,
            "allowed": decision.allowed,
            "policy_ids": list(decision.policy_ids),
            "policy_errors": [error[:300] for error in decision.errors],
            "policy_version": policy_version,
            "context_sha256": _digest(asdict(request)),
            **result,
        }
    )


def _digest(facts: Mapping[str, Any]) -> str:
    return hashlib.sha256(canonical(_plain(facts)).encode()).hexdigest()


def _plain(value: Any) -> Any:
    match value:
        case dict():
            return {name: _plain(item) for name, item in value.items()}
        case frozenset():
            return sorted(value)
        case _:
            return value


def _floor(number: float) -> int:
    return math.floor(max(-_MOST, min(_MOST, number)))
