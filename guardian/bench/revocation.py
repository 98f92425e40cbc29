"""`guardian bench revocation`: from a finding to the gateways' refusal, by face, with many and a long list.

A real control API on a socket, shipped clients in threads, and in the same run one that polls every 30 seconds.
All clients share this process, so what one gateway would see is faster than what is printed here.
"""

import contextlib
import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import httpx

from guardian.bench.report import Row
from guardian.bootstrap import tokens
from guardian.bootstrap.clock import utc_now
from guardian.bootstrap.control import Control
from guardian.bootstrap.secrets import SecretFiles
from guardian.config import Settings, load
from guardian.demo.outcome import percentile
from guardian.domain.finding import Effect, Evidence, Finding, Kind, NamedBreach, finding_id
from guardian.domain.revocation import Revision
from guardian.gateway.client import RevocationList
from guardian.store.control import ControlStore
from guardian.telemetry import Metrics
from guardian.wire.client import ControlClient
from guardian.wire.principal import Role

_TENANT = "bench"
_POLL_S = 30.0
_PATIENCE_S = 20.0
_LOOK_S = 0.001
_DAY = timedelta(days=1)
_LOOKUPS = 200_000
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class _Place:
    """Control with its list, and tokens for it."""

    control: Control
    settings: Settings
    monitor: ControlClient

    def token(self, role: Role, name: str) -> str:
        return tokens.issue(self.settings, name, role=role, tenants={_TENANT}, ttl=_DAY).text

    def find(self, session: str) -> float:
        """File a finding that policy answers with a revocation; when it was sent, on the monotonic clock."""
        finding = Finding(
            id=finding_id(Kind.DRIFT, _TENANT, session, 0, 1),
            kind=Kind.DRIFT,
            tenant_id=_TENANT,
            session_id=session,
            transition=1,
            wanted=Effect.REVOKE,
            severity="critical",
            title="bench",
            breaches=(NamedBreach(name="envelope_expired", detail="bench", hard=True),),
            evidence=Evidence(independent_signals=1),
            time=utc_now(),
        )
        began = time.monotonic()
        outcome = self.monitor.submit(finding)
        if outcome.effect is not Effect.REVOKE:
            raise RuntimeError(f"policy did not revoke: {outcome.note}")
        return began


def run(*, live: int, gateways: tuple[int, ...], revocations: int, progress: Progress) -> list[Row]:
    """`live` revocations on the list, then for each number of gateways `revocations` more, one by one."""
    steps = len(gateways) + 4
    with _place(live) as place, ExitStack() as stack:
        progress(1, steps)
        token = place.token("gateway", "poller")
        slow = RevocationList(
            place.control.url, token, push=False, wait_s=0, interval_s=_POLL_S, acknowledge=False
        )
        stack.callback(slow.stop)
        slow.start()
        slow.wait_ready(_PATIENCE_S)
        rows, polled = [], dict[str, float]()
        noted = stack.enter_context(_noting(slow, polled))
        before = _resident_mb()
        one = stack.enter_context(_following(place, 1, "memory"))[0]
        rows.append(Row(f"memory of one client with {live:,} revocations", "MB", _resident_mb() - before, 1))
        rows.append(_lookups(one))
        rows.append(Row("bytes of one poll after one revocation", "B", _delta_bytes(place), 1, baseline=5000))
        progress(2, steps)
        for done, count in enumerate(gateways):
            with _following(place, count, f"push{count}") as lists:
                waits = _measure(place, lists, revocations, f"push{count}", polled)
            rows.extend(_percentiles(f"push (stream), {count} gateways", waits))
            progress(3 + done, steps)
        with _following(place, 1, "poll", push=False) as lists:
            rows.extend(_percentiles("long poll, 1 gateway", _measure(place, lists, revocations, "long", polled)))
        rows.extend(_percentiles("/v1/check, 1 gateway", _check(place, revocations, polled)))
        rows.extend(
            _percentiles("OPA bundle (long poll), 1 gateway", _bundles(place, min(revocations, 10), polled))
        )
        baseline = _wait_for(noted, polled)
    base = {q: percentile(baseline, q) for q in (50, 99)} | {100: max(baseline, default=0.0)}
    return [_beside(row, base) for row in rows]


