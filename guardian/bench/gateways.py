"""Gateways in processes of their own, each with many of the shipped clients: what the bench of the switch asks.

A child is told one JSON object a line and answers with one: first its configuration, then what to watch for. Times
are of the monotonic clock, which all processes of a machine share.
"""

import contextlib
import gc
import hashlib
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from typing import IO, Any

from guardian.bench.report import resident_now_mb
from guardian.gateway.client import RevocationList

_LOOK_S = 0.001
_CODE = "from guardian.bench.gateways import child; child()"


@dataclass(frozen=True, slots=True)
class Follow:
    """What the clients of one process do. `tokens`: one per client. `spread_s` is between their starts."""

    url: str
    tokens: Sequence[str]
    tenant: str
    keys: Mapping[str, Any] | None = None
    push: bool = True
    interval_s: float = 2.0
    wait_s: float = 20.0
    spread_s: float = 0.0
    patience_s: float = 600.0


class Gateways:
    """The clients of one process, as the bench sees them."""

    def __init__(self, follow: Follow) -> None:
        self._process = subprocess.Popen(  # noqa: S603 - this very interpreter, on code of our own
            [sys.executable, "-c", _CODE], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self._tell(asdict(follow))

    def ready(self) -> Mapping[str, float]:
        """Waits until every client follows; `resident_mb` per client, `lookups_s`."""
        return self._hear()

    def watch(self, session: str) -> None:
        """Returns when the clients are watched: the session may be revoked now."""
        self._tell({"session": session})
        self._hear()

    def refused(self) -> list[float]:
        """When each client began to refuse the session that is watched for."""
        at: list[float] = self._hear()["at"]
        return at

    def noted(self, sessions: Sequence[str]) -> dict[str, list[float]]:
        """When the clients came to refuse these, watched all along; as far as they do by now."""
        self._tell({"noted": list(sessions)})
        at: dict[str, list[float]] = self._hear()["noted"]
        return at

    def stop(self) -> None:
        with contextlib.suppress(OSError):
            self._pipe(self._process.stdin).close()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._pipe(self._process.stdout).close()

    def _tell(self, what: Mapping[str, Any]) -> None:
        pipe = self._pipe(self._process.stdin)
        pipe.write(json.dumps(what) + "\n")
        pipe.flush()

    def _hear(self) -> dict[str, Any]:
        line = self._pipe(self._process.stdout).readline()
        if not line:
            raise RuntimeError(f"a process of gateways ended ({self._process.poll()}); its error is above")
        heard: dict[str, Any] = json.loads(line)
        return heard

    @staticmethod
    def _pipe(pipe: IO[str] | None) -> IO[str]:
        assert pipe is not None  # noqa: S101 - they were asked for
        return pipe


@contextlib.contextmanager
def following(follows: Sequence[Follow]) -> Iterator[list[Gateways]]:
    """Those processes, every client of them ready."""
    with ExitStack() as stack:
        made = []
        for follow in follows:
            made.append(Gateways(follow))
            stack.callback(made[-1].stop)
        for each in made:
            each.ready()
        yield made


def name_of(n: int) -> str:
    """Session ids as random as real ones: a list of counters would pack too well."""
    return f"sess_{hashlib.blake2b(str(n).encode(), digest_size=12).hexdigest()}"


def child() -> None:
    """In a process of its own, until its input ends."""
    follow = Follow(**json.loads(sys.stdin.readline()))
    gc.disable()  # to read a long list many times in one process is the bench's doing alone
    before = resident_now_mb()
    with ExitStack() as stack:
        lists = []
        for n, token in enumerate(follow.tokens):
            if n and follow.spread_s:
                time.sleep(follow.spread_s)
            each = RevocationList(
                follow.url,
                token,
                tenants={follow.tenant},
                verify_with=follow.keys,
                push=follow.push,
                interval_s=follow.interval_s,
                wait_s=follow.wait_s,
                max_stale_s=120,
                on_stale="open",
                timeout_s=60,
                instance=f"{os.getpid()}-{n}",
            )
            stack.callback(each.stop)
            lists.append(each.start())
        _until_ready(lists, follow)
        gc.collect()
        told = {"resident_mb": (resident_now_mb() - before) / len(lists), "lookups_s": _lookups(lists[0], follow)}
        _say(told)
        noted = _Noted(lists, follow.tenant)
        for line in sys.stdin:
            asked = json.loads(line)
            if "noted" in asked:
                _say({"noted": noted.of(asked["noted"])})
            elif follow.push or follow.wait_s:
                _say({})
                _say({"at": _refusals(lists, follow, asked["session"])})
            else:
                noted.watch(asked["session"])
                _say({})


class _Noted:
    """Watches for many sessions at once, at leisure: for clients that take half a minute."""

    def __init__(self, lists: Sequence[RevocationList], tenant: str) -> None:
        self._lists, self._tenant = lists, tenant
        self._at: dict[str, dict[int, float]] = {}
        threading.Thread(target=self._run, daemon=True).start()

    def watch(self, session: str) -> None:
        self._at[session] = {}

    def of(self, sessions: Sequence[str]) -> dict[str, list[float]]:
        return {session: list(self._at.get(session, {}).values()) for session in sessions}

    def _run(self) -> None:
        while True:
            for session, at in list(self._at.items()):
                if len(at) == len(self._lists):
                    continue
                for n, each in enumerate(self._lists):
                    if n not in at and each.is_revoked(self._tenant, session):
                        at[n] = time.monotonic()
            time.sleep(0.1)


def _until_ready(lists: Sequence[RevocationList], follow: Follow) -> None:
    until = time.monotonic() + follow.patience_s
    wanted = "push" if follow.push else "poll"
    while any(each.state().transport != wanted for each in lists):
        if time.monotonic() > until:
            late = [each.state() for each in lists if each.state().transport != wanted]
            raise RuntimeError(f"{len(late)} gateways do not follow; the first: {late[0]}")
        time.sleep(0.05)


def _refusals(lists: Sequence[RevocationList], follow: Follow, session: str) -> list[float]:
    left, seen = list(lists), list[float]()
    until = time.monotonic() + follow.patience_s
    while left:
        if time.monotonic() > until:
            raise RuntimeError(f"{len(left)} gateways never refused {session}")
        refusing = [each for each in left if each.is_revoked(follow.tenant, session)]
        seen.extend([time.monotonic()] * len(refusing))
        left = [each for each in left if each not in refusing]
        time.sleep(_LOOK_S)
    return seen


def _lookups(revoked: RevocationList, follow: Follow) -> float:
    """A second; half of them of sessions that are revoked."""
    names = [name_of(n) if n % 2 else f"other_{n}" for n in range(1000)]
    began = time.perf_counter()
    for _ in range(200):
        for name in names:
            revoked.is_revoked(follow.tenant, name)
    return 200 * len(names) / (time.perf_counter() - began)


def _say(what: Mapping[str, Any]) -> None:
    print(json.dumps(what), flush=True)
