"""A finding comes in: one transaction decides, and writes everything that follows from the decision."""

import hashlib
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from urllib.parse import quote

from guardian.control.authority import ask, denied, evidence_of, explain, record
from guardian.control.deps import ControlDeps
from guardian.control.facts import situation
from guardian.control.lapse import lapse_overdue
from guardian.control.problems import Refusal, absent
from guardian.domain.finding import Effect, Finding, Kind
from guardian.domain.revocation import LedgerEntry
from guardian.domain.session import HumanWord
from guardian.policy.port import EvidenceFacts, PolicyDecision, PolicyRequest
from guardian.store.control import ControlRows
from guardian.telemetry import logger
from guardian.wire.base import Mode
from guardian.wire.findings import AlertOutcome, AlertPayload, FindingOutcome
from guardian.wire.principal import Principal

_log = logger("control")


@dataclass(frozen=True, slots=True)
class Received:
    """The answer, and whether it is one that was given before."""

    outcome: FindingOutcome
    replayed: bool = False


def receive(deps: ControlDeps, principal: Principal, finding: Finding) -> Received:
    """Idempotent by (tenant, id, digest). Anything but a clean permit to revoke becomes a flag that says why."""
    if not principal.reaches(finding.tenant_id):
        raise absent("tenant")
    evidence = evidence_of(finding)
    finding = _in_utc(finding)
    now = deps.clock()
    with deps.store.write() as rows:
        result = _decide(deps, rows, principal, finding, evidence, now)
    if isinstance(result, Refusal):  # raised only now: the audit of a denial must be committed
        raise result
    if not result.replayed:
        _count(deps, finding, result.outcome)
    return result


def _decide(
    deps: ControlDeps,
    rows: ControlRows,
    principal: Principal,
    finding: Finding,
    evidence: EvidenceFacts,
    now: datetime,
) -> Received | Refusal:
    version = deps.pdp.version
    lapse_overdue(rows, now)
    asked = situation(
        deps,
        rows,
        principal,
        "flag",
        finding.tenant_id,
        finding.session_id,
        now,
        evidence=evidence,
        agent_id=None if finding.subject is None else finding.subject.agent_id,
    )
    permitted = ask(deps, asked)
    if not permitted.allowed:
        record(rows, asked, permitted, now, version, finding_id=finding.id, result="refused")
        return denied(permitted)
    known = rows.findings.get(finding.id, {finding.tenant_id})
    if known is not None:
        if known.digest == finding.digest:
            return Received(known.view.outcome, replayed=True)
        return Refusal(409, "a finding with this id but other content is stored", code="finding_conflict")
    session = rows.sessions.get(finding.tenant_id, finding.session_id)
    if finding.kind is Kind.DRIFT and session is not None and finding.epoch < session.restarts:
        return Refusal(
            409, "people decided about this session after this finding; their word holds", code="superseded"
        )
    outcome = _flag(finding, permitted, asked.mode, now, version)
    entry: LedgerEntry | None = None
    if finding.wanted is Effect.REVOKE:
        outcome, entry = _revoke(deps, rows, replace(asked, action="revoke"), outcome, finding, now)
    else:
        record(rows, asked, permitted, now, version, finding_id=finding.id, result=outcome.effect.value)
    rows.findings.add(finding, outcome, now)
    rows.sessions.note_finding(finding, outcome.effect, now)
    if entry is not None:
        rows.sessions.say(finding.tenant_id, finding.session_id, HumanWord.REVOKED, now, human=False)
    _extend(deps, rows, finding, now)
    again = outcome.effect is Effect.REVOKE and entry is None  # it was revoked already: no news for people
    if outcome.effect is not Effect.NONE and not again:
        rows.alerts.add(
            kind="finding",
            case_key=_key(finding.tenant_id, finding.session_id),
            idempotency_key=_key(finding.tenant_id, finding.id),
            payload=_alert(deps, finding, outcome),
            now=now,
        )
    return Received(outcome)


def _flag(finding: Finding, permitted: PolicyDecision, mode: Mode, now: datetime, version: str) -> FindingOutcome:
    return FindingOutcome(
        finding_id=finding.id,
        tenant_id=finding.tenant_id,
        session_id=finding.session_id,
        wanted=finding.wanted,
        effect=Effect.NONE if finding.wanted is Effect.NONE else Effect.FLAG,
        policy_ids=permitted.policy_ids,
        policy_version=version,
        mode=mode,
        at=now,
    )