@contextlib.contextmanager
def _place(live: int) -> Iterator[_Place]:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="guardian-bench-")))
        settings = load(
            None,
            overrides={
                "base": str(folder),
                "store": {"control": "sqlite:///control.db", "monitor": "sqlite:///monitor.db"},
                "control": {
                    "default_mode": "enforce",
                    "budget": {"revocations": 10**6, "reserved_for_breaches": 0},
                    "breaker": {"least": 10**6},
                },
                "revocation": {"self_test": {"canary_every_s": None}},
                "alerts": {"jsonl": {"path": str(folder / "alerts.jsonl")}},
            },
        )
        SecretFiles.of(settings).create()
        store = ControlStore.open(settings.store_url(settings.store.control), now=utc_now())
        _fill(store, live)
        store.close()
        control = Control(settings, metrics=Metrics(), port=0)
        stack.callback(control.stop)
        control.start()
        token = tokens.issue(settings, "monitor", role="monitor", tenants={_TENANT}, ttl=_DAY).text
        monitor = stack.enter_context(ControlClient(control.url, lambda: token))
        yield _Place(control, settings, monitor)


def _fill(store: ControlStore, live: int) -> None:
    now = utc_now()
    for begin in range(0, live, 5000):
        with store.write() as rows:
            for n in range(begin, min(live, begin + 5000)):
                rows.ledger.append(
                    tenant_id=_TENANT,
                    session_id=f"sess_{n:024x}",
                    status="revoked",
                    reason_code="manual",
                    reason="bench",
                    actor="bench",
                    now=now,
                    expires_at=now + 2 * _DAY,
                )


@contextlib.contextmanager
def _following(place: _Place, count: int, name: str, *, push: bool = True) -> Iterator[list[RevocationList]]:
    """That many shipped clients, verifying signatures, all at the newest revision."""
    keys = place.control.tokens.keys.current().jwks()
    with ExitStack() as stack:
        lists = []
        for n in range(count):
            token = place.token("gateway", f"gw-{name}-{n // 8}")
            each = RevocationList(
                place.control.url, token, verify_with=keys, push=push, timeout_s=60, max_stale_s=120
            )
            stack.callback(each.stop)
            lists.append(each.start())
        until = time.monotonic() + 10 * _PATIENCE_S
        wanted = "push" if push else "poll"
        while any(each.state().transport != wanted for each in lists):
            if time.monotonic() > until:
                raise RuntimeError(f"not every gateway follows: {[each.state() for each in lists][:3]}")
            time.sleep(0.05)
        yield lists


def _measure(
    place: _Place, lists: list[RevocationList], revocations: int, name: str, polled: dict[str, float]
) -> list[float]:
    """Milliseconds from the finding's request to each gateway's refusal."""
    waits: list[float] = []
    for n in range(revocations):
        session = f"bench_{name}_{n}"
        left, seen = list(lists), list[float]()
        done = threading.Event()

        def look(left: list[RevocationList] = left, seen: list[float] = seen, session: str = session) -> None:
            until = time.monotonic() + _PATIENCE_S
            while left and time.monotonic() < until:
                refusing = [each for each in left if each.is_revoked(_TENANT, session)]
                seen.extend([time.monotonic()] * len(refusing))
                left[:] = [each for each in left if each not in refusing]
                time.sleep(_LOOK_S)
            done.set()  # noqa: B023 - one at a time

        watcher = threading.Thread(target=look, daemon=True)
        watcher.start()
        polled[session] = began = place.find(session)
        done.wait(_PATIENCE_S + 1)
        watcher.join()
        if left:
            raise RuntimeError(f"{len(left)} gateways never refused {session}")
        waits.extend(1000 * (at - began) for at in seen)
        time.sleep(0.05)
    return waits


