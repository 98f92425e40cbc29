"""Who may no longer act: guardian's revocation list, kept fresh inside a gateway.

Standard library only, of Python 3.10 or later: copy this folder into a gateway of any kind, under any name.

    with RevocationList("https://guardian.example", token, cache_path="/var/lib/gw/revoked.json") as revoked:
        revoked.wait_ready(10)
        if revoked.is_revoked(tenant_id, session_id):
            refuse()

A background thread follows `GET /v1/revocations/stream`, and polls where there is no stream; `is_revoked` answers
from memory and takes no lock. The rules:

- Under one token a revision (epoch, n) never runs backwards.
- A list that was not confirmed for `max_stale_s` is stale. It still refuses everybody that it names; everybody
  else is answered as `on_stale` says. Where signatures are checked it is stale `max_stale_s` and 10 s after the
  newest was made, whenever that came; so the clocks of gateway and server must agree to within a few seconds.
- An answer that does not parse completely, or whose signature does not hold, changes nothing and confirms nothing.

The folder: `reading` (what an answer means), `names` (of sessions), `signature`, `held` (the list in memory),
`cache`, `connection`, `following` (keeps the list fresh), `acknowledging`, `trouble` (what is logged); `aio` and
`asgi` are optional.
"""

import atexit
import os
import random
import secrets
import socket
import ssl
import threading
import time
import weakref
from collections.abc import Callable, Mapping
from functools import partial
from typing import Literal

from .acknowledging import Acknowledger
from .cache import Cache
from .connection import Server
from .credentials import Credentials
from .following import Follower
from .held import HeldList, Pace
from .names import is_name, known_as
from .reading import Refused, Revision, State, Tenants, kept
from .signature import Keys, Verifier
from .trouble import Trouble

__all__ = ["Refused", "Revision", "RevocationList", "State"]

_CACHE_FORMAT = 3
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


