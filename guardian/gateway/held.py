"""The list in memory: which answers of the server are believed, and what is kept of them over a restart."""

import math
import threading
import zlib
from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

from .cache import Cache, Part, Proof
from .reading import Key, Refused, Revision, Signed, View, apply, parse
from .signature import Verifier, reach_of
from .trouble import Trouble, reason

_SKEW_S = 60.0  # clocks of gateway and server may differ by this much before a signature counts as replayed
_SLACK_S = 10.0  # so old a signature is as good as new: clocks differ, and the server signs a whole list every 5 s
_MOST_PARTS = 200  # a cache of more signed deltas than this is made anew from a whole list
_SAVING = 20  # saving the cache takes no more than one part in so many of the time


class Pace(NamedTuple):
    """How often and how long, in seconds; and the clocks that tell. `jitter` is between 0 and 1."""

    interval_s: float
    max_stale_s: float
    timeout_s: float
    wait_s: float
    clock: Callable[[], float]
    wall: Callable[[], float]
    jitter: Callable[[], float]


class HeldList:
    """Changed by the follower's thread alone. Any thread may take `view`, which is replaced and never half a list.

    `moved` is set whenever its revision changed.
    """

    def __init__(
        self,
        tenants: frozenset[str] | None,
        verifier: Verifier | None,
        cache: Cache | None,
        pace: Pace,
        trouble: Trouble,
    ) -> None:
        self.view: View | None = None
        self.moved, self._settled = threading.Event(), threading.Condition()
        self.trouble, self._over = trouble, False
        self._tenants, self._verifier, self._cache = tenants, verifier, cache
        self._max_stale, self._clock, self._wall = pace.max_stale_s, pace.clock, pace.wall
        self._parts: tuple[Part, ...] = ()
        self._proof: Proof | None = None
        self._saved: tuple[tuple[Revision, str], float] | None = None
        self._save_took = 0.0

    def wait_fresh(self, timeout: float | None) -> bool:
        """Whether a fresh list is held, by then at the latest."""

        def fresh() -> bool:
            return (view := self.view) is not None and self.is_fresh(view)

        with self._settled:
            self._settled.wait_for(lambda: self._over or fresh(), timeout)
            return fresh()

    def end(self) -> None:
        """No list will come any more: nobody needs to wait for one."""
        self._over = True
        self._tell_waiters()

    def is_fresh(self, view: View) -> bool:
        """Whether it was confirmed recently. If that lies ahead the clock ran backwards, and the list is stale."""
        return 0 <= self._clock() - view.confirmed <= self._max_stale

    def names(self, view: View, key: Key) -> bool:
        """Whether this subject is revoked, and the revocation has not expired."""
        until = view.until.get(key)
        if until is None:
            return False
        # By the earlier of two clocks: a jump of either one must not end a revocation before its time.
        return until == math.inf or min(view.issued + self._clock() - view.confirmed, self._wall()) < until

    @property
    def wants_whole(self) -> bool:
        """So many signed deltas are kept that a whole list would be shorter."""
        return len(self._parts) > _MOST_PARTS

    def take(
        self, body: bytes, signature: str, etag: str, base: View | None, asked_as: str, *, took_s: float = 0.0
    ) -> None:
        """Believe an answer and apply it; Refused if any part of it is not as the contract says. A signature tells
        the server's clock now; without one only the list does, as of its last change. A body that was under way
        for `took_s` confirms how things stood before that."""
        answer = parse(body)
        since = None if answer.complete or base is None else base.revision
        signed = self._check(body, signature, since, took_s)
        now = self._clock()
        confirmed = self._confirmed(signed, now, took_s)
        said = answer.issued if self._verifier is None else max(answer.issued, signed.at)
        issued = said - (now - confirmed)
        if base is not None:
            issued = max(issued, base.issued + confirmed - base.confirmed)
        fresh, strange = apply(
            answer._replace(issued=issued),
            etag,
            seen=self.view,
            base=base,
            tenants=self._tenants,
            confirmed=confirmed,
            asked_as=asked_as,
            signed=signed,
        )
        for kind in sorted(strange):
            self.trouble.notice(f"list entries for subjects of type {kind[:64]!r} are not enforced by this client")
        if self._verifier is not None and self._cache is not None:
            part = Part(since, zlib.compress(body, 1), signature)
            self._parts = (part,) if answer.complete else (*self._parts, part) if answer.entries else self._parts
            self._proof = None
        self._settle(fresh)

    def confirm(self, base: View, payload: bytes, signature: str) -> None:
        """Nothing changed since `base`: `payload`, its entity tag or its revision, is signed. Raises Refused."""
        signed = base.signed if self._verifier is None else self._check(payload, signature, None)
        self._proof = Proof(payload, signature)
        confirmed = self._confirmed(signed, self._clock())
        issued = base.issued + confirmed - base.confirmed
        self._settle(replace(base, issued=issued, confirmed=confirmed, signed=signed))

    def load(self) -> None:
        """Begin with the list of the last run; whatever is wrong with that, the server has the list."""
        if self._cache is None or self.view is not None:
            return
        try:
            found = self._cache.load(wall=self._wall(), clock=self._clock())
        except Exception as error:
            self.trouble.notice(f"revocation cache ignored ({reason(error)})")
            return
        if found is not None:
            self.view, self._parts = found
            self._saved = _which(self.view), self.view.confirmed  # written anew it would have lost its proof
            self._tell_waiters()

    def save(self, *, last: bool = False) -> None:
        """When it is another list, else now and then; a long one not so often that saving is all that is done."""
        view = self.view
        if self._cache is None or view is None:
            return
        saved, at = self._saved or (None, -math.inf)
        same = saved == _which(view)
        pause = self._max_stale / 2 if same else 0.0 if last else _SAVING * self._save_took
        if (last and same) or view.confirmed - at < pause:
            return
        began = self._clock()
        confirmed = self._wall() - max(0.0, began - view.confirmed)  # nobody confirms a list by stopping
        try:
            self._cache.save(view, self._parts, self._proof, confirmed=confirmed)
        except OSError as error:
            self.trouble.notice(f"revocation cache not written ({type(error).__name__})")
        self._saved, self._save_took = (_which(view), view.confirmed), self._clock() - began

    def leave_waiters(self) -> None:
        """In a forked child: who waits on these waits in the parent, and may hold their locks."""
        self.moved, self._settled = threading.Event(), threading.Condition()

    def _check(self, payload: bytes, signature: str, since: Revision | None, took_s: float = 0.0) -> Signed:
        """The newest signature with this one: when it was made, where it is checked, and for whom."""
        if self._verifier is None:
            return Signed(reach=reach_of(signature))
        signed = self._verifier.check(
            payload,
            signature,
            tenants=self._tenants,
            since=since,
            now=self._wall() - took_s,
            window_s=max(self._max_stale, _SKEW_S),
        )
        if self.view is None or self.view.signed.reach != signed.reach:
            return signed
        before = self.view.signed.at - signed.at
        if before > _SLACK_S:
            raise Refused("signature_replayed", f"made {before} s before the newest")
        return max(signed, self.view.signed)

    def _confirmed(self, signed: Signed, now: float, took_s: float = 0.0) -> float:
        """When the server said so, by our clock: a signature ages on its way, and confirms nothing twice."""
        if self._verifier is None:
            return now - took_s
        if self.view is not None and self.view.signed == signed:
            return self.view.confirmed
        return now - max(0.0, self._wall() - signed.at - _SLACK_S)

    def _settle(self, fresh: View) -> None:
        moved = self.view is None or self.view.revision != fresh.revision
        if self.is_fresh(fresh):
            self.trouble.over(fresh.revision)
        elif self._verifier is not None:
            age = self._wall() - fresh.signed.at
            self.trouble.note(Refused("signature_replayed", f"the newest was made {age:.0f} s ago"))
        self.view = fresh  # last: who sees the new list sees no old trouble
        self._tell_waiters()
        if moved:
            self.moved.set()
        self.save()

    def _tell_waiters(self) -> None:
        with self._settled:
            self._settled.notify_all()


def _which(view: View) -> tuple[Revision, str]:
    """Names a list: its revision is that of one token's reach."""
    return view.revision, view.asked_as
