"""Asking policy: facts from control's own records, evidence from the finding, and nothing but a clean permit."""

import hashlib
import math
import shlex
from collections.abc import Mapping
from dataclasses import asdict, replace
from datetime import UTC, datetime
from typing import Any

from guardian.control.authority.bounds import beyond
from guardian.control.deps import ControlDeps
from guardian.control.problems import Refusal, absent, check_one
from guardian.domain.finding import Finding
from guardian.domain.text import counted
from guardian.policy.port import (
    Asker,
    EvidenceFacts,
    PolicyAction,
    PolicyDecision,
    PolicyRequest,
)
from guardian.store.control.audit import canonical
from guardian.store.control.rows import ControlRows
from guardian.telemetry import logger
from guardian.wire.base import Mode
from guardian.wire.principal import Principal

Reach = frozenset[str] | None
"""Tenants to look at; None means every tenant."""

_log = logger("control")
_MOST = 10**15


def ask(deps: ControlDeps, request: PolicyRequest) -> PolicyDecision:
    """Policy's answer; a decision point that fails in any way has denied."""
    started = deps.stopwatch()
    decision = consider(deps, request)
    deps.metrics.observe("guardian_policy_seconds", deps.stopwatch() - started)
    answered = "deny" if not decision.allowed else "bridged" if decision.instead_of else "allow"
    outcome = "error" if decision.errors else answered
    deps.metrics.add("guardian_policy_decisions_total", action=request.action, decision=outcome)
    causes = decision.causes or decision.errors or decision.instead_of
    if deps.outage.heard(causes, deps.clock()):
        _log.error("policy_undecided", action=request.action, causes=[cause[:300] for cause in causes])
    return decision


def consider(deps: ControlDeps, request: PolicyRequest) -> PolicyDecision:
    """What policy would say: not a decision yet, so neither counted nor audited. Never raises.

    A log may name the wrong delegator. Whom it names gains nothing by that: both answers have to be yes.
    """
    decision, session = _considered(deps, request), request.session
    if session is None or request.asker.id not in session.told_delegators:
        return decision
    as_delegator = _considered(deps, replace(request, session=replace(session, delegator_id=request.asker.id)))
    return decision if as_delegator.allowed else as_delegator


def _considered(deps: ControlDeps, request: PolicyRequest) -> PolicyDecision:
    try:
        decision = deps.pdp.decide(request)
    except Exception as error:
        _log.error("policy_failed", action=request.action, error=type(error).__name__, detail=str(error)[:300])
        wrong = f"the decision point failed ({type(error).__name__})"
        return PolicyDecision(False, errors=(wrong,), version=deps.policy_version)
    if not isinstance(decision, PolicyDecision) or not isinstance(decision.allowed, bool):
        _log.error("policy_failed", action=request.action, error="not a decision", detail=type(decision).__name__)
        wrong = "the decision point's answer is no decision"
        return PolicyDecision(False, errors=(wrong,), version=deps.policy_version)
    if not decision.version:
        decision = replace(decision, version=deps.policy_version)
    if decision.allowed and (bound := beyond(request)):
        _log.error("policy_out_of_bounds", action=request.action, bound=bound, policies=list(decision.policy_ids))
        wrong = f"the decision point permits what guardian never does by itself: {bound}"
        return replace(decision, allowed=False, errors=(wrong,))
    silent = not (decision.allowed or decision.policy_ids or decision.errors)
    if silent and request.action == "revoke" and request.asker.role == "monitor":
        return replace(decision, reasons={**decision.reasons, "evidence": _in_words(request.evidence)})
    return decision


def question(
    deps: ControlDeps,
    principal: Principal,
    action: PolicyAction,
    tenant_id: str | None,
    now: datetime,
    *,
    mode: Mode = "shadow",
) -> PolicyRequest:
    """The request with what the clock and the configuration say; without a session and what goes with one."""
    settings, at = deps.settings, now.astimezone(UTC)
    return PolicyRequest(
        Asker(principal.id, principal.role, principal.tenants, principal.jti),
        action,
        tenant_id,
        mode=mode,
        solo=settings.solo,
        on_call=settings.on_call.get(tenant_id or "", frozenset()),
        hour=at.hour,
        weekday=at.weekday(),
    )


def may_read(deps: ControlDeps, principal: Principal, action: PolicyAction, tenant_id: str | None = None) -> Reach:
    """The tenants that the caller may read: `tenant_id`, else all within its reach. Raises Refusal if it may not.

    Reads that are permitted are counted and not audited: there is one every few seconds per gateway. A refused
    one is audited, once an hour for the same caller, action and tenant. The database is asked only for the mode of
    a tenant that is named.
    """
    scope = must_reach(deps, principal, action, tenant_id)
    request = question(deps, principal, action, tenant_id, deps.clock())
    if tenant_id is not None:
        with deps.store.read() as rows:
            request = replace(request, mode=deps.mode_of(rows, tenant_id).mode)
    decision = ask(deps, request)
    if not decision.allowed:
        raise _witnessed(deps, request, decision, denied(decision, request))
    return scope


