"""Area under the ROC and recall at a false-alarm rate, with intervals that respect repetition.

Rows of one purpose are not independent, so intervals resample whole purposes (the cluster bootstrap, Davison and
Hinkley 1997, 3.8). Nor are drifting rows of one act under many purposes (AgentDojo's 891 are 39 acts), so acts are
resampled too: a row weighs its purpose's draws times its act's (Owen 2007, The pigeonhole bootstrap, Ann. Appl.
Stat. 1:386). What neither explains counts up to three times there: intervals err to the wide side.

An act under one purpose only is nested in it: the purpose's draws say all of its variance, and its own would count
that twice. So an act's draws count only where it occurs under several purposes; where none does, the interval is
that over purposes. Where there is one act only, no resample can tell of others.

Of what is rare a bootstrap knows too little, and of what was not seen once nothing. So a share is never surer than
as many independent cases (`Cases`; clusters, or acts where those are fewer) would be: its interval holds the
bounds of Clopper and Pearson for `share * cases` in so many (as Korn and Graubard 1998, Survey Methodology 24:193,
do for an effective number of cases). One flag more never lowers a bound. Higher scores mean drift.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaincinv
from sklearn.metrics import roc_curve

RATES = (0.01, 0.025, 0.04, 0.074, 0.097)
Cases = Literal["clusters", "rows"]
"""What is taken for independent where too little was seen for a bootstrap. `rows`, for those of one deployment: it
is asked about more of the same purposes, where another's data set is asked about other purposes."""
_AT_ONCE = 2_000_000  # so many weights of resampled rows are held at once


