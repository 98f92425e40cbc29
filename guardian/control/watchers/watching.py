"""Watching the watchers: gateways that hold old news or fell silent, and monitors that are behind or gone.

People are told once when such trouble begins and once when it is over, of all processes of a gateway together.
What is known of peers is in the store, and brought up to date with what this process heard since: where there are
several control processes, each hears only some peers.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Literal

from guardian.control.authority.asking import Reach
from guardian.control.deps import ControlDeps
from guardian.control.telling.news import tell
from guardian.control.watchers.itself import tell_of_itself
from guardian.control.watchers.monitors import MAINTENANCE, tell_of_monitors, unprotected, watched
from guardian.control.watchers.peers import Trouble
from guardian.control.watchers.restored import (
    tell_of_later_epochs,
    tell_of_restores,
)
from guardian.domain.finding import OPERATORS, Severity
from guardian.domain.revocation import LedgerEntry, Revision
from guardian.domain.text import counted, moment
from guardian.store.control.peers import Peer, PeerRole, heard_again
from guardian.store.control.rows import ControlRows
from guardian.store.control.scope import Scope
from guardian.store.sure_time import apart

_MANY = (1, 2, 3, 4, 5, 10, 25, 50, 100, 250, 500, 1000)
"""Processes of one gateway in the same trouble at which people hear of it again."""
_EACH = 10  # gateways in trouble that get a message each: where more are, it is hardly theirs


State = Literal["current", "lagging", "silent"]


@dataclass(frozen=True, slots=True)
class Standing:
    """A gateway, how many entries within its reach it has not acknowledged, and since when the first waits."""

    peer: Peer
    state: State
    behind: int
    waits_since: datetime | None

    def lag_s(self, now: datetime) -> float:
        return 0.0 if self.waits_since is None else max(0.0, (now - self.waits_since).total_seconds())


def peers(deps: ControlDeps, rows: ControlRows, role: PeerRole) -> list[Peer]:
    known = {each.key: each for each in rows.peers.all(role) if not deps.peers.left(each)}
    deps.peers.keep(role, known)
    for heard in deps.peers.heard(role):
        stored = known.get(heard.key)
        if stored is None or stored.last_seen <= heard.last_seen:
            known[heard.key] = heard_again(stored, heard)
    return [known[key] for key in sorted(known)]


def within(known: Iterable[Peer], scope: Reach) -> list[Peer]:
    """Those that reach any of these tenants, as if they reached no other."""
    if scope is None:
        return list(known)
    narrowed = ((each, scope if each.tenants is None else each.tenants & scope) for each in known)
    return [replace(each, tenants=tenants) for each, tenants in narrowed if tenants]


def revision_within(rows: ControlRows, held: Revision, scope: Reach) -> Revision:
    """The same place in the list of these tenants. How far the lists of others go is not theirs to know."""
    if scope is None:
        return held
    newest = rows.ledger.newest(scope, upto=held)
    return newest[0] if newest is not None and newest[0].epoch == held.epoch else Revision(epoch=held.epoch, n=0)


def gateways(deps: ControlDeps, rows: ControlRows, now: datetime, scope: Reach = None) -> list[Standing]:
    """How the gateways stand that reach into `scope`, by the entries within it."""
    epoch = rows.head().revision.epoch
    missing_since: dict[tuple[Revision, Scope], list[LedgerEntry]] = {}  # most hold the same: one look-up for all
    standing = []
    for peer in within(peers(deps, rows, "gateway"), scope):
        held = peer.revision if peer.revision.epoch == epoch else Revision(epoch=epoch, n=0)
        place = held, peer.tenants
        if place not in missing_since:
            missing_since[place] = rows.ledger.since(held, peer.tenants, 1000)
        missing = missing_since[place]
        first = missing[0].at if missing else None
        standing.append(Standing(peer, _state(deps, peer, first, now), len(missing), first))
    return standing


def silent(deps: ControlDeps, peer: Peer, at: datetime) -> bool:
    """Whether it had not been heard of for too long by then, of all the time in which control could hear it."""
    since = deps.watched.since
    could_be_heard = peer.last_seen if since is None else max(peer.last_seen, since)
    return at - could_be_heard > deps.settings.switch.gateway_silent


def _state(deps: ControlDeps, peer: Peer, waits_since: datetime | None, now: datetime) -> State:
    since = deps.watched.since
    if silent(deps, peer, now):
        return "silent"
    if since is not None and since > peer.last_seen:  # control itself was away: what it asks for is not known yet
        return "current"
    late = waits_since is not None and now - waits_since > deps.settings.switch.self_test.enforced_within
    return "lagging" if late else "current"


def watch(deps: ControlDeps) -> None:
    """Write down who was heard of, and tell what changed; called on a schedule. First it shows how they stand, and
    heeds which keys are retired, for a database may take no writes."""
    now = deps.clock()
    with deps.store.read() as rows:
        told = rows.server_time()
        deps.watched.apart = timedelta(0) if told is None else apart(told, now, deps.clock())
        standing = gateways(deps, rows, now)
        monitors = peers(deps, rows, "monitor")
        head = rows.head().revision
        deps.tokens.keys.leave_out(rows.tokens.retired_keys())
    _gauge(deps, standing, head, now)
    gap, missed = unprotected(monitors, now), unprotected(monitors, now, patience=MAINTENANCE)
    unwatched = timedelta(0) if missed is None else missed
    deps.metrics.set("guardian_unprotected_seconds", math.nan if gap is None else unwatched.total_seconds())
    if head.epoch != deps.watched.epoch:
        tell_of_restores(deps, now)
        deps.watched.epoch = head.epoch
    tell_of_later_epochs(deps, now)
    tell_of_itself(deps, now)
    trouble = [each for each in standing if each.state != "current"]
    open_gap = gap is not None and gap > deps.settings.switch.unprotected_after
    if not (deps.peers.unsettled or trouble or open_gap or deps.watched.gateways or deps.watched.gap is not None):
        return
    with deps.watched.once_committed(), deps.store.write() as rows:
        deps.peers.settle(rows, now)
        _forget(deps, rows, [each.peer for each in standing], monitors, now)
        _tell_of_gateways(deps, rows, standing, now)
        tell_of_monitors(deps, rows, monitors, now)
    deps.peers.settled()


def remember(deps: ControlDeps) -> None:
    """Write down who was heard of, or said good-bye, since the last look; for a process that ends."""
    if deps.peers.unsettled:
        with deps.store.write() as rows:
            deps.peers.settle(rows, deps.clock())
        deps.peers.settled()


def _tell_of_gateways(deps: ControlDeps, rows: ControlRows, standing: Iterable[Standing], now: datetime) -> None:
    """All processes of a gateway that are in the same trouble together: it may make up any number of them."""
    say = partial(tell, deps, rows, topic="gateway", tenant_id=OPERATORS, now=now)
    bad, well = defaultdict[tuple[str, str], list[Standing]](list), defaultdict[str, set[str]](set)
    for each in standing:
        if each.state == "current":
            well[each.peer.principal_id].add(each.peer.instance)
        else:
            bad[each.peer.principal_id, each.state].append(each)
    few = len({name for name, _ in bad}) <= _EACH
    for name, state in sorted({*bad, *deps.watched.gateways}):
        before = deps.watched.gateways.pop((name, state), Trouble())
        back = before.instances & well[name]
        if those := sorted(bad[name, state], key=_since):
            many, once = max(step for step in _MANY if step <= len(those)), before.once
            if many > before.told:
                once = f"{name} {state} {_since(those[many - 1]).isoformat()} {many}"
                title, detail, severity = _trouble(those)
                about = name if few else ""
                say(title=title, detail=detail, severity=severity, once=once, about=about, follows=before.once)
            instances = back.union(each.peer.instance for each in those)
            deps.watched.gateways[name, state] = Trouble(instances, many, once)
        elif back:
            title = f"Gateway {name} enforces the list again"
            detail = f"at the newest revision: {_named(sorted(back))}"
            say(title=title, detail=detail, severity="info", once=f"{before.once} back", follows=before.once)


def _trouble(those: Sequence[Standing]) -> tuple[str, str, Severity]:
    """Title, detail and severity of the news about one gateway. The first of `those` is longest in trouble."""
    worst = max(those, key=lambda each: each.behind)
    named = _named([each.peer.instance for each in those])
    if worst.state == "silent":
        what, how = "is silent", f"not heard of since {moment(_since(those[0]))}"
    else:
        what, how = "does not enforce the newest revocations", "asking for them and not moving"
    held = f"the furthest behind held {worst.peer.revision}; {_entries(worst.behind)} newer"
    title = f"Gateway {worst.peer.principal_id} {what}"
    return title, f"{how}: {named}; {held}", "critical" if worst.behind else "high"


def _entries(count: int) -> str:
    return f"{counted(count, 'entry', 'entries')} within its reach {'is' if count == 1 else 'are'}"


def _since(standing: Standing) -> datetime:
    """When it came to stand so."""
    waits = standing.waits_since if standing.state == "lagging" else None
    return waits or standing.peer.last_seen


def _named(instances: Sequence[str]) -> str:
    more = f" and {len(instances) - 3} more" if len(instances) > 3 else ""
    return f"process{'es' if len(instances) > 1 else ''} {', '.join(instances[:3])}{more}"


def _forget(
    deps: ControlDeps, rows: ControlRows, gateways: Sequence[Peer], monitors: Sequence[Peer], now: datetime
) -> None:
    """Forget gateways that are out of service, and monitors that nobody misses: another one watches in their
    place, or their token was withdrawn, or one like them says since when nobody watches."""
    before = deps.sure(now) - deps.settings.switch.forget_after
    old = {each.key for each in (*gateways, *monitors) if each.last_seen < before}
    gone = [each for each in gateways if each.key in old]
    telling = sorted(monitors, key=lambda each: now - each.first_seen if each.unread else each.last_seen - now)
    kept = {_kind(each): each for each in telling}
    for each in monitors:
        replaced = (each.stopped or each.key in old) and watched(each.tenants, monitors, now)
        if replaced or (each.key in old and (kept[_kind(each)] is not each or _retired(rows, each, now))):
            gone.append(each)
    rows.peers.forget(gone)
    for each in gone:
        deps.peers.forget(each)


def _kind(monitor: Peer) -> tuple[str, Reach, bool]:
    """Of those that are alike here, the one heard of last says since when nothing is watched; where they have read
    nothing, the one heard of first."""
    return monitor.principal_id, monitor.tenants, monitor.unread


def _retired(rows: ControlRows, monitor: Peer, now: datetime) -> bool:
    """Whether a token of its was withdrawn since it was heard of, and none is left for its tenants. One that ended
    is a fault."""
    name, living = monitor.principal_id, rows.tokens.of_machines(now)
    mine = [each.tenants for each in living if (each.role, each.principal_id) == ("monitor", name)]
    if any("*" in tenants or (monitor.tenants is not None and monitor.tenants <= {*tenants}) for tenants in mine):
        return False
    return rows.tokens.withdrawn_since(name, monitor.last_seen)


def _gauge(deps: ControlDeps, standing: Iterable[Standing], head: Revision, now: datetime) -> None:
    """Of the processes of a gateway the worst counts. One that lacks nothing of its tenants' is at the head."""
    worst, oldest = dict[str, float](), dict[str, float]()
    states = dict.fromkeys(("current", "lagging", "silent"), 0)
    for each in standing:
        states[each.state] += 1
        silent = (now - each.peer.last_seen).total_seconds() if each.state == "silent" else 0.0
        name = each.peer.principal_id
        worst[name] = max(worst.get(name, 0.0), each.lag_s(now), silent)
        held = each.peer.revision if each.behind else head
        oldest[name] = min(oldest.get(name, head.n), held.n if held.epoch == head.epoch else 0)
    for state, count in states.items():
        deps.metrics.set("guardian_gateways", count, state=state)
    gone = deps.watched.measured - worst.keys()  # out of service: nobody waits for it any more
    for name, lag in {**worst, **dict.fromkeys(gone, 0.0)}.items():
        deps.metrics.set("guardian_gateway_lag_seconds", lag, gateway=name)
    for name, revision in {**oldest, **dict.fromkeys(gone, math.nan)}.items():
        deps.metrics.set("guardian_gateway_revision", revision, gateway=name)
    deps.watched.measured = frozenset(worst)