def may_read_all(deps: ControlDeps, principal: Principal, action: PolicyAction) -> None:
    """As `may_read`, for what cannot be told apart by tenant: also refused to a token that does not cover all."""
    may_read(deps, principal, action)
    if not principal.every_tenant:
        why = "this tells of every tenant, and the caller's token does not cover them all (`--tenant '*'`)"
        decision = PolicyDecision(False, reasons={"token": why})
        refusal = Refusal(403, why, code="denied")
        raise _witnessed(deps, question(deps, principal, action, None, deps.clock()), decision, refusal)


def must_reach(deps: ControlDeps, principal: Principal, action: PolicyAction, tenant_id: str | None) -> Reach:
    """The tenants to look at: `tenant_id`, else all that the token covers.

    Raises Refusal for a tenant that it does not cover: policy is not even asked, but that is audited as well. And
    for `*`: a signed list of a tenant of that name would read as the list of every tenant.
    """
    if tenant_id is None:
        return principal.scope
    if not principal.reaches(tenant_id):
        request = question(deps, principal, action, tenant_id, deps.clock())
        decision = PolicyDecision(False, reasons={"token": "the caller's token does not cover this tenant"})
        raise _witnessed(deps, request, decision, absent("tenant"))
    check_one(tenant_id)
    return frozenset({tenant_id})


def denied(decision: PolicyDecision, asked: PolicyRequest) -> Refusal:
    """403 for a no; 503 for no answer: what could not be decided may be asked again."""
    if decision.errors:
        return Refusal(503, explain(decision), code="policy_unavailable")
    why = explain(decision)
    if not decision.policy_ids:
        whom = shlex.quote(asked.tenant_id or "TENANT")
        if asked.session is not None:
            whom += f" {shlex.quote(asked.session.session_id)}"
        why += (
            f" to the role {asked.asker.role}; `guardian policy explain {whom} "
            f"--action {asked.action} --role ROLE` says whether another may"
        )
    return Refusal(403, why, code="denied")


def _witnessed(deps: ControlDeps, request: PolicyRequest, decision: PolicyDecision, refusal: Refusal) -> Refusal:
    """The refusal, with its line for the audit trail unless the same was written down within the hour."""
    now = deps.clock()
    kind = "undecided" if decision.errors else "refused"
    if deps.refused_reads.first(request.asker.id, request.action, request.tenant_id or "", kind, now=now):
        refusal.witness = lambda rows: record(rows, request, decision, now, result="refused")
    return refusal


def explain(decision: PolicyDecision) -> str:
    """One sentence on why not."""
    if decision.errors:
        return "policy could not decide, which counts as no: " + "; ".join(decision.errors)[:300]
    if not decision.policy_ids:
        return "; ".join(["no policy permits it", *decision.reasons.values()])
    named = (f"{name} ({decision.reasons.get(name) or 'no reason given'})" for name in decision.policy_ids)
    return "denied by " + ", ".join(named)


def _in_words(evidence: EvidenceFacts) -> str:
    """What policy was shown, to the last digit, where none of it says what it would have wanted instead."""
    kinds = counted(evidence.independent_signals, "kind")
    return (
        f"its evidence: 1 in {evidence.one_in:,} honest sessions, odds against honesty 10^"
        f"{evidence.session_evidence_milli / 1000:.15g}, {kinds} strong enough alone, "
        f"{'a' if evidence.hard_breach else 'no'} hard breach that asks for it"
    )


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
        one_in=whole(told.one_in),
        session_evidence_milli=whole(told.session_evidence * 1000),
        score_permille=whole(told.score * 1000),
        independent_signals=whole(told.independent_signals),
        hard_breach=any(breach.revokes for breach in finding.breaches),
        breaches=frozenset(breach.name[:128] for breach in finding.breaches[:64]),
        promised=told.promised,
    )


def record(
    rows: ControlRows,
    request: PolicyRequest,
    decision: PolicyDecision,
    now: datetime,
    **result: Any,
) -> None:
    """Audit one decision: who, by what token, what, on what, by which policies, and what came of it."""
    token = {"jti": request.asker.jti} if request.asker.jti else {}
    rows.audit.append(
        {
            "at": now.isoformat(),
            "actor": request.asker.id,
            "role": request.asker.role,
            **token,
            "action": request.action,
            "tenant_id": request.tenant_id,
            "session_id": request.session.session_id if request.session else None,
            "allowed": decision.allowed,
            "policy_ids": list(decision.policy_ids),
            "policy_errors": [error[:300] for error in decision.errors],
            "policy_version": decision.version,
            "context_sha256": _digest(facts_of(request)),
            **result,
        }
    )


def facts_of(request: PolicyRequest) -> dict[str, Any]:
    """What policy is shown, as plain values."""
    facts = asdict(request)
    del facts["asker"]["jti"]
    return {name: _plain(item) for name, item in facts.items()}


def _digest(facts: Mapping[str, Any]) -> str:
    return hashlib.sha256(canonical(facts).encode()).hexdigest()


def _plain(value: Any) -> Any:
    match value:
        case dict():
            return {name: _plain(item) for name, item in value.items()}
        case frozenset():
            return sorted(value)
        case _:
            return value


def whole(number: float) -> int:
    """For policies, which know no fractions and no infinity."""
    return math.floor(max(-_MOST, min(_MOST, number)))
