"""The meaning of purpose and action to the bi-encoder: vectors for the archive, and a sketch for baselines.

A sketch has 256 bits, one per random plane: the side on which the action's vector lies. The share of bits in which
two sketches differ estimates the angle between their vectors (Charikar, *Similarity estimation techniques from
rounding algorithms*, 2002), so a session can remember what its acts meant in 32 bytes each, without their vectors.
The planes are fixed: they depend on the number of dimensions only.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from guardian.domain.past import Vectors
from guardian.domain.signal import Sketch
from guardian.embedding.fit import FitRequest
from guardian.embedding.ports import TextEncoder
from guardian.embedding.recent import Recent
from guardian.embedding.text import render_action, render_purpose

BITS = 256
_PLANES_SEED = 20_261


@dataclass(frozen=True, slots=True)
class Meaning:
    """One action's: both vectors, and the action's sketch."""

    vectors: Vectors
    sketch: Sketch


class Meanings:
    """Reads requests in batches, with a bounded cache by text. Not thread-safe.

    `cache_misses` counts the texts that had to be computed.
    """

    def __init__(self, encoder: TextEncoder, version: str, *, cache_size: int = 16_384) -> None:
        self.version = version
        self._encoder = encoder
        self._known: Recent[str, tuple[bytes, str]] = Recent(cache_size)

    @property
    def cache_misses(self) -> int:
        return self._known.looked_up.misses

    def read(self, requests: Sequence[FitRequest]) -> list[Meaning]:
        """One meaning per request, in order."""
        purposes = [render_purpose(request.purpose) for request in requests]
        actions = [render_action(request.tool, request.arguments) for request in requests]
        found = self._known.look_up([*purposes, *actions], self._compute)
        return [
            Meaning(
                Vectors(self.version, found[purpose][0], found[action][0]),
                Sketch(self.version, found[action][1]),
            )
            for purpose, action in zip(purposes, actions, strict=True)
        ]

    def _compute(self, texts: Sequence[str]) -> Iterable[tuple[bytes, str]]:
        vectors = self._encoder.embed(texts)
        rows = (row.tobytes() for row in vectors.astype("<f2"))
        return zip(rows, sketches(vectors), strict=True)


def sketches(vectors: NDArray[np.float32]) -> list[str]:
    """The sketch of each row as 64 hex digits."""
    sides = vectors @ _planes(vectors.shape[1]) > 0.0
    return [row.tobytes().hex() for row in np.packbits(sides, axis=1)]


@lru_cache(maxsize=4)
def _planes(dimensions: int) -> NDArray[np.float32]:
    drawn = np.random.default_rng(_PLANES_SEED).standard_normal((dimensions, BITS))
    return drawn.astype(np.float32)
