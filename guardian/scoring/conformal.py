"""How unusual is a value among honest ones? Conformal p-values, and an exponential tail beyond them.

Source: Vovk, Gammerman & Shafer, *Algorithmic Learning in a Random World* (2005), ch. 2; the tail is the
Pickands-Balkema-de Haan limit with shape 0, fitted by the mean excess.
"""

import bisect
import math
from collections.abc import Sequence
from dataclasses import dataclass

SMALLEST_P = 1e-12


@dataclass(frozen=True, slots=True)
class Reference:
    """A frozen sample of honest values.

    values     ascending, shape (n,), any real units; higher means further from purpose
    threshold  where the fitted tail starts (a high quantile of the values)
    scale      mean excess over the threshold, > 0: how far e-fold rarer reaches
    """

    values: tuple[float, ...]
    threshold: float
    scale: float

    def __post_init__(self) -> None:
        if not self.values:
            raise ValueError("a reference needs at least one honest value")
        if any(a > b for a, b in zip(self.values, self.values[1:], strict=False)):
            raise ValueError("reference values must ascend")
        if not self.scale > 0.0:
            raise ValueError(f"tail scale must be positive, got {self.scale}")

    @classmethod
    def fit(cls, sample: Sequence[float], *, tail_share: float = 0.05, least_scale: float = 1e-3) -> "Reference":
        """Sort the sample and fit the tail to its upper `tail_share` (at least 10 values where there are)."""
        values = tuple(sorted(float(v) for v in sample))
        if not values:
            raise ValueError("a reference needs at least one honest value")
        if not all(map(math.isfinite, values)):
            raise ValueError("honest values must be finite")
        count = min(len(values), max(10, math.ceil(tail_share * len(values))))
        threshold = values[-count]
        excess = [v - threshold for v in values[-count:]]
        return cls(values, threshold, max(least_scale, sum(excess) / len(excess)))

    def p_value(self, value: float) -> float:
        """(1 + #{honest ≥ value}) / (n + 1): valid for any distribution, never below 1/(n + 1)."""
        above = len(self.values) - bisect.bisect_left(self.values, value)
        return (1 + above) / (len(self.values) + 1)

    def estimate(self, value: float) -> tuple[float, bool]:
        """A p-value that goes on past the sample, and whether the sample itself vouches for it.

        Within the sample it is the conformal p-value (True). Above every honest value it is the smaller of
        that and the fitted tail (False): an estimate, to be called one.
        """
        p = self.p_value(value)
        if value <= self.values[-1]:
            return p, True
        share = (1 + len(self.values) - bisect.bisect_left(self.values, self.threshold)) / (len(self.values) + 1)
        tail = share * math.exp(-(value - self.threshold) / self.scale)
        return max(SMALLEST_P, min(p, tail)), tail >= p
