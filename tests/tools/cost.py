"""What a call costs, to be compared with what another costs in the same run: a slow machine slows both."""

import gc
from collections.abc import Callable
from time import thread_time


def cost(call: Callable[[], object], rounds: int = 5) -> float:
    """Seconds of this thread's own work, the least of some rounds, without what collecting garbage takes: that
    walks all that other tests left, whenever it likes."""
    collected = gc.isenabled()
    gc.disable()
    try:
        return min(_once(call) for _ in range(rounds))
    finally:
        if collected:
            gc.enable()


def _once(call: Callable[[], object]) -> float:
    begun = thread_time()
    call()
    return thread_time() - begun
