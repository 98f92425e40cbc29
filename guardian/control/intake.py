"""A finding comes in: one transaction decides, and writes everything that follows from the decision."""

import hashlib
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from guardian.control import breaker
from guardian.control.approvals import put_up
from guardian.control.authority import (
    ask,
    asker,
    consider,
    denied,
    evidence_of,
    explain,
    out_of_reach,
    record,
    witnessed,
)
from guardian.control.deps import ControlDeps
from guardian.control.envelopes import against_record, extend, lasts_until
from guardian.control.facts import harm_of, situation
from guardian.control.lapse import lapse_overdue
from guardian.control.model_change import note_model
from guardian.control.news import NEWS, tell_of_decision_point
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
        request = PolicyRequest(asker(principal), "flag", finding.tenant_id)
        raise witnessed(deps, request, out_of_reach(), absent("tenant"))
    if finding.kind is Kind.CONTROL or finding.id.startswith(NEWS):
        raise Refusal(422, f"kind control, and ids that begin with {NEWS}, are for what control itself reports")
    evidence = evidence_of(finding)
    finding = _in_utc(finding)
    now = deps.clock()
    with deps.store.write() as rows:
        result = _decide(deps, rows, principal, finding, evidence, now)
        turns = tell_of_decision_point(deps, rows, now)
    deps.outage.told(turns)
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
    version = deps.policy_version
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
    # Telling people must not depend on a decision point that fails: what a monitor sees is taken in even then.
    undecided = bool(permitted.errors) and principal.role == "monitor"
    if not permitted.allowed and not undecided:
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
    note_model(deps, rows, finding, principal.id, now)
    outcome = _flag(finding, permitted, asked.mode, now, version)
    entry: LedgerEntry | None = None
    if finding.wanted is Effect.REVOKE:
        outcome, entry = _revoke(deps, rows, replace(asked, action="revoke"), permitted, outcome, finding, now)
        outcome = against_record(rows, finding, outcome)
    else:
        outcome = against_record(rows, finding, outcome)
        record(rows, asked, permitted, now, version, finding_id=finding.id, result=outcome.effect.value)
    rows.findings.add(finding, outcome, now)
    rows.sessions.note_finding(finding, outcome.effect, now)
    if entry is not None:
        rows.sessions.say(finding.tenant_id, finding.session_id, HumanWord.REVOKED, now, human=False)
        breaker.heed(deps, rows, finding.tenant_id, now)
    extend(deps, rows, finding.tenant_id, finding.session_id, now, finding_id=finding.id)
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
        note=explain(permitted) if permitted.errors else "",
        policy_ids=permitted.policy_ids,
        policy_errors=permitted.errors,
        policy_version=version,
        mode=mode,
        at=now,
    )


def _revoke(
    deps: ControlDeps,
    rows: ControlRows,
    asked: PolicyRequest,
    permitted: PolicyDecision,
    flagged: FindingOutcome,
    finding: Finding,
    now: datetime,
) -> tuple[FindingOutcome, LedgerEntry | None]:
    """`permitted` is the answer about the flag: a decision point that failed on it is not asked again."""
    version = flagged.policy_version
    live = rows.ledger.live_entry(finding.tenant_id, finding.session_id)
    if live is not None:
        note = f"the session was already revoked, at revision {live.revision}"
        update = {"effect": Effect.REVOKE, "note": note, "revision": live.revision}
        flag = replace(asked, action="flag")
        record(rows, flag, permitted, now, version, finding_id=finding.id, result="already_revoked")
        return flagged.model_copy(update=update), None
    if permitted.errors:
        decision = permitted
    else:
        breaker.heed(deps, rows, finding.tenant_id, now)
        asked = replace(asked, harm=harm_of(deps, rows, finding.tenant_id, now))
        decision = ask(deps, asked)
    decided = {"policy_ids": decision.policy_ids, "policy_errors": decision.errors}
    if not decision.allowed:
        record(rows, asked, decision, now, version, finding_id=finding.id, result="flag")
        update = _not_revoked(deps, rows, asked, decision, finding, now)
        return flagged.model_copy(update={**decided, **update}), None
    told = None if finding.subject is None else finding.subject.expires_at
    lasts = lasts_until(rows, finding.tenant_id, finding.session_id, told)
    hard = asked.evidence.hard_breach
    entry = rows.ledger.append(
        tenant_id=finding.tenant_id,
        session_id=finding.session_id,
        status="revoked",
        reason_code="hard_breach" if hard else "drift",
        reason=_storable(finding.title),
        actor=asked.asker.id,
        now=now,
        expires_at=deps.settings.expiry.until(lasts, now),
        finding_id=finding.id,
        automatic=True,
        hard=hard,
    )
    said = {"finding_id": finding.id, "result": "revoke", "revision": str(entry.revision)}
    record(rows, asked, decision, now, version, **said)
    why = "; ".join(filter(None, decision.reasons.values()))
    update = {**decided, "effect": Effect.REVOKE, "revision": entry.revision, "note": f"revoked: {why}"}
    return flagged.model_copy(update=update), entry


def _not_revoked(
    deps: ControlDeps,
    rows: ControlRows,
    asked: PolicyRequest,
    decision: PolicyDecision,
    finding: Finding,
    now: datetime,
) -> dict[str, Any]:
    """What the outcome says instead; where only a person is missing, one is asked."""
    note = f"revoke not permitted, flagged instead: {explain(decision)}"
    if decision.errors:
        return {"note": note}
    would = asked.mode != "enforce" and consider(deps, replace(asked, mode="enforce")).allowed
    if would and asked.mode == "canary":
        note += "; it would have been revoked, and is outside the canary"
    reason = _storable(finding.title) or "the monitor wants this session revoked"
    approval = put_up(deps, rows, asked, decision, act={}, reason=reason, now=now, finding_id=finding.id)
    if approval is None:
        return {"note": note, "would_revoke": would}
    until = approval.expires_at.isoformat(timespec="minutes")
    note += f"; a person is asked, until {until} (approval {approval.id})"
    return {"note": note, "would_revoke": would, "approval_id": approval.id}


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


def _storable(text: str) -> str:
    """PostgreSQL text cannot hold NUL."""
    return text.replace("\x00", "\ufffd")


def _key(*parts: str) -> str:
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()
