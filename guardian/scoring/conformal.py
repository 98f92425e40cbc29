"""How unusual is a value among honest ones? Conformal p-values, and an exponential tail beyond them.

Source: Vovk, Gammerman & Shafer, *Algorithmic Learning in a Random World* (2005), ch. 2; the tail's shape is the
Pickands-Balkema-de Haan limit with shape 0, its scale the mean excess of the largest values.
"""

import bisect
import math
from collections.abc import Sequence
from dataclasses import dataclass

SMALLEST_P = 1e-12
_TAIL_SHARE = 0.05


@dataclass(frozen=True, slots=True)
class Reference:
    """A frozen sample of honest values.

    values  ascending, finite, shape (n,), any real units; higher means further from purpose
    scale   > 0, finite: how far beyond the largest value is e-fold rarer
    """

    values: tuple[float, ...]
    scale: float

    def __post_init__(self) -> None:
        if not self.values:
            raise ValueError("a reference needs at least one honest value")
        if not all(map(math.isfinite, self.values)):
            raise ValueError("honest values must be finite")
        if any(a > b for a, b in zip(self.values, self.values[1:], strict=False)):
            raise ValueError("reference values must ascend")
        if not 0.0 < self.scale < math.inf:
            raise ValueError(f"tail scale must be positive and finite, got {self.scale}")

    @classmethod
    def fit(cls, sample: Sequence[float], *, least_scale: float) -> "Reference":
        """Sort the sample; the scale is the mean excess of its largest twentieth (at least 10 values, where there
        are), and never less than `least_scale`: clumped samples must not make the tail look shorter than it is.
        """
        values = tuple(sorted(float(v) for v in sample))
        if not values:
            raise ValueError("a reference needs at least one honest value")
        count = min(len(values), max(10, math.ceil(_TAIL_SHARE * len(values))))
        excess = [v - values[-count] for v in values[-count:]]
        return cls(values, max(least_scale, sum(excess) / len(excess)))

    def p_value(self, value: float) -> float:
        """(1 + #{honest ≥ value}) / (n + 1): valid for any distribution, never below 1/(n + 1)."""
        above = len(self.values) - bisect.bisect_left(self.values, value)
        return (1 + above) / (len(self.values) + 1)

    def estimate(self, value: float) -> tuple[float, bool]:
        """A p-value that goes on past the sample, and whether the sample itself vouches for it.

        Up to the largest honest value it is the conformal p-value (True). Beyond, it falls from 1/(n + 1) by the
        tail's scale (False): an estimate, to be called one.
        """
        p = self.p_value(value)
        beyond = value - self.values[-1]
        if beyond <= 0.0:
            return p, True
        return max(SMALLEST_P, p * math.exp(-beyond / self.scale)), False
