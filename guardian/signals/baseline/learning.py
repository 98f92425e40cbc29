"""How a finished session enters the next baseline snapshot. Pure.

Units: counts are tenths of a session. A session adds ten times its weight, once, for each tool it used, each
transition it made and each hour it was active in, however often, and at most ten of its record sizes; so one busy
session cannot outweigh many, and a flagged session (low weight) teaches slowly. Snapshots are bounded, and long
memory fades: beyond 5,000 sessions' worth every count is halved, that of the sessions too.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from guardian.domain.signal import BaselineFact
from guardian.signals.baseline.meaning import gathered

UNITS = 10
"""Counts per session of full weight."""

MAX_TOOLS = 256
MAX_NEXT_TOOLS = 64
MAX_SIZES = 256
SIZES_OF_A_SESSION = 10
"""Less than what a volume must be above to be unusual: the largest twentieth of MAX_SIZES."""
_A_FEW = 20
"""After so many sessions, when a baseline may speak, one brings no more than a twentieth of the sizes known."""
REMEMBERED = 5_000
"""Sessions that a snapshot holds at most, and half as many after it faded."""
_COUNTED_FROM = 0.5  # a session below this weight does not bring the baseline nearer to speaking


def learn(previous: BaselineFact | None, tally: Mapping[str, Any], *, weight: float, version: str) -> BaselineFact:
    """The next snapshot: `previous` and one session's tally (the state of the `purpose_baseline` fold).

    `weight` in [0, 1] is how much the session counts: 1 for an honest one, little for a flagged one.
    Raises ValueError for a weight outside [0, 1].
    """
    if not 0.0 <= weight <= 1.0:
        raise ValueError(f"a session's weight must lie in [0, 1], got {weight}")
    before = previous or BaselineFact(version, 0, {}, {}, (), (0,) * 24)
    units = round(weight * UNITS)
    if units == 0 or not tally.get("tools"):
        return replace(before, version=version)
    tools = _added(before.tools, tally["tools"], units)
    transitions = {name: dict(row) for name, row in before.transitions.items()}
    for name, row in tally.get("transitions", {}).items():
        transitions[name] = _added(transitions.get(name, {}), row, units)
    hours = [count + units * (str(hour) in tally.get("hours", {})) for hour, count in enumerate(before.hours)]
    sketches, by = _meanings(before, tally, units)
    faded = sum(transitions.get("", {}).values()) > REMEMBERED * UNITS
    if faded:
        tools, hours = _halved(tools), [count // 2 for count in hours]
        transitions = {name: halved for name, row in transitions.items() if (halved := _halved(row))}
    count = min(before.sessions + (weight >= _COUNTED_FROM), REMEMBERED)  # earlier snapshots hold more
    return BaselineFact(
        version=version,
        sessions=count // 2 if faded else count,
        tools=_most(tools, MAX_TOOLS),
        transitions=_rows(transitions),
        record_sizes=_sizes(before, tally.get("sizes", ()), weight),
        hours=tuple(hours),
        sketches=_halved(sketches) if faded else sketches,
        sketched_by=by,
    )


def _meanings(before: BaselineFact, tally: Mapping[str, Any], units: int) -> tuple[dict[str, int], str]:
    """Sketches of another encoder than the last snapshot's begin anew: they cannot be compared."""
    fresh, by = tally.get("sketches", ()), str(tally.get("sketched_by", ""))
    if not fresh:
        return dict(before.sketches), before.sketched_by
    return gathered(before.sketches if by == before.sketched_by else {}, fresh, units), by


def _added(counts: Mapping[str, int], names: Iterable[str], units: int) -> dict[str, int]:
    after = dict(counts)
    for name in names:
        after[name] = after.get(name, 0) + units
    return after


def _halved(counts: Mapping[str, int]) -> dict[str, int]:
    return {name: count // 2 for name, count in counts.items() if count > 1}


def _most(counts: Mapping[str, int], limit: int) -> dict[str, int]:
    return dict(sorted(counts.items(), key=lambda entry: (-entry[1], entry[0]))[:limit])


def _rows(transitions: Mapping[str, Mapping[str, int]]) -> dict[str, dict[str, int]]:
    rows = sorted(transitions.items(), key=lambda entry: (entry[0] != "", -sum(entry[1].values()), entry[0]))
    return {name: _most(row, MAX_NEXT_TOOLS) for name, row in rows[: MAX_TOOLS + 1]}


def _sizes(before: BaselineFact, sizes: Iterable[int], weight: float) -> tuple[int, ...]:
    new, known = sorted(sizes), before.record_sizes
    share = max(1, len(known) // _A_FEW) if known and before.sessions >= _A_FEW else SIZES_OF_A_SESSION
    kept = round(weight * min(len(new), share, SIZES_OF_A_SESSION))
    return _spread(sorted([*known, *_spread(new, kept)]), MAX_SIZES)


def _spread(ascending: list[int], limit: int) -> tuple[int, ...]:
    """At most `limit` of the values, evenly spread over their ranks, so that quantiles stay."""
    if len(ascending) <= limit:
        return tuple(ascending)
    return tuple(ascending[(2 * rank + 1) * len(ascending) // (2 * limit)] for rank in range(limit))
