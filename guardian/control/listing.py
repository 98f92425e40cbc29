"""The revocation list for one reach: rendered once per change, then answered from memory."""

from datetime import datetime
from threading import Lock
from typing import NamedTuple

from guardian.control.deps import ControlDeps
from guardian.domain.revocation import Revision
from guardian.revocation.ledger import order
from guardian.revocation.port import Rendered, Whole
from guardian.store.control import ControlRows
from guardian.store.control_head import Head

Reach = frozenset[str] | None

_REMEMBERED = 256


class Listing(NamedTuple):
    """`moved` is False when a delta has nothing to say; `delta` False: it is the whole list."""

    rendered: Rendered
    revision: Revision
    moved: bool
    delta: bool = False


class RevocationListings:
    """Snapshots are remembered per reach; a changed head makes them stale."""

    def __init__(self, deps: ControlDeps, *, face: Whole | None = None, longest_delta: int = 5000) -> None:
        self._deps = deps
        self._face = face or deps.face
        self._longest_delta = longest_delta
        self._lock = Lock()
        self._known: dict[Reach, tuple[Revision, Listing]] = {}

    def full(self, reach: Reach) -> Listing:
        """Every live revocation."""
        with self._deps.store.read() as rows:
            return self._full(rows, reach, rows.head())

    def since(self, reach: Reach, held: Revision) -> Listing:
        """What changed after `held`; the full list where no delta can be trusted to lead there.

        That is: another epoch, a revision that this ledger has not reached, or more changes than are worth it.
        """
        with self._deps.store.read() as rows:
            head = rows.head()
            revision, changed_at = _stand(rows, reach, head)
            if held.epoch != head.revision.epoch or held.n > revision.n:
                return self._full(rows, reach, head)
            entries = rows.ledger.since(held, reach, self._longest_delta + 1)
            if len(entries) > self._longest_delta:
                return self._full(rows, reach, head)
        rendered = self._deps.face.delta(entries, revision=revision, changed_at=changed_at)
        return Listing(rendered, revision, moved=bool(entries), delta=True)

    def _full(self, rows: ControlRows, reach: Reach, head: Head) -> Listing:
        with self._lock:
            remembered = self._known.get(reach)
        if remembered is not None and remembered[0] == head.revision:
            return remembered[1]
        revision, changed_at = _stand(rows, reach, head)
        rendered = self._face.snapshot(rows.ledger.live(reach), revision=revision, changed_at=changed_at)
        listing = Listing(rendered, revision, moved=True)
        with self._lock:
            while len(self._known) >= _REMEMBERED:
                self._known.pop(next(iter(self._known)))
            self._known[reach] = (head.revision, listing)
        return listing


def _stand(rows: ControlRows, reach: Reach, head: Head) -> tuple[Revision, datetime]:
    """The newest revision within reach, lifted into the present epoch, and when the list changed last.

    Of this reach only: another tenant's revocations must neither show nor make this one's list change.
    """
    newest = rows.ledger.newest(reach)
    start = Revision(epoch=head.revision.epoch, n=0)
    if newest is None or order(newest[0]) < order(start):
        return start, head.epoch_at
    return newest