def _revoke(
    deps: ControlDeps,
    rows: ControlRows,
    asked: PolicyRequest,
    flagged: FindingOutcome,
    finding: Finding,
    now: datetime,
) -> tuple[FindingOutcome, LedgerEntry | None]:
    live = rows.ledger.live_entry(finding.tenant_id, finding.session_id)
    if live is not None:
        note = f"the session was already revoked, at revision {live.revision}"
        update = {"effect": Effect.REVOKE, "note": note, "revision": live.revision}
        record(
            rows,
            replace(asked, action="flag"),
            PolicyDecision(True, flagged.policy_ids),
            now,
            flagged.policy_version,
            finding_id=finding.id,
            result="already_revoked",
        )
        return flagged.model_copy(update=update), None
    decision = ask(deps, asked)
    decided = {"policy_ids": decision.policy_ids, "policy_errors": decision.errors}
    if not decision.allowed:
        would = asked.mode != "enforce" and _clean(deps, replace(asked, mode="enforce"))
        note = f"revoke not permitted, flagged instead: {explain(decision)}"
        outcome = flagged.model_copy(update={**decided, "note": note, "would_revoke": would})
        record(rows, asked, decision, now, flagged.policy_version, finding_id=finding.id, result="flag")
        return outcome, None
    ends = None if finding.subject is None else finding.subject.expires_at
    known = rows.sessions.get(finding.tenant_id, finding.session_id)
    expiries = [at for at in (ends, None if known is None else known.view.expires_at) if at is not None]
    hard = asked.evidence.hard_breach
    entry = rows.ledger.append(
        tenant_id=finding.tenant_id,
        session_id=finding.session_id,
        status="revoked",
        reason_code="hard_breach" if hard else "drift",
        reason=finding.title.replace("\x00", "\ufffd"),
        actor=asked.asker.id,
        now=now,
        expires_at=deps.settings.expiry.until(max(expiries, default=None), now),
        finding_id=finding.id,
        automatic=True,
        hard=hard,
    )
    record(
        rows,
        asked,
        decision,
        now,
        flagged.policy_version,
        finding_id=finding.id,
        result="revoke",
        revision=str(entry.revision),
    )
    why = "; ".join(filter(None, decision.reasons.values()))
    update = {**decided, "effect": Effect.REVOKE, "revision": entry.revision, "note": f"revoked: {why}"}
    return flagged.model_copy(update=update), entry


def _alert(deps: ControlDeps, finding: Finding, outcome: FindingOutcome) -> str:
    """The alert as it will be delivered, with everything in it, so that delivery needs no other look-up."""
    base = deps.settings.public_url
    path = f"/v1/sessions/{quote(finding.tenant_id, safe='')}/{quote(finding.session_id, safe='')}"
    link = None if base is None or len(base) + len(path) > 2000 else base.rstrip("/") + path
    payload = AlertPayload(
        finding=finding,
        outcome=AlertOutcome(
            effect=outcome.effect,
            allowed=outcome.effect is finding.wanted,
            note=outcome.note[:2000],
            policy_ids=outcome.policy_ids,
            mode=outcome.mode,
        ),
        link=link,
        case=_key(finding.tenant_id, finding.session_id),
    )
    return payload.model_dump_json()


def _clean(deps: ControlDeps, request: PolicyRequest) -> bool:
    """What policy would say; not a decision, so neither counted nor audited."""
    try:
        return deps.pdp.decide(request).allowed
    except Exception:
        return False


def _extend(deps: ControlDeps, rows: ControlRows, finding: Finding, now: datetime) -> None:
    """A session that was renewed while it is revoked stays revoked for as long as it lives."""
    live = rows.ledger.live_entry(finding.tenant_id, finding.session_id)
    known = rows.sessions.get(finding.tenant_id, finding.session_id)
    if live is None or known is None or known.view.expires_at is None:
        return
    ends = deps.settings.expiry.until(known.view.expires_at, now)
    if known.view.expires_at < live.expires_at or ends <= live.expires_at:
        return
    rows.ledger.append(
        tenant_id=finding.tenant_id,
        session_id=finding.session_id,
        status="revoked",
        reason_code="renewed",
        reason="the session was renewed; its revocation lives on",
        actor="guardian",
        now=now,
        expires_at=ends,
        finding_id=finding.id,
    )


def _in_utc(finding: Finding) -> Finding:
    """Refuses times that have no UTC form (the first and last hours of the calendar in odd zones)."""
    try:
        finding.time.astimezone(UTC)
        if finding.subject is not None and finding.subject.expires_at is not None:
            finding.subject.expires_at.astimezone(UTC)
    except OverflowError as error:
        raise Refusal(422, "a time lies outside the calendar") from error
    return finding


def _count(deps: ControlDeps, finding: Finding, outcome: FindingOutcome) -> None:
    deps.metrics.add("guardian_findings_total", kind=finding.kind.value, effect=outcome.effect.value)
    if outcome.revision is not None and outcome.note.startswith("revoked: "):
        reason = "hard_breach" if any(breach.hard for breach in finding.breaches) else "drift"
        deps.metrics.add("guardian_revocations_total", status="revoked", reason=reason)
    _log.info(
        "finding",
        correlation_id=finding.correlation_id[:128],
        finding_id=finding.id,
        wanted=finding.wanted.value,
        effect=outcome.effect.value,
        policies=list(outcome.policy_ids),
    )


def _key(*parts: str) -> str:
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()
