"""The model of the revocation ledger: entries in, what holds out."""

from collections.abc import Sequence
from itertools import pairwise

from guardian.domain.revocation import LedgerEntry


def replay(entries: Sequence[LedgerEntry]) -> dict[tuple[str, str, str], LedgerEntry]:
    """What is revoked, by tenant, type and id: the latest word on each, of entries that come in their order."""
    assert all(one.revision < next_.revision for one, next_ in pairwise(entries))
    latest = {(entry.tenant_id, entry.subject_type, entry.subject_id): entry for entry in entries}
    return {subject: entry for subject, entry in latest.items() if entry.status == "revoked"}
