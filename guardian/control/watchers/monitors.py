"""Watching the monitors: how long calls have gone unwatched, and whether by intent."""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from functools import partial

from guardian.control.authority.asking import Reach
from guardian.control.deps import ControlDeps
from guardian.control.telling.news import tell
from guardian.control.watchers.peers import Watched
from guardian.domain.finding import OPERATORS
from guardian.domain.text import counted, moment
from guardian.store.control.peers import Peer
from guardian.store.control.rows import ControlRows
from guardian.wire.peers import MonitorState

_STEPS = (1, 5, 15, 60, 240, 1440)
"""Minutes without protection at which people hear of it again."""
_ALIVE = timedelta(seconds=30)
"""How long after its last report a monitor counts as alive; it reports every few seconds."""
MAINTENANCE = timedelta(hours=1)
"""How long nobody is paged after an orderly stop of a monitor: people were told of the stop itself."""


def one_by_one(tenants: Reach) -> Iterable[str | None]:
    """The tenants, each on its own. None, which is every tenant and those to come, counts as one."""
    return (None,) if tenants is None else tenants


def watched(tenants: Reach, by: Iterable[Peer], now: datetime) -> bool:
    """Whether monitors that are alive and have read something reach all of these tenants."""
    living = [each for each in by if _watches(each, now)]
    return all(any(each.reaches(one) for each in living) for one in one_by_one(tenants))


def unprotected(known: Iterable[Peer], now: datetime, *, patience: timedelta = timedelta(0)) -> timedelta | None:
    """How long calls have gone unwatched; None where no monitor is known.

    It is the worst of two things: the lag of the monitors that are alive; and, for each tenant whose monitors are
    all gone or have read nothing yet, the time since then. After an orderly stop that counts from `patience` on.
    """
    known = list(known)
    living = [_gap(each, now) for each in known if _watches(each, now)]
    gone = {each.tenants for each in known if not _watches(each, now)}
    left = {tenant for tenants in gone for tenant in one_by_one(tenants)}
    last = [_last([each for each in known if each.reaches(tenant)], now) for tenant in left]
    missed = [gap for gap, stopped in last if not stopped or gap >= patience]
    return max(living + missed, default=None)


def _gap(peer: Peer, now: datetime) -> timedelta:
    return now - peer.last_seen + timedelta(seconds=peer.lag_s)


def _last(those: Sequence[Peer], now: datetime) -> tuple[timedelta, bool]:
    """For how long these watch nothing, and whether that was meant. One that has read nothing ends no gap; where
    nobody has, it began when the first was heard of."""
    read = [(_gap(each, now), each.stopped) for each in those if not each.unread]
    return min(read, default=(now - min(each.first_seen for each in those), False))


def at_rest(tenant_id: str, known: Iterable[Peer], now: datetime) -> bool:
    """Whether the last monitor that watched this tenant was stopped lately, in an orderly way: nobody expects it
    to see anything.
    """
    mine = (each for each in known if each.reaches(tenant_id) and not each.unread)
    last = max(mine, key=lambda each: each.last_seen, default=None)
    return last is not None and last.stopped and now - last.last_seen < MAINTENANCE


def state_of(peer: Peer, now: datetime, late: timedelta) -> MonitorState:
    """How a monitor stands, by the measures of `unprotected`. One whose lag exceeds `late` is behind."""
    if peer.stopped:
        return "stopped"
    if now - peer.last_seen > _ALIVE:
        return "silent"
    if peer.unread:
        return "unread"
    return "behind" if _gap(peer, now) > late else "current"


def tell_of_monitors(deps: ControlDeps, rows: ControlRows, known: Sequence[Peer], now: datetime) -> None:
    """Tell people that a monitor was stopped and not replaced, and when calls are unwatched or watched again."""
    if _not_heard_yet(deps, known, now):
        return
    say = partial(tell, deps, rows, tenant_id=OPERATORS, now=now)
    idle = (each for each in known if each.stopped or each.unread)
    unreplaced = [each for each in idle if not watched(each.tenants, known, now)]
    _tell_of_stops(deps.watched, [each for each in unreplaced if each.stopped and not each.unread], say)
    gap, late = unprotected(known, now), deps.settings.switch.unprotected_after
    if gap is None:
        return
    if gap > late:
        missed = unprotected(known, now, patience=MAINTENANCE)
        if missed is not None and missed > late:
            _tell_of_gap(deps.watched, missed, now, say)
    elif not unreplaced:
        _tell_of_end(deps.watched, now, say)


def _tell_of_stops(told: Watched, stopped: Sequence[Peer], say: Callable[..., None]) -> None:
    newest = {each.principal_id: each for each in sorted(stopped, key=lambda each: each.last_seen)}
    for name, each in newest.items():
        told.gap, told.gap_since = told.gap or "", told.gap_since or each.last_seen
        say(
            topic="unprotected",
            once=f"{name} stopped {each.last_seen.isoformat()}",
            title=f"Monitor {name} was stopped",
            detail=f"process {each.instance} said good-bye, and no other one watches in its place: until one "
            "does, what agents do is not judged, and nothing of it is revoked",
            severity="medium",
        )


def _tell_of_gap(told: Watched, missed: timedelta, now: datetime, say: Callable[..., None]) -> None:
    minutes = int(missed.total_seconds() // 60)
    since = told.gap_since = told.gap_since or now - missed
    step = f"{since.isoformat()} {max(step for step in _STEPS if step <= max(1, minutes))}"
    if told.gap == step:
        return
    say(
        topic="unprotected",
        once=step,
        title=f"Unprotected for {counted(minutes, 'minute')}: the monitor is behind or gone",
        detail=f"since {moment(since)} no monitor has kept up with the decisions: what agents did since then is "
        "not judged yet, and nothing of it is revoked",
        severity="critical",
    )
    told.gap = step


def _tell_of_end(told: Watched, now: datetime, say: Callable[..., None]) -> None:
    if told.gap is None:
        return
    since = told.gap_since or now
    lasted = max(1, int((now - since).total_seconds() // 60))
    say(
        topic="unprotected",
        once=f"over {since.isoformat()}",
        title="Calls are watched again",
        detail=f"for about {counted(lasted, 'minute')} they were not; verdicts on that time say that "
        "they are late",
        severity="info",
    )
    told.gap = told.gap_since = None


def _watches(peer: Peer, now: datetime) -> bool:
    """Whether it is alive and has read something, however far behind it is."""
    return state_of(peer, now, timedelta.max) == "current"


def _not_heard_yet(deps: ControlDeps, known: Iterable[Peer], now: datetime) -> bool:
    """Whether control itself was away, and one that it heard before has had no time to come back."""
    since = deps.watched.since
    if since is None or now - since > deps.settings.switch.unprotected_after:
        return False
    return any(each.last_seen < since for each in known)