def _check(place: _Place, revocations: int, polled: dict[str, float]) -> list[float]:
    waits = []
    headers = {"Authorization": f"Bearer {place.token('gateway', 'gw-check')}"}
    with httpx.Client(base_url=place.control.url, headers=headers) as client:
        for n in range(revocations):
            session = f"bench_check_{n}"
            polled[session] = began = place.find(session)
            while client.get("/v1/check", headers={"X-Guardian-Session": session}).status_code != 403:
                pass
            waits.append(1000 * (time.monotonic() - began))
    return waits


def _bundles(place: _Place, revocations: int, polled: dict[str, float]) -> list[float]:
    """Until the whole new bundle has arrived; OPA's own activation comes on top."""
    waits = []
    headers = {"Authorization": f"Bearer {place.token('gateway', 'gw-opa')}", "Prefer": "wait=20"}
    with httpx.Client(base_url=place.control.url, headers=headers, timeout=120) as client:
        tag = client.get("/v1/opa/bundle.tar.gz").headers["ETag"]
        for n in range(revocations):
            got: list[tuple[float, str]] = []

            def poll(tag: str = tag, got: list[tuple[float, str]] = got) -> None:
                answer = client.get("/v1/opa/bundle.tar.gz", headers={"If-None-Match": tag})
                got.append((time.monotonic(), answer.headers["ETag"]))

            waiting = threading.Thread(target=poll)
            waiting.start()
            time.sleep(0.2)
            session = f"bench_opa_{n}"
            polled[session] = began = place.find(session)
            waiting.join()
            waits.append(1000 * (got[0][0] - began))
            tag = got[0][1]
    return waits


def _delta_bytes(place: _Place) -> float:
    held = place.control.store.head().revision
    place.find("bench_delta")
    token = place.token("gateway", "gw-delta")
    since = str(Revision(epoch=held.epoch, n=held.n))
    headers = {"Authorization": f"Bearer {token}"}
    got = httpx.get(f"{place.control.url}/v1/revocations", params={"since": since}, headers=headers)
    return float(len(got.content))


def _lookups(revoked: RevocationList) -> Row:
    names = [f"sess_{n:024x}" for n in range(1000)]
    began = time.perf_counter()
    for n in range(_LOOKUPS):
        revoked.is_revoked(_TENANT, names[n % 1000])
    took = time.perf_counter() - began
    return Row("is_revoked look-ups", "1/s", _LOOKUPS / took, _LOOKUPS)


@contextlib.contextmanager
def _noting(slow: RevocationList, polled: dict[str, float]) -> Iterator[dict[str, float]]:
    """Milliseconds until the client that polls every 30 s refuses, by session, noted as it happens."""
    noted, stop = dict[str, float](), threading.Event()

    def watch() -> None:
        while not stop.wait(0.05):
            for session, began in list(polled.items()):
                if session not in noted and slow.is_revoked(_TENANT, session):
                    noted[session] = 1000 * (time.monotonic() - began)

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    yield noted
    stop.set()
    watcher.join()


def _wait_for(noted: dict[str, float], polled: dict[str, float]) -> list[float]:
    until = time.monotonic() + _POLL_S + 5
    while len(noted) < len(polled) and time.monotonic() < until:
        time.sleep(0.05)
    return list(noted.values())


def _percentiles(name: str, waits: list[float]) -> list[Row]:
    figures = ((f"p{q}", percentile(waits, q)) for q in (50, 99))
    rows = [Row(f"finding to refusal, {name}, {q}", "ms", value, len(waits)) for q, value in figures]
    return [*rows, Row(f"finding to refusal, {name}, max", "ms", max(waits), len(waits))]


def _beside(row: Row, base: dict[int, float | None]) -> Row:
    if not row.name.startswith("finding to refusal"):
        return row
    q = {"p50": 50, "p99": 99, "max": 100}[row.name.rpartition(" ")[2]]
    return Row(row.name, row.unit, row.value, row.n, baseline=base[q])


def _resident_mb() -> float:
    with contextlib.suppress(OSError, ValueError):
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 2**20
    return 0.0
