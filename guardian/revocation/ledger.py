"""The pure rules of the ledger: entries in, the live set out."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from guardian.domain.revocation import LedgerEntry, Revision


class Subject(NamedTuple):
    """What can be revoked."""

    tenant_id: str
    type: str
    id: str


_LARGEST = 2**53

LiveSet = Mapping[Subject, LedgerEntry]


def subject(entry: LedgerEntry) -> Subject:
    return Subject(entry.tenant_id, entry.subject_type, entry.subject_id)


def order(revision: Revision) -> tuple[int, int]:
    """Revisions compare by epoch first: a new epoch is later than anything in an old one."""
    return revision.epoch, revision.n


def parse_revision(text: str) -> Revision:
    """ "EPOCH.N". Raises ValueError for anything else."""
    epoch, dot, n = text.partition(".")
    plain = dot and epoch.isascii() and n.isascii() and epoch.isdigit() and n.isdigit()
    if not plain or len(text) > 38:
        raise ValueError(f"a revision is written EPOCH.N, got {text[:40]!r}")
    revision = Revision(epoch=int(epoch), n=int(n))
    if max(revision.epoch, revision.n) > _LARGEST:
        raise ValueError(f"revision {text} is beyond any ledger")
    return revision


def replay(live: LiveSet, entries: Iterable[LedgerEntry]) -> LiveSet:
    """Apply entries in their order. The latest word on a subject holds; reinstated and lapsed remove it.

    An entry that is not newer than what is held about its subject is ignored, so that entries that arrive
    twice change nothing. Raises ValueError when the entries themselves do not strictly increase.
    """
    result = dict(live)
    last: tuple[int, int] | None = None
    for entry in entries:
        at = order(entry.revision)
        if last is not None and at <= last:
            raise ValueError(f"ledger entry {entry.revision} follows {last[0]}.{last[1]}: the order is broken")
        last = at
        held = result.get(subject(entry))
        if held is not None and at <= order(held.revision):
            continue
        if entry.status == "revoked":
            result[subject(entry)] = entry
        else:
            result.pop(subject(entry), None)
    return result


def newest(entries: Iterable[LedgerEntry], epoch: int) -> Revision:
    """The revision that a list of these entries stands at, in the present epoch."""
    return max((entry.revision for entry in entries), key=order, default=Revision(epoch=epoch, n=0))
