"""Goes on with what was too much for one transaction: taking revocations back, and walks down the lines."""

import math
from collections.abc import Iterable

from guardian.control.deps import ControlDeps
from guardian.control.revocations.descendants import walk_on
from guardian.control.revocations.lifting import lift_on
from guardian.domain.identity import SessionKey

_IN_TURN = 20
"""How many walks one call tries while each of them finds that it has to wait."""
_AGAIN_S = 30.0
"""Seconds until a decision point that gave no answer is asked about the same walk again."""

Waits = dict[SessionKey, float]
"""Tenant and session below which a walk waits for an answer → when it is asked again, on the stopwatch."""


def follow_on(deps: ControlDeps, waits: Waits) -> float | None:
    """Go on with what is unfinished: with what is given back before any walk down. Returns in how many seconds
    there is more to do; None if there is nothing.

    A walk that waits for an answer holds up no other one. It is noted in `waits`, which the caller keeps.
    """
    most = _IN_TURN + len(waits)
    with deps.store.read() as rows:
        lifting, walks = rows.ledger.lifting(), rows.delegations.unfinished(most)
    if lifting is not None:
        with deps.store.write() as rows:
            back = rows.ledger.lifting()
            if back is not None:
                lift_on(deps, rows, back, deps.clock())
        return 0.0
    names = [each.key for each in walks]
    for name in _in_turn(names, waits, deps.stopwatch()):
        with deps.store.write() as rows:
            at = rows.delegations.walk(name)
            if at is None or not walk_on(deps, rows, at, deps.clock()):
                waits.pop(name, None)
                return 0.0
        waits[name] = deps.stopwatch() + _AGAIN_S
    if len(names) == most:
        return 0.0  # there may be others behind these
    for name in waits.keys() - names:
        del waits[name]
    next_s = min((waits.get(name, -math.inf) for name in names), default=None)
    return None if next_s is None else max(0.0, next_s - deps.stopwatch())


def _in_turn(names: Iterable[SessionKey], waits: Waits, now_s: float) -> list[SessionKey]:
    """The walks to try until one gets further: the longest waiting first, then those that need not wait."""
    fresh = [name for name in names if name not in waits]
    due = sorted((name for name in names if waits.get(name, math.inf) <= now_s), key=waits.__getitem__)
    return [*due[:1], *fresh, *due[1:]][:_IN_TURN]
