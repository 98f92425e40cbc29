"""`guardian bench e2e`: from a decision on the topic to the gateway client's refusal, on a real broker.

Sessions act on an expired envelope, so every one is revoked by policy. Baseline: a second client in the same run
that polls every two seconds instead of holding a long poll.
"""

import time
from collections.abc import Callable, Mapping
from datetime import timedelta

from guardian.bench.report import Row, resident_mb
from guardian.bootstrap.clock import utc_now
from guardian.bus.port import Producer
from guardian.demo.gateway import DemoGateway, Trace
from guardian.demo.history import Progress
from guardian.demo.log import SessionClock, decision_line, encode
from guardian.demo.outcome import percentile
from guardian.demo.scenario import PlannedSession, Plant, Scenario
from guardian.demo.world import World, open_world
from guardian.gateway.client import RevocationList

_POLL_S = 2.0
_PATIENCE_S = 15.0
_PACE_S = 0.15


def run(*, revocations: int, seed: int, progress: Callable[[int, int], None]) -> list[Row]:
    """`revocations` sessions, one after the other."""
    quiet: Progress = lambda _done, _total: None  # noqa: E731 - the history's bar is not this bench's
    plan = [
        s for s in Scenario(seed=seed, sessions=0, each=revocations).plan() if s.plant is Plant.EXPIRED_ENVELOPE
    ]
    with open_world(seed, quiet, budget=revocations) as world:
        for tenant in sorted({s.tenant_id for s in plan}):
            world.enforce(tenant, "bench e2e")
        url, token = world.control.url, world.gateway_token
        with (
            RevocationList(url, token, interval_s=0.5) as pushed,
            RevocationList(url, token, interval_s=_POLL_S, wait_s=0, push=False) as polled,
        ):
            pushed.wait_ready(10)
            polled.wait_ready(10)
            _warm_up(world, seed)
            waits = _revoke_all(world.producer, world.settings.kafka.topic, plan, pushed, polled, seed, progress)
    push, poll = waits
    return [
        Row(f"decision to refusal, p{q}", "ms", percentile(push, q), len(push), baseline=percentile(poll, q))
        for q in (50, 99)
    ] + [Row("resident memory of monitor, control and gateway in one process, peak", "MB", resident_mb(), 1)]


def _warm_up(world: World, seed: int) -> None:
    """Joining the consumer group takes seconds, once; what is measured is a monitor at work."""
    session = Scenario(seed=seed, sessions=1, each=0, label="w").plan()[0]
    line = decision_line(session, 0, SessionClock(session, utc_now() - timedelta(hours=3), seed))
    world.producer.send(world.settings.kafka.topic, encode(line), key=session.session_id.encode())
    until = time.monotonic() + _PATIENCE_S
    while time.monotonic() < until and not world.metrics.value("guardian_events_total", outcome="judged"):
        time.sleep(0.05)


def _revoke_all(
    producer: Producer,
    topic: str,
    plan: list[PlannedSession],
    pushed: RevocationList,
    polled: RevocationList,
    seed: int,
    progress: Callable[[int, int], None],
) -> tuple[list[float], list[float]]:
    begin = utc_now() - timedelta(hours=3)
    gateways = [
        DemoGateway(producer, topic, pushed, begin=begin, seed=seed, on_call=lambda *_: None),
        DemoGateway(producer, topic, polled, begin=begin, seed=seed, on_call=lambda *_: None),
    ]
    try:
        for done, session in enumerate(plan, 1):
            gateways[0].call(session, session.drift_from)
            gateways[1].traces[session.session_id] = Trace(session)
            time.sleep(_PACE_S)
            progress(done, len(plan))
        until = time.monotonic() + _PATIENCE_S
        while time.monotonic() < until and not all(
            trace.revoked_seen for gateway in gateways for trace in gateway.traces.values()
        ):
            time.sleep(0.05)
        push, poll = (_waits(gateways[0].traces, gateway.traces) for gateway in gateways)
        return push, poll
    finally:
        for gateway in gateways:
            gateway.close()


def _waits(decided: Mapping[str, Trace], seen: Mapping[str, Trace]) -> list[float]:
    """Milliseconds from each decision to its refusal. Raises RuntimeError where one was never refused: a
    percentile of the others would be of those that went well."""
    left = [session for session in decided if seen[session].revoked_seen is None]
    if left:
        raise RuntimeError(f"{len(left)} of {len(decided)} revocations were never refused; the first: {left[0]}")
    begins = {session: next(iter(trace.decided.values())) for session, trace in decided.items()}
    return [1000 * (at - begins[name]) for name in begins if (at := seen[name].revoked_seen) is not None]
