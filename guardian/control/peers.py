"""Who follows the list, and who watches the topic: heard in memory, written down now and then.

A gateway that polls or streams says with every request what it holds; one that acknowledges says what it enforces.
Writing that down at once would make every revocation wait for a hundred gateways' word on the one before.
"""

from dataclasses import dataclass, field
from datetime import datetime
from threading import Lock

from guardian.domain.revocation import Revision
from guardian.store.control import ControlRows
from guardian.store.control_peers import Peer, PeerRole, heard_again
from guardian.wire.principal import Principal

UNNAMED = "-"
_MOST = 10_000


@dataclass
class Watched:
    """What people were told of and is not over yet, by what it is about.

    Of this process: after a restart it is told again under the same id, which the store then knows.
    """

    open: dict[str, str] = field(default_factory=dict)
    gap_since: datetime | None = None


class PeersHeard:
    """Calls may come from any thread."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._heard: dict[tuple[str, str, str], Peer] = {}
        self._dirty: set[tuple[str, str, str]] = set()
        self._left: list[Peer] = []

    def note(
        self,
        role: PeerRole,
        principal: Principal,
        instance: str,
        *,
        revision: Revision,
        transport: str,
        now: datetime,
        lag_s: int = 0,
    ) -> None:
        """It was heard of now. Beyond a bound new instances are not remembered: their names are the caller's."""
        fresh = Peer(role, principal.id, instance, principal.scope, revision, transport, now, now, lag_s)
        with self._lock:
            known = self._heard.get(fresh.key)
            if known is None and len(self._heard) >= _MOST:
                return
            self._heard[fresh.key] = heard_again(known, fresh)
            self._dirty.add(fresh.key)

    def leave(self, role: PeerRole, principal: Principal, instance: str) -> None:
        """It said good-bye: its silence is no news."""
        with self._lock:
            gone = self._heard.pop((role, principal.id, instance), None)
            self._dirty.discard((role, principal.id, instance))
            nowhere = Revision(epoch=0, n=0)
            never = datetime.min
            self._left.append(gone or Peer(role, principal.id, instance, None, nowhere, "", never, never))

    def settle(self, rows: ControlRows) -> None:
        """Write down what was heard since the last time, in the caller's transaction."""
        with self._lock:
            fresh = [self._heard[key] for key in sorted(self._dirty)]
            left, self._left = self._left, []
            self._dirty.clear()
        rows.peers.forget(left)
        rows.peers.put(fresh)

    @property
    def unsettled(self) -> bool:
        with self._lock:
            return bool(self._dirty or self._left)

    def heard(self, role: PeerRole) -> list[Peer]:
        """As this process heard it, newer than what is stored."""
        with self._lock:
            return [each for each in self._heard.values() if each.role == role]

    def forget(self, gone: Peer) -> None:
        with self._lock:
            self._heard.pop(gone.key, None)
            self._dirty.discard(gone.key)
