"""Revocations, approvals and break-glass grants run out: each ends by an entry, never silently."""

import time
from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial

from guardian.control.deps import ControlDeps
from guardian.control.people.approvals import end_if_over
from guardian.control.people.overtaking import over
from guardian.control.revocations.by_itself import by_itself
from guardian.control.revocations.descendants import follow_lapsed
from guardian.control.revocations.following import LONGEST_S, carried_on
from guardian.control.telling.news import tell
from guardian.domain.revocation import LedgerEntry
from guardian.store.control.rows import ControlRows
from guardian.store.turns import Rest, in_turn
from guardian.wire.approvals import BreakGlassView

_BATCH = 50  # in one transaction, for which every write waits
_LOT = 10  # of them before it looks at the time
_AHEAD = timedelta(minutes=5)


def lapse_overdue(deps: ControlDeps, rows: ControlRows, now: datetime) -> int:
    """Append a lapse for each revocation that is surely overdue, the oldest first. Returns how many of them it
    came to.

    What followed from a session that was renewed since does not lapse. Another session below one that is still
    revoked follows that one from then on, if policy permits it.
    """
    now = deps.sure(now)
    over, looked, ends = rows.ledger.overdue(now, _BATCH), 0, deps.stopwatch() + LONGEST_S
    while looked < len(over) and deps.stopwatch() <= ends:
        lot = over[looked : looked + _LOT]
        looked += len(lot)
        _lapse(deps, rows, lot, now)
    return looked


def _lapse(deps: ControlDeps, rows: ControlRows, over: Sequence[LedgerEntry], now: datetime) -> None:
    ended = [each for each in over if each.subject_type != "session" or not carried_on(deps, rows, each, now)]
    for entry in ended:
        by_itself(
            rows,
            tenant_id=entry.tenant_id,
            subject_id=entry.subject_id,
            subject_type=entry.subject_type,
            status="lapsed",
            reason_code="expired",
            reason="the revocation reached its expiry",
            now=now,
            expires_at=entry.expires_at,
            finding_id=entry.finding_id,
        )
    sessions = (each for each in ended if each.subject_type == "session" and each.reason_code != "self_test")
    follow_lapsed(deps, rows, sessions, now)
    counted = sum(each.reason_code != "self_test" for each in ended)
    if counted:
        deps.metrics.add("guardian_revocations_total", counted, status="lapsed", reason="expired")


def close_run_out(deps: ControlDeps, rows: ControlRows, now: datetime) -> int:
    """Record and tell the end of each break-glass grant whose time is surely over. Returns how many."""
    ended = rows.break_glass.close_run_out(deps.sure(now), _BATCH)
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
        about=grant.id,
    )


def sweep(deps: ControlDeps, rest: Rest = time.sleep) -> int:
    """End what is due, some in a transaction; called on a schedule. Returns how much there was to look at."""
    return in_turn(partial(_end_some, deps), 1, rest) + _end_requests(deps, rest)


def _end_some(deps: ControlDeps) -> int:
    now = deps.clock()
    sure, soon = deps.sure(now), now + _AHEAD
    with deps.store.read() as rows:
        due = rows.ledger.overdue(sure, 1), rows.break_glass.run_out(sure, 1)
        if not any((*due, rows.ledger.outlived(sure, soon, 1))):
            return 0
    with deps.store.write() as rows:
        # before they end, or every gateway would let them act until the next sweep
        carried = [carried_on(deps, rows, each, now) for each in rows.ledger.outlived(sure, soon, _BATCH)]
        looked = lapse_overdue(deps, rows, now)
        ended = close_run_out(deps, rows, now)
    return sum(carried) + looked + ended


def _end_requests(deps: ControlDeps, rest: Rest) -> int:
    """End those that wait for a second person and are over. Only where there is one does any write wait."""
    after = 0

    def look() -> int:
        nonlocal after
        now = deps.clock()
        with deps.store.read() as rows:
            waiting = rows.approvals.oldest(_BATCH, after=after)
            due = [each for each in waiting if over(rows, each, deps.sure(now)) is not None]
        if due:
            with deps.store.write() as rows:
                for each in due:
                    end_if_over(deps, rows, each, now)
        after = waiting[-1].seq if waiting else after
        return len(waiting)

    return in_turn(look, _BATCH, rest)
