"""Many signals, one score: a weighted noisy-or, monotone in every signal.

    score = 1 - Π (1 - wᵢ·vᵢ)        share of i = log(1 - wᵢ·vᵢ) / Σ log(1 - wⱼ·vⱼ)

The noisy-or treats each signal as a separate cause of drift (Pearl 1988, §4.3.2): one strong signal is
enough, several weak ones add up, and no signal can lower another's word.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from guardian.domain.signal import Signal


@dataclass(frozen=True, slots=True)
class Fusion:
    """`weights` maps a signal's name to how much of its value counts, in [0, 1); unnamed signals get 0.5."""

    weights: Mapping[str, float]

    def __post_init__(self) -> None:
        for name, weight in self.weights.items():
            if not 0.0 <= weight < 1.0:
                raise ValueError(f"weight of signal {name} must lie in [0, 1), got {weight}")

    def fuse(self, signals: Sequence[Signal]) -> tuple[float, dict[str, float]]:
        """The score in [0, 1] and each signal's share of it; shares sum to 1 unless the score is 0."""
        parts = {
            signal.name: -math.log1p(-self.weights.get(signal.name, 0.5) * signal.value)
            for signal in signals
            if not signal.silent
        }
        total = sum(parts.values())
        if total <= 0.0:
            return 0.0, dict.fromkeys(parts, 0.0)
        return min(1.0, -math.expm1(-total)), {name: part / total for name, part in parts.items()}
