"""Purposes, actions and agents as the model reads them."""

import numpy as np
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
    name_apart,
    nothing,
    outside,
)


def plot_map(places: pd.DataFrame, explained: float) -> Drawing:
    """The session's calls in order, its purpose, and the tenant's other calls (`meaning.purpose_map`)."""
    figure, axes = drawing(
        f"Calls and purpose in the embedding plane ({explained:.0%} of the differences)", height=4.6
    )
    if places.empty:
        nothing(axes, "no vectors of this session were kept")
        return figure
    others, calls = places[places["what"] == "other"], places[places["what"] == "call"]
    purpose = places[places["what"] == "purpose"]
    axes.scatter(others["x"], others["y"], s=12, color="#cccccc", label="other calls of the tenant, a week around")
    axes.plot(calls["x"], calls["y"], color=GREY, linewidth=0.7, zorder=2)
    drawn = axes.scatter(
        calls["x"],
        calls["y"],
        s=52,
        c=calls["distance"],
        cmap="Blues",
        vmin=0.2,
        vmax=1.0,
        edgecolors=INK,
        linewidths=0.6,
        zorder=4,
        label="calls of the session, in order",
    )
    axes.scatter(
        purpose["x"],
        purpose["y"],
        s=150,
        marker="*",
        color=GREEN,
        edgecolors=INK,
        linewidths=0.6,
        zorder=5,
        label="its purpose",
    )
    told: dict[str, list[int]] = {}
    for act, tool in zip(calls["act"], calls["tool"], strict=True):
        told.setdefault(str(tool), []).append(int(act))
    axes.set_xticks([])
    axes.set_yticks([])
    axes.set_xlabel("first direction", fontsize="small")
    axes.set_ylabel("second direction", fontsize="small")
    axes.margins(0.08)
    firsts = [calls[calls["act"] == acts[0]].iloc[0] for acts in told.values()]
    names = [f"{', '.join(map(str, acts))} {neutral.label(tool, 24)}" for tool, acts in told.items()]
    name_apart(axes, names, [first["x"] for first in firsts], [first["y"] for first in firsts])
    figure.colorbar(drawn, ax=axes, shrink=0.8).set_label("cosine distance to the purpose", fontsize="x-small")
    outside(figure, axes, "lower center", columns=3)
    return figure


def plot_blurred(table: pd.DataFrame) -> Drawing:
    """How alike each agent's sessions are, and its oddest session (`hunting.blurred`)."""
    shown = table.head(15).iloc[::-1]
    figure, axes = drawing("How alike an agent's sessions are", height=1.3 + 0.32 * max(2, len(shown)))
    if shown.empty:
        nothing(axes, "no agent with enough sessions")
        return figure
    places = np.arange(len(shown))
    axes.hlines(places, shown["oddest_alike"], shown["alike"], color=GREY, linewidth=1.2)
    axes.scatter(shown["alike"], places, color=BLUE, s=36, zorder=3, label="all its sessions, mean")
    axes.scatter(shown["oddest_alike"], places, color=RED, marker="D", s=32, zorder=3, label="its oddest session")
    for place, alike, name in zip(places, shown["oddest_alike"], shown["oddest"], strict=True):
        axes.annotate(
            neutral.label(name, 24),
            (alike, place),
            xytext=(-6, 0),
            textcoords="offset points",
            ha="right",
            va="center",
            fontsize="x-small",
        )
    axes.set_yticks(places, neutral.labels(shown["agent_id"]))
    low = float(shown["oddest_alike"].min())
    axes.set_xlim(low - 0.35 * (1.02 - low), 1.01)
    axes.set_xlabel("cosine to the centre of the agent's sessions (1: all alike)", fontsize="small")
    axes.grid(visible=False, axis="y")
    outside(figure, axes, "lower center", columns=2)
    return figure


def plot_moves(moves: pd.DataFrame, *, most: int = 12) -> Drawing:
    """Tools whose share of a purpose's sessions changed most (`hunting.moving_tools`)."""
    shown = moves[moves["change"] != 0].head(most).iloc[::-1]
    figure, axes = drawing("Tools that moved between or within purposes", height=1.4 + 0.36 * max(2, len(shown)))
    if shown.empty:
        nothing(axes, "no tool moved")
        return figure
    places = np.arange(len(shown))
    axes.hlines(places, 100 * shown["before"], 100 * shown["after"], color=GREY, linewidth=1.2)
    axes.scatter(100 * shown["before"], places, facecolors="white", edgecolors=INK, s=30, zorder=3, label="before")
    axes.scatter(
        100 * shown["after"],
        places,
        color=ORANGE,
        edgecolors=INK,
        linewidths=0.5,
        marker="s",
        s=34,
        zorder=3,
        label="after",
    )
    names = zip(neutral.labels(shown["tool"], 28), neutral.labels(shown["purpose_family"], 44), strict=True)
    axes.set_yticks(places, [f"{tool}\n{purpose}" for tool, purpose in names], fontsize="x-small")
    axes.set_xlabel("sessions of the purpose that call it (%)", fontsize="small")
    axes.grid(visible=False, axis="y")
    outside(figure, axes, "right upper")
    return figure
