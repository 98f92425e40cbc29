"""How many of the model's flags people confirm here, and whether its calibration still holds."""

from itertools import cycle

import numpy as np
import pandas as pd

from guardian.analysis import neutral
from guardian.analysis.plots.style import (
    BLUE,
    GREY,
    INK,
    ORANGE,
    RED,
    Drawing,
    drawing,
    legend,
    nothing,
    outside,
)

_LOOKS = ((BLUE, "o", "-"), (ORANGE, "s", "--"), (RED, "^", ":"), (GREY, "D", "-."))


def plot_precision(table: pd.DataFrame, *, title: str) -> Drawing:
    """The share of judged flags that people confirmed, by group (`trust.precision`), with 95 % intervals."""
    shown = table.iloc[::-1]
    figure, axes = drawing(title, height=1.2 + 0.34 * max(2, len(shown)))
    if shown.empty:
        nothing(axes, "needs flagged sessions that people judged")
        return figure
    places = np.arange(len(shown))
    low = 100 * (shown["precision"] - shown["low"]).clip(lower=0)
    high = 100 * (shown["high"] - shown["precision"]).clip(lower=0)
    axes.errorbar(100 * shown["precision"], places, xerr=(low, high), fmt="o", color=BLUE, capsize=3)
    names = neutral.labels(shown["group"], 48)
    counts = [
        f"{confirmed} of {judged} confirmed" + (f", {waiting} not judged" if waiting else "")
        for confirmed, judged, waiting in zip(
            shown["confirmed"], shown["judged"], shown["flagged"] - shown["judged"], strict=True
        )
    ]
    axes.set_yticks(places, [f"{name}\n{count}" for name, count in zip(names, counts, strict=True)])
    axes.set(xlim=(-3, 105), ylim=(-0.6, len(shown) - 0.4))
    axes.set_xlabel("judged sessions that people confirmed (%)", fontsize="small")
    return figure


def plot_p_values(table: pd.DataFrame) -> Drawing:
    """Shares of calls by p-value (`trust.p_values`); flat would be exactly as calibrated."""
    figure, axes = drawing("Calls by p-value (flat: as calibrated)")
    if table.empty:
        nothing(axes, "no call in this window")
        return figure
    for (calibration, rows), (colour, shape, dash) in zip(
        table.groupby("calibration", sort=False), cycle(_LOOKS), strict=False
    ):
        width = 1.0 / len(rows)
        axes.step(
            rows["from"] + width / 2,
            100 * rows["share"],
            where="mid",
            color=colour,
            linestyle=dash,
            marker=shape,
            markersize=4,
            label=f"calibration {neutral.label(calibration, 12)} ({rows['calls'].iloc[0]:,} calls)",
        )
    axes.axhline(100 / len(rows), color=INK, linewidth=0.8, linestyle=":", label="as calibrated")
    axes.set_xlabel("p-value: share of honest calls at least as far out", fontsize="small")
    axes.set_ylabel("calls (%)", fontsize="small")
    axes.set_ylim(bottom=0)
    outside(figure, axes, "right upper")
    return figure


def plot_weekly(table: pd.DataFrame, *, level: float = 0.05) -> Drawing:
    """The share of calls with a small p-value, week by week (`trust.weekly`): the drift of the drift model."""
    figure, axes = drawing(f"Calls with a p-value of at most {level:g}, by week")
    if table.empty:
        nothing(axes, "no call in this window")
        return figure
    for (calibration, rows), (colour, shape, dash) in zip(
        table.groupby("calibration", sort=False), cycle(_LOOKS), strict=False
    ):
        axes.plot(
            rows["week"],
            100 * rows["low"],
            color=colour,
            marker=shape,
            linestyle=dash,
            label=f"calibration {neutral.label(calibration, 12)}",
        )
    axes.axhline(100 * level, color=INK, linewidth=0.8, linestyle=":", label="as calibrated")
    weeks = sorted(set(table["week"]))
    axes.set_xticks(weeks, [f"{week:%d %b %Y}" for week in weeks], rotation=20 if len(weeks) > 8 else 0)
    axes.set_xlabel("week beginning (UTC)", fontsize="small")
    axes.set_ylabel("calls (%)", fontsize="small")
    axes.set_ylim(0, max(10.0, 130 * float(table["low"].max())))
    legend(axes, loc="upper left")
    return figure
