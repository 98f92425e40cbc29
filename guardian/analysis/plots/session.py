"""One session: its evidence call by call, its signals, what moved it, and who delegated to whom."""

import numpy as np
import pandas as pd
from matplotlib.ticker import FuncFormatter

from guardian.analysis import neutral
from guardian.analysis.explaining import EXACT, Explanation
from guardian.analysis.plots.style import (
    BLUE,
    GREY,
    INK,
    ORANGE,
    RED,
    Drawing,
    drawing,
    nothing,
    one_in_axis,
    outside,
    thresholds,
)

_MOST = 40
_SPEAKS = 0.05
_WANTED = {"flag": ("s", ORANGE, "finding: flag"), "revoke": ("D", RED, "finding: revoke")}


def plot_evidence(explanation: Explanation) -> Drawing:
    """The evidence after every call, the thresholds, findings and refusals; the last `_MOST` calls."""
    line = explanation.timeline.tail(_MOST)
    figure, axes = drawing(f"Evidence of {neutral.label(explanation.session['session_id'], 48)}", height=3.9)
    acts, one_in = line["act"].astype(int), line["one_in"].clip(lower=1.0)
    axes.step(acts, one_in, where="mid", color=BLUE, linewidth=1.4, zorder=2)
    plain = (line["effect"] != "deny") & ~line["wanted"].isin(list(_WANTED))
    axes.scatter(acts[plain], one_in[plain], color=BLUE, s=18, zorder=3, label="call")
    denied = line["effect"] == "deny"
    axes.scatter(
        acts[denied], one_in[denied], color=INK, marker="x", s=44, zorder=4, label="refused by the gateway"
    )
    for wanted, (shape, colour, name) in _WANTED.items():
        mine = line["wanted"] == wanted
        axes.scatter(
            acts[mine],
            one_in[mine],
            color=colour,
            marker=shape,
            s=46,
            edgecolors=INK,
            linewidths=0.6,
            zorder=5,
            label=name,
        )
    thresholds(axes)
    one_in_axis(axes.yaxis)
    axes.set_ylim(bottom=0.7, top=max(float(one_in.max()) * 5, 60_000.0))
    axes.set_xticks(
        acts,
        [f"{act} {tool}" for act, tool in zip(acts, neutral.labels(line["tool"], 26), strict=True)],
        rotation=35,
        ha="right",
        fontsize="x-small",
    )
    axes.set_xlabel("calls in order", fontsize="small")
    outside(figure, axes, "right upper")
    return figure


def plot_signals(explanation: Explanation) -> Drawing:
    """Signals by call, each in [0, 1], a number from 0.2; those that never spoke are left out."""
    line = explanation.events.tail(_MOST)
    spoke = {name for signals in line["signals"].dropna() for name, value in signals.items() if value >= _SPEAKS}
    names = sorted(spoke)
    figure, axes = drawing(
        "What each signal said of each call (0 fits the purpose, 1 does not)",
        height=1.7 + 0.28 * max(2, len(names)),
    )
    if not names:
        nothing(axes, "no signal said anything")
        return figure
    values = np.array([[(signals or {}).get(name, np.nan) for signals in line["signals"]] for name in names])
    shown = axes.imshow(values, cmap="Blues", vmin=0.0, vmax=1.0, aspect="auto")
    for row, column in zip(*np.nonzero(np.nan_to_num(values) >= 0.2), strict=True):
        value = values[row, column]
        axes.text(
            column,
            row,
            f"{value:.1f}".lstrip("0") if value < 0.95 else "1",
            ha="center",
            va="center",
            fontsize="x-small",
            color="white" if value > 0.5 else INK,
        )
    axes.grid(visible=False)
    axes.set_yticks(range(len(names)), neutral.labels(names))
    ticks = [f"{act} {tool}" for act, tool in zip(line["act"], neutral.labels(line["tool"], 26), strict=True)]
    axes.set_xticks(range(len(line)), ticks, rotation=35, ha="right", fontsize="x-small")
    axes.set_xlabel("calls in order", fontsize="small")
    figure.colorbar(shown, ax=axes, shrink=0.9).set_label("distance from purpose", fontsize="x-small")
    return figure


def plot_steps(explanation: Explanation) -> Drawing:
    """By what factor each call moved the session's evidence: what changed the verdict."""
    line = explanation.timeline.tail(_MOST)
    figure, axes = drawing("By what factor each call moved the evidence", height=1.3 + 0.26 * max(2, len(line)))
    factors = 10.0 ** line["step"].astype(float).clip(-EXACT, EXACT)
    places = range(len(line))
    up = factors > 1.0
    axes.barh(places, factors - 1.0, left=1.0, color=np.where(up, RED, BLUE), height=0.62)
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(FuncFormatter(lambda factor, _: f"× {factor:g}"))
    axes.axvline(1.0, color=INK, linewidth=0.8)
    for place, factor, why in zip(places, factors, line["why"], strict=True):
        axes.annotate(
            neutral.label(why, 60),
            (max(factor, 1.0), place),
            xytext=(4, 0),
            textcoords="offset points",
            va="center",
            fontsize="x-small",
        )
    ticks = [f"{act} {tool}" for act, tool in zip(line["act"], neutral.labels(line["tool"], 26), strict=True)]
    axes.set_yticks(places, ticks, fontsize="x-small")
    axes.invert_yaxis()
    axes.set_xlabel("factor (left of 1: towards the purpose, right: away from it)", fontsize="small")
    axes.set_xlim(min(float(factors.min()) / 1.5, 0.5), max(float(factors.max()), 10.0) ** 1.9)
    axes.grid(visible=False, axis="y")
    return figure


def plot_delegation(explanation: Explanation) -> Drawing:
    """The delegation tree: who handed on what to whom; the session itself is framed boldly."""
    chain = explanation.chain
    figure, axes = drawing("Delegation, from the root to the right", height=1.0 + 0.75 * len(chain))
    axes.set_axis_off()
    rows = {name: row for row, name in enumerate(chain["session_id"])}
    deepest = max(1, int(chain["depth"].max()))
    for session in chain.to_dict("records"):
        row, x = rows[session["session_id"]], session["depth"] / (deepest + 1)
        own = session["session_id"] == explanation.session["session_id"]
        tools = len(explanation.allowed(session["session_id"]))
        told = f"{neutral.label(session['session_id'], 30)}\n{neutral.label(_or(session['agent_id']), 30)}"
        told += f"\nholds {tools} tools, used {len(session['tools'] or ())}; asked: {session['wanted']}"
        axes.text(
            x,
            -row,
            told,
            va="center",
            ha="left",
            fontsize="x-small",
            bbox={
                "boxstyle": "round,pad=0.4",
                "facecolor": "white",
                "edgecolor": RED if own else GREY,
                "linewidth": 2.0 if own else 1.0,
            },
        )
        if (parent := session["parent_session_id"]) in rows:
            above = (session["depth"] - 1) / (deepest + 1)
            axes.annotate(
                "",
                (x - 0.015, -row),
                (above + 0.06, -rows[parent] - 0.28),
                zorder=0,
                arrowprops={
                    "arrowstyle": "->",
                    "color": INK,
                    "connectionstyle": "angle,angleA=90,angleB=0",
                    "linewidth": 0.9,
                },
            )
    axes.set_xlim(-0.02, 1.0)
    axes.set_ylim(-len(chain) + 0.4, 0.6)
    return figure


def _or(value: object) -> str:
    return "no agent named" if pd.isna(value) else str(value)
