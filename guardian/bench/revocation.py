"""`guardian bench revocation`: from a finding to the gateways' refusal, by face, with many and a long list.

A real control API on a socket, and the shipped clients, which verify every answer, in a few processes beside it.
All share this machine's cores, so with many gateways their own work is in the figures. Baseline, in the same run:
the same client polling every 30 seconds. The first load of the list is in no figure but its own row.
"""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace

import httpx

from guardian.bench.gateways import Follow, Gateways, following
from guardian.bench.long_list import TENANT, LongList, long_list
from guardian.bench.report import Row
from guardian.demo.outcome import percentile

_POLL_S = 30.0
_POLLERS = 5
_PROCESSES = 4
_STREAMS = 8  # gateways per token: it may hold 32 streams
_PAUSE_S = 0.15
_PATIENCE_S = 60.0
Progress = Callable[[int, int], None]


@dataclass
class _Timed:
    """Revocations so far, each watched for by the clients of the baseline as well, which ask every `poll_s`."""

    place: LongList
    slow: Gateways
    poll_s: float
    began: dict[str, float] = field(default_factory=dict)

    def revoke(self, session: str) -> float:
        self.slow.watch(session)
        self.began[session] = self.place.find(session)
        return self.began[session]

    def baseline(self) -> list[float]:
        """Milliseconds, once every one of those clients has polled again."""
        until = time.monotonic() + self.poll_s + 5
        while True:
            noted = self.slow.noted(list(self.began))
            waits = [1000 * (at - self.began[name]) for name, times in noted.items() for at in times]
            if len(waits) >= len(self.began) * _POLLERS:
                return waits
            if time.monotonic() > until:
                raise RuntimeError(
                    f"{len(self.began) * _POLLERS - len(waits)} refusals of the baseline never came"
                )
            time.sleep(0.2)


def run(
    *, live: int, gateways: tuple[int, ...], revocations: int, progress: Progress, poll_s: float = _POLL_S
) -> list[Row]:
    """`live` revocations on the list, then for each number of gateways and each face `revocations` more."""
    steps = len(gateways) + 6
    with long_list(live) as place, ExitStack() as stack:
        progress(1, steps)
        rows = [
            Row(f"memory of control for {live:,} revocations", "MB", place.memory_mb, 1),
            Row(f"bytes of the whole list of {live:,}", "B", place.load(), 1),
            Row("bytes of one poll after one revocation", "B", _delta_bytes(place), 1, baseline=5000),
        ]
        slow = Gateways(
            replace(
                _follow(place, _POLLERS, "slow", push=False),
                wait_s=0.0,
                interval_s=poll_s,
                spread_s=poll_s / _POLLERS,
            )
        )
        stack.callback(slow.stop)
        rows.extend(_one_gateway(place, live))
        progress(2, steps)
        slow.ready()
        timed = _Timed(place, slow, poll_s)
        for done, count in enumerate(gateways):
            began = time.monotonic()
            parts = [_follow(place, part, f"push{done}-{n}") for n, part in enumerate(_shares(count))]
            with following(parts) as processes:
                rows.append(Row(f"first load of the list, {count} gateways", "s", time.monotonic() - began, count))
                waits = _measure(timed, processes, revocations, f"push{done}")
            rows.extend(_percentiles(f"push (stream), {count} gateways", waits))
            progress(3 + done, steps)
        with following([_follow(place, 1, "poll", push=False)]) as processes:
            rows.extend(_percentiles("long poll, 1 gateway", _measure(timed, processes, revocations, "long")))
        progress(steps - 3, steps)
        rows.extend(_percentiles("/v1/check, 1 gateway", _check(timed, revocations)))
        progress(steps - 2, steps)
        few = min(revocations, 10)
        rows.extend(_percentiles("OPA bundle (long poll), 1 gateway", _bundles(timed, few)))
        progress(steps - 1, steps)
        baseline = timed.baseline()
    base = {"p50": percentile(baseline, 50), "p99": percentile(baseline, 99), "max": max(baseline, default=0.0)}
    return [_beside(row, base) for row in rows]


