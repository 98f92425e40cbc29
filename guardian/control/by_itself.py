"""What guardian does to the ledger without asking policy is in the audit trail as well, entry by entry.

The ledger is no part of the hash chain: an entry that somebody else put there is one that no record names.
"""

from guardian.domain.revocation import LedgerEntry
from guardian.store.control.rows import ControlRows

_ACTIONS = {"expired": "lapse", "renewed": "renew", "parent_reinstated": "giveBack", "self_test": "selfTest"}


def by_itself(rows: ControlRows, entry: LedgerEntry) -> LedgerEntry:
    """Write down that guardian made `entry`, in the transaction that made it."""
    session = {"session_id": entry.subject_id} if entry.subject_type == "session" else {}
    rows.audit.note(
        _ACTIONS[entry.reason_code],
        at=entry.at,
        actor=entry.actor,
        tenant_id=entry.tenant_id,
        subject_type=entry.subject_type,
        subject_id=entry.subject_id,
        **session,
        revision=str(entry.revision),
        cause=entry.cause,
        finding_id=entry.finding_id,
        reason=entry.reason,
        until=entry.expires_at.isoformat(),
        result=entry.status,
    )
    return entry
