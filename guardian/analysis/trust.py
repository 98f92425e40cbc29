"""How far the drift model can be trusted here: how many of its flags people confirm, whether its calibration fits,
change over time."""

from collections.abc import Collection

import numpy as np
import pandas as pd

from guardian.analysis.thresholds import known_drift
from guardian.evaluation.metrics import clopper_pearson


def flagged(sessions: pd.DataFrame, feedback: pd.DataFrame, ruled: Collection[str]) -> pd.DataFrame:
    """Sessions that the model flagged, with `drift`: True where people confirmed that, False where they dismissed
    it, missing where nobody said.

    Findings that a broken rule alone led to (`ruled`, of `archive.ruled()`) count neither way, nor does what was
    said of them: the model had no part in them.
    """
    findings = {each for ids in sessions["finding_ids"] for each in ids}.difference(ruled)
    by_the_model = sessions[[not findings.isdisjoint(ids) for ids in sessions["finding_ids"]]]
    about = feedback[feedback["finding_id"].isna() | feedback["finding_id"].isin(findings)]
    return by_the_model.assign(drift=known_drift(by_the_model, about))


def precision(flagged: pd.DataFrame, by: str) -> pd.DataFrame:
    """Of the flagged sessions that people judged, the share that they confirmed, first overall and then by `by`,
    with 95 % intervals (Clopper and Pearson 1934), which hold each session for a case of its own."""
    rows = []
    for name, of_group in [("all", flagged), *flagged.groupby(by, dropna=False)]:  # a group may be called so, too
        judged = of_group[of_group["drift"].notna()]
        if judged.empty:
            continue
        confirmed = int(judged["drift"].sum())
        low, high = clopper_pearson(confirmed / len(judged), len(judged))
        rows.append(
            {"group": name, "flagged": len(of_group), "judged": len(judged), "confirmed": confirmed}
            | {"precision": confirmed / len(judged), "low": low, "high": high}
        )
    return pd.DataFrame(rows, columns=["group", "flagged", "judged", "confirmed", "precision", "low", "high"])


def compared(events: pd.DataFrame) -> pd.DataFrame:
    """The calls whose purpose is known. The others could be compared with none, and a p-value of 1 says nothing of
    how they fit."""
    return events[events["purpose"].fillna("").str.strip() != ""]


def p_values(events: pd.DataFrame, *, bins: int = 10) -> pd.DataFrame:
    """Share of calls (of `compared`) by p-value in equal bins: 1/bins each, were calls like those of the
    calibration. Which was used first comes first."""
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
    """By week and calibration, as they were used: median score, and the share of calls (of `compared`) with a
    p-value of at most `level`.

    A share that stays above `level` says that work has moved away from the calibration; recalibrate.
    """
    week = events["at"].dt.tz_convert(None).dt.to_period("W-SUN").dt.start_time.dt.tz_localize("UTC")
    calls = events.assign(week=week, low=events["p_value"] <= level)
    groups = calls.groupby(["week", "calibration"], sort=False)
    return groups.agg(calls=("low", "size"), low=("low", "mean"), score=("score", "median")).reset_index()
