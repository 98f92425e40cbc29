"""What guardian does to the ledger without asking policy is in the audit trail as well, entry by entry.

The ledger is no part of the hash chain: an entry that somebody else put there is one that no record names.
"""

from datetime import datetime

from guardian.domain.revocation import LedgerEntry, LedgerStatus, ReasonCode, SubjectType
from guardian.store.control.rows import ControlRows

_ACTIONS = {"expired": "lapse", "renewed": "renew", "parent_reinstated": "giveBack", "self_test": "selfTest"}


def by_itself(
    rows: ControlRows,
    *,
    tenant_id: str,
    subject_id: str,
    status: LedgerStatus,
    reason_code: ReasonCode,
    reason: str,
    now: datetime,
    expires_at: datetime,
    actor: str = "guardian",
    finding_id: str | None = None,
    subject_type: SubjectType = "session",
    cause: str | None = None,
) -> LedgerEntry:
    """Append an entry that guardian makes, and write down that it did, in one transaction."""
    entry = rows.ledger.append(
        tenant_id=tenant_id,
        subject_id=subject_id,
        subject_type=subject_type,
        status=status,
        reason_code=reason_code,
        reason=reason,
        actor=actor,
        now=now,
        expires_at=expires_at,
        finding_id=finding_id,
        cause=cause,
    )
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
