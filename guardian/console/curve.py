"""The evidence curve: an inline SVG made here, with the same in words and in a table."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from guardian.console.ports import Thresholds
from guardian.domain.timeline import Point
from guardian.wire.cases import TrendPoint

WIDTH, HEIGHT = 720, 220
_LEFT, _RIGHT, _TOP, _BOTTOM = 60, 8, 14, 28
_COLUMNS = 600  # more points than this become columns, each with the highest evidence among its points
_ROWS = 40
_LEAST = 4.0  # decades that the picture shows at least
_MOST = 15.0


class Mark(NamedTuple):
    """A finding on the curve."""

    x: float
    y: float
    position: int  # of its action, from 1
    wanted: str


class Level(NamedTuple):
    """A horizontal line: a threshold, or one of the axis."""

    y: float
    label: str


class Span(NamedTuple):
    """A row of the table: actions from and to (from 1), and the most evidence among them."""

    first: int
    last: int
    one_in: float
    promised: bool


@dataclass(frozen=True, slots=True)
class Curve:
    """`line` and `area` are points of SVG polygons; `count` is the number of actions."""

    line: str
    area: str
    marks: tuple[Mark, ...]
    axis: tuple[Level, ...]
    flag: Level
    revoke: Level
    table: tuple[Span, ...]
    highest: Span
    count: int
    width: int = WIDTH
    height: int = HEIGHT
    left: int = _LEFT
    right: int = WIDTH - _RIGHT


def of_points(points: Sequence[Point], thresholds: Thresholds) -> Curve:
    """One step an action. `points` must not be empty."""
    spans = [Span(number, number, point.one_in, point.promised) for number, point in enumerate(points, 1)]
    marks = [(span, point.wanted) for span, point in zip(spans, points, strict=True) if point.wanted != "none"]
    return _curve(spans, marks, thresholds)


def of_trend(trend: Sequence[TrendPoint], thresholds: Thresholds) -> Curve:
    """What control knows: the evidence at each finding, by the number of the action. `trend` must not be empty."""
    numbered = [(max(1, point.actions), point) for point in trend]
    spans = [Span(number, number, point.one_in, point.promised) for number, point in numbered]
    return _curve(spans, [(span, "flag") for span in spans], thresholds)


def _curve(spans: Sequence[Span], marks: Sequence[tuple[Span, str]], thresholds: Thresholds) -> Curve:
    """`spans` are of one action each, in order."""
    highest = max(spans, key=lambda span: span.one_in)
    drawn, most, total = together(spans, _COLUMNS), _weight(highest.one_in), max(span.last for span in spans)
    top = min(_MOST, max(_LEAST, math.ceil(max(most, _weight(thresholds.revoke_one_in)) + 0.2)))

    def x(position: int) -> float:
        share = 0.5 if total == 1 else (position - 1) / (total - 1)
        return round(_LEFT + share * (WIDTH - _LEFT - _RIGHT), 1)

    def y(one_in: float) -> float:
        return round(HEIGHT - _BOTTOM - min(_weight(one_in), top) / top * (HEIGHT - _TOP - _BOTTOM), 1)

    corners: list[tuple[float, float]] = []
    for span in drawn:
        if corners:
            corners.append((x(span.first), corners[-1][1]))
        corners += [(x(span.first), y(span.one_in)), (x(span.last), y(span.one_in))]
    line = " ".join(f"{a},{b}" for a, b in dict.fromkeys(corners))
    floor = HEIGHT - _BOTTOM
    step = 2 if top <= 8 else 4
    return Curve(
        line=line,
        area=f"{corners[0][0]},{floor} {line} {corners[-1][0]},{floor}",
        marks=tuple(Mark(x(at.first), y(at.one_in), at.first, wanted) for at, wanted in marks[-200:]),
        axis=tuple(Level(y(10.0**decade), _decade(decade)) for decade in range(0, int(top) + 1, step)),
        flag=Level(y(thresholds.flag_one_in), f"flag at 1 in {thresholds.flag_one_in:,.0f}"),
        revoke=Level(y(thresholds.revoke_one_in), f"revoke at 1 in {thresholds.revoke_one_in:,.0f}"),
        table=tuple(together(spans, _ROWS)),
        highest=highest,
        count=total,
    )


def together(spans: Sequence[Span], most: int) -> list[Span]:
    """At most so many spans: neighbours become one with the highest evidence among them, so no peak is lost.

    >>> together([Span(1, 1, 2.0, True), Span(2, 2, 9.0, False), Span(3, 3, 1.0, True)], 2)
    [Span(first=1, last=2, one_in=9.0, promised=False), Span(first=3, last=3, one_in=1.0, promised=True)]
    """
    size = -(-len(spans) // most)
    groups = [spans[start : start + size] for start in range(0, len(spans), size)]
    peaks = [max(group, key=lambda span: span.one_in) for group in groups]
    return [peak._replace(first=of[0].first, last=of[-1].last) for of, peak in zip(groups, peaks, strict=True)]


def _weight(one_in: float) -> float:
    return math.log10(one_in) if 1 <= one_in < math.inf else _MOST if one_in > 1 else 0.0


def _decade(decade: int) -> str:
    """
    >>> _decade(0), _decade(4), _decade(6), _decade(12)
    ('1', '10k', '1M', '1T')
    """
    for size, name in ((12, "T"), (6, "M"), (3, "k")):
        if decade >= size:
            return f"{10 ** (decade - size)}{name}"
    return str(10**decade)
