"""The figures of an assessment as PNG: ROC, promised against measured, delay. Needs matplotlib (an extra)."""

from pathlib import Path
from typing import Any

from guardian.errors import ConfigurationError
from guardian.evaluation.assessment import Assessment

_INCHES = (6.0, 5.0)
_DPI = 120


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
    for name, curve in found.curves.items():
        fpr, tpr = zip(*curve, strict=True) if curve else ((), ())
        area = next(
            (r.found.auc.value for r in found.separation.rows if (r.scorer, r.level) == (name, "action")), None
        )
        axes.plot(fpr, tpr, label=name if area is None else f"{name} (AUC {area:.3f})", linewidth=1.6)
    axes.set(xlabel="honest actions above the threshold", ylabel="drifting actions above it", title="Actions")
    axes.set(xlim=(0, 1), ylim=(0, 1.01))
    axes.axvline(0.04, color="grey", linewidth=0.8, linestyle=":")
    axes.legend(loc="lower right", fontsize="small")


def _promises(found: Assessment, axes: Any) -> None:
    names = dict.fromkeys((row.source, row.calibration) for row in found.promises)
    smallest = min(1 / row.one_in for row in found.promises)
    for source, calibration in names:
        rows = [row for row in found.promises if (row.source, row.calibration) == (source, calibration)]
        shown = [max(row.measured.value, smallest / 4) for row in rows]  # a log axis has no zero
        low = [max(0.0, at - row.measured.low) for at, row in zip(shown, rows, strict=True)]
        low = [min(down, at * 0.99) for at, down in zip(shown, low, strict=True)]
        high = [max(0.0, row.measured.high - at) for at, row in zip(shown, rows, strict=True)]
        axes.errorbar(
            [1 / row.one_in for row in rows], shown, yerr=(low, high), marker="o", capsize=3, label=source
        )
    ends = (smallest, 1 / min(row.one_in for row in found.promises))
    axes.plot(ends, ends, color="grey", linestyle="--", label="as promised")
    axes.set(xscale="log", yscale="log", xlabel="promised: at most one in N", ylabel="honest sessions flagged")
    axes.set(title="Promised and measured (none flagged is drawn at the foot)")
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
