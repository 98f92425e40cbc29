"""What only tests ask of the control database: all there is of a kind, and whether the trail holds."""

import json
from collections import Counter

from sqlalchemy import func, select

from guardian.audit.verify import verify_trail
from guardian.domain.revocation import LedgerEntry, Revision
from guardian.store.control.rows import ControlRows
from guardian.store.control.tables import delivery

_ALL = 1_000_000


def ledger_entries(rows: ControlRows) -> list[LedgerEntry]:
    """The whole ledger in order."""
    epochs = range(1, rows.head().revision.epoch + 1)
    return [entry for epoch in epochs for entry in rows.ledger.since(Revision(epoch=epoch, n=0), None, _ALL)]


def first_bad(rows: ControlRows) -> int | None:
    """The first entry of the audit trail that is not as it was written; None when the trail holds."""
    return verify_trail(rows.audit.raw(), rows.audit.end()).first_bad


def not_made_once(rows: ControlRows) -> list[str]:
    """Revisions of the ledger that no audit record says it made, or several do, and ones that the ledger lacks."""
    records = [json.loads(entry.record) for entry in rows.audit.entries()]
    made = Counter(each["revision"] for each in records if each.get("revision") and each["result"] != "unchanged")
    made.subtract(str(entry.revision) for entry in ledger_entries(rows))
    return sorted(revision for revision, times in made.items() if times)


def alert_states(rows: ControlRows) -> dict[str, int]:
    """How many alerts are in which state, those of every channel together."""
    counted = rows.connection.execute(select(delivery.c.state, func.count()).group_by(delivery.c.state))
    return {state: int(count) for state, count in counted}
