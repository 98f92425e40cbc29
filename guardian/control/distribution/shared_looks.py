"""One look at the ledger for all who wait for the same: a hundred gateways cost what one does."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from threading import Lock
from typing import Any, NamedTuple, TypeVar

from starlette.concurrency import run_in_threadpool

from guardian.control.authority.asking import Reach
from guardian.control.deps import ControlDeps
from guardian.control.distribution.bell import Bell
from guardian.control.distribution.listing import Listing, RevocationListings
from guardian.control.distribution.wholes import WholeLists
from guardian.domain.revocation import Revision
from guardian.keys.signing import KeySet
from guardian.revocation import sse
from guardian.revocation.port import Rendered

_SHARED_S = 0.5  # another process may have written: its bell is not ours
_SIGNED = timedelta(seconds=5)  # gateways believe a signature for a minute, and a long list takes a while to sign
_KEPT = 512
_KEPT_BYTES = 64 * 1024

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Signed:
    """A listing and the detached signature of its body; empty without a signing key."""

    listing: Listing
    signature: str


class _SignedWhole(NamedTuple):
    """The signature of a whole list, by which keys and when."""

    etag: str
    keys: KeySet | None
    at: datetime
    signature: str


@dataclass(frozen=True, slots=True)
class _Landed:
    """What a look brought, and as of when."""

    rings: int
    at: float
    brought: Any


class SharedLooks:
    """Works out one answer for all who ask the same, about the same state of the ledger, within a moment.

    To be used from one event loop.
    """

    def __init__(self, deps: ControlDeps, listings: RevocationListings, bundles: WholeLists, bell: Bell) -> None:
        self._deps, self._listings, self._bundles, self._bell = deps, listings, bundles, bell
        self._flying: dict[Hashable, asyncio.Future[Any]] = {}
        self._landed: OrderedDict[Hashable, _Landed] = OrderedDict()
        self._signing = Lock()
        self._wholes: dict[Reach, _SignedWhole] = {}

    async def look(self, reach: Reach, held: Revision | None) -> Signed:
        """The whole list, or what changed after `held`."""
        key = ("look", reach, None if held is None else str(held))
        return await self._once(key, lambda: self._look(reach, held), keep=_short)

    async def bundle(self, reach: Reach) -> Rendered:
        """The whole list as a bundle for OPA."""
        return await self.together(("bundle", reach), lambda: self._bundles.whole(reach)[1])

    async def fresh(self, reach: Reach, held: Revision) -> bytes:
        """The event that says that `held` is still the newest."""
        told = str(held)
        return await self._once(("fresh", reach, told), lambda: sse.fresh(held, self._sign(told.encode(), reach)))

    async def unchanged(self, reach: Reach, tag: str) -> str:
        """The signature of an entity tag, which stands for "nothing changed"."""
        return await self._once(("tag", reach, tag), lambda: self._sign(tag.encode(), reach))

    async def packed(self, listing: Listing) -> bytes:
        """The body of a whole list, gzipped."""
        key = ("packed", listing.rendered.etag)
        return await self.together(key, lambda: self._listings.packed(listing))

    async def ready(self, work: Callable[[], Sequence[str]]) -> Sequence[str]:
        """What is not at hand, as of a moment ago. What is missing is looked for anew by the next who asks."""
        return await self._once("ready", work, keep=lambda found: not found)

    async def together(self, key: Hashable, work: Callable[[], T]) -> T:
        """What `work` brings, for all who ask while it is done; nothing is kept."""
        return await self._once(key, work, keep=lambda _: False)

    async def _once(
        self, key: Hashable, work: Callable[[], T], *, keep: Callable[[T], bool] = lambda _: True
    ) -> T:
        """`keep` declines what is long: it would fill the memory, and whoever made it keeps it already."""
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

    def _land(
        self, rings: int, key: Hashable, at: float, keep: Callable[[Any], bool], done: "asyncio.Future[Any]"
    ) -> None:
        self._flying.pop((rings, key), None)
        self._landed.pop(key, None)
        if not done.cancelled() and done.exception() is None and keep(done.result()):
            self._landed[key] = _Landed(rings, at, done.result())
        while self._landed and self._past(next(iter(self._landed.values()))):
            self._landed.popitem(last=False)

    def _past(self, landed: _Landed) -> bool:
        late = asyncio.get_running_loop().time() - landed.at >= _SHARED_S
        return late or landed.rings != self._bell.rings or len(self._landed) > _KEPT

    def _look(self, reach: Reach, held: Revision | None) -> Signed:
        listing = self._listings.full(reach) if held is None else self._listings.since(reach, held)
        if not listing.delta:
            return Signed(listing, self._signed_whole(reach, listing))
        return Signed(listing, self._sign(listing.rendered.body, reach, held))

    def _signed_whole(self, reach: Reach, listing: Listing) -> str:
        """Signed anew when the keys change: no signature outlives its key here."""
        etag, now, signer = listing.rendered.etag, self._deps.clock(), self._deps.signer
        keys = None if signer is None else signer.keys.current()
        known = self._wholes.get(reach)
        fresh = known is not None and timedelta(0) <= now - known.at <= _SIGNED
        if known is None or not fresh or known.etag != etag or known.keys is not keys:
            known = _SignedWhole(etag, keys, now, self._sign(listing.rendered.body, reach))
            with self._signing:
                while len(self._wholes) >= _KEPT:
                    del self._wholes[next(iter(self._wholes))]
                self._wholes[reach] = known
        return known.signature

    def _sign(self, payload: bytes, reach: Reach, since: Revision | None = None) -> str:
        signer = self._deps.signer
        if signer is None or signer.keys.current().retired:  # nobody is to believe what a retired key signs
            return ""
        return signer.sign(payload, reach=reach, now=self._deps.clock(), since=since)


def _short(signed: Signed) -> bool:
    return signed.listing.delta and len(signed.listing.rendered.body) <= _KEPT_BYTES
