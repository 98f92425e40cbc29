"""`guardian bench scoring`: the drift model alone, cold and cached.

Baseline: the sentence-transformers path (torch fp32) on the same pairs, where the `train` extra is installed. It
runs the same architecture with other weights: as fast as the trained one, whose fp32 is not shipped.
"""

import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from guardian.bench.report import Row, in_ms, resident_mb
from guardian.bootstrap.judgement import model_directory, open_fit
from guardian.config import Settings, load
from guardian.config.judging import ModelSection
from guardian.demo.scenario import Scenario
from guardian.embedding.artefact import PAIR_MODEL
from guardian.embedding.fit import FitRequest, PurposeFit
from guardian.embedding.grounding import argument_values
from guardian.errors import GuardianError

_BATCH = 64


def run(*, pairs: int, seed: int, progress: Callable[[int, int], None]) -> list[Row]:
    """`pairs` distinct (purpose, history, action)."""
    settings = load(None, apart=True)
    requests = distinct_requests(pairs, seed)
    n, reference = len(requests), None
    fit = open_fit(settings)
    cold = _timed(fit, requests, lambda done: progress(done, 2 * n))
    began = time.perf_counter()
    for _ in range(5):
        fit.score(requests)
    cached = 5 * n / (time.perf_counter() - began)
    peak_mb = resident_mb()  # before torch is loaded
    with tempfile.TemporaryDirectory() as folder:
        if (torch_fit := _torch(settings, Path(folder))) is not None:
            reference = _timed(torch_fit, requests, lambda done: progress(n + done, 2 * n))
    both_mb = resident_mb() if reference else None
    base = n / sum(reference) if reference else None
    return [
        Row("cold", "pairs/s", n / sum(cold), n, baseline=base),
        Row("cached", "pairs/s", cached, 5 * n, baseline=base),
        Row(f"batch of {_BATCH}, p50", "ms", in_ms(cold, 50), len(cold), baseline=in_ms(reference, 50)),
        Row(f"batch of {_BATCH}, p99", "ms", in_ms(cold, 99), len(cold), baseline=in_ms(reference, 99)),
        Row("resident memory, peak (baseline: torch besides)", "MB", peak_mb, 1, baseline=both_mb),
    ]


def _torch(settings: Settings, folder: Path) -> PurposeFit | None:
    try:
        from guardian.embedding.sentence_transformers import new_pair_model
        from guardian.training.bases import packaged_base, untrained_like

        base = packaged_base()
        like = untrained_like(model_directory(settings) / PAIR_MODEL, base, folder / "base")
    except (ImportError, GuardianError):
        return None
    new_pair_model(str(like)).save(str(folder / "pair"))
    options = {"pair": str(folder / "pair"), "text": str(base)}
    section = ModelSection(engine="sentence_transformers", options=options)
    return open_fit(settings.model_copy(update={"model": section}))


def distinct_requests(count: int, seed: int) -> list[FitRequest]:
    """Different pairs from as many days of the demo as it takes."""
    found: dict[tuple[object, ...], FitRequest] = {}
    while len(found) < count:
        for session in Scenario(seed=seed, sessions=60, each=3).plan():
            before: tuple[str, ...] = ()
            values: frozenset[str] = frozenset()
            for call in session.calls:
                request = FitRequest(session.envelope["purpose"], call.tool, call.arguments, before, values)
                found.setdefault((request.purpose, call.tool, str(call.arguments), before), request)
                before = (*before, call.tool)[-8:]
                values |= argument_values(call.arguments)
        seed += 1
    return list(found.values())[:count]


def _timed(fit: PurposeFit, requests: Sequence[FitRequest], done: Callable[[int], None]) -> list[float]:
    fit.score(requests[:1])
    took = []
    for start in range(0, len(requests), _BATCH):
        began = time.perf_counter()
        fit.score(requests[start : start + _BATCH])
        took.append(time.perf_counter() - began)
        done(start + _BATCH)
    return took
