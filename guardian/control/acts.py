"""What people do: revoke, reinstate, protect, judge, set a mode. One audited transaction each."""

import hashlib
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TypeVar

from guardian.control.authority import ask, denied, record
from guardian.control.deps import ControlDeps
from guardian.control.facts import situation
from guardian.control.lapse import lapse_overdue
from guardian.control.problems import Refusal, absent
from guardian.domain.finding import Kind
from guardian.domain.revocation import Revision
from guardian.domain.session import HumanWord
from guardian.policy.port import PolicyAction, PolicyDecision, PolicyRequest
from guardian.store.control import ControlRows
from guardian.wire.base import Mode
from guardian.wire.findings import FindingView, Verdict, VerdictRequest
from guardian.wire.principal import Principal
from guardian.wire.sessions import ActResult, ModeView

_ANSWERS_KEPT = timedelta(days=1)
Result = TypeVar("Result")
Apply = Callable[[ControlRows, PolicyRequest, PolicyDecision, datetime], Result]


def revoke(
    deps: ControlDeps, principal: Principal, tenant_id: str, session_id: str, reason: str, key: str | None
) -> ActResult:
    """Revoke by hand. A session that is revoked already stays so, and `changed` says that."""

    def apply(rows: ControlRows, asked: PolicyRequest, decision: PolicyDecision, now: datetime) -> ActResult:
        lapse_overdue(rows, now)
        met = rows.sessions.meet(tenant_id, session_id, now)
        live = rows.ledger.live_entry(tenant_id, session_id)
        changed = live is None
        if live is None:
            live = rows.ledger.append(
                tenant_id=tenant_id,
                session_id=session_id,
                status="revoked",
                reason_code="manual",
                reason=reason,
                actor=principal.id,
                now=now,
                expires_at=deps.settings.expiry.until(met.view.expires_at, now),
            )
            rows.sessions.say(tenant_id, session_id, HumanWord.REVOKED, now, human=True)
        return _acted(deps, rows, asked, decision, now, reason, changed=changed, revision=live.revision)

    result = _once(deps, principal, "revoke", tenant_id, session_id, reason, key, apply)
    return _counted(deps, result, "revoked")


def reinstate(
    deps: ControlDeps, principal: Principal, tenant_id: str, session_id: str, reason: str, key: str | None
) -> ActResult:
    """Give a session back. Its evidence starts afresh; a session that nobody knows is absent."""

    def apply(rows: ControlRows, asked: PolicyRequest, decision: PolicyDecision, now: datetime) -> ActResult:
        lapse_overdue(rows, now)
        if rows.sessions.get(tenant_id, session_id) is None:
            raise absent("session")
        live = rows.ledger.live_entry(tenant_id, session_id)
        revision = None
        if live is not None:
            entry = rows.ledger.append(
                tenant_id=tenant_id,
                session_id=session_id,
                status="reinstated",
                reason_code="manual",
                reason=reason,
                actor=principal.id,
                now=now,
                expires_at=live.expires_at,
                finding_id=live.finding_id,
            )
            revision = entry.revision
            rows.sessions.say(tenant_id, session_id, HumanWord.REINSTATED, now, human=True)
        changed = revision is not None
        return _acted(deps, rows, asked, decision, now, reason, changed=changed, revision=revision)

    result = _once(deps, principal, "reinstate", tenant_id, session_id, reason, key, apply)
    return _counted(deps, result, "reinstated")


def protect(
    deps: ControlDeps,
    principal: Principal,
    tenant_id: str,
    session_id: str,
    reason: str,
    *,
    protected: bool,
) -> ActResult:
    """Say whether a session may be revoked automatically; also one that has not been met yet."""

    def apply(rows: ControlRows, asked: PolicyRequest, decision: PolicyDecision, now: datetime) -> ActResult:
        known = rows.sessions.get(tenant_id, session_id)
        changed = (known is not None and known.view.protected) != protected
        rows.sessions.protect(tenant_id, session_id, now, protected=protected)
        return _acted(
            deps, rows, asked, decision, now, reason, changed=changed, revision=None, protected=protected
        )

    return _permitted(deps, principal, "protect", tenant_id, session_id, apply)


