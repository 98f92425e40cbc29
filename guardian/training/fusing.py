"""Fit the fusion: a logistic with non-negative weights, on examples of data sets that the encoder had not seen.

A pair encoder is surer of the sets that it was trained on, so logits are taken out of fold: each data set is
scored by an encoder that was trained without it. Every data set has the same weight, whatever its size.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from guardian.embedding.fusion import FEATURES, Fusion

KEPT: Mapping[str, float] = {"consequence": 0.5}
"""How much of a feature's fitted weight is kept. The labelled drift of public sets hardly holds look-ups, so what
an act can do is worth less than those sets say; how much less was chosen on data sets that are left out."""
_RIDGE = 0.02
_STEPS = 3_000


@dataclass(frozen=True, slots=True)
class Row:
    """One out-of-fold example: its features in FEATURES' order, its soft target, and its data set."""

    features: tuple[float, ...]
    target: float
    dataset: str


def fit_fusion(rows: Sequence[Row], *, without: frozenset[str] = frozenset()) -> Fusion:
    """Weighted ridge logistic under weight >= 0, by accelerated projected gradient (Beck and Teboulle 2009).

    Features are clipped to their 1st and 99th percentile, here and when scoring, so that an extreme value of one
    feature cannot outvote the rest. `without` forces features' weights to zero (ablations).
    """
    raw = np.array([row.features for row in rows], dtype=np.float64)
    target = np.array([row.target for row in rows], dtype=np.float64)
    low, high = np.percentile(raw, 1, axis=0), np.percentile(raw, 99, axis=0)
    clipped = np.clip(raw, low, high)
    centre, spread = clipped.mean(axis=0), np.maximum(clipped.std(axis=0), 1e-6)
    x = np.column_stack([(clipped - centre) / spread, np.ones(len(rows))])
    weight = _balanced(rows)
    allowed = np.array([name not in without for name in FEATURES] + [True])
    theta = _descend(x, target, weight, allowed)
    slopes = theta[:-1] / spread * np.array([KEPT.get(name, 1.0) for name in FEATURES])
    slopes[slopes < 1e-9] = 0.0
    intercept = float(theta[-1] - slopes @ centre)
    return Fusion(intercept, tuple(map(float, slopes)), tuple(map(float, low)), tuple(map(float, high)))


def _balanced(rows: Sequence[Row]) -> NDArray[np.float64]:
    """Weights that sum to one: each data set the same, and within it honest and drift the same."""
    keys = [(row.dataset, row.target > 0.5) for row in rows]
    sizes = Counter(keys)
    weight = np.array([1.0 / sizes[key] for key in keys])
    total: float = weight.sum()
    return np.asarray(weight / total, dtype=np.float64)


def _descend(
    x: NDArray[np.float64],
    target: NDArray[np.float64],
    weight: NDArray[np.float64],
    allowed: NDArray[np.bool_],
) -> NDArray[np.float64]:
    penalty = np.full(x.shape[1], _RIDGE)
    penalty[-1] = 0.0
    rate = 1.0 / (0.25 * float(np.linalg.eigvalsh((x * weight[:, None]).T @ x).max()) + _RIDGE)
    theta = np.zeros(x.shape[1])
    ahead, momentum = theta.copy(), 1.0
    for _ in range(_STEPS):
        guess = 1.0 / (1.0 + np.exp(-np.clip(x @ ahead, -40, 40)))
        moved = ahead - rate * (x.T @ (weight * (guess - target)) + penalty * ahead)
        moved[:-1] = np.where(allowed[:-1], np.maximum(moved[:-1], 0.0), 0.0)
        following = (1.0 + np.sqrt(1.0 + 4.0 * momentum**2)) / 2.0
        ahead = moved + (momentum - 1.0) / following * (moved - theta)
        theta, momentum = moved, following
    return theta
