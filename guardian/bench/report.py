"""What every bench prints: rows with a unit, a count and a baseline of the same run."""

import os
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from guardian import __version__
from guardian.demo.outcome import percentile


@dataclass(frozen=True, slots=True)
class Row:
    """One figure. `n` is how many observations it rests on, `baseline` the other figure of the same run."""

    name: str
    unit: str
    value: float | None
    n: int
    baseline: float | None = None


def in_ms(seconds: Sequence[float] | None, q: float) -> float | None:
    """A percentile in milliseconds; None of nothing."""
    value = percentile(seconds, q) if seconds else None
    return None if value is None else 1000 * value


def report(bench: str, rows: Sequence[Row]) -> dict[str, Any]:
    """The JSON object of `--json`."""
    return {"bench": bench, "version": __version__, "machine": machine(), "rows": [asdict(row) for row in rows]}


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    return {
        "cpus": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "architecture": platform.machine(),
        "python": platform.python_version(),
        "system": platform.system(),
    }


def resident_now_mb() -> float:
    """Resident memory of this process now, in MB; 0 where that cannot be read."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except (OSError, ValueError):
        return 0.0
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def resident_mb() -> float:
    """Peak resident memory of this process, in MB."""
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
