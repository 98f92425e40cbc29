"""Which sessions may no longer act: guardian's revocation list, kept fresh inside a gateway.

One file, standard library only: copy it into a gateway of any kind.

    with RevocationList("https://guardian.example", token, cache_path="/var/lib/gw/revoked.json") as revoked:
        revoked.wait_ready(10)
        if revoked.is_revoked(tenant_id, session_id):
            refuse()

A background thread long-polls `GET /v1/revocations`; `is_revoked` answers from memory and takes no lock. What
it stands on: a revision (epoch, n) never runs backwards; a list that could not be confirmed for `max_stale_s`
is stale; a stale list still refuses every session that it names, and answers for all others as `on_stale`
says. An answer that does not parse completely changes nothing and confirms nothing.
"""

import http.client
import ipaddress
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
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal, NamedTuple
from urllib.parse import urlencode, urlsplit

_LOG = logging.getLogger("guardian.gateway")
_FUTURE_S = 5.0  # a cache dated further ahead than this was written by a clock that we cannot trust


class Revision(NamedTuple):
    """A point in the ledger's order. A restored backup starts a new epoch, so it never runs backwards."""

    epoch: int
    n: int

    def __str__(self) -> str:
        return f"{self.epoch}.{self.n}"


class Refused(Exception):
    """An answer that must not be believed or was no answer; `code` is the stable word for it."""

    def __init__(self, code: str, detail: str = "") -> None:
        super().__init__(f"{code}: {detail}" if detail else code)
        self.code = code


@dataclass(frozen=True, slots=True)
class State:
    """What the list knows of itself. `age_s` is the time since it was last confirmed by the server."""

    status: Literal["fresh", "stale", "never_loaded"]
    revision: Revision | None
    age_s: float | None
    entries: int
    last_error: str


@dataclass(frozen=True, slots=True)
class _View:
    """One immutable reading of the list; the reader takes it in a single step."""

    revision: Revision
    etag: str
    until: Mapping[tuple[str, str], float]  # (tenant, session) -> expiry in Unix seconds, inf for none
    issued: float  # the server's clock when this was confirmed
    confirmed: float  # ours, at the same moment


