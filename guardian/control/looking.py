"""One look at the ledger for all who wait for the same: a hundred gateways cost what one does."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any, TypeVar

from starlette.concurrency import run_in_threadpool

from guardian.control.bell import Bell
from guardian.control.deps import ControlDeps
from guardian.control.listing import Listing, RevocationListings
from guardian.control.wholes import Reach
from guardian.domain.revocation import Revision
from guardian.revocation import sse

_SHARED_S = 0.5  # another process may have written: its bell is not ours
_SIGNED = timedelta(seconds=5)  # gateways believe a signature for a minute, and a long list takes a while to sign
_KEPT = 512

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Signed:
    """A listing and the detached signature of its body; empty without a signing key."""

    listing: Listing
    signature: str


@dataclass(frozen=True, slots=True)
class _Landed:
    """What a look brought, and as of when."""

    rings: int
    at: float
    brought: Any


class SharedLooks:
    """What was asked and answered a moment ago, of the same state, is not worked out again.

    To be used from one event loop.
    """

    def __init__(self, deps: ControlDeps, listings: RevocationListings, bell: Bell) -> None:
        self._deps, self._listings, self._bell = deps, listings, bell
        self._flying: dict[Hashable, asyncio.Future[Any]] = {}
        self._landed: OrderedDict[Hashable, _Landed] = OrderedDict()
        self._wholes: dict[Reach, tuple[str, datetime, str]] = {}

    async def look(self, reach: Reach, held: Revision | None) -> Signed:
        """The whole list, or what changed after `held`."""
        key = ("look", reach, None if held is None else str(held))
        return await self._once(key, lambda: self._look(reach, held), keep=held is not None)

    async def fresh(self, reach: Reach, held: Revision) -> bytes:
        """The event that says that `held` is still the newest."""
        told = str(held)
        return await self._once(("fresh", reach, told), lambda: sse.fresh(held, self._sign(told.encode(), reach)))

    async def unchanged(self, reach: Reach, tag: str) -> str:
        """The signature of an entity tag, which stands for "nothing changed"."""
        return await self._once(("tag", reach, tag), lambda: self._sign(tag.encode(), reach))

    async def packed(self, listing: Listing) -> bytes:
        """The body of a whole list, gzipped."""
        return await self._once(
            ("packed", listing.rendered.etag), lambda: self._listings.packed(listing), keep=False
        )

    async def _once(self, key: Hashable, work: Callable[[], T], *, keep: bool = True) -> T:
        """`keep` False for what is long: whoever makes it keeps it as well."""
        loop, rings = asyncio.get_running_loop(), self._bell.rings
        key = (id(loop), key)
        known = self._landed.get(key)
        if known is not None and known.rings == rings and loop.time() - known.at < _SHARED_S:
            found: T = known.brought
            return found
        flying = self._flying.get((rings, key))
        if flying is None:
            flying = asyncio.ensure_future(run_in_threadpool(work))
            self._flying[rings, key] = flying
            flying.add_done_callback(partial(self._land, rings, key, loop.time(), keep))
        brought: T = await asyncio.shield(flying)
        return brought

    def _land(self, rings: int, key: Hashable, at: float, keep: bool, done: "asyncio.Future[Any]") -> None:
        self._flying.pop((rings, key), None)
        self._landed.pop(key, None)
        if keep and not done.cancelled() and done.exception() is None:
            self._landed[key] = _Landed(rings, at, done.result())
            while len(self._landed) > _KEPT:
                self._landed.popitem(last=False)

    def _look(self, reach: Reach, held: Revision | None) -> Signed:
        listing = self._listings.full(reach) if held is None else self._listings.since(reach, held)
        if not listing.delta:
            return Signed(listing, self._signed_whole(reach, listing))
        return Signed(listing, self._sign(listing.rendered.body, reach, held))

    def _signed_whole(self, reach: Reach, listing: Listing) -> str:
        etag, now = listing.rendered.etag, self._deps.clock()
        known = self._wholes.get(reach)
        if known is None or known[0] != etag or not timedelta(0) <= now - known[1] <= _SIGNED:
            known = (etag, now, self._sign(listing.rendered.body, reach))
            while len(self._wholes) >= _KEPT:
                self._wholes.pop(next(iter(self._wholes)), None)
            self._wholes[reach] = known
        return known[2]

    def _sign(self, payload: bytes, reach: Reach, since: Revision | None = None) -> str:
        signer = self._deps.signer
        return "" if signer is None else signer.sign(payload, reach=reach, now=self._deps.clock(), since=since)
