"""One session: its evidence call by call, its signals, what moved it, and who delegated to whom."""

import numpy as np
import pandas as pd
from matplotlib.ticker import FuncFormatter
from numpy.typing import NDArray

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
"""So many calls can have a row or column of their own."""
_NAMED = 30
_DRAWN = 10_000
_ABOVE, _BELOW = 6, 20
_SPEAKS = 0.05
_WANTED = {"flag": ("s", ORANGE, "finding: flag"), "revoke": ("D", RED, "finding: revoke")}


def plot_evidence(explanation: Explanation) -> Drawing:
    """The evidence after every call, the thresholds, findings and refusals; of more than `_DRAWN` the last ones.

    Where there is no room for all names, those of calls that led to a finding come before the others.
    """
    line, calls = explanation.timeline.tail(_DRAWN), len(explanation.timeline)
    title = f"Evidence of {neutral.label(explanation.session['session_id'], 48)}"
    if len(line) < calls:
        title += f": calls {calls - len(line) + 1:,}–{calls:,} of {calls:,}"
    figure, axes = drawing(title, height=3.9)
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
    revoke = thresholds(axes, explanation.asks_at)
    one_in_axis(axes.yaxis)
    axes.set_ylim(bottom=0.7, top=max(float(one_in.max()) * 5, 3 * revoke))
    named = line.iloc[_apart(line["wanted"].isin(list(_WANTED)).to_numpy())]
    axes.set_xticks(named["act"], _names(named), rotation=35, ha="right", fontsize="x-small")
    axes.set_xlabel("calls in order" + ("" if len(named) == calls else ", some by name"), fontsize="small")
    outside(figure, axes, "right upper")
    return figure


