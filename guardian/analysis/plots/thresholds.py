"""Where to put the threshold: evidence, promise, cost."""

import numpy as np
import pandas as pd

from guardian.analysis.plots.style import (
    BLUE,
    GREEN,
    GREY,
    INK,
    ORANGE,
    RED,
    Drawing,
    drawing,
    nothing,
    one_in_axis,
    outside,
    rounded,
    thresholds,
)

_GROUPS = {
    "not flagged": (GREY, ""),
    "dismissed": (GREEN, "\\\\\\\\"),
    "flagged, not judged": (ORANGE, "////"),
    "confirmed": (RED, ""),
}


def plot_distribution(evidence: pd.DataFrame, asks_at: tuple[float, float] | None = None) -> Drawing:
    """How far sessions went (`thresholds.evidence`), by what is known of them; counts on a logarithmic axis.
    `asks_at` is the archive's."""
    figure, axes = drawing("How far sessions went")
    if evidence.empty:
        nothing(axes, "no session in this window")
        return figure
    top = float(np.ceil(evidence["log10_one_in"].max() * 2) / 2 + 0.5)
    edges = 10 ** np.arange(0.0, top + 0.01, 0.5)
    there = {name: look for name, look in _GROUPS.items() if (evidence["group"] == name).any()}
    _, _, bars = axes.hist(
        [10 ** evidence.loc[evidence["group"] == name, "log10_one_in"] for name in there],
        edges,
        stacked=True,
        color=[colour for colour, _ in there.values()],
        edgecolor=INK,
        linewidth=0.5,
        label=[f"{name} ({(evidence['group'] == name).sum()})" for name in there],
    )
    for group, (_, hatch) in zip(bars if len(there) > 1 else [bars], there.values(), strict=True):
        for bar in group:
            bar.set_hatch(hatch)
    thresholds(axes, asks_at, across=False)
    one_in_axis(axes.xaxis)
    axes.set_yscale("symlog", linthresh=1)
    most = axes.get_ylim()[1] * 1.1
    powers = range(int(np.log10(most)) + 1)
    counts = [0, *(n for power in powers for n in (10**power, 2 * 10**power, 5 * 10**power) if n <= most)]
    axes.set_yticks(counts, [f"{n:,}" for n in counts])
    axes.set_ylim(0, most)
    axes.set_ylabel("sessions", fontsize="small")
    outside(figure, axes, "right upper")
    return figure


def plot_promise(table: pd.DataFrame) -> Drawing:
    """Promised against measured share of honest sessions (`thresholds.promised_and_measured`)."""
    figure, axes = drawing("False alarms: promised and measured")
    if table.empty or not table["sessions"].iloc[0]:
        nothing(axes, "no session that can be taken for honest")
        return figure
    floor = table["promised"].min() / 2
    shown = table["measured"].clip(lower=floor)
    low, high = shown - table["low"].clip(lower=floor), table["high"].clip(lower=floor) - shown
    axes.errorbar(
        table["one_in"],
        shown,
        yerr=(low.clip(lower=0), high.clip(lower=0)),
        color=BLUE,
        marker="o",
        markersize=4,
        capsize=3,
        linewidth=1.0,
        label="taken for honest, and that far out",
    )
    axes.plot(
        table["one_in"],
        table["dismissed"].clip(lower=floor),
        color=GREEN,
        marker="s",
        markersize=4,
        linestyle=":",
        label="of these, dismissed by people",
    )
    axes.plot(
        table["one_in"], table["promised"], color=INK, linestyle="--", linewidth=1.0, label="promised: 1 / N"
    )
    axes.set(xscale="log", yscale="log")
    one_in_axis(axes.xaxis)
    axes.set_xlabel("threshold: 1 in N honest sessions", fontsize="small")
    axes.set_ylabel("share of sessions (none: at the foot)", fontsize="small")
    outside(figure, axes, "right upper")
    return figure


def plot_flagged(table: pd.DataFrame) -> Drawing:
    """What each threshold would have flagged (`thresholds.would_flag`), by what people said."""
    figure, axes = drawing("What each threshold would have flagged")
    places = np.arange(len(table))
    left = np.zeros(len(table))
    looks = {"confirmed": (RED, ""), "not_judged": (ORANGE, "////"), "dismissed": (GREEN, "\\\\\\\\")}
    for name, (colour, hatch) in looks.items():
        axes.bar(
            places,
            table[name],
            bottom=left,
            color=colour,
            hatch=hatch,
            edgecolor=INK,
            linewidth=0.5,
            label=name.replace("_", " "),
        )
        left += table[name].to_numpy()
    for place, total in zip(places, left, strict=True):
        axes.annotate(
            f"{total:.0f}",
            (place, total),
            xytext=(0, 3),
            textcoords="offset points",
            ha="center",
            fontsize="x-small",
        )
    axes.set_xticks(places, [rounded(n) for n in table["one_in"]])
    axes.set_xlabel("threshold: flag from 1 in N", fontsize="small")
    axes.set_ylabel("sessions", fontsize="small")
    axes.set_ylim(top=max(1.0, float(left.max())) * 1.15)
    axes.grid(visible=False, axis="x")
    outside(figure, axes, "right upper")
    return figure


def plot_costs(costs: pd.DataFrame) -> Drawing:
    """Hours that each threshold costs (`thresholds.costs`): looking, and cleaning up what was missed."""
    figure, axes = drawing("What each threshold costs")
    if not (costs["caught"] + costs["missed"]).any():
        nothing(axes, "needs confirmed drift: without it the highest threshold always costs least")
        return figure
    for name, colour, dash, said in (
        ("total", INK, "-", "both"),  # below the dashes of what it may be all made of
        ("looking", BLUE, "--", "looking at alarms"),
        ("missing", RED, "-.", "cleaning up known\ndrift that was missed"),
    ):
        axes.plot(costs["one_in"], costs[name] / 60.0, color=colour, linestyle=dash, marker=".", label=said)
    cheapest = costs.loc[costs["total"].idxmin()]
    axes.annotate(
        f"least: {cheapest['total'] / 60:,.1f} h",
        (cheapest["one_in"], cheapest["total"] / 60),
        xytext=(0, 14),
        textcoords="offset points",
        ha="center",
        fontsize="x-small",
        arrowprops={"arrowstyle": "-", "color": INK},
    )
    one_in_axis(axes.xaxis)
    axes.set_xlabel("threshold: flag from 1 in N", fontsize="small")
    axes.set_ylabel("hours in the window", fontsize="small")
    axes.set_ylim(bottom=0)
    outside(figure, axes, "right upper")
    return figure
