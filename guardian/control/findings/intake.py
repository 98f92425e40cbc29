"""A finding comes in: one transaction decides, and writes everything that follows from the decision."""

from dataclasses import dataclass, replace
from datetime import datetime

from guardian.control.authority.asking import ask, denied, evidence_of, explain, must_reach, record
from guardian.control.authority.situation import situation
from guardian.control.cases.case import queue, told
from guardian.control.deps import ControlDeps
from guardian.control.envelopes.recorded import against_record, extend, remarked
from guardian.control.findings.model_change import note_model
from guardian.control.findings.superseded import came_too_late, superseded, weighed
from guardian.control.lapse import lapse_overdue
from guardian.control.people.exceptions import excused
from guardian.control.problems import Refusal, check_calendar, check_tenant
from guardian.control.revocations import breaker
from guardian.control.revocations.revoking import revoke_or_flag
from guardian.control.telling.news import NEWS, tell_of_decision_point
from guardian.control.watchers.self_testing import noticed
from guardian.domain.finding import Effect, Finding, Kind
from guardian.domain.revocation import LedgerEntry
from guardian.domain.session import HumanWord
from guardian.domain.text import counted
from guardian.policy.port import EvidenceFacts, PolicyDecision
from guardian.store.control.peers import SelfTest
from guardian.store.control.rows import ControlRows
from guardian.telemetry import logger
from guardian.wire.base import Mode
from guardian.wire.findings import FindingOutcome
from guardian.wire.principal import Principal

MOST_BYTES = 256 * 1024
"""Of a finding as JSON. Most have 6 KiB; a purpose and names that were chosen for it make one of some 100 KiB, and
no session is to be spared for those."""
_log = logger("control")


@dataclass(frozen=True, slots=True)
class Received:
    """The answer, whether it is one that was given before, and the revocation that was made for it, if any.

    The metrics do not count the revocation of a planted session, so it is left out here.
    """

    outcome: FindingOutcome
    replayed: bool = False
    entry: LedgerEntry | None = None


def receive(deps: ControlDeps, principal: Principal, finding: Finding) -> Received:
    """Idempotent by (tenant, id, digest). Anything but a clean permit to revoke becomes a flag that says why."""
    must_reach(deps, principal, "flag", finding.tenant_id)
    check_tenant(finding.tenant_id)
    if finding.kind is Kind.CONTROL or finding.id.startswith(NEWS):
        raise Refusal(422, f"kind control, and ids that begin with {NEWS}, are for what control itself reports")
    _check_text(finding)
    evidence = evidence_of(finding)
    check_calendar("time", finding.time)
    check_calendar("subject.expires_at", None if finding.subject is None else finding.subject.expires_at)
    now = deps.clock()
    with deps.store.write() as rows:
        result = _decide(deps, rows, principal, finding, evidence, now)
        turns = tell_of_decision_point(deps, rows, now)
    deps.outage.told(turns)
    if isinstance(result, Refusal):  # raised only now: the audit of a denial must be committed
        raise result
    if not result.replayed:
        _count(deps, finding, result)
    return result


def _check_text(finding: Finding) -> None:
    """Refuses what has no digest, for JSON can say half a character and no database holds one; and what no log
    makes so large, for findings are never deleted."""
    try:
        text = finding.model_dump_json()
    except ValueError as error:
        why = "a text of the finding holds half a character (a lone surrogate): send U+FFFD"
        raise Refusal(422, why) from error
    if len(text.encode()) > MOST_BYTES:
        raise Refusal(413, f"a finding may have {MOST_BYTES} bytes as JSON")


