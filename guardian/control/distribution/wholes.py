"""Whole lists for every reach, from memory: the database is asked only for what was appended since."""

from collections import OrderedDict
from collections.abc import Sequence
from datetime import datetime
from threading import Lock

from guardian.control.authority.asking import Reach
from guardian.control.deps import ControlDeps
from guardian.domain.revocation import Revision
from guardian.revocation.mirror import Mirror, Stand
from guardian.revocation.port import Lines, Rendered
from guardian.store.control.rows import ControlRows

_CHUNK = 1000
_REMEMBERED = 256
_REMEMBERED_BYTES = 128 * 2**20


class _Whole:
    """One list. The first caller that needs it renders it; only callers that want the same list wait for that."""

    def __init__(self, lines: Sequence[bytes], revision: Revision, changed_at: datetime, reach: Reach) -> None:
        self.revision = revision
        self.rendered: Rendered | None = None
        self._lines, self._changed_at, self._reach = lines, changed_at, reach
        self._making = Lock()

    def render(self, face: Lines) -> Rendered:
        with self._making:
            if self.rendered is None:
                self.rendered = face.whole(
                    self._lines, revision=self.revision, changed_at=self._changed_at, reach=self._reach
                )
                self._lines = ()
            return self.rendered


class WholeLists:
    """Puts each list together once per reach and revision, and each line once. Calls may come from any thread.

    The latest lists are kept, as many as fit the bounds.
    """

    def __init__(self, deps: ControlDeps, face: Lines, *, keep: int = 0) -> None:
        self._deps, self._face = deps, face
        self._mirror = Mirror(face, keep=keep)
        self._lock = Lock()  # of the mirror and what is known; nothing is rendered under it
        self._known: OrderedDict[Reach, _Whole] = OrderedDict()

    @property
    def at(self) -> Revision | None:
        """How far the ledger was read; None before the first time."""
        return self._mirror.at

    def catch_up(self) -> Revision:
        """Read what is new in the ledger. Returns how far it goes."""
        with self._lock, self._deps.store.read() as rows:
            return self._catch_up(rows)

    def whole(self, reach: Reach) -> tuple[Revision, Rendered]:
        """Every live revocation."""
        with self._lock:
            with self._deps.store.read() as rows:
                self._catch_up(rows)
            wanted = self._wanted(reach)
        return self._rendered(wanted)

    def _catch_up(self, rows: ControlRows) -> Revision:
        """The caller took the lock before its transaction began: no look undoes what a later one saw."""
        head, at = rows.head(), self._mirror.at
        if at is None or at.epoch != head.revision.epoch or at.n > head.revision.n:
            newest = rows.ledger.newest_of_each(head.revision.epoch)
            self._known.clear()
            self._mirror.begin(Stand(head.revision, head.epoch_at, newest), rows.ledger.each_live())
            return head.revision
        while at.n < head.revision.n:
            at = self._mirror.follow(rows.ledger.since(at, None, _CHUNK))
        return at

    def _wanted(self, reach: Reach) -> _Whole:
        """The caller holds the lock: the list is as of one revision, and a later look gets no older one."""
        revision, changed_at = self._mirror.stand(reach)
        known = self._known.pop(reach, None)
        if known is None or known.revision != revision:
            known = _Whole(self._mirror.live(reach), revision, changed_at, reach)
        self._known[reach] = known
        return known

    def _rendered(self, wanted: _Whole) -> tuple[Revision, Rendered]:
        """The caller does not hold the lock: one tenant's long list holds up nobody else."""
        rendered = wanted.render(self._face)
        with self._lock:
            while len(self._known) > 1 and self._too_much():
                self._known.popitem(last=False)
        return wanted.revision, rendered

    def _too_much(self) -> bool:
        return len(self._known) > _REMEMBERED or sum(len(each.body) for each in self._kept()) > _REMEMBERED_BYTES

    def _kept(self) -> list[Rendered]:
        return [whole.rendered for whole in self._known.values() if whole.rendered is not None]
