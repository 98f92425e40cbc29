"""Revocations whose time is over: they leave the list by a ledger entry, never silently."""

from datetime import datetime

from guardian.control.deps import ControlDeps
from guardian.domain.session import HumanWord
from guardian.store.control import ControlRows

_BATCH = 1000


def lapse_overdue(rows: ControlRows, now: datetime) -> int:
    """Append a lapse for each overdue revocation, the oldest first. Returns how many."""
    overdue = rows.ledger.overdue(now, _BATCH)
    for entry in overdue:
        rows.ledger.append(
            tenant_id=entry.tenant_id,
            session_id=entry.subject_id,
            status="lapsed",
            reason_code="expired",
            reason="the revocation reached its expiry",
            actor="guardian",
            now=now,
            expires_at=entry.expires_at,
            finding_id=entry.finding_id,
        )
        rows.sessions.say(entry.tenant_id, entry.subject_id, HumanWord.LAPSED, now, human=False)
    return len(overdue)


def sweep(deps: ControlDeps) -> int:
    """Lapse what is due; called on a schedule. Returns how many lapsed."""
    now = deps.clock()
    with deps.store.read() as rows:
        due = rows.ledger.overdue(now, 1)
    if not due:
        return 0
    with deps.store.write() as rows:
        lapsed = lapse_overdue(rows, now)
    if lapsed:
        deps.metrics.add("guardian_revocations_total", lapsed, status="lapsed", reason="expired")
    return lapsed
