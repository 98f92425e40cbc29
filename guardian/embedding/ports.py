"""The ports of the encoders: two ways to turn text into numbers, and what an engine must offer."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

DIMENSIONS = 384
PAIR_TOKENS = 160
TEXT_TOKENS = 128


class PairEncoder(Protocol):
    """Reads a purpose and an action together."""

    def logits(self, pairs: Sequence[tuple[str, str]]) -> NDArray[np.float32]:
        """One logit per (purpose, history and action), shape (n,); higher is further from the purpose.

        The order of the pairs and what else is in the call must not change a pair's logit by more than the
        engine's numeric noise. An empty call returns shape (0,).
        """
        ...


class TextEncoder(Protocol):
    """Reads one text."""

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """One unit vector per text, shape (n, 384); an empty call returns shape (0, 384)."""
        ...


class Encoder(PairEncoder, TextEncoder, Protocol):
    """Both ports over one loaded artefact; the text half may be loaded on first use.

    Each half is used by one thread at a time; the two may be used by different threads.
    """


class EnginePlugin(Protocol):
    """What an engine's module exports as `plugin`: options as dataclass fields, and a way to open an artefact."""

    @property
    def family(self) -> str:
        """Empty for an engine that runs the artefact's own weights: one calibration is valid for all of these. An
        engine that scores in another way gives its name, and has its own versions and calibrations."""
        ...

    def open(self, directory: Path) -> Encoder:
        """Load the encoders in `directory`. Raises ModelError if they are absent or of another format."""
        ...
