"""One look at the ledger for all who wait for the same: a hundred gateways cost what one does."""

import asyncio
from dataclasses import dataclass
from datetime import datetime

from starlette.concurrency import run_in_threadpool

from guardian.control.bell import Bell
from guardian.control.deps import ControlDeps
from guardian.control.listing import Listing, Reach, RevocationListings
from guardian.domain.revocation import Revision

_SHARED_S = 0.5  # another process may have written: its bell is not ours
_KEPT = 512


@dataclass(frozen=True, slots=True)
class Signed:
    """A listing and the detached signature of its body; of its entity tag; empty without a signing key."""

    listing: Listing
    signature: str
    tag_signature: str
    at: float


class SharedLooks:
    """`look` answers from what another request asked of the same state; signatures are made once as well.

    To be used from one event loop.
    """

    def __init__(self, deps: ControlDeps, listings: RevocationListings, bell: Bell) -> None:
        self._deps, self._listings, self._bell = deps, listings, bell
        self._flying: dict[tuple[object, ...], asyncio.Future[Signed]] = {}
        self._landed: dict[tuple[object, ...], Signed] = {}

    async def look(self, reach: Reach, held: Revision | None) -> Signed:
        """The whole list, or what changed after `held`."""
        loop = asyncio.get_running_loop()
        key = (id(loop), self._bell.rings, reach, None if held is None else str(held))
        known = self._landed.get(key)
        if known is not None and loop.time() - known.at < _SHARED_S:
            return known
        flying = self._flying.get(key)
        if flying is None:
            flying = asyncio.ensure_future(run_in_threadpool(self._look, reach, held, loop.time()))
            self._flying[key] = flying
            flying.add_done_callback(lambda done: self._land(key, done))
        return await asyncio.shield(flying)

    def _land(self, key: tuple[object, ...], done: asyncio.Future[Signed]) -> None:
        self._flying.pop(key, None)
        if not done.cancelled() and done.exception() is None:
            while len(self._landed) >= _KEPT:
                self._landed.pop(next(iter(self._landed)))
            self._landed[key] = done.result()

    def _look(self, reach: Reach, held: Revision | None, at: float) -> Signed:
        listing = self._listings.full(reach) if held is None else self._listings.since(reach, held)
        now = self._deps.clock()
        tag = f'"{listing.rendered.etag}"'.encode()
        base = held if listing.delta else None
        body = self.sign(listing.rendered.body, reach, now, base)
        return Signed(listing, body, self.sign(tag, reach, now), at)

    def sign(self, payload: bytes, reach: Reach, now: datetime, since: Revision | None = None) -> str:
        signer = self._deps.signer
        return "" if signer is None else signer.sign(payload, reach=reach, now=now, since=since)
