"""A finding wants its session revoked: done if policy permits it cleanly, else a flag that says why not."""

from dataclasses import replace
from datetime import datetime
from typing import Any

from guardian.control.authority.asking import ask, consider, evidence_of, explain, record
from guardian.control.authority.situation import harm_of
from guardian.control.deps import ControlDeps
from guardian.control.envelopes.recorded import revoked_until
from guardian.control.findings.superseded import without_its_parent
from guardian.control.people.approvals import no_room, permits, put_up
from guardian.control.people.overtaking import said_no
from guardian.control.revocations import breaker
from guardian.control.revocations.descendants import follow_down
from guardian.control.revocations.subjects import keep_from_coming_back
from guardian.domain.finding import Effect, Finding
from guardian.domain.revocation import LedgerEntry, ReasonCode
from guardian.domain.text import moment
from guardian.policy.port import PolicyDecision, PolicyRequest
from guardian.store.columns import storable
from guardian.store.control.rows import ControlRows
from guardian.wire.findings import FindingOutcome


def revoke_or_flag(
    deps: ControlDeps,
    rows: ControlRows,
    asked: PolicyRequest,
    permitted: PolicyDecision,
    flagged: FindingOutcome,
    finding: Finding,
    now: datetime,
    *,
    planted: bool,
) -> tuple[FindingOutcome, LedgerEntry | None]:
    """What a finding that wants a revocation gets, and the ledger entry if it got it.

    `permitted` is the answer about the flag: a decision point that failed on it is not asked again. What was
    `planted` by control itself spends no budget and takes nothing else along.
    """
    live = rows.ledger.live_entry(finding.tenant_id, finding.session_id)
    stands = live is not None and live.expires_at > now
    if live and stands and (live.cause is None or _only_follows(deps, rows, asked, finding, now)):
        note = f"the session was already revoked, at revision {live.revision}"
        update = {"effect": Effect.REVOKE, "note": note, "revision": live.revision}
        flag = replace(asked, action="flag")
        record(rows, flag, permitted, now, finding_id=finding.id, result="already_revoked")
        return flagged.model_copy(update=update), None
    if permitted.errors:
        decision = permitted
    else:
        breaker.heed(deps, rows, finding.tenant_id, now)
        asked = replace(asked, harm=harm_of(deps, rows, finding.tenant_id, now))
        decision = ask(deps, asked)
    decided = {
        "policy_ids": decision.policy_ids,
        "policy_errors": decision.errors,
        "policy_version": decision.version,
    }
    if not decision.allowed:
        record(rows, asked, decision, now, finding_id=finding.id, result="flag")
        update = _not_revoked(deps, rows, asked, decision, finding, now)
        return flagged.model_copy(update={**decided, **update}), None
    told = None if finding.subject is None else finding.subject.expires_at
    ends = revoked_until(deps, rows, finding.key, now, told)
    hard, parent = asked.evidence.hard_breach, _above(deps, rows, asked, finding, now)
    code: ReasonCode = "parent_revoked" if parent else "hard_breach" if hard else "drift"
    entry = rows.ledger.append(
        tenant_id=finding.tenant_id,
        subject_id=finding.session_id,
        status="revoked",
        reason_code="self_test" if planted else code,
        reason=storable(finding.title),
        actor=asked.asker.id,
        now=now,
        expires_at=max(ends, parent.expires_at) if parent else ends,
        finding_id=finding.id,
        automatic=not planted,
        hard=hard,
        cause=parent.subject_id if parent else None,
    )
    said = {"finding_id": finding.id, "result": "revoke", "revision": str(entry.revision)}
    record(rows, asked, decision, now, **said)
    also = ""
    if not planted:
        follow_down(deps, rows, asked, entry, now)
        if parent is None:
            also = keep_from_coming_back(deps, rows, asked, finding, entry, now)
    why = "; ".join(filter(None, (*decision.reasons.values(), also)))
    update = {**decided, "effect": Effect.REVOKE, "revision": entry.revision, "note": f"revoked: {why}"}
    return flagged.model_copy(update=update), entry


def _above(
    deps: ControlDeps, rows: ControlRows, asked: PolicyRequest, finding: Finding, now: datetime
) -> LedgerEntry | None:
    """The parent's revocation that this one follows from, as far as the log tells who its parent is: a session
    that is registered nowhere is given back with it, too."""
    parent = None if finding.subject is None else finding.subject.parent_session_id
    live = None if parent is None else rows.ledger.live_entry(finding.tenant_id, parent)
    stands = live is not None and live.expires_at > now
    if not stands or not asked.evidence.hard_breach or not _only_follows(deps, rows, asked, finding, now):
        return None
    return live


def _only_follows(
    deps: ControlDeps, rows: ControlRows, asked: PolicyRequest, finding: Finding, now: datetime
) -> bool:
    """Whether a session that is revoked with its parent is accused of no more than that: then it is given back
    with it, too."""
    alone = without_its_parent(finding)
    harm = harm_of(deps, rows, finding.tenant_id, now)
    would = replace(asked, mode="enforce", harm=harm, evidence=evidence_of(alone))
    return alone is not finding and not consider(deps, would).allowed


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
    if would:
        note += "; it would have been revoked, " + (
            "and is outside the canary" if asked.mode == "canary" else "were the mode enforce"
        )
    no = said_no(rows, finding, asked.evidence, now)
    if no is not None and no.decided_at is not None:
        when = moment(no.decided_at)
        note += f"; {no.decided_by} said no to that at {when} (approval {no.id})"
        return {"note": note, "would_revoke": would}
    reason = storable(finding.title) or "the monitor wants this session revoked"
    approval = put_up(deps, rows, asked, decision, act={}, reason=reason, now=now, finding=finding)
    if approval is None:
        full = no_room(deps, rows, asked, now)
        if full and permits(deps, asked.approved()):
            note += f"; {full}"
        return {"note": note, "would_revoke": would}
    until = moment(approval.expires_at)
    note += f"; a person is asked, until {until} (approval {approval.id})"
    return {"note": note, "would_revoke": would, "approval_id": approval.id}
