"""Work in small transactions, one after another, that leaves others their turn at the database."""

import time
from collections.abc import Callable

Rest = Callable[[float], object]
"""Waits so many seconds and returns True when there is no time left: `time.sleep`, or the `wait` of an Event."""

_ROUNDS = 60
"""Transactions in one go: several times what a monitor at full speed sees in the minute between two."""


def in_turn(lot: Callable[[], int], limit: int, rest: Rest, *, rounds: int = _ROUNDS) -> int:
    """Call `lot` again for as long as it does all of `limit`, and keep up with what comes in. Returns the sum.

    Between two calls it rests for as long as the first took: SQLite's lock is not fair to those who wait for it.
    """
    done = 0
    for _ in range(rounds):
        begun = time.perf_counter()
        made = lot()
        done += made
        if made < limit or rest(time.perf_counter() - begun) is True:
            break
    return done
