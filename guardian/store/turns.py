"""Work in small transactions, one after another, that leaves others their turn at the database."""

import time
from collections.abc import Callable

Rest = Callable[[float], object]
"""Waits so many seconds; says True where there is no time for more: `time.sleep`, or the `wait` of an Event."""

_ROUNDS = 60
"""Transactions in one go: several times what a monitor at full speed sees in the minute between two."""


def in_turn(lot: Callable[[], int], limit: int, rest: Rest) -> int:
    """Again and again while `lot` does all of `limit`, so that what comes in fast goes as fast. Returns the sum.

    Between two it rests for as long as one took: SQLite's lock is not fair, and who is not waiting gets it.
    """
    done = 0
    for _ in range(_ROUNDS):
        begun = time.perf_counter()
        made = lot()
        done += made
        if made < limit or rest(time.perf_counter() - begun) is True:
            break
    return done