def _steady() -> float:
    """Monotonic, and counting while the machine sleeps where the platform can: sleep must age the list."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


class RevocationList:
    """The revoked sessions of the tenants that `token` may see.

    `url` is the control API; https, or http to this machine (elsewhere only with `allow_http`). `token` is the
    bearer token or a function that returns the current one. `tenants` keeps only those; asked for another
    tenant the list answers as if it were stale. `on_stale` is "closed" (refuse) or "open" (let pass).
    `cache_path` keeps the last list over restarts. `clock` is monotonic, `wall` Unix time. A gateway that forks
    workers makes one list in each of them, after the fork.
    """

    def __init__(
        self,
        url: str,
        token: str | Callable[[], str],
        *,
        tenants: frozenset[str] | set[str] | None = None,
        interval_s: float = 2.0,
        max_stale_s: float = 30.0,
        on_stale: Literal["closed", "open"] = "closed",
        cache_path: str | os.PathLike[str] | None = None,
        timeout_s: float = 5.0,
        wait_s: float = 20.0,
        allow_http: bool = False,
        ssl_context: ssl.SSLContext | None = None,
        max_bytes: int = 256 * 2**20,
        clock: Callable[[], float] = _steady,
        wall: Callable[[], float] = time.time,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        if on_stale not in ("closed", "open"):
            raise ValueError(f'on_stale must be "closed" or "open", got {on_stale!r}')
        if not (interval_s > 0 and timeout_s > 0 and max_stale_s > 0 and wait_s >= 0):
            raise ValueError("interval_s, timeout_s and max_stale_s must be positive, wait_s not negative")
        self._server = _Server(url, allow_http=allow_http, context=ssl_context, max_bytes=max_bytes)
        self._token = token if callable(token) else lambda: token
        self._tenants = None if tenants is None else frozenset(tenants)
        self._interval, self._max_stale, self._timeout = interval_s, max_stale_s, timeout_s
        self._wait = min(wait_s, max_stale_s / 3)  # the list must not go stale while an idle answer is awaited
        self._closed = on_stale == "closed"
        self._cache = os.fspath(cache_path) if cache_path is not None else None
        self._clock, self._wall, self._jitter = clock, wall, jitter
        self._view: _View | None = None
        self._saved: tuple[Revision, float] | None = None
        self._synced = False  # has the server itself given us a whole list since we started?
        self._asked_as = ""  # the credentials that the list in hand was given to
        self._said: set[str] = set()
        self._told: set[str] = set()
        self._error = ""
        self._ready, self._stop = threading.Event(), threading.Event()
        self._thread: threading.Thread | None = None

    def is_revoked(self, tenant_id: str, session_id: str) -> bool:
        """True if the session must be refused. From memory: no lock, no I/O, never raises."""
        view = self._view
        if view is None:
            return self._closed
        until = view.until.get((tenant_id, session_id))
        if until is not None and (until == math.inf or self._now(view) < until):
            return True
        if not self._closed:
            return False
        foreign = self._tenants is not None and tenant_id not in self._tenants
        return foreign or not 0 <= self._clock() - view.confirmed <= self._max_stale

    def state(self) -> State:
        """Fresh, stale or never loaded; the revision that is enforced; its age."""
        view = self._view
        if view is None:
            return State("never_loaded", None, None, 0, self._error)
        age = self._clock() - view.confirmed
        fresh = 0 <= age <= self._max_stale
        return State("fresh" if fresh else "stale", view.revision, age, len(view.until), self._error)

    def wait_ready(self, timeout: float | None = None) -> bool:
        """Wait until a fresh list is in memory; False if `timeout` seconds were not enough."""
        return self._ready.wait(timeout)

    def start(self) -> "RevocationList":
        """Load the cache and begin to poll."""
        if self._thread is not None:
            raise RuntimeError("the revocation list was started already; make a new one")
        self._load_cache()
        self._thread = threading.Thread(target=self._run, name="guardian-revocations", daemon=True)
        self._thread.start()
        return self

    def stop(self) -> None:
        """End the polling; what is in memory keeps answering and grows stale."""
        self._stop.set()
        self._server.abort()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(self._timeout)

    def __enter__(self) -> "RevocationList":
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _now(self, view: _View) -> float:
        # The earlier of two clocks: a jump of either one must not end a revocation before its time.
        return min(view.issued + self._clock() - view.confirmed, self._wall())

    def _run(self) -> None:
        failures = 0
        while not self._stop.is_set():
            began, before = self._clock(), self._view
            try:
                self._poll()
            except Exception as error:  # whatever the network brings, the thread lives and the list ages
                failures += 1
                self._server.drop()
                self._note(error)
                ceiling = max(self._interval, self._max_stale / 6)
                pause = min(ceiling, 0.25 * 2 ** min(failures, 16)) * (0.5 + self._jitter() / 2)
            else:
                failures = 0
                took = self._clock() - began
                changed = before is None or self._view is None or before.revision != self._view.revision
                held = self._wait > 0 and took >= self._wait / 2  # it does long-poll: ask again at once
                pause = min(0.05, self._interval) if changed or held else max(0.05, self._interval - took)
            self._stop.wait(pause)
        self._server.drop()

    def _poll(self) -> None:
        """One round: confirm, apply or refuse. Raises and changes nothing when the answer is no good."""
        view = self._view
        headers = {
            "Accept": "application/json",
            "Cache-Control": "no-cache",
            "Authorization": _bearer(self._token()),
        }
        same = headers["Authorization"] == self._asked_as
        base = view if self._synced and same else None  # another token may see more: begin with a whole list
        if base is not None:
            known = {**headers, "If-None-Match": base.etag} if base.etag else headers
            wait = 0.0 if self._error else self._wait  # after trouble, be fresh first and patient later
            query = {"since": str(base.revision), "wait": f"{wait:g}"}
            answer = self._server.get(query, known, self._timeout + wait)
        if base is None or answer[0] in (400, 404, 409, 410, 416):  # it does not know our revision: take it all
            base, answer = None, self._server.get({}, headers, self._timeout)
        status, etag, body = answer
        now = self._clock()
        if status == 200:
            fresh = self._read(view, base, etag, body)
        elif status == 304 and base is not None and base.etag:
            fresh = replace(base, issued=base.issued + now - base.confirmed, confirmed=now)
        else:
            raise Refused(f"http_{status}", "the token was refused" if status in (401, 403) else "")
        self._view, self._synced, self._asked_as = fresh, True, headers["Authorization"]
        self._ready.set()
        if self._said:
            _LOG.warning("revocation list is fresh again at revision %s", fresh.revision)
        self._said, self._error = set(), ""
        self._save_cache(fresh)

    def _read(self, view: _View | None, base: _View | None, etag: str, body: bytes) -> _View:
        """The view after a 200 answer; Refused if any part of it is not as the contract says."""
        revision, issued, complete, entries = _parse(body)
        if view is not None and revision < view.revision:
            raise Refused("went_back", f"{view.revision} -> {revision}: a restored ledger must start a new epoch")
        if not complete and (base is None or revision.epoch != base.revision.epoch):
            raise Refused("no_base", f"a delta to {revision} has nothing to build on")
        until = dict(base.until) if base is not None and not complete else {}
        for entry in sorted(entries, key=lambda entry: entry.revision):
            if entry.kind != "session":
                self._tell(
                    f"list entries for subjects of type {entry.kind[:64]!r} are not enforced by this client"
                )
            elif self._tenants is not None and entry.key[0] not in self._tenants:
                continue
            elif entry.lifted:
                until.pop(entry.key, None)
            else:
                until[entry.key] = entry.until
        return _View(revision, etag, until, issued, self._clock())

    def _note(self, error: Exception) -> None:
        """Say each kind of trouble once until the list is fresh again. Never the token, never a body."""
        code = error.code if isinstance(error, Refused) else type(error).__name__
        self._error = str(error) if isinstance(error, Refused) else code
        if code not in self._said and not self._stop.is_set():
            self._said.add(code)
            then = "every session is refused" if self._closed else "unlisted sessions pass"
            _LOG.warning("revocation list not refreshed (%s); once older than %g s %s", self._error,
                         self._max_stale, then)  # fmt: skip

    def _tell(self, message: str) -> None:
        if message not in self._told and len(self._told) < 16:
            self._told.add(message)
            _LOG.warning("%s", message)

    def _identity(self) -> list[Any]:
        return [1, self._server.name, None if self._tenants is None else sorted(self._tenants)]

    def _load_cache(self) -> None:
        if self._cache is None:
            return
        try:
            with open(self._cache, "rb") as file:
                facts = os.fstat(file.fileno())
                saved = json.loads(file.read())
            if os.name == "posix" and (facts.st_mode & 0o022 or facts.st_uid not in (0, os.geteuid())):
                raise Refused("unsafe", "others can write it")
            age = self._wall() - float(saved["confirmed_at"])
            if saved["of"] != self._identity() or not -_FUTURE_S <= age < math.inf:
                raise Refused("foreign", "it belongs to another server, other tenants or the future")
            until = {(str(t), str(s)): math.inf if at is None else float(at) for t, s, at in saved["until"]}
            revision, confirmed = Revision(*map(int, saved["revision"])), self._clock() - max(age, 0.0)
            self._view = _View(revision, "", until, float(saved["issued_at"]), confirmed)
        except FileNotFoundError:
            return
        except (OSError, ValueError, TypeError, KeyError, RecursionError, Refused) as error:
            self._tell(
                f"revocation cache ignored ({error if isinstance(error, Refused) else type(error).__name__})"
            )
            return
        if self.state().status == "fresh":
            self._ready.set()

    def _save_cache(self, view: _View) -> None:
        """Whole or not at all, readable by us alone; when the revision moved, else now and then."""
        if self._cache is None:
            return
        revision, at = self._saved or (None, 0.0)
        if revision == view.revision and view.confirmed - at < self._max_stale / 2:
            return
        rows = [[t, s, None if at == math.inf else at] for (t, s), at in view.until.items()]
        saved = {"of": self._identity(), "revision": view.revision, "issued_at": view.issued,
                 "confirmed_at": self._wall(), "until": rows}  # fmt: skip
        draft = f"{self._cache}.{secrets.token_hex(8)}"
        try:
            with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
                json.dump(saved, file)
                file.flush()
                os.fsync(file.fileno())
            os.replace(draft, self._cache)
        except OSError as error:
            with suppress(OSError):
                os.unlink(draft)
            self._tell(f"revocation cache not written ({type(error).__name__})")
        self._saved = (view.revision, view.confirmed)


class _Server:
    """One kept-alive connection; follows no redirect, so the token goes nowhere else."""

    def __init__(self, url: str, *, allow_http: bool, context: ssl.SSLContext | None, max_bytes: int) -> None:
        parts = urlsplit(url)
        host = parts.hostname or ""
        if (
            parts.scheme not in ("https", "http")
            or not host
            or "@" in parts.netloc
            or parts.query
            or parts.fragment
        ):
            raise ValueError(
                f"url must be https://host[:port][/path], without user or query; its host is {host!r}"
            )
        if parts.scheme == "http" and not allow_http and not _loopback(host):
            raise ValueError(
                f"http to {host!r} would show the token to the network: use https, or allow_http=True"
            )
        self.name = f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}"
        self._path = parts.path.rstrip("/").removesuffix("/v1/revocations") + "/v1/revocations"
        self._secure, self._host, self._port = parts.scheme == "https", host, parts.port
        self._context = context or (ssl.create_default_context() if self._secure else None)
        self._max_bytes = max_bytes
        self._connection: http.client.HTTPConnection | None = None
        self._aborted = False

    def get(self, query: Mapping[str, str], headers: Mapping[str, str], timeout: float) -> tuple[int, str, bytes]:
        """(status, ETag, body). A kept connection that the server has closed meanwhile is opened anew once."""
        kept = self._connection is not None
        try:
            return self._exchange(query, headers, timeout)
        except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError):
            self.drop()
            if not kept or self._aborted:
                raise
            return self._exchange(query, headers, timeout)

    def _exchange(
        self, query: Mapping[str, str], headers: Mapping[str, str], timeout: float
    ) -> tuple[int, str, bytes]:
        deadline = time.monotonic() + timeout  # a socket's own time-out starts again with every byte
        connection = self._connection
        if connection is None:
            if self._secure:
                connection = http.client.HTTPSConnection(self._host, self._port, context=self._context)
            else:
                connection = http.client.HTTPConnection(self._host, self._port)
            self._connection = connection
        connection.timeout = timeout
        if connection.sock is None:
            connection.connect()
        connection.sock.settimeout(timeout)
        if self._aborted:
            raise Refused("stopped")
        connection.request("GET", self._path + ("?" + urlencode(query) if query else ""), headers=dict(headers))
        answer = connection.getresponse()
        body = bytearray()
        while chunk := answer.read1(65536):
            body += chunk
            if len(body) > self._max_bytes or time.monotonic() > deadline:
                raise Refused("too_long", f"more than {self._max_bytes} bytes or {timeout:g} s")
        if answer.length:  # read1 ends quietly where the connection does
            raise Refused("cut_short", f"{answer.length} bytes are missing")
        answer.close()  # read1 leaves it open, and an open answer blocks the kept connection
        return answer.status, answer.getheader("ETag", "") or "", bytes(body)

    def abort(self) -> None:
        """Wake a thread that waits for an answer, for good."""
        self._aborted = True
        connection = self._connection
        if connection is not None and connection.sock is not None:
            with suppress(OSError, AttributeError):
                connection.sock.shutdown(socket.SHUT_RDWR)

    def drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()


class _Entry(NamedTuple):
    revision: Revision
    kind: str
    key: tuple[str, str]
    lifted: bool
    until: float


def _parse(body: bytes) -> tuple[Revision, float, bool, list[_Entry]]:
    try:
        answer = json.loads(body)
        revision, complete = _revision(answer["revision"]), answer["complete"]
        entries = [_entry(entry) for entry in answer["entries"]]
        issued = _unix(answer["issued_at"])
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError) as error:
        raise Refused("malformed", type(error).__name__) from None
    if not isinstance(complete, bool) or any(entry.revision > revision for entry in entries):
        raise Refused("malformed", "complete is not a boolean, or an entry is newer than the list")
    return revision, issued, complete, entries


def _entry(entry: Mapping[str, Any]) -> _Entry:
    texts = [entry[name] for name in ("subject_type", "tenant_id", "subject_id", "status")]
    if not all(isinstance(text, str) and text for text in texts):
        raise ValueError("not a text")
    kind, tenant, subject, status = texts
    until = math.inf if entry.get("expires_at") is None else _unix(entry["expires_at"])
    # A status that this client does not know keeps the session out: the safe reading of a newer server.
    return _Entry(_revision(entry["revision"]), kind, (tenant, subject), status in ("reinstated", "lapsed"), until)


def _revision(value: Mapping[str, Any]) -> Revision:
    epoch, n = value["epoch"], value["n"]
    if type(epoch) is not int or type(n) is not int or epoch < 0 or n < 0:
        raise ValueError("not a revision")
    return Revision(epoch, n)


def _unix(text: str) -> float:
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise ValueError("a time without an offset")
    return at.timestamp()


def _bearer(token: str) -> str:
    if not token or not all("!" <= char <= "~" for char in token):
        raise Refused("token_unusable", "it is empty or has characters that no bearer token has")
    return "Bearer " + token


def _loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
