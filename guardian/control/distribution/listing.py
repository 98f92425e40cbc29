"""The revocation list for one reach as gateways poll it: whole, or what changed since a revision."""

import gzip
from threading import Lock
from typing import NamedTuple

from guardian.control.authority.asking import Reach
from guardian.control.deps import ControlDeps
from guardian.control.distribution.wholes import WholeLists
from guardian.domain.revocation import Revision
from guardian.revocation.port import Rendered

_RECENT = 10_000


class Listing(NamedTuple):
    """`moved` is False when a delta has nothing to say; `delta` False: it is the whole list."""

    rendered: Rendered
    revision: Revision
    moved: bool
    delta: bool = False


class RevocationListings(WholeLists):
    """Deltas come from memory too, unless they begin too long ago."""

    def __init__(self, deps: ControlDeps, *, longest_delta: int = 5000) -> None:
        super().__init__(deps, deps.face, keep=max(_RECENT, longest_delta))
        self._longest_delta = longest_delta
        self._packing, self._packed = Lock(), dict[str, bytes]()

    def reached(self, revision: Revision, reach: Reach) -> bool:
        """Whether the list of this reach has come to this revision. The database is asked only if memory cannot
        tell."""
        with self._lock:
            if self._mirror.at is not None and revision <= self._mirror.stand(reach)[0]:
                return True
            with self._deps.store.read() as rows:
                self._catch_up(rows)
            return revision <= self._mirror.stand(reach)[0]

    def full(self, reach: Reach) -> Listing:
        """Every live revocation."""
        revision, rendered = self.whole(reach)
        return Listing(rendered, revision, moved=True)

    def since(self, reach: Reach, held: Revision) -> Listing:
        """What changed after `held`; the full list where no delta can be trusted to lead there.

        That is: another epoch, a revision that this ledger has not reached, or more changes than are worth it.
        """
        face = self._deps.face
        with self._lock:
            with self._deps.store.read() as rows:
                self._catch_up(rows)
                revision, changed_at = self._mirror.stand(reach)
                known = held.epoch == revision.epoch and held.n <= revision.n
                lines = self._mirror.since(held.n, reach) if known else []
                if lines is None:  # longer ago than is remembered
                    entries = rows.ledger.since(held, reach, self._longest_delta + 1)
                    lines = [face.line(entry) for entry in entries]
            delta = known and len(lines) <= self._longest_delta
            wanted = None if delta else self._wanted(reach)
        if wanted is not None:
            revision, rendered = self._rendered(wanted)
            return Listing(rendered, revision, moved=True)
        rendered = face.changes(lines, revision=revision, changed_at=changed_at)
        return Listing(rendered, revision, moved=bool(lines), delta=True)

    def packed(self, listing: Listing) -> bytes:
        """The body of a whole list, gzipped once."""
        etag = listing.rendered.etag
        with self._packing:
            known = self._packed.get(etag)
            if known is None:
                known = gzip.compress(listing.rendered.body, compresslevel=1, mtime=0)
                with self._lock:
                    wanted = {rendered.etag for rendered in self._kept()}
                self._packed = {tag: body for tag, body in self._packed.items() if tag in wanted} | {etag: known}
            return known
