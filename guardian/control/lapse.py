"""What has its time: revocations, approvals and break-glass grants end by an entry, never silently."""

from datetime import datetime

from guardian.control.approvals import expire
from guardian.control.deps import ControlDeps
from guardian.control.descendants import follow_above
from guardian.control.following import carried_on
from guardian.control.news import tell
from guardian.domain.session import HumanWord
from guardian.store.control import ControlRows
from guardian.wire.approvals import BreakGlassView

_BATCH = 1000


def lapse_overdue(deps: ControlDeps, rows: ControlRows, now: datetime) -> int:
    """Append a lapse for each overdue revocation, the oldest first. Returns how many.

    What followed from a session that was renewed since does not lapse. Another session below one that is still
    revoked follows that one from then on, if policy permits it; people hear only of a lapse that ends something.
    """
    lapsed = 0
    for entry in rows.ledger.overdue(now, _BATCH):
        if entry.subject_type == "session" and carried_on(deps, rows, entry, now):
            continue
        lapsed += 1
        rows.ledger.append(
            tenant_id=entry.tenant_id,
            session_id=entry.subject_id,
            subject_type=entry.subject_type,
            status="lapsed",
            reason_code="expired",
            reason="the revocation reached its expiry",
            actor="guardian",
            now=now,
            expires_at=entry.expires_at,
            finding_id=entry.finding_id,
        )
        if entry.subject_type != "session" or entry.reason_code == "self_test":
            continue
        if not follow_above(deps, rows, entry.tenant_id, entry.subject_id, now):
            rows.sessions.say(entry.tenant_id, entry.subject_id, HumanWord.LAPSED, now, human=False)
    return lapsed


def close_run_out(deps: ControlDeps, rows: ControlRows, now: datetime) -> int:
    """Record and tell the end of each break-glass grant whose time is over. Returns how many."""
    ended = rows.break_glass.close_run_out(now, _BATCH)
    for grant in ended:
        rows.audit.note(
            "endBreakGlass",
            at=now,
            tenant_id=grant.tenant_id,
            break_glass=grant.id,
            principal_id=grant.principal_id,
            result="ran out",
        )
        tell_end(deps, rows, grant, now)
    return len(ended)


def tell_end(deps: ControlDeps, rows: ControlRows, grant: BreakGlassView, now: datetime) -> None:
    """Everybody heard that glass was broken; now they hear that two people decide again."""
    how = "its time was over" if grant.ended_by == "guardian" else f"{grant.ended_by} ended it"
    tell(
        deps,
        rows,
        topic="break_glass",
        tenant_id=grant.tenant_id,
        title=f"Break-glass of {grant.principal_id} is over",
        detail=f"{grant.principal_id} acts with a second person again ({grant.id}): {how}. "
        "Review in the audit trail what was done under it.",
        severity="medium",
        once=f"{grant.id} ended",
        now=now,
    )


def sweep(deps: ControlDeps) -> int:
    """End what is due; called on a schedule. Returns how many revocations lapsed."""
    now = deps.clock()
    with deps.store.read() as rows:
        due = rows.ledger.overdue(now, 1), rows.approvals.overdue(now, 1), rows.break_glass.run_out(now, 1)
    if not any(due):
        return 0
    with deps.store.write() as rows:
        lapsed = lapse_overdue(deps, rows, now)
        for waiting in rows.approvals.overdue(now, _BATCH):
            expire(deps, rows, waiting, now)
        close_run_out(deps, rows, now)
    if lapsed:
        deps.metrics.add("guardian_revocations_total", lapsed, status="lapsed", reason="expired")
    return lapsed
