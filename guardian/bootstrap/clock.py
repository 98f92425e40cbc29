"""The clocks that are handed to everything below."""

import time
from datetime import UTC, datetime


def utc_now() -> datetime:
    """Aware UTC."""
    return datetime.now(UTC)


def steady_s() -> float:
    """Seconds that go on while the machine sleeps, whatever its clock is set to."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))
