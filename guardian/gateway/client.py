"""Who may no longer act: guardian's revocation list, kept fresh inside a gateway.

Standard library only: copy this folder into a gateway of any kind, under any name.

    with RevocationList("https://guardian.example", token, cache_path="/var/lib/gw/revoked.json") as revoked:
        revoked.wait_ready(10)
        if revoked.is_revoked(tenant_id, session_id):
            refuse()

A background thread follows `GET /v1/revocations/stream` and polls where that cannot be had; `is_revoked` answers
from memory and takes no lock. What it stands on: under one token a revision (epoch, n) never runs backwards; a
list not confirmed for `max_stale_s` is stale; a stale list still refuses everybody that it names, and answers for
all others as `on_stale` says. An answer that does not parse completely, or whose signature does not hold, changes
nothing and confirms nothing.
"""

import atexit
import hashlib
import json
import logging
import math
import os
import random
import secrets
import socket
import ssl
import threading
import time
import weakref
import zlib
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Literal

from .cache import Cache, Part, Proof
from .connection import Event, Server, bearer, header
from .reading import UNSIGNED, Refused, Revision, Signed, State, Tenants, View, apply, kept, parse
from .signature import HEADER, Keys, Verifier

__all__ = ["Refused", "Revision", "RevocationList", "State"]

_LOG = logging.getLogger("guardian.gateway")
_SKEW_S = 60.0  # clocks of gateway and server may differ by this much before a signature counts as replayed
_PARTS = 200  # a cache of more signed deltas than this is made anew from a whole list
_TELL_S = 2.0
_SAVING = 20  # saving the cache takes no more than one part in so many of the time
_NO_STREAM_S = 300.0  # how long a server that does not stream is only polled

_NAMED = (
    ("session", "session"),
    ("parent", "session"),
    ("agent", "agent"),
    ("delegator", "delegator"),
    ("task", "task"),
    ("jti", "jti"),
)
OnStale = Literal["closed", "open"]


