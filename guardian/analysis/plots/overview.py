"""A day or a window at a glance."""

import pandas as pd

from guardian.analysis import neutral
from guardian.analysis.plots.style import (
    BLUE,
    GREEN,
    GREY,
    INK,
    ORANGE,
    RED,
    Drawing,
    drawing,
    in_utc,
    name_apart,
    nothing,
    one_in_axis,
    outside,
    thresholds,
)

_SHAPES = {
    "none": ("o", GREY, "not flagged"),
    "flag": ("s", ORANGE, "flagged"),
    "revoke": ("D", RED, "revoke asked"),
}
_NAMED = 6
_LEAST = pd.Timedelta(minutes=10)  # an axis of time needs some


def plot_day(sessions: pd.DataFrame, asks_at: tuple[float, float] | None = None) -> Drawing:
    """Every session at its last call, by its evidence; those that guardian would revoke are named. `asks_at` is
    the archive's."""
    figure, axes = drawing("Sessions by how far their evidence went", height=3.8)
    if sessions.empty:
        nothing(axes, "no session in this window")
        return figure
    for wanted, (shape, colour, name) in _SHAPES.items():
        mine = sessions[sessions["wanted"] == wanted]
        axes.scatter(
            mine["end"],
            mine["one_in"].clip(lower=1.0),
            s=26 if wanted != "none" else 16,
            marker=shape,
            c=colour,
            edgecolors=INK,
            linewidths=0.5,
            label=f"{name} ({len(mine)})",
            zorder=3,
        )
    revoke = thresholds(axes, asks_at)
    worst = sessions[sessions["wanted"] == "revoke"].nlargest(_NAMED, "one_in")
    one_in_axis(axes.yaxis)
    first, last = sessions["end"].min(), sessions["end"].max()
    in_utc(axes, first, last)
    if last - first < _LEAST:
        axes.set_xlim(first - _LEAST, last + _LEAST)
    axes.set_ylim(bottom=0.8, top=max(float(sessions["one_in"].max()) * 4, 3 * revoke))
    names = neutral.labels(worst["session_id"], 24)
    name_apart(axes, names, worst["end"], worst["one_in"], across=[line.get_ydata()[0] for line in axes.lines])
    outside(figure, axes, "lower center", columns=5)
    return figure


def plot_counts(counts: pd.DataFrame, *, title: str) -> Drawing:
    """Sessions by one column (`overview.counted`), flagged ones hatched."""
    shown = counts.head(10).iloc[::-1]
    figure, axes = drawing(title, height=1.0 + 0.32 * max(2, len(shown)))
    if shown.empty:
        nothing(axes, "no session in this window")
        return figure
    names = neutral.labels(shown.index, 48)
    places = range(len(shown))
    calm = shown["sessions"] - shown["flagged"]
    axes.barh(places, calm, color=BLUE, height=0.66, label="not flagged")
    axes.barh(
        places,
        shown["flagged"],
        left=calm,
        color=ORANGE,
        edgecolor=INK,
        hatch="////",
        height=0.66,
        linewidth=0.5,
        label="flagged",
    )
    for place, total, flagged in zip(places, shown["sessions"], shown["flagged"], strict=True):
        axes.annotate(
            f"{total}" + (f" ({flagged} flagged)" if flagged else ""),
            (total, place),
            xytext=(4, 0),
            textcoords="offset points",
            va="center",
            fontsize="x-small",
        )
    axes.set_yticks(places, names)
    axes.set_xlabel("sessions", fontsize="small")
    axes.set_xlim(right=float(shown["sessions"].max()) * 1.22)
    axes.grid(visible=False, axis="y")
    if shown["flagged"].any():
        outside(figure, axes, "right upper")
    return figure


def plot_outcomes(outcomes: pd.DataFrame) -> Drawing:
    """What guardian asked for (`overview.outcomes`) and what policy let it do."""
    figure, axes = drawing("What guardian asked for, and what policy let it do", height=2.2)
    if outcomes.empty:
        nothing(axes, "no findings in this window, or control was not asked")
        return figure
    left = pd.Series(0, index=outcomes.index)
    looks = {
        "revoke": (RED, "", "revoked"),
        "flag": (ORANGE, "////", "flagged only"),
        "none": (GREY, "..", "nothing"),
    }
    looks["not asked"] = (GREEN, "xx", "control was not asked")
    for effect, (colour, hatch, name) in looks.items():
        if effect not in outcomes:
            continue
        axes.barh(
            outcomes.index,
            outcomes[effect],
            left=left,
            color=colour,
            hatch=hatch,
            edgecolor=INK,
            linewidth=0.5,
            height=0.6,
            label=name,
        )
        for row, (start, width) in enumerate(zip(left, outcomes[effect], strict=True)):
            if width:
                axes.text(
                    start + width / 2,
                    row,
                    str(width),
                    ha="center",
                    va="center",
                    fontsize="small",
                    bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.2},
                )
        left = left + outcomes[effect]
    axes.set_xlabel("drift findings", fontsize="small")
    axes.set_ylabel("asked for", fontsize="small")
    axes.grid(visible=False, axis="y")
    outside(figure, axes, "right upper")
    return figure
