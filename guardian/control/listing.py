"""The revocation list for one reach, from memory: the database is asked only for what was appended since."""

import gzip
from collections import OrderedDict
from threading import Lock
from typing import NamedTuple

from guardian.control.deps import ControlDeps
from guardian.domain.revocation import Revision
from guardian.revocation.ledger import order
from guardian.revocation.mirror import Mirror, Stand
from guardian.revocation.port import Rendered
from guardian.store.control import ControlRows

Reach = frozenset[str] | None

_CHUNK = 1000
_REMEMBERED = 256
_REMEMBERED_BYTES = 128 * 2**20


class Listing(NamedTuple):
    """`moved` is False when a delta has nothing to say; `delta` False: it is the whole list."""

    rendered: Rendered
    revision: Revision
    moved: bool
    delta: bool = False


class RevocationListings:
    """A whole list is put together once per reach and revision, a line once. Calls may come from any thread."""

    def __init__(self, deps: ControlDeps, *, longest_delta: int = 5000) -> None:
        self._deps, self._longest_delta = deps, longest_delta
        self._mirror = Mirror(deps.face)
        self._lock = Lock()
        self._wholes: OrderedDict[Reach, Listing] = OrderedDict()
        self._packing, self._packed = Lock(), dict[str, bytes]()
        self.rendered = self.gzipped = 0  # whole lists so far

    def catch_up(self) -> Revision:
        """Read what the ledger has and we have not; how far that is."""
        with self._lock, self._deps.store.read() as rows:
            return self._catch_up(rows)

    def reached(self, revision: Revision) -> bool:
        """Whether the ledger has come so far; without the database where that is known already."""
        at = self._mirror.at
        return (at is not None and order(revision) <= order(at)) or order(revision) <= order(self.catch_up())

    def full(self, reach: Reach) -> Listing:
        """Every live revocation."""
        with self._lock:
            with self._deps.store.read() as rows:
                self._catch_up(rows)
            return self._whole(reach)

    def since(self, reach: Reach, held: Revision) -> Listing:
        """What changed after `held`; the full list where no delta can be trusted to lead there.

        That is: another epoch, a revision that this ledger has not reached, or more changes than are worth it.
        """
        with self._lock:
            with self._deps.store.read() as rows:
                self._catch_up(rows)
                revision, changed_at = self._mirror.stand(reach)
                if held.epoch != revision.epoch or held.n > revision.n:
                    return self._whole(reach)
                lines = self._mirror.since(held.n, reach)
                if lines is None:  # longer ago than is remembered
                    entries = rows.ledger.since(held, reach, self._longest_delta + 1)
                    lines = [self._deps.face.line(entry) for entry in entries]
            if len(lines) > self._longest_delta:
                return self._whole(reach)
            rendered = self._deps.face.changes(lines, revision=revision, changed_at=changed_at)
            return Listing(rendered, revision, moved=bool(lines), delta=True)

    def packed(self, listing: Listing) -> bytes:
        """The body of a whole list, gzipped once."""
        with self._packing:
            etag = listing.rendered.etag
            known = self._packed.get(etag)
            if known is None:
                known = gzip.compress(listing.rendered.body, compresslevel=1, mtime=0)
                self.gzipped += 1
                with self._lock:
                    wanted = {each.rendered.etag for each in self._wholes.values()}
                self._packed = {tag: body for tag, body in self._packed.items() if tag in wanted} | {etag: known}
            return known

    def _catch_up(self, rows: ControlRows) -> Revision:
        """Both the lock and then the transaction are held, so that one look never undoes a later one's."""
        head, at = rows.head(), self._mirror.at
        if at is None or at.epoch != head.revision.epoch or at.n > head.revision.n:
            newest = rows.ledger.newest_of_each(head.revision.epoch)
            self._mirror.begin(Stand(head.revision, head.epoch_at, newest), rows.ledger.each_live(None))
            self._wholes.clear()
            return head.revision
        while at.n < head.revision.n:
            appended = rows.ledger.since(at, None, _CHUNK)
            at = self._mirror.follow(appended)
        return at

    def _whole(self, reach: Reach) -> Listing:
        revision, changed_at = self._mirror.stand(reach)
        known = self._wholes.get(reach)
        if known is not None and known.revision == revision:
            self._wholes.move_to_end(reach)
            return known
        self._wholes.pop(reach, None)
        rendered = self._deps.face.whole(self._mirror.live(reach), revision=revision, changed_at=changed_at)
        self.rendered += 1
        self._wholes[reach] = listing = Listing(rendered, revision, moved=True)
        while len(self._wholes) > 1 and self._too_much():
            self._wholes.popitem(last=False)
        return listing

    def _too_much(self) -> bool:
        held = sum(len(each.rendered.body) for each in self._wholes.values())
        return len(self._wholes) > _REMEMBERED or held > _REMEMBERED_BYTES
