"""`guardian bench start`: a monitor in a process of its own, from its first instruction to its first verdicts, and
at work until a full group of decisions is in the archive.

Baseline: the same process importing torch and sentence-transformers instead, where the `train` extra is installed;
of the monitor at work, one that keeps no archive.
"""

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from datetime import timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from guardian.bench.report import Row, resident_mb
from guardian.bootstrap.clock import utc_now
from guardian.bootstrap.monitor import Monitor
from guardian.bus.file import FileConsumer, FileProducer
from guardian.config import load
from guardian.domain.batch import Judgement
from guardian.telemetry import Metrics

HEAVY = ("torch", "sentence_transformers", "transformers", "sklearn")
_PATIENCE_S = 120
_AT_WORK_S = 1800
_CALLS = 5
"""Of a session, at least so many on average."""
_CHILD = "import time; began = time.time(); from guardian.bench.start import child; child({!r}, began)"
_AT_WORK = "from guardian.bench.start import at_work; at_work({!r}, {}, {})"
_TORCH = (
    "import json, time; began = time.time(); import sentence_transformers, torch;"
    " from guardian.bench.report import resident_mb;"
    " print(json.dumps({'ready_s': time.time() - began, 'mb': resident_mb()}))"
)


def run(*, times: int, rows: int, seed: int, progress: Callable[[int, int], None]) -> list[Row]:
    """Starts it `times` times; seconds are the median of those, memory the most. Then twice more, for
    somewhat more than `rows` decisions, of which the first time so many go into the archive at once."""
    # Not above: the child must not load what `guardian watch` does not.
    from guardian.commands.initialise import initialise
    from guardian.demo.log import log_lines
    from guardian.demo.scenario import Scenario

    with tempfile.TemporaryDirectory(prefix="guardian-start-") as folder:
        home = Path(folder) / "home"
        initialise(home)

        def log(sessions: int) -> int:
            lines = list(
                log_lines(Scenario(seed=seed, sessions=sessions, each=0).plan(), begin=_begin(), seed=seed)
            )
            (home / "log.jsonl").write_bytes(b"\n".join(lines) + b"\n")
            return len(lines)

        log(20)
        found = []
        for n in range(times):
            found.append(_started(_CHILD.format(str(home))))
            progress(n + 1, times + 3)
        decisions, peaks = log(rows // _CALLS + 20), []
        for n, archived in enumerate((rows, None), 1):
            told = _started(_AT_WORK.format(str(home), archived, decisions), patience_s=_AT_WORK_S)
            peaks.append(told["mb"])
            progress(times + n, times + 3)
        torch = _started(_TORCH) if find_spec("torch") and find_spec("sentence_transformers") else None
    ready, first = (sorted(f[name] for f in found)[times // 2] for name in ("ready_s", "first_s"))
    base, base_mb = (None, None) if torch is None else (torch["ready_s"], torch["mb"])
    return [
        Row("ready to read (model loaded, database open)", "s", ready, times, baseline=base),
        Row("first verdicts stored", "s", first, times, baseline=base),
        Row(
            "resident memory at its first verdicts, peak",
            "MB",
            max(f["mb"] for f in found),
            times,
            baseline=base_mb,
        ),
        Row(
            "resident memory at work and archiving, peak",
            "MB",
            peaks[0],
            rows,
            baseline=peaks[1],
        ),
        Row("heavy libraries imported", "count", max(len(f["heavy"]) for f in found), times),
    ]


def child(home: str, began: float) -> None:
    """In a process of its own: one monitor over one log, until its first transaction; prints what it took."""
    folder = Path(home)
    settings = load(
        folder / "guardian.yaml", overrides={"store": {"monitor": f"sqlite:///{os.getpid()}.db"}}, apart=True
    )
    stop, first = threading.Event(), list[float]()

    def committed(_judgement: object) -> None:
        first.append(time.time() - began)
        stop.set()

    monitor = Monitor(
        settings,
        metrics=Metrics(),
        consumer=FileConsumer(folder / "log.jsonl"),
        producer=FileProducer(folder / "letters"),
        on_commit=committed,
    )
    ready = time.time() - began
    monitor.run(stop)
    heavy = sorted(set(HEAVY) & set(sys.modules))
    print(json.dumps({"ready_s": ready, "first_s": first[0], "mb": resident_mb(), "heavy": heavy}))


def at_work(home: str, rows: int | None, decisions: int) -> None:
    """In a process of its own: one monitor over the whole log; prints its peak. Up to `rows` go into the archive
    at once; None: it keeps none."""
    folder = Path(home)
    kept = {"path": "archive", "file_rows": rows, "flush_s": 86_400.0}  # by their number alone
    settings = load(
        folder / "guardian.yaml",
        overrides={
            "store": {"monitor": f"sqlite:///{os.getpid()}.db"},
            "archive": {"path": None} if rows is None else kept,
        },
        apart=True,
    )
    stop, judged = threading.Event(), 0

    def committed(judgement: Judgement) -> None:
        nonlocal judged
        judged += len(judgement.scored)
        if judged >= decisions:
            stop.set()

    Monitor(
        settings,
        metrics=Metrics(),
        consumer=FileConsumer(folder / "log.jsonl"),
        producer=FileProducer(folder / "letters"),
        on_commit=committed,
    ).run(stop)
    print(json.dumps({"mb": resident_mb()}))


def _begin() -> Any:
    return utc_now() - timedelta(hours=3)


def _started(code: str, *, patience_s: float = _PATIENCE_S) -> Mapping[str, Any]:
    done = subprocess.run(  # noqa: S603 - this very interpreter, on code of our own
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=patience_s, check=True
    )
    printed: Mapping[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return printed