@dataclass(frozen=True, slots=True)
class Interval:
    """A value with the bounds of its 95 % interval; nan where it is not defined."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"


@dataclass(frozen=True, slots=True)
class Separation:
    """How well scores part drift from honest rows; `recall` has one interval per rate of RATES. `acts` are the
    distinct ones of the drifting rows; None where they were not told."""

    benign: int
    drift: int
    auc: Interval
    recall: tuple[Interval, ...]
    acts: int | None = None


def separation(
    scores: Sequence[float],
    drift: Sequence[bool],
    clusters: Sequence[str],
    *,
    acts: Sequence[str] | None = None,
    seed: int,
    resamples: int = 400,
) -> Separation:
    """AUC and recalls of `scores` against `drift`, with intervals over `clusters` and over `acts`: what each
    drifting row does, "" for an honest one. A recall is no surer than as many independent cases would be of the
    class that has fewer, and an area, which is no share of cases, no surer than if these were parted whole (or not
    once). More false alarms never mean less recall: what is left open of it at one rate is left open below, too,
    and at the other end above.

    Raises ValueError for columns of unlike length, and for a score that is not finite.
    """
    x, y = np.asarray(scores, dtype=np.float64), np.asarray(drift, dtype=bool)
    if not len(x) == len(y) == len(clusters):
        raise ValueError(
            f"{len(x)} scores, {len(y)} labels and {len(clusters)} clusters: need one of each per row"
        )
    if not np.isfinite(x).all():
        raise ValueError("scores must be finite")
    rows = _Rows.of(clusters, acts)
    (point,) = _measured(x, y, np.ones((1, len(x))))
    resampled = [_measured(x, y, weights) for weights in rows.resampled(seed, resamples)]
    table = np.concatenate([point[None], *resampled])
    usable = ~np.isnan(table[:, 0])
    low, high = np.percentile(table[usable], [2.5, 97.5], axis=0) if usable.any() else (point, point)
    area, *recall = (Interval(float(p), float(a), float(b)) for p, a, b in zip(point, low, high, strict=True))
    told = None if acts is None else rows.acts
    if y.any() and not y.all():
        fewer = min(_cases(clusters, acts, of) for of in (y, ~y))
        area = _widened(area, clopper_pearson(1.0, fewer)[0], clopper_pearson(0.0, fewer)[1])
        recall = [_widened(each, *clopper_pearson(each.value, fewer)) for each in recall]
    return Separation(int((~y).sum()), int(y.sum()), area, _rising(recall), told)


def _cases(clusters: Sequence[str], acts: Sequence[str] | None, of: NDArray[np.bool_]) -> int:
    """As many as could be independent among some of the rows."""
    some = np.flatnonzero(of).tolist()
    return _Rows.of([clusters[n] for n in some], None if acts is None else [acts[n] for n in some]).cases


def clopper_pearson(share: float, cases: int) -> tuple[float, float]:
    """The 95 % Clopper-Pearson bounds of a share of so many cases, which need be no whole number of them."""
    hits = share * cases
    low = float(betaincinv(hits, cases - hits + 1.0, 0.025)) if hits > 0.0 else 0.0
    high = float(betaincinv(hits + 1.0, cases - hits, 0.975)) if hits < cases else 1.0
    return low, high


def _widened(found: Interval, low: float, high: float) -> Interval:
    return replace(found, low=min(found.low, low), high=max(found.high, high))


def _rising(found: Sequence[Interval]) -> tuple[Interval, ...]:
    """Intervals of what can only grow from one to the next, widened until their bounds do as well."""
    lows = np.minimum.accumulate([each.low for each in reversed(found)])[::-1]
    highs = np.maximum.accumulate([each.high for each in found])
    return tuple(replace(each, low=float(a), high=float(b)) for each, a, b in zip(found, lows, highs, strict=True))


@dataclass(frozen=True, slots=True)
class _Rows:
    """The number of each row's cluster, below `groups`, and of its act: below `acts`, or `acts` where its draws do
    not count. `cases` are as many as could be independent."""

    cluster: NDArray[np.intp]
    groups: int
    act: NDArray[np.intp]
    acts: int
    cases: int

    @classmethod
    def of(cls, clusters: Sequence[str], acts: Sequence[str] | None) -> "_Rows":
        cluster, groups = _numbered(clusters)
        names = [""] * len(cluster) if acts is None else acts
        if len(names) != len(cluster):
            raise ValueError(f"{len(names)} acts and {len(cluster)} clusters: need one of each per row")
        does = np.array([name != "" for name in names], dtype=bool)
        number, count = _numbered([name for name in names if name != ""])
        under = np.unique(np.stack([number, cluster[does]]), axis=1)[0]
        repeated = np.bincount(under, minlength=count) > 1
        act = np.full(len(cluster), count, dtype=np.intp)
        act[does] = np.where(repeated[number], number, count)
        return cls(cluster, groups, act, count, min(groups, count + len(np.unique(cluster[~does]))))

    def resampled(self, seed: int, resamples: int) -> Iterator[NDArray[np.intp]]:
        """The weight of each row in each resample, shape (k, n), some resamples at once. Clusters are drawn alike,
        whatever the acts."""
        rng = np.random.default_rng(seed)
        (of_acts,) = rng.spawn(1)
        crossed = bool((self.act < self.acts).any())
        at_once = max(1, _AT_ONCE // max(1, len(self.cluster)))
        for start in range(0, resamples if self.groups else 0, at_once):
            count = min(at_once, resamples - start)
            weights = _draws(rng, self.groups, count)[:, self.cluster]
            if crossed:
                times = np.pad(_draws(of_acts, self.acts, count), ((0, 0), (0, 1)), constant_values=1)
                weights *= times[:, self.act]
            yield weights


def _numbered(names: Sequence[str]) -> tuple[NDArray[np.intp], int]:
    """The place of each name among the sorted ones, and how many there are."""
    numbers = {name: number for number, name in enumerate(sorted(set(names)))}
    return np.array([numbers[name] for name in names], dtype=np.intp), len(numbers)


def _draws(rng: np.random.Generator, n: int, resamples: int) -> NDArray[np.intp]:
    """How often each of `n` is drawn in `n` draws, shape (resamples, n)."""
    return np.array([np.bincount(rng.integers(0, n, n), minlength=n) for _ in range(resamples)])


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


def share(
    flags: Sequence[bool],
    clusters: Sequence[str],
    *,
    acts: Sequence[str] | None = None,
    cases: Cases = "clusters",
    seed: int,
    resamples: int = 400,
) -> Interval:
    """How many of `flags` are set, with an interval that resamples whole clusters, and `acts` as `separation`
    does, and that is no surer than as many independent cases would be; nan where there are none."""
    y = np.asarray(flags, dtype=np.float64)
    if not len(y):
        return Interval(math.nan, math.nan, math.nan)
    rows, value = _Rows.of(clusters, acts), float(y.mean())
    cells, cell = np.unique(rows.cluster * (rows.acts + 1) + rows.act, return_inverse=True)
    alike = replace(rows, cluster=cells // (rows.acts + 1), act=cells % (rows.acts + 1))
    hits, sizes = np.bincount(cell, y), np.bincount(cell).astype(np.float64)
    shares = [value]
    for weights in alike.resampled(seed, resamples):
        drawn = weights @ sizes
        shares.extend((weights @ hits)[drawn > 0] / drawn[drawn > 0])
    low, high = np.percentile(shares[1:] or shares, [2.5, 97.5])
    found = Interval(value, min(value, float(low)), max(value, float(high)))
    return _widened(found, *clopper_pearson(value, rows.cases if cases == "clusters" else len(y)))
