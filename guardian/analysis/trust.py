"""How far the drift model can be trusted here: separation by purpose and tenant, calibration, change over time."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from guardian.analysis.thresholds import known_drift
from guardian.evaluation.metrics import RATES, roc, separation

_SEED = 7
_AT_4 = RATES.index(0.04)


def labelled(sessions: pd.DataFrame, feedback: pd.DataFrame) -> pd.DataFrame:
    """Sessions with `drift`: confirmed ones are drift, dismissed and unflagged ones honest.

    Flagged sessions that nobody judged yet are left out: nobody knows what they are. So are those confirmed for a
    broken rule alone: the model had no part in it.
    """
    known = known_drift(sessions, feedback)
    of_the_model = known_drift(sessions, feedback[~feedback["rule"].fillna(value=False)])
    ruled = (known & ~of_the_model.fillna(value=False)).fillna(value=False)
    usable = (known.notna() | (sessions["findings"] == 0)) & ~ruled
    return sessions[usable].assign(drift=known[usable].fillna(value=False).astype(bool))


def separations(labelled: pd.DataFrame, by: str) -> pd.DataFrame:
    """AUC and recall at 4 % false alarms of how rare a session is (`one_in`, which means the same under each
    calibration), overall and by `by` where both labels occur.

    95 % intervals resample purposes, except within one purpose, where they resample sessions; they are no narrower
    than so many sessions leave them.
    """
    groups: Mapping[str, pd.DataFrame] = {"all": labelled, **dict(iter(labelled.groupby(by, dropna=False)))}
    rows = []
    for name, rows_ in groups.items():
        if rows_["drift"].nunique() < 2:
            continue
        clusters = rows_["purpose_family"] if rows_["purpose_family"].nunique() > 1 else rows_["session_id"]
        scores, drift = list(rows_["one_in"]), list(rows_["drift"])
        found = separation(scores, drift, list(clusters.fillna("")), cases="rows", seed=_SEED)
        recall = found.recall[_AT_4]
        rows.append(
            {"group": name, "honest": found.benign, "drift": found.drift}
            | {"auc": found.auc.value, "auc_low": found.auc.low, "auc_high": found.auc.high}
            | {"recall_4": recall.value, "recall_4_low": recall.low, "recall_4_high": recall.high}
        )
    return pd.DataFrame(rows, columns=[
        "group", "honest", "drift", "auc", "auc_low", "auc_high", "recall_4", "recall_4_low", "recall_4_high",
    ])  # fmt: skip


def roc_points(labelled: pd.DataFrame) -> pd.DataFrame:
    """The corners of the ROC: `false_alarms` and `caught`, shares of sessions; empty without both labels."""
    points = roc(list(labelled["one_in"]), list(labelled["drift"]))
    return pd.DataFrame(points, columns=["false_alarms", "caught"])


def p_values(events: pd.DataFrame, *, bins: int = 10) -> pd.DataFrame:
    """Share of calls by p-value in equal bins: 1/bins each, were calls like those of the calibration. Which was
    used first comes first."""
    edges = np.linspace(0.0, 1.0, bins + 1)
    rows = []
    for calibration, calls in events.groupby("calibration", sort=False):
        counts, _ = np.histogram(calls["p_value"], edges)
        rows += [
            {"calibration": calibration, "from": low, "share": count / len(calls), "calls": len(calls)}
            for low, count in zip(edges[:-1], counts, strict=True)
        ]
    return pd.DataFrame(rows, columns=["calibration", "from", "share", "calls"])


def weekly(events: pd.DataFrame, *, level: float = 0.05) -> pd.DataFrame:
    """By week and calibration, as they were used: median score, and the share of calls with a p-value of at most
    `level`.

    A share that stays above `level` says that work has moved away from the calibration; recalibrate.
    """
    week = events["at"].dt.tz_convert(None).dt.to_period("W-SUN").dt.start_time.dt.tz_localize("UTC")
    calls = events.assign(week=week, low=events["p_value"] <= level)
    groups = calls.groupby(["week", "calibration"], sort=False)
    return groups.agg(calls=("low", "size"), low=("low", "mean"), score=("score", "median")).reset_index()
