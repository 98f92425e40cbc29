"""For kill tests: where a process ends uncleanly, as the environment says."""

import os
import signal

from guardian.stream.port import CrashPoints, no_crash

CRASH_AT = "GUARDIAN_CRASH_AT"


def crash_points() -> CrashPoints:
    """`GUARDIAN_CRASH_AT=before_commit:3` ends the process at the third such point."""
    wanted = os.environ.get(CRASH_AT)
    if not wanted:
        return no_crash
    point, _, count = wanted.partition(":")
    left = [int(count or 1)]

    def crash(reached: str) -> None:
        if reached == point:
            left[0] -= 1
            if left[0] <= 0:
                os.kill(os.getpid(), signal.SIGKILL)

    return crash