def judge(deps: ControlDeps, principal: Principal, finding_id: str, ask_for: VerdictRequest) -> FindingView:
    """A person's verdict on a finding goes back to the monitor. The same verdict again changes nothing."""
    with deps.store.read() as rows:
        found = rows.findings.get(finding_id, principal.scope)
    if found is None:
        raise absent("finding")
    finding = found.view.finding
    dismissed = ask_for.verdict == "false_positive"

    def apply(rows: ControlRows, asked: PolicyRequest, decision: PolicyDecision, now: datetime) -> FindingView:
        stored = rows.findings.get(finding_id, {finding.tenant_id})
        if stored is None:
            raise absent("finding")
        result = {"finding_id": finding_id, "reason": ask_for.reason, "result": ask_for.verdict}
        record(rows, asked, decision, now, deps.pdp.version, **result)
        if stored.view.verdict is not None and stored.view.verdict.verdict == ask_for.verdict:
            return stored.view
        verdict = Verdict(verdict=ask_for.verdict, reason=ask_for.reason, actor=principal.id, at=now)
        rows.findings.set_verdict(finding.tenant_id, finding_id, verdict)
        word = HumanWord.FALSE_POSITIVE if dismissed else HumanWord.CONFIRMED
        if finding.kind is Kind.DRIFT:  # a verdict on a grant or a gateway says nothing of the session's evidence
            rows.sessions.say(finding.tenant_id, finding.session_id, word, now, human=True)
        return stored.view.model_copy(update={"verdict": verdict})

    action: PolicyAction = "dismiss" if dismissed else "confirm"
    return _permitted(deps, principal, action, finding.tenant_id, finding.session_id, apply)


def set_mode(deps: ControlDeps, principal: Principal, tenant_id: str, mode: Mode, reason: str) -> ModeView:
    """Set what guardian may do by itself in a tenant."""

    def apply(rows: ControlRows, asked: PolicyRequest, decision: PolicyDecision, now: datetime) -> ModeView:
        view = ModeView(tenant_id=tenant_id, mode=mode, set_by=principal.id, reason=reason, at=now)
        rows.modes.put(view)
        record(rows, asked, decision, now, deps.pdp.version, reason=reason, result=mode, before=asked.mode)
        return view

    return _permitted(deps, principal, "setMode", tenant_id, None, apply)


def _permitted(
    deps: ControlDeps,
    principal: Principal,
    action: PolicyAction,
    tenant_id: str,
    session_id: str | None,
    apply: Apply[Result],
) -> Result:
    """Ask policy and apply within one transaction. A denial is audited and committed before it is raised."""
    if not principal.reaches(tenant_id):
        raise absent("tenant")
    now = deps.clock()
    with deps.store.write() as rows:
        asked = situation(deps, rows, principal, action, tenant_id, session_id, now)
        decision = ask(deps, asked)
        result: Result | Refusal
        if decision.allowed:
            result = apply(rows, asked, decision, now)
        else:
            record(rows, asked, decision, now, deps.pdp.version, result="refused")
            result = denied(decision)
    if isinstance(result, Refusal):
        raise result
    return result


def _once(
    deps: ControlDeps,
    principal: Principal,
    action: PolicyAction,
    tenant_id: str,
    session_id: str,
    reason: str,
    key: str | None,
    apply: Apply[ActResult],
) -> ActResult:
    """With an idempotency key, a repeated request gets the first answer and does nothing."""
    digest = hashlib.sha256("\x1f".join([action, tenant_id, session_id, reason]).encode()).hexdigest()

    def guarded(rows: ControlRows, asked: PolicyRequest, decision: PolicyDecision, now: datetime) -> ActResult:
        if key is None:
            return apply(rows, asked, decision, now)
        rows.idempotency.forget(now - _ANSWERS_KEPT)
        kept = rows.idempotency.get(principal.id, key)
        if kept is not None:
            if kept.request_digest != digest:
                raise Refusal(422, "this Idempotency-Key was used for another request", code="key_reused")
            return ActResult.model_validate_json(kept.answer)
        result = apply(rows, asked, decision, now)
        rows.idempotency.put(principal.id, key, digest, result.model_dump_json(), now)
        return result

    return _permitted(deps, principal, action, tenant_id, session_id, guarded)


def _acted(
    deps: ControlDeps,
    rows: ControlRows,
    asked: PolicyRequest,
    decision: PolicyDecision,
    now: datetime,
    reason: str,
    *,
    changed: bool,
    revision: Revision | None,
    protected: bool | None = None,
) -> ActResult:
    extra = {} if protected is None else {"protected": protected}
    record(
        rows,
        asked,
        decision,
        now,
        deps.pdp.version,
        reason=reason,
        result="changed" if changed else "unchanged",
        revision=None if revision is None else str(revision),
        **extra,
    )
    assert asked.tenant_id is not None  # noqa: S101 - acts are on sessions
    assert asked.session is not None  # noqa: S101 - the same
    view = rows.sessions.meet(asked.tenant_id, asked.session.session_id, now).view
    return ActResult(session=view, changed=changed, revision=revision)


def _counted(deps: ControlDeps, result: ActResult, status: str) -> ActResult:
    if result.changed:
        deps.metrics.add("guardian_revocations_total", status=status, reason="manual")
    return result