def _shares(count: int) -> list[int]:
    """As even as can be, over no more than so many processes."""
    least, more = divmod(count, _PROCESSES)
    return [share for n in range(_PROCESSES) if (share := least + (n < more))]


def _follow(place: LongList, count: int, name: str, *, push: bool = True) -> Follow:
    names = [f"gw-{name}-{n // _STREAMS}" for n in range(count)]
    tokens = {each: place.token("gateway", each) for each in dict.fromkeys(names)}
    return Follow(
        place.control.url,
        [tokens[each] for each in names],
        TENANT,
        keys=place.control.tokens.keys.current().jwks(),
        push=push,
    )


def _one_gateway(place: LongList, live: int) -> Iterator[Row]:
    """What the list costs one gateway, alone in its process."""
    one = Gateways(_follow(place, 1, "alone"))
    try:
        told = one.ready()
    finally:
        one.stop()
    yield Row(f"memory of one client for {live:,} revocations", "MB", told["resident_mb"], 1)
    yield Row("is_revoked look-ups", "1/s", told["lookups_s"], 200_000)


def _measure(timed: _Timed, processes: list[Gateways], revocations: int, name: str) -> list[float]:
    """Milliseconds from the finding's request to each gateway's refusal."""
    waits: list[float] = []
    for n in range(revocations):
        session = f"bench_{name}_{n}"
        for each in processes:
            each.watch(session)
        began = timed.revoke(session)
        waits.extend(1000 * (at - began) for each in processes for at in each.refused())
        time.sleep(_PAUSE_S)
    return waits


def _check(timed: _Timed, revocations: int) -> list[float]:
    waits = []
    headers = {"Authorization": f"Bearer {timed.place.gateway}"}
    with httpx.Client(base_url=timed.place.control.url, headers=headers) as client:
        for n in range(revocations):
            session = f"bench_check_{n}"
            began = timed.revoke(session)
            until = began + _PATIENCE_S
            while client.get("/v1/check", headers={"X-Guardian-Session": session}).status_code != 403:
                if time.monotonic() > until:
                    raise RuntimeError(f"/v1/check never refused {session}")
            waits.append(1000 * (time.monotonic() - began))
    return waits


def _bundles(timed: _Timed, revocations: int) -> list[float]:
    """Until the whole new bundle has arrived; OPA's own activation comes on top."""
    waits = []
    headers = {"Authorization": f"Bearer {timed.place.gateway}", "Prefer": "wait=20"}
    with httpx.Client(base_url=timed.place.control.url, headers=headers, timeout=120) as client:
        tag = client.get("/v1/opa/bundle.tar.gz").headers["ETag"]
        for n in range(revocations):
            got: list[tuple[float, str]] = []

            def poll(tag: str = tag, got: list[tuple[float, str]] = got) -> None:
                answer = client.get("/v1/opa/bundle.tar.gz", headers={"If-None-Match": tag})
                got.append((time.monotonic(), answer.headers["ETag"]))

            waiting = threading.Thread(target=poll)
            waiting.start()
            time.sleep(0.2)
            began = timed.revoke(f"bench_opa_{n}")
            waiting.join()
            waits.append(1000 * (got[0][0] - began))
            tag = got[0][1]
    return waits


def _delta_bytes(place: LongList) -> float:
    held = place.control.store.head().revision
    place.find("bench_delta")
    headers = {"Authorization": f"Bearer {place.gateway}"}
    got = httpx.get(f"{place.control.url}/v1/revocations", params={"since": str(held)}, headers=headers)
    return float(len(got.content))


def _percentiles(name: str, waits: list[float]) -> list[Row]:
    figures = ((f"p{q}", percentile(waits, q)) for q in (50, 99))
    rows = [Row(f"finding to refusal, {name}, {q}", "ms", value, len(waits)) for q, value in figures]
    return [*rows, Row(f"finding to refusal, {name}, max", "ms", max(waits), len(waits))]


def _beside(row: Row, base: Mapping[str, float | None]) -> Row:
    if not row.name.startswith("finding to refusal"):
        return row
    return replace(row, baseline=base[row.name.rpartition(" ")[2]])
