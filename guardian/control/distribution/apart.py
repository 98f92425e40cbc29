"""Tenants that a receiver has left to receivers of their own, so that they hold up no other."""

from collections.abc import Iterator

from guardian.control.deps import ControlDeps
from guardian.domain.revocation import Revision
from guardian.revocation.port import Receiver, Separable
from guardian.store.control.cursors import Cursor

_LOOK_S = 60.0


class Partings:
    """That a tenant was left is kept, so that a restart, and other processes, go on so."""

    def __init__(self, deps: ControlDeps, receiver: Receiver) -> None:
        self._deps, self._receiver = deps, receiver
        self._here = set[str]()
        self._looks_at: float | None = None  # when next, on the stopwatch

    def found(self) -> Iterator[Receiver]:
        """Those that were left before a restart, and now and then those that another process left: it may be gone
        for good."""
        now, receiver = self._deps.stopwatch(), self._receiver
        if self._looks_at is not None and now < self._looks_at:
            return
        if isinstance(receiver, Separable):
            parts = receiver.parts()
            with self._deps.store.read() as rows:
                left = [told for name, told in parts.items() if name not in self._here and rows.cursors.get(name)]
            for tenant_id in left:
                yield self._passed_over(tenant_id, receiver.apart(tenant_id))
        self._looks_at = now + _LOOK_S

    def leave(self, tenant_id: str) -> Receiver:
        """For good, to one that begins the tenant's list anew. That is kept before this receiver's place goes on,
        and before it passes the tenant over."""
        assert isinstance(self._receiver, Separable)  # noqa: S101 - no other raises Apart
        part = self._receiver.apart(tenant_id)
        with self._deps.store.write() as rows:
            rows.cursors.put(Cursor(part.name, Revision(epoch=0, n=0)))
        return self._passed_over(tenant_id, part)

    def _passed_over(self, tenant_id: str, part: Receiver) -> Receiver:
        assert isinstance(self._receiver, Separable)  # noqa: S101
        self._here.add(part.name)
        self._receiver.leave(tenant_id)
        return part
