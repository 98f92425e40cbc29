"""`guardian demo`: a day at the gateway in under a minute."""

import json
import shlex
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import timedelta

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from guardian.bootstrap.clock import utc_now
from guardian.bootstrap.running import stopping
from guardian.commands import tokens
from guardian.demo.gateway import DemoGateway
from guardian.demo.log import interleave
from guardian.demo.outcome import Outcome, Reach, outcome_of
from guardian.demo.scenario import PlannedSession, Plant, Scenario
from guardian.demo.screen import Screen
from guardian.demo.world import World, open_world
from guardian.demo.writing import Writing
from guardian.gateway.client import RevocationList
from guardian.keys.files import write_secret
from guardian.telemetry import configure_logging
from guardian.wire.base import listed
from guardian.wire.evidence import EvidenceClient
from guardian.wire.findings import FindingView

_PACE_S = 0.06
_SETTLE_S = 30.0
_BEFORE = timedelta(hours=3)


def run_demo(*, seed: int, sessions: int, keep: bool, as_json: bool, format: str) -> bool:
    """True when all was judged, everything planted was caught and nobody honest was accused."""
    configure_logging(level="error", json=False, libraries="CRITICAL")
    console = Console(stderr=as_json, highlight=False)
    writing = Writing(format)
    plan = writing.known_as(Scenario(seed=seed, sessions=sessions).plan())
    with _opened(seed, console, format, pages=keep) as world, stopping() as stop:
        for tenant in sorted({s.tenant_id for s in plan}):
            world.enforce(tenant, "the demo wants to see revocations")
        console.print(f"Control API on {world.control.url}. Now a day at the gateway:")
        outcome = _play(world, plan, seed, console, writing, stop_asked=stop.is_set)
        if stop.is_set():
            raise KeyboardInterrupt
        if keep:
            _explain_running(world, console)
            stop.wait()
    if as_json:
        json.dump(outcome.as_json(), sys.stdout)
        sys.stdout.write("\n")
    elif not keep:
        console.print(
            f"\nTry next: [bold]guardian demo --seed {seed + 1}[/] for another day,"
            " [bold]guardian init my-guardian[/] for"
        )
        console.print(
            "your own gateway, [bold]guardian score FILE[/] for sessions you have, [bold]guardian --help[/]."
        )
    return outcome.clean


@contextmanager
def _opened(seed: int, console: Console, format: str, *, pages: bool) -> Iterator[World]:
    with ExitStack() as stack:
        before = signal.signal(
            signal.SIGTERM, signal.default_int_handler
        )  # until `stopping`: it cleans up as well
        stack.callback(signal.signal, signal.SIGTERM, before)
        with Progress(
            TextColumn("calibrating"), BarColumn(), TimeRemainingColumn(), console=console, transient=True
        ) as bar:
            task = bar.add_task("calibrating", total=None)
            world = stack.enter_context(
                open_world(
                    seed,
                    lambda done, total: bar.update(task, completed=done, total=total),
                    format=format,
                    pages=pages,
                )
            )
        yield world


def _play(
    world: World,
    plan: Sequence[PlannedSession],
    seed: int,
    console: Console,
    writing: Writing,
    *,
    stop_asked: Callable[[], bool],
) -> Outcome:
    total = sum(len(s.calls) for s in plan)
    topic = world.settings.kafka.topic
    with (
        RevocationList(world.control.url, world.gateway_token, interval_s=0.5) as revocations,
        Screen(console, total) as screen,
    ):
        gateway = DemoGateway(
            world.producer,
            topic,
            revocations,
            begin=utc_now() - _BEFORE,
            seed=seed,
            on_call=lambda session, index, allowed: screen.call(session, index, allowed=allowed),
            writing=writing,
            register=world.delegation.register_envelope,
        )
        try:
            revocations.wait_ready(10)
            looked = 0.0
            for session, index in interleave(plan, width=10):
                if stop_asked():
                    break
                gateway.call(session, index)
                time.sleep(_PACE_S)
                if time.monotonic() - looked > 0.4:
                    looked = time.monotonic()
                    _tell(world, screen)
            _settle(world, gateway, stop_asked)
            if not stop_asked():
                _try_again(plan, gateway, revocations)
            reach = _settle(world, gateway, stop_asked)
            views = _tell(world, screen)
        finally:
            gateway.close()
    outcome = outcome_of(plan, views, gateway.traces, reach)
    if not stop_asked():  # of half a day nothing can be said
        screen.show(outcome)
    return outcome


def _try_again(plan: Sequence[PlannedSession], gateway: DemoGateway, revocations: RevocationList) -> None:
    """Agents do not know that they are revoked: each tries its last call once more."""
    for session in plan:
        if session.plant is not Plant.NONE and revocations.is_revoked(session.tenant_id, session.session_id):
            gateway.call(session, len(session.calls) - 1, attempt=1)


def _settle(world: World, gateway: DemoGateway, stop_asked: Callable[[], bool]) -> Reach:
    """Wait until every decision is judged and every finding delivered, while the monitor gets on with it."""
    reach, until = _reach(world), time.monotonic() + _SETTLE_S
    while time.monotonic() < until and not stop_asked():
        before, reach = reach, _reach(world)
        if reach.judged + reach.dead_letters >= gateway.sent and not reach.undelivered:
            time.sleep(0.3)  # the gateway's list follows
            break
        if reach != before:
            until = time.monotonic() + _SETTLE_S
        time.sleep(0.05)
    return reach


def _reach(world: World) -> Reach:
    judged, letters = (
        int(world.metrics.value("guardian_events_total", outcome=outcome)) for outcome in ("judged", "dead_letter")
    )
    return Reach(judged, letters, world.monitor.store.outbox.depth())


def _tell(world: World, screen: Screen) -> Sequence[FindingView]:
    views = list(listed(lambda cursor: world.admin.findings(limit=200, cursor=cursor)))
    for view in reversed(views):
        screen.finding(view)
    return views


def _explain_running(world: World, console: Console) -> None:
    token = world.folder / "keys" / "admin.token"
    issued = tokens.issue(world.settings, "visitor", role="admin", tenants={"*"}, ttl=timedelta(hours=8))
    write_secret(token, issued.text.encode(), replace=True)
    console.print(
        f"\nEverything is still running; Ctrl-C ends it.\n"
        f"Control API {world.control.url}, broker {world.broker.address}\n"
        "The evidence pages, by a link that signs you in once:"
    )
    visitor = EvidenceClient(world.control.url, lambda: issued.text)
    console.print(f"  {visitor.sign_in_link().url}", soft_wrap=True, markup=False)
    console.print("For guardian findings, guardian link (another such link) and the like, in another shell:")
    for told in (
        f"GUARDIAN_CONTROL__URL={world.control.url}",
        f'GUARDIAN_TOKEN="$(cat {shlex.quote(str(token))})"',
    ):
        console.print(f"  export {told}", soft_wrap=True, markup=False)  # it is there to be copied
