"""Labelled sessions that are built and not read from a file, for `guardian evaluate --benchmark`."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from guardian.embedding.artefact import HELD, MANIFEST
from guardian.errors import ConfigurationError
from guardian.evaluation.agentdojo import agentdojo_sessions
from guardian.evaluation.sessions import LabelledSession
from guardian.training import on_the_way, open_ended, toolboxes

_SHIPPED_SEED = 7  # of the training that the shipped model is from


class Benchmark(NamedTuple):
    """`sessions` makes them, for the folds of a training where those are to judge them; `note` is told beside."""

    sessions: Callable[[Path | None], list[LabelledSession]]
    note: str = ""


def find_benchmark(name: str) -> Benchmark:
    """Raises ConfigurationError with the known names."""
    if name not in BENCHMARKS:
        raise ConfigurationError(f"unknown benchmark {name!r}; known ones: {', '.join(BENCHMARKS)}")
    return BENCHMARKS[name]


def _drawn_with(folds: Path | None) -> int:
    """The seed of the training that left these folds, else that of the shipped model."""
    seed = _SHIPPED_SEED
    for held in folds.glob(f"*/{HELD}") if folds is not None else ():
        about = json.loads((held.parent / MANIFEST).read_text("utf-8"))
        if "seed" not in about:
            raise ConfigurationError(
                f"{held.parent}: left by an older `guardian train`, which drew other sessions"
            )
        seed = int(about["seed"])
    return seed


TRAINED_ON = (
    "a model of `guardian train`, the shipped one too, was trained on these sessions, so its figures are too kind."
    " --out-of-fold asks encoders that were not."
)


def _toolboxes(dataset: str) -> Benchmark:
    return Benchmark(
        lambda folds: toolboxes.judged_sessions(seed=_drawn_with(folds), dataset=dataset),
        f"{dataset}: {TRAINED_ON}",
    )


def _unseen(dataset: str) -> Benchmark:
    return Benchmark(lambda _: toolboxes.judged_sessions(seed=_SHIPPED_SEED, dataset=dataset))


BENCHMARKS: dict[str, Benchmark] = {
    "agentdojo": Benchmark(lambda _: agentdojo_sessions()),
    "german": _unseen(toolboxes.GERMAN),
    "look_ups": _unseen(toolboxes.LOOK_UPS),
    "on_the_way": Benchmark(
        lambda folds: on_the_way.judged_sessions(seed=_drawn_with(folds)), f"on_the_way: {TRAINED_ON}"
    ),
    "open_ended": Benchmark(
        lambda _: open_ended.judged_sessions(seed=_SHIPPED_SEED),
        "open_ended: how much less a call weighs under a purpose that constrains nothing was chosen on these.",
    ),
    "own_object": _toolboxes(toolboxes.OWN_OBJECT),
    "reach": _toolboxes(toolboxes.REACH),
    "toolboxes": _toolboxes(toolboxes.DATASET),
    "unnamed": _toolboxes(toolboxes.UNNAMED),
}
