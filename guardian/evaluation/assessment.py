"""Everything that one evaluation measured, as values that print as JSON or as Markdown tables."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from guardian.evaluation.alarms import DelayRow, PromiseRow, SingleActRow
from guardian.evaluation.explanations import ExplanationTest
from guardian.evaluation.metrics import RATES, Interval, Separation
from guardian.evaluation.report import Report, finite, measured, shown, table

Curve = tuple[tuple[float, float], ...]
AS_IS = "as is"
_AT_4 = RATES.index(0.04)


@dataclass(frozen=True, slots=True)
class RobustRow:
    """One variant of the sessions: action level, and how recall @ 4 % moved from the sessions as they are."""

    variant: str
    honest: int
    drift: int
    auc: Interval
    recall_1: Interval
    recall_4: Interval
    moved_4: float


def robust_rows(as_is: Report, variants: Mapping[str, Report]) -> tuple[RobustRow, ...]:
    """One row per variant, the sessions as they are first."""
    base = as_is.row("guardian").found
    rows = []
    for name, report in {AS_IS: as_is, **variants}.items():
        found = report.row("guardian").found
        at_4 = found.recall[_AT_4]
        moved = at_4.value - base.recall[_AT_4].value
        rows.append(RobustRow(name, found.benign, found.drift, found.auc, found.recall[0], at_4, moved))
    return tuple(rows)


@dataclass(frozen=True, slots=True)
class Assessment:
    """`curves` are the ROC corners of each scorer at action level; `kinds` separate drift, by what the act can do,
    from all honest actions; `notes` are caveats for the reader."""

    separation: Report
    kinds: tuple[tuple[str, Separation], ...] = ()
    promises: tuple[PromiseRow, ...] = ()
    delays: tuple[DelayRow, ...] = ()
    single_acts: tuple[SingleActRow, ...] = ()
    explanation: ExplanationTest | None = None
    robustness: tuple[RobustRow, ...] = ()
    curves: Mapping[str, Curve] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def with_notes(self, notes: Iterable[str]) -> "Assessment":
        return replace(self, notes=(*self.notes, *notes))

    def to_json(self) -> dict[str, Any]:
        """Plain data; a value that is not defined is null."""
        plain: dict[str, Any] = finite(
            {
                **self.separation.to_json(),
                "kinds": [{"act": act, **measured(found)} for act, found in self.kinds],
                "promises": [asdict(row) for row in self.promises],
                "delays": [
                    {**asdict(row), "delays": list(row.delays), "median": row.median} for row in self.delays
                ],
                "single_acts": [asdict(row) for row in self.single_acts],
                "explanation": asdict(self.explanation) if self.explanation is not None else None,
                "robustness": [asdict(row) for row in self.robustness],
                "notes": list(self.notes),
            }
        )
        return plain

    def lines(self) -> Iterator[str]:
        """Markdown, with a table for each question that was asked."""
        if self.separation.rows:
            yield from self.separation.lines()
        if self.kinds:
            yield from (
                "",
                "Drift by what the act can do, each against all honest actions (guardian, action):",
                "",
            )
            yield from table(
                ("act", "drift (acts)", "AUC", *(f"recall @ {100 * rate:g} %" for rate in RATES)),
                ((act, f"{found.drift} ({found.acts})", *shown(found)) for act, found in self.kinds),
            )
        if self.promises:
            yield from (
                "",
                "Honest sessions flagged, promised and measured (95 % intervals over purposes; estimated: flags"
                " further out than any session of the calibration):",
                "",
            )
            yield from table(
                ("sessions of", "calibration", "1 in N", "promised", "measured", "flagged", "estimated"),
                (
                    (r.source, r.calibration, f"{r.one_in:,g}", _percent(1 / r.one_in), _shares(r.measured),
                     f"{r.flagged} / {r.sessions}{f' ({r.unjudged} unjudged)' if r.unjudged else ''}",
                     f"{r.estimated}")
                    for r in self.promises
                ),
            )  # fmt: skip
        if self.delays:
            yield from (
                "",
                "Drifting sessions, and when they are caught, in actions from the first that left the purpose:",
                "",
            )
            yield from table(
                ("1 in N", "sessions (acts)", "caught", "on that action", "flagged before it", "median wait"),
                (
                    (f"{r.one_in:,g}", f"{r.sessions} ({r.acts})", _shares(r.caught), _shares(r.at_once),
                     _shares(r.early), "-" if r.median is None else f"{r.median:g}")
                    for r in self.delays
                ),
            )  # fmt: skip
        if self.single_acts:
            yield from ("", "Sessions whose only drift is a single act that changes something:", "")
            yield from table(
                ("act", "1 in N", "sessions (acts)", "caught"),
                (
                    (r.act, f"{r.one_in:,g}", f"{r.sessions} ({r.acts})", _shares(r.caught))
                    for r in self.single_acts
                ),
            )
        if self.robustness:
            yield from ("", "Robustness, action level: the same sessions reworded, disguised, poorly logged:", "")
            yield from table(
                ("variant", "honest / drift", "AUC", "recall @ 1 %", "recall @ 4 %", "moved @ 4 %"),
                (
                    (r.variant, f"{r.honest} / {r.drift}", f"{r.auc}", f"{r.recall_1}", f"{r.recall_4}",
                     "" if r.variant == AS_IS else f"{r.moved_4:+.3f}")
                    for r in self.robustness
                ),
            )  # fmt: skip
        if self.explanation is not None:
            yield from ("", _explained(self.explanation))
        yield from (line for note in self.notes for line in ("", note))


def _explained(found: ExplanationTest) -> str:
    return (
        f"Explanations: of {found.findings} findings at 1 in {found.one_in:,g}, {found.with_choice} have two"
        f" arguments or more, and for {found.named} of those an argument was named. Removing it lowers the score"
        f" more than removing a random other one in {_shares(found.mattered)} of them"
        f" (by {found.mean_fall:.3f} on average, the other by {found.mean_other_fall:.3f})."
    )


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"


def _shares(found: Interval) -> str:
    if found.value != found.value:
        return "-"
    return f"{100 * found.value:.1f} % [{100 * found.low:.1f}, {100 * found.high:.1f}]"
