"""What all figures have in common: size, colours, axes."""

import io
import math
import warnings
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

BLUE, ORANGE, GREEN, RED = "#0072B2", "#E69F00", "#009E73", "#D55E00"
GREY, INK = "#999999", "#333333"

_SHIPPED = (1_000.0, 20_000.0)

_DPI = 96
_LETTER = (0.085, 0.19)  # of a name, in inches of the whole figure
_GAP = 0.09
_SIDES = ((1, 0), (-1, 0), (1, 1.4), (1, -1.4), (-1, 1.4), (-1, -1.4), (1, 2.8), (1, -2.8), (-1, 2.8), (-1, -2.8))


class Drawing(Figure):
    """A figure that shows itself in a notebook without a plotting backend, the same bytes for the same data."""

    def png(self) -> bytes:
        """Without the library's version in it."""
        out = io.BytesIO()
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Glyph .* missing from font")  # shown as a box
            self.savefig(out, format="png", dpi=_DPI, metadata={"Software": None})
        return out.getvalue()

    def _repr_png_(self) -> bytes:
        return self.png()


def drawing(title: str, *, height: float = 3.4) -> tuple[Drawing, Any]:
    """An empty figure, so many inches high, and its axes."""
    figure = Drawing(figsize=(8.0, height), layout="constrained")
    axes = figure.add_subplot()
    dress(axes, title)
    return figure, axes


def dress(axes: Any, title: str) -> None:
    axes.set_title(title, loc="left", fontsize="medium", color=INK)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(colors=INK, labelsize="small")
    axes.grid(visible=True, color="#e6e6e6", linewidth=0.6)
    axes.set_axisbelow(True)


def in_utc(axes: Any, first: datetime, last: datetime) -> None:
    """The x axis in UTC, whatever the zone of who looks, and the dates of the first and last mark. The formatter
    itself would tell the last tick's, which a margin may put into another day or month."""
    locator = AutoDateLocator(tz="UTC", maxticks=9)
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(
        ConciseDateFormatter(
            locator,
            tz="UTC",
            formats=["%Y", "%b", "%d %b", "%H:%M", "%H:%M", "%S.%f"],
            zero_formats=["", "%Y", "%d %b", "%d %b", "%H:%M", "%H:%M"],
            show_offset=False,
        )
    )
    dates = dict.fromkeys(f"{at:%Y-%m-%d}" for at in (first, last))
    axes.set_xlabel(f"time (UTC), {' to '.join(dates)}", fontsize="small")


def one_in_axis(axis: Any) -> None:
    """A logarithmic axis of "1 in N honest sessions"."""
    axis.axes.set(**{f"{axis.axis_name}scale": "log"})
    axis.set_major_formatter(FuncFormatter(lambda n, _: rounded(n)))
    axis.set_label_text("evidence: 1 in N honest sessions", fontsize="small")


def thresholds(axes: Any, asks_at: tuple[float, float] | None, *, across: bool = True) -> float:
    """`ArchiveView.asks_at` as lines, `across` for a horizontal pair; without it those that guardian is shipped
    with, which the legend says. One that nothing reaches has no line. Returns the highest that is drawn, or 1."""
    draw, known = axes.axhline if across else axes.axvline, "" if asks_at else " (as shipped)"
    highest = 1.0
    for word, at, colour, dash in zip(
        ("flag", "revoke"), asks_at or _SHIPPED, (INK, RED), ("--", "-."), strict=True
    ):
        if at < math.inf:
            draw(at, color=colour, linewidth=0.9, linestyle=dash, label=f"{word} at 1 in {at:,.10g}{known}")
            highest = at
    return highest


def legend(axes: Any, **where: Any) -> None:
    axes.legend(fontsize="x-small", frameon=False, **where)


def outside(figure: Drawing, axes: Any, where: str, *, columns: int = 1) -> None:
    """The legend beside or below the axes, where it hides nothing."""
    handles = axes.get_legend_handles_labels()
    figure.legend(*handles, loc=f"outside {where}", ncols=columns, fontsize="x-small", frameon=False)


def name_apart(
    axes: Any, names: Sequence[str], xs: Sequence[Any], ys: Sequence[Any], *, across: Sequence[float] = ()
) -> None:
    """Name marks, each on the first side where its name lies on no other nor on a line that is drawn `across` the
    axes at that height; a name without such a side is left out.

    To be called when the axes have their limits.
    """
    width, height = (float(inches) for inches in axes.figure.get_size_inches())
    upwards = axes.transData + axes.transAxes.inverted()
    placed = [(0.0, float(upwards.transform((1.0, y))[1]), 1.0, 0.0) for y in across]
    for name, x, y in zip(names, xs, ys, strict=True):
        at = axes.convert_xunits(x), axes.convert_yunits(y)
        left, foot = axes.transAxes.inverted().transform(axes.transData.transform(at))
        wide, high = len(name) * _LETTER[0] / width, _LETTER[1] / height
        for dx, dy in _SIDES:
            box = (left + dx * _GAP / width - wide * (dx < 0), foot + dy * _GAP / height - high / 2, wide, high)
            if box[0] >= 0.0 and box[0] + wide <= 1.02 and not any(_overlap(box, other) for other in placed):
                axes.annotate(
                    name,
                    at,
                    xytext=(72 * _GAP * dx, 72 * _GAP * dy),
                    textcoords="offset points",
                    ha="right" if dx < 0 else "left",
                    va="center",
                    fontsize="x-small",
                    zorder=6,
                )
                placed.append(box)
                break


def _overlap(one: tuple[float, float, float, float], other: tuple[float, float, float, float]) -> bool:
    return (
        one[0] < other[0] + other[2]
        and other[0] < one[0] + one[2]
        and one[1] < other[1] + other[3]
        and other[1] < one[1] + one[3]
    )


def nothing(axes: Any, why: str) -> None:
    """A figure without data says so."""
    axes.text(0.5, 0.5, why, ha="center", va="center", transform=axes.transAxes, color=INK, fontsize="small")
    axes.set_axis_off()


def rounded(n: float) -> str:
    """As axes of "1 in N" tell it: 500, 20 k, 1 M."""
    if n < 1_000:
        return f"{n:g}"
    return f"{n / 1_000:g} k" if n < 1_000_000 else f"{n / 1_000_000:g} M"