def _decide(
    deps: ControlDeps,
    rows: ControlRows,
    principal: Principal,
    finding: Finding,
    evidence: EvidenceFacts,
    now: datetime,
) -> Received | Refusal:
    lapse_overdue(deps, rows, now)
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
        record(rows, asked, permitted, now, finding_id=finding.id, result="refused")
        return denied(permitted, asked)
    known = rows.findings.get(finding.id, {finding.tenant_id})
    if known is not None:
        if finding.digest in (known.digest, known.view.finding.digest):  # an earlier version's lacks newer fields
            return Received(known.view.outcome, replayed=True)
        return Refusal(409, "a finding with this id but other content is stored", code="finding_conflict")
    session = rows.sessions.get(finding.key)
    if why := superseded(rows, finding, session):
        return Refusal(409, why, code="superseded")
    note_model(deps, rows, finding, principal.id, now)
    counts, less = weighed(rows, finding, session)
    if too_late := came_too_late(finding, session):
        less = "people spoke of the session before this was told: it is for them to decide"
    asked = replace(asked, evidence=evidence_of(counts))
    outcome = _flag(finding, permitted, asked.mode, now)
    entry: LedgerEntry | None = None
    protected = asked.session is not None and asked.session.protected
    planted = rows.self_tests.of_session(finding.tenant_id, finding.session_id)
    if finding.wanted is Effect.REVOKE and not too_late:
        wish = replace(asked, action="revoke")
        outcome, entry = revoke_or_flag(
            deps, rows, wish, permitted, outcome, finding, now, planted=planted is not None
        )
        outcome = against_record(rows, finding, outcome, protected=protected)
    else:
        outcome = against_record(rows, finding, outcome, protected=protected)
        outcome = excused(rows, finding, outcome, now, solo=asked.solo)
        record(rows, asked, permitted, now, finding_id=finding.id, result=outcome.effect.value)
    outcome = remarked(outcome, less)
    if finding.late_s:
        after = counted(max(1, finding.late_s // 60), "minute")
        outcome = remarked(outcome, f"judged {after} after the call; until then nobody was watching")
    _write_down(deps, rows, finding, outcome, entry, planted, now)
    return Received(outcome, entry=entry if planted is None else None)


def _write_down(
    deps: ControlDeps,
    rows: ControlRows,
    finding: Finding,
    outcome: FindingOutcome,
    entry: LedgerEntry | None,
    planted: SelfTest | None,
    now: datetime,
) -> None:
    """The finding with its outcome, and all that follows from it. `planted`: it is about control's own test."""
    rows.findings.add(finding, outcome, now)
    if planted is None:
        rows.sessions.note_finding(finding, outcome.effect, now)
    if entry is not None:
        rows.sessions.say(finding.key, HumanWord.REVOKED, now, human=False)
        breaker.heed(deps, rows, finding.tenant_id, now)
    extend(deps, rows, finding.key, now, finding_id=finding.id)
    again = outcome.effect is Effect.REVOKE and entry is None  # it was revoked already: no news for people
    if planted is not None:
        noticed(rows, planted, finding, outcome, now)  # no news for people
    elif outcome.effect is not Effect.NONE and not again:
        queue(deps, rows, finding, told(outcome), now, finding.id)


def _flag(finding: Finding, permitted: PolicyDecision, mode: Mode, now: datetime) -> FindingOutcome:
    return FindingOutcome(
        finding_id=finding.id,
        tenant_id=finding.tenant_id,
        session_id=finding.session_id,
        wanted=finding.wanted,
        effect=Effect.NONE if finding.wanted is Effect.NONE else Effect.FLAG,
        note=explain(permitted) if permitted.errors else "",
        policy_ids=permitted.policy_ids,
        policy_errors=permitted.errors,
        policy_version=permitted.version,
        mode=mode,
        at=now,
    )


def _count(deps: ControlDeps, finding: Finding, received: Received) -> None:
    outcome = received.outcome
    deps.metrics.add("guardian_findings_total", kind=finding.kind.value, effect=outcome.effect.value)
    if received.entry is not None:
        deps.metrics.add("guardian_revocations_total", status="revoked", reason=received.entry.reason_code)
    _log.info(
        "finding",
        correlation_id=finding.correlation_id[:128],
        finding_id=finding.id,
        wanted=finding.wanted.value,
        effect=outcome.effect.value,
        policies=list(outcome.policy_ids),
    )
