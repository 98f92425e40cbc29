"""The ledger as gateways are shown it, in memory: an entry is rendered once, however many ask and however often.

With a hundred thousand live revocations the next one costs one line, not a hundred thousand.
"""

from bisect import bisect_right
from collections import deque
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice

from guardian.domain.revocation import LedgerEntry, Revision
from guardian.revocation.port import Lines

Reach = Collection[str] | None
"""Tenants; None is every one."""

_Line = tuple[int, int, bytes]
"""Epoch, n and the rendered entry: in this order lines sort as the ledger does."""

_Live = dict[str, dict[tuple[str, str], _Line]]
"""By tenant, then by kind and id of the subject."""


@dataclass(frozen=True, slots=True)
class Stand:
    """Where a ledger stands: its newest revision, when its epoch began, and each tenant's newest entry in it."""

    revision: Revision
    epoch_at: datetime
    newest: Mapping[str, tuple[int, datetime]]


class Mirror:
    """What was read of the ledger so far. `keep` of the latest entries are there for deltas, none with 0.

    Not to be used from two threads at once.
    """

    def __init__(self, face: Lines, *, keep: int = 10_000) -> None:
        self._face, self._keep = face, keep
        self._live: _Live = {}
        self._newest: dict[str, tuple[int, datetime]] = {}
        self._recent: deque[tuple[int, str, bytes]] = deque(maxlen=keep)
        self._floor = 0  # deltas from this n on can be had
        self._at: Revision | None = None
        self._epoch_at: datetime | None = None

    @property
    def at(self) -> Revision | None:
        """Up to which entry it was read; None before the first time."""
        return self._at

    def begin(self, stand: Stand, live: Iterable[LedgerEntry]) -> None:
        """Start over: `live` is the whole live set at `stand`, in ledger order. If it fails nothing changed."""
        fresh: _Live = {}
        for entry in live:
            _put(fresh, entry, self._face.line(entry))
        self._live, self._recent = fresh, deque(maxlen=self._keep)
        self._newest = dict(stand.newest)
        self._floor, self._at, self._epoch_at = stand.revision.n, stand.revision, stand.epoch_at

    def follow(self, entries: Sequence[LedgerEntry]) -> Revision:
        """Take what was appended since, in order; where that leads. Raises ValueError for a gap."""
        at = self._at
        if at is None or not entries:
            raise ValueError(f"nothing follows {at}")
        for entry in entries:
            if (entry.revision.epoch, entry.revision.n) != (at.epoch, at.n + 1):
                raise ValueError(f"ledger entry {entry.revision} does not follow {at}")
            line = self._face.line(entry)
            _put(self._live, entry, line)
            if len(self._recent) == self._keep:
                self._floor = self._recent[0][0] if self._recent else entry.revision.n
            self._recent.append((entry.revision.n, entry.tenant_id, line))
            self._newest[entry.tenant_id] = (entry.revision.n, entry.at)
            self._at = at = entry.revision
        return at

    def stand(self, reach: Reach) -> tuple[Revision, datetime]:
        """The newest revision within reach, in the present epoch, and when that list changed last.

        Of this reach only: another tenant's revocations must neither show nor make this one's list change.
        """
        assert self._at is not None and self._epoch_at is not None  # noqa: S101, PT018 - `begin` comes first
        tenants = self._newest if reach is None else reach
        found = [self._newest[tenant] for tenant in tenants if tenant in self._newest]
        n, changed_at = max(found, default=(0, self._epoch_at))
        return Revision(epoch=self._at.epoch, n=n), changed_at

    def live(self, reach: Reach) -> list[bytes]:
        """A line for every live revocation within reach, in ledger order."""
        tenants = self._live if reach is None else reach
        lines = [line for tenant in tenants for line in self._live.get(tenant, {}).values()]
        return [line for _, _, line in sorted(lines)]

    def since(self, n: int, reach: Reach) -> list[bytes] | None:
        """The entries within reach after `n` of this epoch; None when memory does not go back so far."""
        if n < self._floor:
            return None
        begin = bisect_right(self._recent, n, key=lambda recent: recent[0])
        recent = islice(self._recent, begin, None)
        return [line for _, tenant, line in recent if reach is None or tenant in reach]


def _put(live: _Live, entry: LedgerEntry, line: bytes) -> None:
    held = live.setdefault(entry.tenant_id, {})
    key = (entry.subject_type, entry.subject_id)
    held.pop(key, None)  # a subject that is revoked anew moves to the end
    if entry.status == "revoked":
        held[key] = (entry.revision.epoch, entry.revision.n, line)
