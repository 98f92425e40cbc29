"""What comes to hold by itself, in another thread or process, is waited for."""

import time
from collections.abc import Callable
from typing import TypeVar

Found = TypeVar("Found")


def until(holds: Callable[[], Found], within_s: float = 90.0, told: Callable[[], object] = str) -> Found:
    """What `holds` says, as soon as that is true: asked ever less often, so that whoever is waited for has the
    processor. The bound is there only so that a test that fails ends, with what is `told` then."""
    began = time.monotonic()
    while not (found := holds()):
        waited = time.monotonic() - began
        assert waited < within_s, f"it never came to hold. {told()}"
        time.sleep(min(0.002 + waited / 20, 0.1))
    return found
