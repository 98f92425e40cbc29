"""Revoking more than one session: an agent, a delegator, a task, a token's id. For a while, and audited."""

from dataclasses import replace
from datetime import datetime, timedelta

from guardian.control.authority import ask, asker, denied, out_of_reach, record, witnessed
from guardian.control.deps import ControlDeps
from guardian.control.facts import situation
from guardian.control.lapse import lapse_overdue
from guardian.control.problems import Refusal, absent, check_one
from guardian.domain.event import Envelope
from guardian.domain.finding import Finding
from guardian.domain.revocation import LedgerEntry, SubjectType
from guardian.policy.port import ActFacts, PolicyAction, PolicyRequest, WhomFacts
from guardian.store.control import ControlRows
from guardian.wire.principal import Principal
from guardian.wire.revocations import SubjectResult


def act_on_subject(
    deps: ControlDeps,
    principal: Principal,
    tenant_id: str,
    kind: SubjectType,
    subject_id: str,
    *,
    reason: str,
    seconds: int | None,
    lift: bool,
) -> SubjectResult:
    """Revoke a subject for `seconds` (None: as configured), or give it back. Sessions have routes of their own."""
    if kind == "session":
        raise Refusal(422, "subject_type: a session is revoked under /v1/sessions")
    action: PolicyAction = "reinstateSubject" if lift else "revokeSubject"
    now, rule = deps.clock(), deps.settings.switch
    if not principal.reaches(tenant_id):
        request = PolicyRequest(asker(principal), action, tenant_id)
        raise witnessed(deps, request, out_of_reach(), absent("tenant"))
    check_one(tenant_id)
    life = rule.subject_life if seconds is None else timedelta(seconds=seconds)
    if life > rule.subject_most:
        raise Refusal(422, f"seconds: a subject is revoked for {int(rule.subject_most.total_seconds())} at most")
    with deps.store.write() as rows:
        lapse_overdue(deps, rows, now)
        live = rows.ledger.live_entry(tenant_id, subject_id, kind)
        itself = kind == "delegator" and subject_id == principal.id
        own = ActFacts(own=itself or (live is not None and live.actor == principal.id))
        asked = situation(deps, rows, principal, action, tenant_id, None, now, act=own)
        asked = replace(asked, whom=WhomFacts(kind))
        decision = ask(deps, asked)
        told = {"subject_type": kind, "subject_id": subject_id, "reason": reason}
        if not decision.allowed:
            record(rows, asked, decision, now, **told, result="refused")
            result: SubjectResult | Refusal = denied(decision)
        else:
            changed = (live is not None) if lift else (live is None or live.expires_at < now + life)
            if changed:
                ends = live.expires_at if lift and live is not None else now + life
                live = _append(rows, tenant_id, kind, subject_id, reason, principal.id, now, ends, lift=lift)
                status = "reinstated" if lift else "revoked"
                deps.metrics.add("guardian_revocations_total", status=status, reason="manual")
            revision = None if live is None else live.revision
            said = {
                "result": "changed" if changed else "unchanged",
                "revision": str(revision) if revision else None,
            }
            record(rows, asked, decision, now, **told, **said)
            result = SubjectResult(
                tenant_id=tenant_id,
                subject_type=kind,
                subject_id=subject_id,
                revoked=live is not None and not lift,
                changed=changed,
                revision=revision,
                expires_at=live.expires_at if live is not None and not lift else None,
            )
    if isinstance(result, Refusal):
        raise result
    return result


def keep_from_coming_back(
    deps: ControlDeps,
    rows: ControlRows,
    asked: PolicyRequest,
    finding: Finding,
    entry: LedgerEntry,
    now: datetime,
) -> list[LedgerEntry]:
    """After a session was revoked: its task or agent too, for as long as configured and where policy says so.

    Names come from the registered envelope; where there is none, from the finding, and policy is told that.
    """
    made = []
    known = rows.envelopes.newest(entry.tenant_id, entry.subject_id)
    for kind, life in deps.settings.switch.comes_back.items():
        name = _named(kind, None if known is None else known.envelope, finding)
        if name is None:
            continue
        live = rows.ledger.live_entry(entry.tenant_id, name, kind)
        if live is not None and live.expires_at >= now + life:
            continue
        request = replace(
            asked, action="revokeSubject", session=None, whom=WhomFacts(kind, registered=known is not None)
        )
        decision = ask(deps, request)
        told = {"subject_type": kind, "subject_id": name, "finding_id": finding.id, "result": "refused"}
        if decision.allowed:
            actor = asked.asker.id
            why = "so that a revoked session does not come back under a new id"
            back = _append(rows, entry.tenant_id, kind, name, why, actor, now, now + life, finding_id=finding.id)
            told |= {"result": "revoke", "revision": str(back.revision)}
            deps.metrics.add("guardian_revocations_total", status="revoked", reason="comes_back")
            made.append(back)
        record(rows, request, decision, now, **told)
    return made


def _named(kind: SubjectType, envelope: Envelope | None, finding: Finding) -> str | None:
    teller = envelope if envelope is not None else finding.subject
    if teller is None:
        return None
    match kind:
        case "task":
            return teller.task_id
        case "agent":
            return teller.agent_id
        case "delegator":
            return teller.delegator_id
        case "session" | "jti":
            return None


def _append(
    rows: ControlRows,
    tenant_id: str,
    kind: SubjectType,
    subject_id: str,
    reason: str,
    actor: str,
    now: datetime,
    ends: datetime,
    *,
    lift: bool = False,
    finding_id: str | None = None,
) -> LedgerEntry:
    return rows.ledger.append(
        tenant_id=tenant_id,
        session_id=subject_id,
        subject_type=kind,
        status="reinstated" if lift else "revoked",
        reason_code="manual" if finding_id is None else "comes_back",
        reason=reason,
        actor=actor,
        now=now,
        expires_at=ends,
        finding_id=finding_id,
    )
