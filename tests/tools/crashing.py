"""For kill tests: `guardian`, whose process a SIGKILL ends the third time that it reaches `before_commit:3`."""

import os
import signal
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path


def command(crash_at: str | None) -> list[str]:
    """What starts `guardian`; its arguments come behind it."""
    if crash_at is None:
        return [sys.executable, "-m", "guardian"]
    begin = f"import sys; sys.path.append({str(Path(__file__).parent)!r}); import crashing; crashing.main()"
    return [sys.executable, "-c", begin, crash_at]


def main() -> None:
    from guardian.__main__ import main as guardian
    from guardian.bootstrap import running

    monitor = partial(running.Monitor, crash_points=_crashing(sys.argv.pop(1)))
    running.Monitor = monitor  # type: ignore[misc, assignment]
    guardian()


def _crashing(crash_at: str) -> Callable[[str], None]:
    point, _, count = crash_at.partition(":")
    left = [int(count)]

    def crash(reached: str) -> None:
        if reached == point:
            left[0] -= 1
            if left[0] <= 0:
                os.kill(os.getpid(), signal.SIGKILL)

    return crash
