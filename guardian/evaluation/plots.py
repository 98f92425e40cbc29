"""The figures of an assessment as PNG: ROC, promised against measured, delay. Needs matplotlib (an extra)."""

from pathlib import Path
from typing import Any

from guardian.errors import ConfigurationError
from guardian.evaluation.assessment import Assessment

_INCHES = (6.0, 5.0)
_DPI = 120
_FEW = 0.1


def draw(found: Assessment, folder: Path) -> list[Path]:
    """Write what there is to draw into `folder` (made if it is not there); the files written.

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
    """All of the curve, and in a window that part of it in which a monitor can work."""
    few = axes.inset_axes((0.4, 0.3, 0.57, 0.43), xlim=(0, _FEW), ylim=(0, 1.01))
    for name, curve in found.curves.items():
        fpr, tpr = zip(*curve, strict=True) if curve else ((), ())
        area = next(
            (r.found.auc.value for r in found.separation.rows if (r.scorer, r.level) == (name, "action")), None
        )
        label = name if area is None else f"{name} (AUC {area:.3f})"
        for where in (axes, few):
            where.plot(fpr, tpr, label=label, linewidth=1.6)
    axes.set(xlabel="honest actions above the threshold", ylabel="drifting actions above it", title="Actions")
    axes.set(xlim=(0, 1), ylim=(0, 1.01))
    few.tick_params(labelsize="x-small")
    few.set_title(f"up to {_FEW:.0%} of the honest actions", fontsize="small")
    few.axvline(0.04, color="grey", linewidth=0.8, linestyle=":")
    axes.legend(loc="lower right", fontsize="small")


def _promises(found: Assessment, axes: Any) -> None:
    """Shares with their intervals; where none was flagged only what it may be, from the foot of the figure up."""
    names = dict.fromkeys((row.source, row.calibration) for row in found.promises)
    smallest = min(1 / row.one_in for row in found.promises)
    foot = smallest / 4  # a log axis has no zero
    for source, calibration in names:
        rows = [row for row in found.promises if (row.source, row.calibration) == (source, calibration)]
        some, none = [row for row in rows if row.flagged], [row for row in rows if not row.flagged]
        at = [row.measured.value for row in some]
        low = [min(row.measured.value - row.measured.low, 0.99 * row.measured.value) for row in some]
        high = [row.measured.high - row.measured.value for row in some]
        drawn = axes.errorbar(
            [1 / row.one_in for row in some], at, yerr=(low, high), marker="o", capsize=3, label=source
        )
        color = drawn.lines[0].get_color()
        for row in none:
            axes.plot([1 / row.one_in], [foot], marker="v", fillstyle="none", linestyle="", color=color)
    ends = (smallest, 1 / min(row.one_in for row in found.promises))
    axes.plot(ends, ends, color="grey", linestyle="--", label="as promised")
    axes.set(xscale="log", yscale="log", xlabel="promised: at most one in N", ylabel="honest sessions flagged")
    axes.set(title="Promised and measured (▽ none was flagged)")
    axes.legend(fontsize="small")


def _delays(found: Assessment, axes: Any) -> None:
    for row in found.delays:
        if row.delays:
            steps = range(row.delays[-1] + 1)
            caught = [sum(wait <= step for wait in row.delays) / row.sessions for step in steps]
            axes.step(list(steps), caught, where="post", marker=".", label=f"1 in {row.one_in:,g}")
    axes.set(
        xlabel="actions after the first that left the purpose", ylabel="drifting sessions caught", ylim=(0, 1.01)
    )
    axes.set(title="Detection delay")
    axes.legend(fontsize="small")
