"""The figures of an assessment as PNG: ROC, promised and measured false alarms, detection delay.

Needs matplotlib (an extra).
"""

from pathlib import Path
from typing import Any

from guardian.domain.text import plain
from guardian.errors import ConfigurationError
from guardian.evaluation.assessment import Assessment

_INCHES = (6.0, 5.0)
_DPI = 120
_FEW = 0.1
_ALARMS = 0.04
_ASIDE = 1.06  # each set beside the one before it


def draw(found: Assessment, folder: Path) -> list[Path]:
    """Write the figures that there are data for into `folder`, which is made if needed; returns the files written.

    Raises ConfigurationError naming the extra where matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            f"--plots needs matplotlib ({error.name} is not installed): pip install 'intent-guardian[plots]'"
        ) from error
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, wanted, paint in (
        ("roc.png", bool(found.curves), _roc),
        ("calibration.png", bool(found.promises), _promises),
        ("delay.png", any(row.delays for row in found.delays), _delays),
    ):
        if wanted:
            drawn = Figure(figsize=_INCHES, layout="constrained")
            paint(found, drawn.add_subplot())
            drawn.savefig(folder / name, dpi=_DPI, metadata={"Software": None})
            written.append(folder / name)
    return written


def _roc(found: Assessment, axes: Any) -> None:
    """The whole curve, and enlarged the part of it in which a monitor can work."""
    few = axes.inset_axes((0.4, 0.3, 0.57, 0.43), xlim=(0, _FEW), ylim=(0, 1.01))
    for name, curve in found.curves.items():
        fpr, tpr = zip(*curve, strict=True) if curve else ((), ())
        area = next(
            (r.found.auc.value for r in found.separation.rows if (r.scorer, r.level) == (name, "action")), None
        )
        label = name if area is None else f"{name} (AUC {area:.3f})"
        for where in (axes, few):
            where.plot(fpr, tpr, label=label, linewidth=1.6)
    axes.set(title="Drift found against false alarms, by action (ROC)", xlim=(0, 1), ylim=(0, 1.01))
    axes.set(xlabel="false alarms: share of honest actions above the threshold")
    axes.set(ylabel="recall: share of drifting actions above it")
    few.tick_params(labelsize="x-small")
    few.set_title(f"the same, up to {_FEW:.0%} false alarms", fontsize="small")
    few.axvline(_ALARMS, color="grey", linewidth=0.8, linestyle=":", label=f"{_ALARMS:.0%} false alarms")
    few.legend(handles=few.lines[-1:], loc="lower right", fontsize="x-small")
    for each in (axes, few):
        _in_percent(each.xaxis, each.yaxis)
    axes.legend(loc="lower right", fontsize="small")


def _promises(found: Assessment, axes: Any) -> None:
    """Measured shares with their intervals, sets side by side. A share of 0 has no place on a log axis: it is
    marked at its foot, with a bar up to what it leaves open."""
    names = list(dict.fromkeys((row.source, row.calibration) for row in found.promises))
    smallest = min(1 / row.one_in for row in found.promises)
    foot = min(smallest, *(row.measured.high for row in found.promises)) / 4
    for place, (source, calibration) in enumerate(names):
        rows = [row for row in found.promises if (row.source, row.calibration) == (source, calibration)]
        some = [row for row in rows if row.flagged]
        at = [row.measured.value for row in some]
        low = [row.measured.value - row.measured.low for row in some]  # where that is 0, beyond the foot
        high = [row.measured.high - row.measured.value for row in some]
        aside = _ASIDE ** (place - (len(names) - 1) / 2)
        rates = [aside / row.one_in for row in some]
        label = f"sessions of {plain(source)}".replace("$", r"\$")  # a name is no formula
        drawn = axes.errorbar(rates, at, yerr=(low, high), fmt="o-", capsize=3, label=label)
        color = drawn.lines[0].get_color()
        none = [row for row in rows if not row.flagged]
        if none:
            rates, left_open = [aside / row.one_in for row in none], [row.measured.high - foot for row in none]
            bars = ([foot] * len(none), left_open)
            axes.errorbar(rates, [foot] * len(none), yerr=bars, fmt="v", mfc="none", capsize=3, color=color)
    ends = (smallest, 1 / min(row.one_in for row in found.promises))
    axes.plot(ends, ends, color="grey", linestyle="--", label="as promised")
    if not all(row.flagged for row in found.promises):
        axes.plot([], [], marker="v", fillstyle="none", linestyle="", color="grey", label="none was flagged")
    axes.set(xscale="log", yscale="log", title="False alarms, promised and measured")
    axes.set(xlabel="promised: at most one in so many honest sessions is flagged")
    axes.set(ylabel="measured: share of honest sessions flagged")
    numbers = sorted({row.one_in for row in found.promises})
    axes.set_xticks([1 / n for n in numbers], [f"1 in {n:,g}" for n in numbers])
    axes.minorticks_off()
    _in_percent(axes.yaxis)
    axes.figure.legend(loc="outside lower center", ncols=2, fontsize="small")


def _delays(found: Assessment, axes: Any) -> None:
    for row in found.delays:
        if row.delays:
            steps = range(row.delays[-1] + 1)
            caught = [sum(wait <= step for wait in row.delays) / row.sessions for step in steps]
            axes.step(list(steps), caught, where="post", marker=".", label=f"1 in {row.one_in:,g}")
    axes.set(title="Detection delay", xlabel="actions after the first that left the purpose (0: on that action)")
    axes.set(ylabel="share of drifting sessions flagged by then", ylim=(0, 1.01))
    axes.xaxis.get_major_locator().set_params(integer=True)
    _in_percent(axes.yaxis)
    axes.legend(fontsize="small", title="flagged at", title_fontsize="small")


def _in_percent(*axes: Any) -> None:
    for axis in axes:
        axis.set_major_formatter(lambda share, _: f"{100 * share:g} %")