def _steady() -> float:
    """Monotonic, and counting while the machine sleeps where the platform can: sleep must age the list."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


def _hashed(headers: Mapping[str, str]) -> str:
    """Tells credentials apart, so that no token is in the cache."""
    return hashlib.sha256(headers["Authorization"].encode()).hexdigest()[:32]


def _reason(error: Exception) -> str:
    return str(error) if isinstance(error, Refused) else type(error).__name__


def _left_behind(held: "weakref.ref[RevocationList]") -> None:
    """In a forked child: no thread is forked, so the copy of the list there would grow stale unsaid."""
    copied = held()
    if copied is not None and copied._threads and not copied._stop.is_set():
        copied._begin_anew()
        said = "forked from a process that follows the revocation list: call start() in this one too"
        # aside: a handler may wait for a thread that is not here
        threading.Thread(target=_LOG.warning, args=(said,), daemon=True).start()


class RevocationList:
    """The revoked subjects of the tenants that `token` may see.

    `url` is the control API; https, or http to this machine (elsewhere only with `allow_http`). `token` is the
    bearer token or a function that returns the current one. `tenants` keeps only those ("*": all); asked for
    another tenant the list answers as if it were stale. `on_stale` is "closed" (refuse) or "open" (let pass), or a
    mapping from the risk of a tool, as you name it in `is_revoked`, to one of them; a risk not in it is closed.
    `verify_with` holds guardian's public keys (a JWK set or its file); then nothing unsigned is believed, nor what
    was signed for fewer than `tenants`, which must then be named; "*" needs a token for every tenant.
    `cache_path` keeps the last list over restarts. `push` False only polls. `acknowledge` tells guardian which
    revision is enforced here, as `instance`; one on the stream that does not is reported silent. `clock` is
    monotonic, `wall` Unix time. A gateway that forks workers starts a list in each of them, after the fork.
    """

    def __init__(
        self,
        url: str,
        token: str | Callable[[], str],
        *,
        tenants: Tenants | None = None,
        interval_s: float = 2.0,
        max_stale_s: float = 30.0,
        on_stale: OnStale | Mapping[str, OnStale] = "closed",
        cache_path: str | os.PathLike[str] | None = None,
        verify_with: Keys | None = None,
        push: bool = True,
        acknowledge: bool = True,
        instance: str = "",
        timeout_s: float = 5.0,
        wait_s: float = 20.0,
        allow_http: bool = False,
        ssl_context: ssl.SSLContext | None = None,
        max_bytes: int = 256 * 2**20,
        clock: Callable[[], float] = _steady,
        wall: Callable[[], float] = time.time,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        modes = [on_stale] if isinstance(on_stale, str) else list(on_stale.values())
        if any(mode not in ("closed", "open") for mode in modes):
            raise ValueError(f'on_stale must be "closed" or "open", or map risks to these; got {on_stale!r}')
        if not (interval_s > 0 and timeout_s > 0 and max_stale_s > 0 and wait_s >= 0):
            raise ValueError("interval_s, timeout_s and max_stale_s must be positive, wait_s not negative")
        self._server = Server(url, allow_http=allow_http, context=ssl_context, max_bytes=max_bytes)
        self._teller = Server(url, allow_http=allow_http, context=ssl_context, max_bytes=65536)
        self._token = token if callable(token) else lambda: token
        self._tenants = kept(tenants, verifying=verify_with is not None)
        self._interval, self._max_stale, self._timeout = interval_s, max_stale_s, timeout_s
        self._wait = min(wait_s, max_stale_s / 3)  # the list must not go stale while an idle answer is awaited
        self._silence = max(1.0, max_stale_s / 2)  # a stream that says nothing for so long is dead
        self._open = on_stale == "open"
        self._open_risks = (
            frozenset() if isinstance(on_stale, str) else {r for r in on_stale if on_stale[r] == "open"}
        )
        self._verifier = None if verify_with is None else Verifier(verify_with)
        host = "".join(char for char in socket.gethostname()[:80] if "!" <= char <= "~")
        self._instance = instance or f"{host}-{os.getpid()}-{secrets.token_hex(3)}"
        if len(self._instance) > 128 or not all("!" <= char <= "~" for char in self._instance):
            raise ValueError(f"instance must be at most 128 visible ASCII characters; got {instance!r}")
        self._push, self._acknowledge = push, acknowledge
        of = [3, self._server.name, None if self._tenants is None else sorted(self._tenants)]
        path = None if cache_path is None else os.fspath(cache_path)
        self._cache = None if path is None else Cache(path, of, self._tenants, self._verifier)
        self._clock, self._wall, self._jitter = clock, wall, jitter
        self._view: View | None = None
        self._parts: tuple[Part, ...] = ()
        self._proof: Proof | None = None
        self._saved: tuple[Revision, float] | None = None
        self._save_took = 0.0
        self._synced = False  # has the server itself given us a whole list since we started?
        self._push_after = -math.inf
        self._transport: Literal["push", "poll", "none"] = "none"
        self._said: set[str] = set()
        self._told: set[str] = set()
        self._error = ""
        self._ready, self._stop, self._moved = threading.Event(), threading.Event(), threading.Event()
        self._threads: list[threading.Thread] = []

    def is_revoked(self, tenant_id: str, session_id: str, risk: str = "") -> bool:
        """True if the session must be refused; also where a name is no `str` (a UUID), looked up in vain.
        From memory: no lock, no I/O, never raises."""
        view = self._view
        if not (isinstance(tenant_id, str) and isinstance(session_id, str)):
            return True
        if view is None:
            return not (self._open or risk in self._open_risks)
        until = view.until.get((tenant_id, "session", session_id))
        if until is not None and (until == math.inf or self._now(view) < until):
            return True
        if self._open or risk in self._open_risks:
            return False
        foreign = self._tenants is not None and tenant_id not in self._tenants
        return foreign or not 0 <= self._clock() - view.confirmed <= self._max_stale

    def refusal(
        self,
        tenant_id: str,
        *,
        session: str | None = None,
        parent: str | None = None,
        agent: str | None = None,
        delegator: str | None = None,
        task: str | None = None,
        jti: str | None = None,
        risk: str = "",
    ) -> str | None:
        """Why a call must be refused: "session_revoked", "parent_revoked", "agent_revoked", "delegator_revoked",
        "task_revoked", "jti_revoked", "list_stale", or "not_text" for a name that is no `str`; None when it may
        pass. Name all that you know."""
        view = self._view
        if view is not None:
            given = (session, parent, agent, delegator, task, jti)
            for (name, kind), value in zip(_NAMED, given, strict=True):
                if value is None:
                    continue
                if not (isinstance(value, str) and isinstance(tenant_id, str)):
                    return "not_text"
                until = view.until.get((tenant_id, kind, value))
                if until is not None and (until == math.inf or self._now(view) < until):
                    return f"{name}_revoked"
        return "list_stale" if self.is_revoked(tenant_id, "", risk) else None

    def state(self) -> State:
        """Fresh, stale or never loaded; the revision that is enforced; its age."""
        view, verified = self._view, self._verifier is not None
        if view is None:
            return State("never_loaded", None, None, 0, self._error, self._transport, verified)
        age = self._clock() - view.confirmed
        fresh: Literal["fresh", "stale"] = "fresh" if 0 <= age <= self._max_stale else "stale"
        return State(fresh, view.revision, age, len(view.until), self._error, self._transport, verified)

    def wait_ready(self, timeout: float | None = None) -> bool:
        """Wait until a fresh list is in memory; False if `timeout` seconds were not enough."""
        return self._ready.wait(timeout)

    def start(self) -> "RevocationList":
        """Load the cache and begin to follow; in a forked worker, begin to follow there."""
        if self._threads:
            raise RuntimeError("the revocation list was started already; make a new one")
        self._load_cache()
        loops = [("guardian-revocations", self._run)]
        if self._acknowledge:
            loops.append(("guardian-acknowledge", self._tell_what_is_enforced))
        self._threads = [threading.Thread(target=loop, name=name, daemon=True) for name, loop in loops]
        for thread in self._threads:
            thread.start()
        atexit.register(self._end, os.getpid())
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=partial(_left_behind, weakref.ref(self)))
        return self

    def _begin_anew(self) -> None:
        """As before the start, but with what is in memory."""
        self._server.leave()
        self._teller.leave()
        self._ready, self._stop, self._moved = threading.Event(), threading.Event(), threading.Event()
        self._threads, self._synced, self._transport = [], False, "none"
        self._instance = f"{self._instance[:100]}-{os.getpid()}"
        self._error = "forked: nobody follows the list in this process until it is started here"

    def _end(self, pid: int) -> None:
        """The program ends: a gateway that says no good-bye is missed. A forked child says none for its parent."""
        if os.getpid() == pid:
            self.stop()

    def stop(self) -> None:
        """End the following; what is in memory keeps answering and grows stale."""
        atexit.unregister(self._end)
        self._stop.set()
        self._moved.set()
        self._server.abort()
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join(self._timeout)

    def __enter__(self) -> "RevocationList":
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _now(self, view: View) -> float:
        # The earlier of two clocks: a jump of either one must not end a revocation before its time.
        return min(view.issued + self._clock() - view.confirmed, self._wall())

    def _run(self) -> None:
        failures = 0
        while not self._stop.is_set():
            began, before = self._clock(), self._view
            try:
                if self._push and self._synced and began >= self._push_after:
                    self._follow()
                    continue
                self._poll()
            except Exception as error:  # whatever the network brings, the thread lives and the list ages
                failures += 1
                self._server.drop()
                self._note(error)
                ceiling = max(self._interval, self._max_stale / 6)
                pause = min(ceiling, 0.25 * 2 ** min(failures, 16)) * (0.5 + self._jitter() / 2)
            else:
                failures = 0
                self._transport = "poll"
                took = self._clock() - began
                changed = before is None or self._view is None or before.revision != self._view.revision
                held = self._wait > 0 and took >= self._wait / 2  # it does long-poll: ask again at once
                pause = min(0.05, self._interval) if changed or held else max(0.05, self._interval - took)
                if self._push and self._clock() >= self._push_after:
                    pause = 0.0
            self._stop.wait(pause)
        self._server.drop()
        if self._view is not None:
            self._save_cache(self._view, last=True)

    def _follow(self) -> None:
        """Listen to the stream until it ends; after any trouble with it there is a while of polling."""
        view = self._view
        assert view is not None  # noqa: S101 - only a synced list is followed
        sent = {**self._headers(), "Accept": "text/event-stream", "Last-Event-ID": str(view.revision)}
        lived = self._clock()
        pause = 1.0
        try:
            if _hashed(sent) != view.asked_as:  # another token may see more: begin with a whole list
                self._synced = False
                return
            for event in self._server.events(sent, self._timeout, self._silence):
                if event is not None:
                    self._hear(event)
                    self._transport = "push"
                if self._stop.is_set():
                    return
                if self._clock() - max(lived, (self._view or view).confirmed) > self._silence:
                    raise Refused("silent", "the stream goes on and says nothing of the list")
                if bearer(self._token()) != sent["Authorization"] or len(self._parts) > _PARTS:
                    self._synced = False
                    return
        except Refused as error:
            pause = _NO_STREAM_S if error.code in ("http_404", "http_405", "no_stream") else 5.0
            if self._stop.is_set() or pause == _NO_STREAM_S:
                pass
            elif error.code.startswith("http_"):
                self._miss_stream(error)
            else:
                self._note(error)
        except Exception as error:
            self._miss_stream(error)
        self._transport = "poll"
        short = self._clock() - lived < self._silence  # one that breaks at once is not tried in a hot loop
        self._push_after = self._clock() + (pause if short or pause > 1 else 0.0) * (0.5 + self._jitter() / 2)

    def _hear(self, event: Event) -> None:
        name, _, data = event
        if name not in ("revocations", "fresh") or self._view is None:
            return
        body = data[0]
        signature = data[1].decode("ascii", "replace") if len(data) > 1 else ""
        base = self._view
        if name == "revocations":
            self._take(body, signature, "", base, base.asked_as)
            return
        if body.decode("ascii", "replace") != str(base.revision):
            raise Refused("gap", "the server confirms another revision than the one that is held")
        self._confirm(base, body, signature)

    def _poll(self) -> None:
        """One round: confirm, apply or refuse. Raises and changes nothing when the answer is no good."""
        view, headers = self._view, self._headers()
        same = view is not None and view.asked_as == _hashed(headers)
        base = view if self._synced and same and len(self._parts) <= _PARTS else None
        if base is not None:
            known = {**headers, "If-None-Match": base.etag} if base.etag else headers
            wait = 0.0 if self._error else self._wait  # after trouble, be fresh first and patient later
            query = {"since": str(base.revision), "wait": f"{wait:g}"}
            answer = self._server.get(query, known, self._timeout + wait)
        if base is None or answer[0] in (400, 404, 409, 410, 416):  # it does not know our revision: take it all
            base, answer = None, self._server.get({}, headers, self._timeout)
        status, got, body = answer
        if status == 200:
            etag = header(got, "ETag").removeprefix("W/")  # what a proxy that packs makes of it
            self._take(body, header(got, HEADER), etag, base, _hashed(headers))
        elif status == 304 and base is not None and base.etag:
            self._confirm(base, base.etag.encode(), header(got, HEADER))
        else:
            raise Refused(f"http_{status}", "the token was refused" if status in (401, 403) else "")
        self._synced = True

    def _take(self, body: bytes, signature: str, etag: str, base: View | None, asked_as: str) -> None:
        """Believe an answer and apply it; Refused if any part of it is not as the contract says."""
        answer = parse(body)
        since = None if answer.complete or base is None else base.revision
        signed = self._check(body, signature, since)
        facts = {"seen": self._view, "base": base, "tenants": self._tenants, "confirmed": self._clock()}
        fresh, strange = apply(answer, etag, **facts, asked_as=asked_as, signed=signed)  # type: ignore[arg-type]
        for kind in sorted(strange):
            self._tell(f"list entries for subjects of type {kind[:64]!r} are not enforced by this client")
        if self._verifier is not None and self._cache is not None:
            part = Part(since, zlib.compress(body, 1), signature)
            self._parts = (part,) if answer.complete else (*self._parts, part) if answer.entries else self._parts
            self._proof = None
        self._settle(fresh)

    def _confirm(self, base: View, payload: bytes, signature: str) -> None:
        signed = self._check(payload, signature, None)
        self._proof = Proof(payload, signature)
        now = self._clock()
        self._settle(replace(base, issued=base.issued + now - base.confirmed, confirmed=now, signed=signed))

    def _check(self, payload: bytes, signature: str, since: Revision | None) -> Signed:
        """When it was signed and for whom; neither where signatures are not checked."""
        if self._verifier is None:
            return UNSIGNED
        window = max(self._max_stale, _SKEW_S)
        facts = {"tenants": self._tenants, "since": since, "now": self._wall(), "window_s": window}
        return self._verifier.check(payload, signature, **facts)  # type: ignore[arg-type]

    def _settle(self, fresh: View) -> None:
        moved = self._view is None or self._view.revision != fresh.revision
        if self._said:
            _LOG.warning("revocation list is fresh again at revision %s", fresh.revision)
        self._said, self._error = set(), ""
        self._view = fresh  # last: who sees the new list sees no old trouble
        self._ready.set()
        if moved:
            self._moved.set()
        self._save_cache(fresh)

    def _headers(self) -> dict[str, str]:
        return {
            "Accept": "application/json",
            "Cache-Control": "no-cache",
            "Authorization": bearer(self._token()),
            "Guardian-Instance": self._instance,
        }

    def _tell_what_is_enforced(self) -> None:
        """Acknowledge every revision soon after it holds here, and now and then that it still does."""
        failures, leaving = 0, False
        while not leaving:
            again = 2.0 ** min(failures, 16) if failures else math.inf  # who waits for it does so for seconds
            self._moved.wait(min(20.0, self._max_stale / 2, again))
            self._stop.wait(_TELL_S * self._jitter())  # not all gateways at once, and one word for many changes
            self._moved.clear()
            view = self._view
            leaving = self._stop.is_set()
            if view is None or self.state().status != "fresh":
                continue
            told = {"revision": str(view.revision), "transport": self._transport, "leaving": leaving}
            with suppress(Exception):  # the list is what counts; the next round says it again
                headers, timeout = self._headers(), 1.0 if leaving else self._timeout
                if _hashed(headers) != view.asked_as:  # of what another token reaches this list says nothing
                    continue
                failures += 1
                if self._teller.acknowledge(json.dumps(told).encode(), headers, timeout) < 300:
                    failures = 0
        self._teller.drop()

    def _miss_stream(self, error: Exception) -> None:
        """No trouble of the list: it is polled meanwhile, and that says so where it cannot be had either."""
        self._error = _reason(error)
        if not self._stop.is_set():
            self._tell(f"revocation list polled while it is not streamed ({self._error})")

    def _note(self, error: Exception) -> None:
        """Say each kind of trouble once until the list is fresh again. Never the token, never a body."""
        code = error.code if isinstance(error, Refused) else type(error).__name__
        self._error = _reason(error)
        if code not in self._said and not self._stop.is_set():
            self._said.add(code)
            then = "unlisted subjects pass" if self._open else "everybody is refused, save where a risk is open"
            _LOG.warning("revocation list not refreshed (%s); once older than %g s %s", self._error,
                         self._max_stale, then)  # fmt: skip

    def _tell(self, message: str) -> None:
        if message not in self._told and len(self._told) < 16:
            self._told.add(message)
            _LOG.warning("%s", message)

    def _load_cache(self) -> None:
        if self._cache is None or self._view is not None:
            return
        try:
            found = self._cache.load(wall=self._wall(), clock=self._clock())
        except Exception as error:  # whatever is wrong with the file, the server has the list
            code = str(error) if isinstance(error, Refused) else type(error).__name__
            self._tell(f"revocation cache ignored ({code})")
            return
        if found is not None:
            self._view, self._parts = found
            if self.state().status == "fresh":
                self._ready.set()

    def _save_cache(self, view: View, *, last: bool = False) -> None:
        """When the revision moved, else now and then; a long list not so often that saving is all that is done."""
        if self._cache is None:
            return
        revision, at = self._saved or (None, -math.inf)
        pause = self._max_stale / 2 if revision == view.revision else 0.0 if last else _SAVING * self._save_took
        if (last and revision == view.revision) or view.confirmed - at < pause:
            return
        began = self._clock()
        try:
            self._cache.save(view, self._parts, self._proof, wall=self._wall())
        except OSError as error:
            self._tell(f"revocation cache not written ({type(error).__name__})")
        self._saved, self._save_took = (view.revision, view.confirmed), self._clock() - began
