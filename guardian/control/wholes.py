"""Whole lists for every reach, from memory: the database is asked only for what was appended since."""

from collections import OrderedDict
from threading import Lock

from guardian.control.deps import ControlDeps
from guardian.domain.revocation import Revision
from guardian.revocation.mirror import Mirror, Stand
from guardian.revocation.port import Lines, Rendered
from guardian.store.control import ControlRows

Reach = frozenset[str] | None

_CHUNK = 1000
_REMEMBERED = 256
_REMEMBERED_BYTES = 128 * 2**20


class WholeLists:
    """A list is put together once per reach and revision, a line once. Calls may come from any thread.

    Of the latest lists so many are kept as fit the bounds.
    """

    def __init__(self, deps: ControlDeps, face: Lines, *, late: int = 0) -> None:
        self._deps, self._face = deps, face
        self._mirror = Mirror(face, keep=late)
        self._lock = Lock()
        self._known: OrderedDict[Reach, tuple[Revision, Rendered]] = OrderedDict()
        self.rendered = 0  # so far

    @property
    def at(self) -> Revision | None:
        """How far the ledger was read; None before the first time."""
        return self._mirror.at

    def catch_up(self) -> Revision:
        """Read what the ledger has and we have not; how far that is."""
        with self._lock, self._deps.store.read() as rows:
            return self._catch_up(rows)

    def whole(self, reach: Reach) -> tuple[Revision, Rendered]:
        """Every live revocation."""
        with self._lock:
            with self._deps.store.read() as rows:
                self._catch_up(rows)
            return self._whole(reach)

    def _catch_up(self, rows: ControlRows) -> Revision:
        """The lock is held, and was before the transaction began: no look undoes what a later one saw."""
        head, at = rows.head(), self._mirror.at
        if at is None or at.epoch != head.revision.epoch or at.n > head.revision.n:
            newest = rows.ledger.newest_of_each(head.revision.epoch)
            self._mirror.begin(Stand(head.revision, head.epoch_at, newest), rows.ledger.each_live(None))
            self._known.clear()
            return head.revision
        while at.n < head.revision.n:
            at = self._mirror.follow(rows.ledger.since(at, None, _CHUNK))
        return at

    def _whole(self, reach: Reach) -> tuple[Revision, Rendered]:
        revision, changed_at = self._mirror.stand(reach)
        known = self._known.pop(reach, None)
        if known is None or known[0] != revision:
            lines = self._mirror.live(reach)
            known = revision, self._face.whole(lines, revision=revision, changed_at=changed_at)
            self.rendered += 1
        self._known[reach] = known
        while len(self._known) > 1 and self._too_much():
            self._known.popitem(last=False)
        return known

    def _too_much(self) -> bool:
        held = sum(len(rendered.body) for _, rendered in self._known.values())
        return len(self._known) > _REMEMBERED or held > _REMEMBERED_BYTES
