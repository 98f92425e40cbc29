"""A proposal: what it takes away, and what the replay says that costs."""

import numpy as np
import pandas as pd

from guardian.analysis import neutral
from guardian.analysis.plots.style import BLUE, GREY, INK, RED, Drawing, drawing, nothing, outside


def plot_backtest(restrictions: pd.DataFrame) -> Drawing:
    """Calls that each restriction would newly deny (`proposing.restrictions`), of honest and flagged sessions."""
    shown = restrictions.head(20).iloc[::-1]
    figure, axes = drawing("Calls that each restriction would newly deny", height=1.3 + 0.34 * max(2, len(shown)))
    if shown.empty:
        nothing(axes, "nothing is proposed")
        return figure
    places = np.arange(len(shown))
    axes.barh(places + 0.19, shown["honest_denied"], height=0.36, color=RED, label="of honest sessions (the cost)")
    axes.barh(
        places - 0.19,
        shown["flagged_denied"],
        height=0.36,
        color=BLUE,
        hatch="////",
        edgecolor=INK,
        linewidth=0.5,
        label="of flagged sessions (the gain)",
    )
    for offset, name in ((0.19, "honest_denied"), (-0.19, "flagged_denied")):
        for place, count in zip(places, shown[name], strict=True):
            axes.annotate(
                f"{count}",
                (count, place + offset),
                xytext=(3, 0),
                textcoords="offset points",
                va="center",
                fontsize="x-small",
            )
    names = [neutral.label(f"{role}: {says}", 64) for role, says in zip(shown["role"], shown["says"], strict=True)]
    axes.set_yticks(places, names)
    axes.set_xlim(0, max(4.0, 1.15 * float(shown[["honest_denied", "flagged_denied"]].max().max())))
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.set_xlabel("calls in the window", fontsize="small")
    axes.grid(visible=False, axis="y")
    outside(figure, axes, "lower center", columns=2)
    return figure


def plot_surface(counts: pd.Series) -> Drawing:
    """Privileges (tool × kind of resource × data class) before and after (`proposing.counts`)."""
    figure, axes = drawing("Privileges that the narrowed agents hold", height=1.7)
    held = [int(counts["privileges after"]), int(counts["privileges before"])]
    axes.barh(["with the proposal", "now"], held, color=[BLUE, GREY], edgecolor=INK, linewidth=0.5, height=0.6)
    for place, count in enumerate(held):
        axes.annotate(
            f"{count}", (count, place), xytext=(4, 0), textcoords="offset points", va="center", fontsize="small"
        )
    axes.set_xlabel("tool × kind of resource × data class", fontsize="small")
    axes.set_xlim(0, max(1, *held) * 1.1)
    axes.grid(visible=False, axis="y")
    return figure
