"""An engine without weights: word overlap. For unit tests of other rooms, and as the lexical baseline.

Deterministic, without files or a model. Vectors are hashed bags of words; the logit falls with the share of the
action's content words that the purpose uses.
"""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from guardian.embedding.fit import PurposeFit
from guardian.embedding.fusion import FEATURES, Fusion
from guardian.embedding.grounding import content_words
from guardian.embedding.ports import DIMENSIONS


class LexicalEncoder:
    """Both ports over words."""

    def logits(self, pairs: Sequence[tuple[str, str]]) -> NDArray[np.float32]:
        return np.array([4.0 - 8.0 * overlap(purpose, action) for purpose, action in pairs], dtype=np.float32)

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        out = np.zeros((len(texts), DIMENSIONS), dtype=np.float32)
        for row, text in enumerate(texts):
            for word in sorted(content_words(text)) or [""]:
                out[row, zlib.crc32(word.encode()) % DIMENSIONS] += 1.0
            out[row] /= np.linalg.norm(out[row])
        return out


def overlap(purpose: str, action: str) -> float:
    """The share of the action's content words (after `then`) that the purpose uses, in [0, 1]."""
    parts = content_words(action.rpartition(" then ")[2])
    return len(parts & content_words(purpose)) / len(parts) if parts else 0.0


@dataclass(frozen=True, kw_only=True)
class Lexical:
    """No options."""

    family: ClassVar[str] = "lexical"

    def open(self, directory: Path) -> LexicalEncoder:  # noqa: ARG002 (the port has it)
        return LexicalEncoder()

    def purpose_fit(self, *, cache_size: int = 65_536) -> PurposeFit:
        """A ready scorer that weighs the overlap and what the act can do."""
        weights = tuple({"logit": 0.7, "consequence": 2.0}.get(name, 0.0) for name in FEATURES)
        zeros = tuple(0.0 for _ in FEATURES)
        fusion = Fusion(-1.0, weights, tuple(-8.0 for _ in zeros), tuple(8.0 for _ in zeros))
        return PurposeFit(LexicalEncoder(), fusion, "lexical-1", cache_size=cache_size)


plugin = Lexical