def plot_signals(explanation: Explanation) -> Drawing:
    """Signals by call, each in [0, 1], a number from 0.2; those that never spoke are left out. Of many calls the
    `_telling` ones."""
    telling = _telling(explanation)
    line = explanation.events.loc[telling.index]
    spoke = {name for signals in line["signals"].dropna() for name, value in signals.items() if value >= _SPEAKS}
    names = sorted(spoke)
    figure, axes = drawing(
        _titled("What each signal said of each call (0 fits the purpose, 1 does not)", telling, explanation),
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
    axes.set_xticks(range(len(line)), _names(line), rotation=35, ha="right", fontsize="x-small")
    axes.set_xlabel("calls in order", fontsize="small")
    figure.colorbar(shown, ax=axes, shrink=0.9).set_label("distance from purpose", fontsize="x-small")
    return figure


def plot_steps(explanation: Explanation) -> Drawing:
    """By what factor each call moved the session's odds against honesty: what changed the verdict. Of many calls
    the `_telling` ones."""
    line = _telling(explanation)
    title = _titled("By what factor each call moved the odds against honesty", line, explanation)
    figure, axes = drawing(title, height=1.3 + 0.26 * max(2, len(line)))
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
    axes.set_yticks(places, _names(line), fontsize="x-small")
    axes.invert_yaxis()
    axes.set_xlabel("factor (left of 1: towards the purpose, right: away from it)", fontsize="small")
    axes.set_xlim(min(float(factors.min()) / 1.5, 0.5), max(float(factors.max()), 10.0) ** 1.9)
    axes.grid(visible=False, axis="y")
    return figure


def plot_delegation(explanation: Explanation) -> Drawing:
    """The delegation tree: who handed on what to whom; the session itself is framed boldly. Of many only the
    nearest ancestors, and of those below first the flagged ones and the ways to them; the others are counted."""
    above, chain, below = _near(explanation)
    title = "Delegation, from the root to the right"
    if len(above):
        title += f" (without the first {len(above):,}{_flagged(above)})"
    height = len(chain) + 0.5 * (len(below) > 0)
    figure, axes = drawing(title, height=1.0 + 0.75 * height)
    axes.set_axis_off()
    rows = {name: row for row, name in enumerate(chain["session_id"])}
    least, deepest = int(chain["depth"].min()), max(1, int(chain["depth"].max() - chain["depth"].min()))
    for session in chain.to_dict("records"):
        row, x = rows[session["session_id"]], (session["depth"] - least) / (deepest + 1)
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
            left = (session["depth"] - 1 - least) / (deepest + 1)
            axes.annotate(
                "",
                (x - 0.015, -row),
                (left + 0.06, -rows[parent] - 0.28),
                zorder=0,
                arrowprops={
                    "arrowstyle": "->",
                    "color": INK,
                    "connectionstyle": "angle,angleA=90,angleB=0",
                    "linewidth": 0.9,
                },
            )
    if len(below):
        told = f"and {len(below):,} more below it{_flagged(below)}"
        mine = chain["session_id"] == explanation.session["session_id"]
        x = (int(chain.loc[mine, "depth"].iloc[0]) + 1 - least) / (deepest + 1)
        axes.text(x, 0.25 - len(chain), told, va="center", fontsize="x-small", color=INK)
    axes.set_xlim(-0.02, 1.0)
    axes.set_ylim(0.4 - height, 0.6)
    return figure


def _near(explanation: Explanation) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """What is drawn of the chain, between the ancestors and those below that are not. Nobody is drawn without the
    sessions in between: a way to a flagged one counts as flagged."""
    chain = explanation.chain
    own = int(chain.loc[chain["session_id"] == explanation.session["session_id"], "depth"].iloc[0])
    up, down = chain[chain["depth"] <= own], chain[chain["depth"] > own]
    parents = dict(zip(down["session_id"], down["parent_session_id"], strict=True))
    ways = set[str]()
    waiting = list(down.loc[down["wanted"].isin(list(_WANTED)), "session_id"])
    while waiting:
        name = waiting.pop()
        if name in parents and name not in ways:
            ways.add(name)
            waiting.append(parents[name])
    first = down.assign(off=~down["session_id"].isin(ways)).sort_values(["off", "depth"], kind="stable")
    drawn = first.index[:_BELOW].sort_values()
    shown = pd.concat([up.tail(_ABOVE + 1), down.loc[drawn]])
    return up.iloc[: -_ABOVE - 1], shown, down.drop(drawn)


def _flagged(sessions: pd.DataFrame) -> str:
    count = int(sessions["wanted"].isin(list(_WANTED)).sum())
    return f", {count:,} of them flagged" if count else ""


def _telling(explanation: Explanation) -> pd.DataFrame:
    """At most `_MOST` calls of the timeline, in order: the first that led to a finding, then the largest steps."""
    line = explanation.timeline
    sizes = line["step"].abs().mask(line["wanted"].isin(list(_WANTED)), np.inf)
    return line.loc[sizes.nlargest(_MOST).index.sort_values()]


def _titled(title: str, shown: pd.DataFrame, explanation: Explanation) -> str:
    calls = len(explanation.timeline)
    if len(shown) == calls:
        return title
    told = int(explanation.timeline["wanted"].isin(list(_WANTED)).sum())
    which = "those that led to a finding, and the largest steps"
    if told > len(shown):
        which = f"the first of {told:,} that led to a finding"
    return f"{title}\n{len(shown)} of {calls:,} calls: {which}"


def _apart(first: NDArray[np.bool_]) -> list[int]:
    """Places in a row far enough from one another for `_NAMED` names; the `first` ones are taken first."""
    least, chosen = len(first) / _NAMED, list[int]()
    for place in np.argsort(~first, kind="stable").tolist():
        if all(abs(place - other) >= least for other in chosen):
            chosen.append(place)
    return sorted(chosen)


def _names(line: pd.DataFrame) -> list[str]:
    return [f"{act} {tool}" for act, tool in zip(line["act"], neutral.labels(line["tool"], 26), strict=True)]


def _or(value: object) -> str:
    return "no agent named" if pd.isna(value) else str(value)
