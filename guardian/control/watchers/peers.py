"""Who follows the list, and who watches the topic: heard in memory, written down now and then.

A gateway that polls or streams says with every request what it holds; one that acknowledges says what it enforces.
Writing that down at once would make every revocation wait for a hundred gateways' word on the one before.
"""

from collections.abc import Container, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from threading import Lock

from guardian.domain.revocation import Revision
from guardian.store.control.peers import Peer, PeerRole, heard_again
from guardian.store.control.rows import ControlRows
from guardian.wire.principal import Principal

UNNAMED = "-"
_MOST = 1_000
"""Instances of one principal: their names are its own, so it may fill its own place and nobody else's."""

_Instances = dict[tuple[PeerRole, str], dict[str, Peer]]
"""(role, principal) → instance → what was heard of it."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """What people were told of one gateway: which of its processes it is about, of how many, and as which news."""

    instances: frozenset[str] = frozenset()
    told: int = 0
    once: str = ""


@dataclass
class Watched:
    """Troubles that people were told of and that last: of gateways by principal and state, and of unwatched calls.

    This process remembers them: after a restart they are told again under the same ids, which the store then
    knows. `measured` are the gateways whose lag the metrics show. Control was away until `since`: silence before
    that means nothing, and `before` it control last wrote or heard anything. The clock of the database's server
    is `apart` from this one, by more than a minute. People were told how `epoch` began, and in `turns`, by topic,
    are the news by which they know what is amiss with control itself.
    """

    gateways: dict[tuple[str, str], Trouble] = field(default_factory=dict)
    later: dict[str, Revision] = field(default_factory=dict)
    """What gateways hold that is of a later epoch than the ledger's; each is told with the next look."""
    gap: str | None = None
    gap_since: datetime | None = None
    measured: frozenset[str] = frozenset()
    since: datetime | None = None
    before: datetime | None = None
    apart: timedelta = timedelta(0)
    epoch: int | None = None
    turns: dict[str, str] = field(default_factory=dict)

    @contextmanager
    def once_committed(self) -> Iterator[None]:
        """Take back what was noted within if it fails: what a failed transaction told, nobody heard."""
        before = dict(self.gateways), self.gap, self.gap_since
        try:
            yield
        except BaseException:
            self.gateways, self.gap, self.gap_since = before
            raise


class PeersHeard:
    """Calls may come from any thread."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._heard: _Instances = {}
        self._dirty: set[tuple[PeerRole, str, str]] = set()
        self._left: _Instances = {}
        self._leaving: tuple[Peer, ...] = ()
        self._writing: dict[tuple[PeerRole, str, str], Peer] = {}
        self._stored: set[tuple[PeerRole, str, str]] = set()

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
        """It was heard of now. Beyond the bound new instances are not remembered."""
        fresh = Peer(role, principal.id, instance, principal.scope, revision, transport, now, now, lag_s)
        with self._lock:
            known = self._heard.get((role, principal.id), {}).get(instance)
            if _put(self._heard, heard_again(known, fresh)):
                self._dirty.add(fresh.key)

    def leave(self, role: PeerRole, principal: Principal, instance: str) -> None:
        """It said good-bye: its silence is no news."""
        with self._lock:
            nowhere, never = Revision(epoch=0, n=0), datetime.min
            gone = Peer(role, principal.id, instance, None, nowhere, "", never, never)
            self._drop(gone)
            _put(self._left, gone)

    def left(self, peer: Peer) -> bool:
        """Whether it said good-bye here, and that is not written down yet."""
        with self._lock:
            return peer.instance in self._left.get((peer.role, peer.principal_id), {})

    def settle(self, rows: ControlRows, now: datetime) -> None:
        """Write down what was heard since the last time, in the caller's transaction."""
        with self._lock:
            self._leaving = tuple(each for mine in self._left.values() for each in mine.values())
            self._writing = {key: self._heard[key[:2]][key[2]] for key in sorted(self._dirty)}
        rows.peers.forget(self._leaving)
        rows.peers.put([*self._writing.values()], now)

    def settled(self) -> None:
        """What `settle` wrote down is committed."""
        with self._lock:
            for key, written in self._writing.items():
                heard = self._heard.get(key[:2], {}).get(key[2])
                if heard is not None:
                    self._stored.add(key)
                if heard is written:  # else it was heard of again meanwhile
                    self._dirty.discard(key)
            for each in self._leaving:
                _take(self._left, each)

    @property
    def unsettled(self) -> bool:
        with self._lock:
            return bool(self._dirty or self._left)

    def heard(self, role: PeerRole) -> list[Peer]:
        """As this process heard it, newer than what is stored."""
        with self._lock:
            heard = [mine for (of, _), mine in self._heard.items() if of == role]
            return [each for mine in heard for each in mine.values()]

    def keep(self, role: PeerRole, stored: Container[tuple[PeerRole, str, str]]) -> None:
        """Forget peers that were stored and are not any more: they said good-bye to another process."""
        for each in self.heard(role):
            with self._lock:
                if each.key in stored:
                    self._stored.add(each.key)
                elif each.key in self._stored:
                    self._drop(each)

    def forget(self, gone: Peer) -> None:
        with self._lock:
            self._drop(gone)

    def _drop(self, gone: Peer) -> None:
        self._dirty.discard(gone.key)
        self._stored.discard(gone.key)
        _take(self._heard, gone)


def _take(out_of: _Instances, gone: Peer) -> None:
    mine = out_of.get((gone.role, gone.principal_id), {})
    mine.pop(gone.instance, None)
    if not mine:
        out_of.pop((gone.role, gone.principal_id), None)


def _put(into: _Instances, fresh: Peer) -> bool:
    """False where its principal has no room left."""
    mine = into.setdefault((fresh.role, fresh.principal_id), {})
    room = fresh.instance in mine or len(mine) < _MOST
    if room:
        mine[fresh.instance] = fresh
    return room