class RevocationList:
    """The revoked subjects of the tenants that `token` may see.

    `url` is the control API; https, or http to this machine (elsewhere only with `allow_http`). `token` is the
    bearer token or a function that returns the current one. `tenants` keeps only those ("*", the default: all).
    Asked for a tenant that is not kept, or not within the token's reach, the list answers as if it were stale. The
    server says with each list whose it is (`aud` in `Guardian-Signature`); one without that is not believed.
    `on_stale` is "closed" (refuse) or "open" (let pass), or a mapping from the risk of a tool, as you name it in
    `is_revoked`, to one of them; a risk not in it is closed.
    `verify_with` holds guardian's public keys (a JWK set or its file); then nothing unsigned is believed, nor what
    was signed for fewer than `tenants`, which must then be named; "*" needs a token for every tenant.
    `cache_path` keeps the last list over restarts. `push` False only polls. With `acknowledge` guardian is told
    which revision is enforced here, under the name `instance`; a gateway that streams and does not acknowledge is
    reported as silent. `clock` is monotonic, `wall` Unix time. A gateway that forks workers starts a list in each
    of them, after the fork; there its process id is added to the name.
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
        self._open = on_stale == "open"
        self._open_risks = (
            frozenset() if isinstance(on_stale, str) else {r for r in on_stale if on_stale[r] == "open"}
        )
        self._server = Server(url, allow_http=allow_http, context=ssl_context, max_bytes=max_bytes, clock=clock)
        self._teller = Server(url, allow_http=allow_http, context=ssl_context, max_bytes=65536)
        self._credentials = Credentials(token, instance or _name_of_this_process())
        self._named_in = os.getpid()
        self._tenants = kept(tenants, verifying=verify_with is not None)
        self._verifier = None if verify_with is None else Verifier(verify_with)
        of = [_CACHE_FORMAT, self._server.name, None if self._tenants is None else sorted(self._tenants)]
        path = None if cache_path is None else os.fspath(cache_path)
        cache = None if path is None else Cache(path, of, self._tenants, self._verifier)
        then = "unlisted subjects pass" if self._open else "everybody is refused, save where a risk is open"
        self._trouble = Trouble(f"once older than {max_stale_s:g} s {then}")
        self._pace = Pace(interval_s, max_stale_s, timeout_s, wait_s, clock, wall, jitter)
        self._held = HeldList(self._tenants, self._verifier, cache, self._pace, self._trouble)
        self._push, self._acknowledge = push, acknowledge
        self._follower = self._new_follower()
        self._threads: list[threading.Thread] = []

    def is_revoked(self, tenant_id: str, session_id: str, risk: str = "") -> bool:
        """True if the session must be refused, also for a name that is empty, or no `str` (a UUID): no entry would
        match it. One that is too long for an entry is looked up by its hash (`names.session_name`). From memory:
        no lock, no I/O, never raises."""
        view, session = self._held.view, session_id if is_name(session_id) else known_as(session_id)
        if session is None or not is_name(tenant_id):
            return True
        if view is not None and self._held.names(view, (tenant_id, "session", session)):
            return True
        return self._refuses_others(tenant_id, risk)

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
        "task_revoked", "jti_revoked", "list_stale", "not_text" for a name that is no `str`, "invalid" for one that
        no entry could hold (more than 512 characters, a control character) and that is no session's, or "unnamed"
        without a tenant or any other name; None when it may pass. Pass every name that you know; an empty one is
        none."""
        view, someone = self._held.view, False
        given = (session, parent, agent, delegator, task, jti)
        for (name, kind), value in zip(_NAMED, given, strict=True):
            if value is None or value == "":
                continue
            someone = True
            if not (isinstance(value, str) and isinstance(tenant_id, str)):
                return "not_text"
            known = known_as(value) if kind == "session" else value
            if known is None or not is_name(known):
                return "invalid"
            if view is not None and self._held.names(view, (tenant_id, kind, known)):
                return f"{name}_revoked"
        if not (someone and tenant_id):
            return "unnamed"
        if not is_name(tenant_id):
            return "invalid"
        return "list_stale" if self._refuses_others(tenant_id, risk) else None

    def state(self) -> State:
        """Fresh, stale or never loaded; the revision that is enforced; its age."""
        view, error, transport = self._held.view, self._trouble.reason, self._follower.transport
        verified = self._verifier is not None
        if view is None:
            return State("never_loaded", None, None, 0, error, transport, verified)
        fresh: Literal["fresh", "stale"] = "fresh" if self._held.is_fresh(view) else "stale"
        age = self._pace.clock() - view.confirmed
        return State(fresh, view.revision, age, len(view.until), error, transport, verified)

    def wait_ready(self, timeout: float | None = None) -> bool:
        """Wait until a fresh list is in memory; False if `timeout` seconds were not enough, or it was stopped. One
        that was fresh and is no longer is waited for again, so `wait_ready(0)` serves a readiness probe."""
        return self._held.wait_fresh(timeout)

    def start(self) -> "RevocationList":
        """Load the cache and begin to follow; in a forked worker, begin to follow there."""
        if self._threads or self._follower.stop.is_set():
            raise RuntimeError("the revocation list was started or stopped already; make a new one")
        if self._named_in != os.getpid():  # workers of one name would be one gateway to guardian
            self._named_in = os.getpid()
            self._credentials.instance = f"{self._credentials.instance[:100]}-{self._named_in}"
        self._held.load()
        loops = [("guardian-revocations", self._follower.run)]
        if self._acknowledge:
            teller = Acknowledger(self._held, self._follower, self._teller, self._credentials, self._pace)
            loops.append(("guardian-acknowledge", teller.run))
        self._threads = [threading.Thread(target=loop, name=name, daemon=True) for name, loop in loops]
        for thread in self._threads:
            thread.start()
        atexit.register(self._end, os.getpid())
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=partial(_left_behind, weakref.ref(self)))
        return self

    def stop(self) -> None:
        """End the following; what is in memory keeps answering and grows stale."""
        atexit.unregister(self._end)
        self._follower.stop.set()
        self._held.moved.set()
        self._server.abort()
        if not self._threads:
            self._held.end()
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join(self._pace.timeout_s)

    def __enter__(self) -> "RevocationList":
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _refuses_others(self, tenant_id: str, risk: str) -> bool:
        """Whether the list is not to be relied on for who is not in it."""
        view = self._held.view
        if self._open or risk in self._open_risks:
            return False
        if view is None or not view.reaches(tenant_id) or not self._held.is_fresh(view):
            return True
        return self._tenants is not None and tenant_id not in self._tenants

    def _new_follower(self) -> Follower:
        return Follower(self._held, self._server, self._credentials, self._pace, push=self._push)

    def _end(self, pid: int) -> None:
        """When the program ends: a gateway that leaves without a good-bye is reported as silent. A forked child
        must not say it for its parent."""
        if os.getpid() == pid:
            self.stop()

    def _begin_anew(self) -> None:
        """In a forked child: as before the start, but with what is in memory."""
        self._server.leave()
        self._teller.leave()
        self._held.leave_waiters()
        self._follower, self._threads = self._new_follower(), []
        self._trouble.left_behind()


def _left_behind(held: "weakref.ref[RevocationList]") -> None:
    copied = held()
    if copied is not None and copied._threads and not copied._follower.stop.is_set():
        copied._begin_anew()


def _name_of_this_process() -> str:
    host = "".join(char for char in socket.gethostname()[:80] if "!" <= char <= "~")
    return f"{host}-{os.getpid()}-{secrets.token_hex(3)}"
