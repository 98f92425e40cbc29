"""Area under the ROC and recall at a false-alarm rate, with intervals that respect repetition.

Rows of one purpose are not independent, so intervals resample whole purposes (the cluster bootstrap, Davison and
Hinkley 1997, 3.8). Higher scores mean drift.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_curve

RATES = (0.01, 0.025, 0.04, 0.074, 0.097)
_AT_ONCE = 2_000_000  # so many weights of resampled rows are held at once


@dataclass(frozen=True, slots=True)
class Interval:
    """A value with the 2.5th and 97.5th percentile of its bootstrap; nan where it is not defined."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"


@dataclass(frozen=True, slots=True)
class Separation:
    """How well scores part drift from honest rows; `recall` has one interval per rate of RATES."""

    benign: int
    drift: int
    auc: Interval
    recall: tuple[Interval, ...]


def separation(
    scores: Sequence[float],
    drift: Sequence[bool],
    clusters: Sequence[str],
    *,
    seed: int,
    resamples: int = 400,
) -> Separation:
    """AUC and recalls of `scores` against `drift`, with intervals over `clusters`.

    Raises ValueError for columns of unlike length, and for a score that is not finite.
    """
    x, y = np.asarray(scores, dtype=np.float64), np.asarray(drift, dtype=bool)
    if not len(x) == len(y) == len(clusters):
        raise ValueError(
            f"{len(x)} scores, {len(y)} labels and {len(clusters)} clusters: need one of each per row"
        )
    if not np.isfinite(x).all():
        raise ValueError("scores must be finite")
    _, cluster = np.unique(np.asarray(clusters, dtype=object).astype(str), return_inverse=True)
    (point,) = _measured(x, y, np.ones((1, len(x))))
    rng = np.random.default_rng(seed)
    groups = int(cluster.max()) + 1 if len(x) else 0
    measured = [point[None]]
    at_once = max(1, _AT_ONCE // max(1, len(x)))
    for start in range(0, resamples if groups else 0, at_once):
        picks = [rng.integers(0, groups, groups) for _ in range(min(at_once, resamples - start))]
        weights = np.array([np.bincount(pick, minlength=groups)[cluster] for pick in picks])
        measured.append(_measured(x, y, weights))
    table = np.concatenate(measured)
    usable = ~np.isnan(table[:, 0])
    low, high = np.percentile(table[usable], [2.5, 97.5], axis=0) if usable.any() else (point, point)
    area, *recall = (Interval(float(p), float(a), float(b)) for p, a, b in zip(point, low, high, strict=True))
    return Separation(int((~y).sum()), int(y.sum()), area, tuple(recall))


def _measured(
    x: NDArray[np.float64], drift: NDArray[np.bool_], weights: NDArray[np.float64 | np.int_]
) -> NDArray[np.float64]:
    """AUC and recalls, shape (k, 1 + len(RATES)), of the rows under each of `weights`, shape (k, n); nan where one
    class is absent. Rows are sorted once for all of them, not for each as by scikit-learn, which says the same."""
    if not len(x):
        return np.full((len(weights), 1 + len(RATES)), np.nan)
    order = np.argsort(-x, kind="stable")
    tied = np.flatnonzero(np.append(np.diff(x[order]) != 0, True))  # the last of each score
    drifted = drift[order]
    caught, alarms = (
        np.pad(np.cumsum(weights[:, order] * of, axis=1)[:, tied], ((0, 0), (1, 0))) for of in (drifted, ~drifted)
    )
    with np.errstate(invalid="ignore"):
        tpr, fpr = caught / caught[:, -1:], alarms / alarms[:, -1:]
    area = np.einsum("ki,ki->k", np.diff(fpr, axis=1), (tpr[:, 1:] + tpr[:, :-1]) / 2)
    recall = [np.where(fpr <= rate + 1e-12, tpr, 0.0).max(axis=1) for rate in RATES]
    told = np.column_stack([area, *recall])
    told[np.isnan(area)] = np.nan
    return told


def roc(scores: Sequence[float], drift: Sequence[bool]) -> tuple[tuple[float, float], ...]:
    """The (false-alarm rate, recall) corners of the ROC, from (0, 0) to (1, 1); empty where one class is
    absent."""
    y = np.asarray(drift, dtype=bool)
    if not y.any() or y.all():
        return ()
    fpr, tpr, _ = roc_curve(y, np.asarray(scores, dtype=np.float64), drop_intermediate=False)
    return tuple((float(a), float(b)) for a, b in zip(fpr, tpr, strict=True))


def share(flags: Sequence[bool], clusters: Sequence[str], *, seed: int, resamples: int = 400) -> Interval:
    """How many of `flags` are set, with an interval that resamples whole clusters; nan where there are none.

    A bootstrap of nothing but zeros (or ones) knows no doubt, so then the far bound is what as many independent
    clusters would leave open (1 - .025^(1/k) from the end).
    """
    y = np.asarray(flags, dtype=np.float64)
    if not len(y):
        return Interval(math.nan, math.nan, math.nan)
    _, cluster = np.unique(np.asarray(clusters, dtype=object).astype(str), return_inverse=True)
    groups = int(cluster.max()) + 1
    hits, sizes = np.bincount(cluster, y, groups), np.bincount(cluster, minlength=groups).astype(np.float64)
    value, rng = float(y.mean()), np.random.default_rng(seed)
    drawn = np.array([rng.integers(0, groups, groups) for _ in range(resamples)])
    low, high = np.percentile(hits[drawn].sum(1) / sizes[drawn].sum(1), [2.5, 97.5])
    open_ = 1.0 - 0.025 ** (1.0 / groups)
    return Interval(
        value,
        min(value, float(low)) if value < 1.0 else 1.0 - open_,
        max(value, float(high)) if value > 0.0 else open_,
    )
