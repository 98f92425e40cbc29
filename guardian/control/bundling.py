"""The ledger as a bundle for one reach: made once per revision, also when a hundred ask at the same moment."""

from threading import Lock

from guardian.control.deps import ControlDeps
from guardian.control.listing import Reach
from guardian.domain.revocation import Revision
from guardian.revocation.ledger import order
from guardian.revocation.port import Rendered, Whole

_REMEMBERED = 64


class Bundles:
    """Calls may come from any thread; those about one ledger wait for each other, for a bundle is heavy work."""

    def __init__(self, deps: ControlDeps, face: Whole) -> None:
        self._deps, self._face = deps, face
        self._lock = Lock()
        self._known: dict[Reach, tuple[Revision, Rendered]] = {}

    def full(self, reach: Reach) -> Rendered:
        """Every live revocation within reach."""
        with self._lock, self._deps.store.read() as rows:
            head = rows.head()
            remembered = self._known.pop(reach, None)
            if remembered is None or remembered[0] != head.revision:
                start = Revision(epoch=head.revision.epoch, n=0)
                revision, changed_at = rows.ledger.newest(reach) or (start, head.epoch_at)
                if order(revision) < order(start):
                    revision, changed_at = start, head.epoch_at
                live = rows.ledger.live(reach)
                remembered = head.revision, self._face.snapshot(live, revision=revision, changed_at=changed_at)
            while len(self._known) >= _REMEMBERED:
                self._known.pop(next(iter(self._known)))
            self._known[reach] = remembered
            return remembered[1]
