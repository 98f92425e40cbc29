"""Who waits for the database's one writer: a few of each kind, so that a flood of one holds up no other."""

from asyncio import Semaphore

from guardian.wire.principal import Principal
from guardian.wire.visits import PEOPLE

_PEOPLE, _REVOCATIONS, _GATEWAYS, _OTHERS = 8, 4, 4, 4
"""Each waits for its turn in a thread, of which there are 40: the others are left to those that only read."""


class Writers:
    """Places of requests that write. Those of people, findings that ask for a revocation, gateways (whose calls
    wait meanwhile) and all else each queue for places of their own, in order: who has a place waits for the few
    others that have one, however many queue. All places take part in the same turns, so no kind starves either. A
    caller that waits for each answer, as monitors do, has its requests done in their order."""

    def __init__(self) -> None:
        self._people, self._revocations, self._gateways, self._others = map(
            Semaphore, (_PEOPLE, _REVOCATIONS, _GATEWAYS, _OTHERS)
        )

    def of(self, caller: Principal | None, *, revokes: bool = False) -> Semaphore:
        """The places of this caller's kind; `revokes`: of a finding that asks for it. None: it is not known."""
        if caller is not None and caller.role in PEOPLE:
            return self._people
        if caller is not None and caller.role == "gateway":
            return self._gateways
        return self._revocations if revokes else self._others
