"""What is next for one receiver of the ledger, and how far it came."""

from collections.abc import Collection
from dataclasses import dataclass

from guardian.domain.revocation import LedgerEntry, Revision
from guardian.store.control.cursors import Cursor
from guardian.store.control.rows import ControlRows
from guardian.store.control.store import ControlStore

_BATCH = 200
_NOWHERE = Revision(epoch=0, n=0)


class Place:
    """One receiver's place in what it follows, kept under a name that several processes may share."""

    def __init__(self, store: ControlStore, name: str) -> None:
        self._store, self.name = store, name

    def keep(self, known: Cursor | None, at: Revision, brought: Revision) -> None:
        """The place is `at`. Where another pusher moved it from `known`, it is the lower of there and `brought`.

        `brought` is how the list stood that was sent here: at `at`, or when a begin began that is not over.
        """
        with self._store.write() as rows:
            stands = rows.cursors.get(self.name)
            if stands is not None and stands != known:
                at = min(stands.revision, brought)
            rows.cursors.put(Cursor(self.name, at))


@dataclass(frozen=True, slots=True)
class Begin:
    """The live set as it was at `revision`, brought up to the entry `after`. A restart begins it anew."""

    revision: Revision
    after: Revision


@dataclass(frozen=True, slots=True)
class Entries:
    """What of the ledger is next: with `begin` entries of the live set. `head` is how far the ledger had come,
    `at` how far the receiver. `last`: no other waits behind these."""

    head: Revision
    at: Cursor
    begin: Begin | None
    entries: tuple[LedgerEntry, ...]
    last: bool


@dataclass(slots=True)
class Came:
    """How far a step came, also where it fails: `begin` is one that is not over."""

    at: Revision
    begin: Begin | None

    @property
    def brought(self) -> Revision:
        return self.at if self.begin is None else self.begin.revision


def next_entries(rows: ControlRows, name: str, reach: Collection[str] | None, begun: Begin | None) -> Entries:
    """`begun`: how far the live set was brought before."""
    head, at = rows.head().revision, rows.cursors.get(name)
    if at is not None and at.revision.epoch == head.epoch:
        entries = tuple(rows.ledger.since(at.revision, reach, _BATCH))
        return Entries(head, at, None, entries, len(entries) < _BATCH)
    if begun is None or begun.revision.epoch != head.epoch:
        begun = Begin(head, after=_NOWHERE)
    live = rows.ledger.live(reach, after=begun.after, limit=_BATCH)
    entries = tuple(each for each in live if each.revision <= begun.revision)
    return Entries(head, at or Cursor(name, _NOWHERE), begun, entries, len(entries) < _BATCH)
