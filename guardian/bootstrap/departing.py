"""Watching whether traffic has left the calibration: the bet, what it is shown, and what is told."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, get_args

from guardian.bootstrap.judgement import calibration_version
from guardian.domain.finding import OPERATORS, Effect, Finding, Kind, finding_id
from guardian.domain.session import HumanWord
from guardian.scoring.calibration import Calibration
from guardian.scoring.departure import Departure, Direction
from guardian.store.monitor.departures import Ended, Watch, Watched
from guardian.store.monitor.store import MonitorStore
from guardian.telemetry import Metrics

ABOUT = "calibration"
"""Where a session's id would stand: the finding is about no session."""


def watch_departure(
    calibration: Calibration, *, one_in: float, tie: Callable[[], float], clock: Callable[[], datetime]
) -> Watch:
    """Bets on each finished session, once; `tie` gives uniform numbers in [0, 1). Findings go to the operators."""
    version = calibration_version(calibration)

    def fold(body: Mapping[str, Any] | None, ended: Sequence[Ended]) -> Watched:
        before = _state(body, calibration)
        after = before
        for session in ended:
            if (value := height(session, version)) is not None:
                after = after.step(value, tie())
        told = before.left(one_in) and before.direction == after.direction
        news = after.left(one_in) and not told
        return Watched(after.to_state(), (departure_finding(after, version, clock()),) if news else ())

    return Watch(version, fold)


def departure_of(store: MonitorStore, calibration: Calibration) -> Departure | None:
    """How the bet stands; None before the first session ended under this calibration."""
    body = store.departures.state(calibration_version(calibration))
    return None if body is None else _state(body, calibration)


def show_departure(store: MonitorStore, calibration: Calibration, metrics: Metrics) -> None:
    """Show the most evidence so far, which the verdict goes by, under the direction in which traffic lies now."""
    seen = departure_of(store, calibration)
    if seen is None:
        return
    for each in get_args(Direction):
        metrics.set("guardian_departure_evidence", seen.peak if each == seen.direction else 0.0, direction=each)


def height(session: Ended, calibration: str) -> float | None:
    """The largest evidence that a session reached, as calibrations count it; None for one that they leave out:
    confirmed as drift, or in breach of a hard rule, or without an action. None, too, where the calibration of this
    version has not measured all of it."""
    state = session.state
    if session.word == HumanWord.CONFIRMED.value or state.evidence.broke:
        return None
    return state.highest if state.calibration == calibration and state.undivided else None


def departure_finding(seen: Departure, version: str, now: datetime) -> Finding:
    """Further out: promises may be too kind, mend it. Tamer: they hold with room to spare, and could be sharper.
    Another mix of purposes than the calibration's looks the same: nobody knows which of the two it is."""
    further = seen.direction == "further out"
    what = "be broken more often than they say" if further else "hold with room to spare"
    return Finding(
        id=finding_id(Kind.CALIBRATION, OPERATORS, ABOUT, version, seen.direction),
        kind=Kind.CALIBRATION,
        tenant_id=OPERATORS,
        session_id=ABOUT,
        wanted=Effect.FLAG,
        severity="high" if further else "info",
        title=(
            f"Traffic has left the calibration: sessions are {seen.direction} than its own, so promises may {what}"
            ". Either the work has changed, or its mix of purposes is not the calibration's, which counts few"
            " sessions of each. Run `guardian calibrate` on recent traffic"
        ),
        versions={"calibration": version},
        time=now,
    )


def _state(body: Mapping[str, Any] | None, calibration: Calibration) -> Departure:
    start = Departure.start(calibration.evidence.values)
    if body is None:
        return start
    try:
        return Departure.from_state(body)
    except ValueError:  # another version's bins
        return start
