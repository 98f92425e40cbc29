"""One run of an evaluation: the fold, its baselines and ablations, its promise, its delay, its variants."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count

from guardian.embedding.fit import FitRequest
from guardian.evaluation.alarms import RATES_ONE_IN, PromiseRow, delays, promises, single_acts
from guardian.evaluation.assessment import Assessment, Curve, robust_rows
from guardian.evaluation.calibration import FLAT, JudgeWith, fit_calibration, session_line
from guardian.evaluation.exchanged import exchanged
from guardian.evaluation.explanations import ExplainFn, explanations
from guardian.evaluation.folding import FoldedSession, FoldFn, folding
from guardian.evaluation.honest import HonestSession
from guardian.evaluation.judge import (
    ScoreFn,
    by_consequence,
    counted_scores,
    distinct,
    evaluate,
    evaluate_fold,
    judged,
)
from guardian.evaluation.metrics import roc
from guardian.evaluation.report import Report
from guardian.evaluation.robustness import VARIANTS, varied
from guardian.evaluation.sessions import LabelledSession
from guardian.pipeline.decoding import Redactor
from guardian.pipeline.scoring_run import SessionScorer
from guardian.scoring.calibration import ASSUMPTIONS

ANOTHER_OBJECT = "another object"
"""Marks rows that separate honest sessions from the same ones turned to another object."""
NOTHING_TO_EXCHANGE = (
    "Another object: no honest session's purpose names a value of a counted call, so none could be exchanged."
)
NO_HONEST_SESSION = "Session level: no session is honest, so there is nothing to tell the drifting ones from."
Note = Callable[[str], None]
"""Called with what is measured next."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What an evaluation measures beyond separation, promise, delay and single acts.

    Flags are counted at each N of `one_in`; the findings that are explained are those at `flag_one_in`.
    """

    one_in: tuple[float, ...] = RATES_ONE_IN
    flag_one_in: float = 1_000.0
    exchanged: bool = False
    robustness: bool = False
    explanations: bool = False
    seed: int = 7
    resamples: int = 400


def assess(
    sessions: Sequence[LabelledSession],
    *,
    fold: FoldFn,
    explain: ExplainFn,
    baselines: Mapping[str, ScoreFn],
    ablations: Mapping[str, FoldFn],
    calibrated_on: Collection[str],
    asked: Asked,
    note: Note = lambda _: None,
) -> Assessment:
    """Everything that the sessions allow: without drift, or without honest sessions, there is no separation.

    `ablations` are folds with a signal left out, by the row's name; they keep the calibration of the whole fold.
    `calibrated_on` names the data sets that the calibration was fitted on, so that rows can say so.
    """
    seed, resamples = asked.seed, asked.resamples
    note("folding")
    folded = fold(sessions)
    separable = len({action.drift for action in judged(sessions)}) == 2
    excluded = sum(not action.counted for s in sessions for action in s.actions)
    report, curves, variants = Report((), len(sessions), excluded, seed), dict[str, Curve](), dict[str, Report]()
    if separable:
        report, curves = _separation(folded, sessions, baselines, ablations, asked, note)
        variants = _variants(sessions, fold, asked, note) if asked.robustness else {}
    turned = exchanged(sessions, seed=seed) if asked.exchanged else []
    if turned:
        report = _joined(report, _from_turned(sessions, turned, {"guardian": fold, **ablations}, asked, note))
    rows = [replace(row, calibration=_saw(row, calibrated_on)) for row in _promised(folded, asked)]
    found = Assessment(
        report,
        kinds=tuple(by_consequence(folded, seed=seed, resamples=resamples)) if separable else (),
        promises=tuple(rows),
        delays=tuple(delays(folded, one_in=asked.one_in, seed=seed, resamples=resamples))
        if any(s.drift for s in sessions)
        else (),
        single_acts=tuple(
            r for r in single_acts(folded, one_in=asked.one_in, seed=seed, resamples=resamples) if r.sessions
        ),
        robustness=robust_rows(report, variants) if variants else (),
        curves=curves,
        notes=(f"What a promise assumes. {ASSUMPTIONS}",) if rows else (),
    )
    if asked.exchanged and not turned:
        found = found.with_notes([NOTHING_TO_EXCHANGE])
    if not separable:
        return found.with_notes([_inseparable(asked)])
    if not report.row("guardian", "session").found.benign:
        found = found.with_notes([NO_HONEST_SESSION])
    if asked.explanations:
        note("explanations")
        tried = explanations(
            folded, fold=fold, explain=explain, one_in=asked.flag_one_in, seed=seed, resamples=resamples
        )
        found = replace(found, explanation=tried)
    return found


def _separation(
    folded: Sequence[FoldedSession],
    sessions: Sequence[LabelledSession],
    baselines: Mapping[str, ScoreFn],
    ablations: Mapping[str, FoldFn],
    asked: Asked,
    note: Note,
) -> tuple[Report, dict[str, Curve]]:
    """The whole fold beside each baseline, both with their curves, and each ablation."""
    seed, resamples = asked.seed, asked.resamples
    reports = [evaluate_fold(folded, seed=seed, resamples=resamples)]
    curves = {"guardian": _curve(sessions, counted_scores(folded))}
    for name, score_fn in baselines.items():
        note(name)
        kept: list[float] = []
        reports.append(evaluate(_kept(score_fn, kept), sessions, name=name, seed=seed, resamples=resamples))
        curves[name] = _curve(sessions, kept)
    for name, fold in ablations.items():
        note(name)
        reports.append(_everywhere(evaluate_fold(fold(sessions), name=name, seed=seed, resamples=resamples)))
    return _joined(*reports), curves


def _variants(sessions: Sequence[LabelledSession], fold: FoldFn, asked: Asked, note: Note) -> dict[str, Report]:
    """The same sessions in each disguise."""
    reports: dict[str, Report] = {}
    for name, variant in VARIANTS.items():
        note(name)
        folded = fold([varied(s, variant) for s in sessions])
        reports[name] = evaluate_fold(folded, seed=asked.seed, resamples=asked.resamples)
    return reports


def _from_turned(
    sessions: Sequence[LabelledSession],
    turned: Sequence[LabelledSession],
    folds: Mapping[str, FoldFn],
    asked: Asked,
    note: Note,
) -> Report:
    """How each fold separates the honest sessions from those that are `turned` to another object."""
    honest = [session for session in sessions if session.honest]
    reports: list[Report] = []
    for name, fold in folds.items():
        named = f"{name}, {ANOTHER_OBJECT}"
        note(named)
        folded = fold([*honest, *turned])
        reports.append(_everywhere(evaluate_fold(folded, name=named, seed=asked.seed, resamples=asked.resamples)))
    return _joined(*reports)


def _inseparable(asked: Asked) -> str:
    asked_for = {"robustness": asked.robustness, "explanations": asked.explanations}
    unmeasured = " and no ".join(name for name, wanted in asked_for.items() if wanted)
    so = f", so no {unmeasured} could be measured" if unmeasured else ""
    return f"No separation: these sessions have counted labels of one kind only{so}."


def left_out(
    sessions: Sequence[LabelledSession],
    *,
    judge_with: JudgeWith,
    fold: str,
    redactor: Redactor,
    asked: Asked,
    note: Note = lambda _: None,
) -> list[PromiseRow]:
    """For each data set: calibrate on the honest sessions of all others, and count its flags at 1 in N. `fold`
    names what `judge_with` makes.

    Raises ValueError where fewer than two data sets have honest sessions, or too few to calibrate on.
    """
    scorer = SessionScorer(judge_with(FLAT), redactor)
    honest: dict[str, list[LabelledSession]] = {}
    for session in sessions:
        if session.actions and session.honest:
            honest.setdefault(session.dataset, []).append(session)
    if len(honest) < 2:
        raise ValueError(f"leaving a data set out takes two with honest sessions, got {sorted(honest)}")
    numbers = count(1)  # two sessions of one number would be taken for the same, even in different data sets
    decided = {
        name: [HonestSession(s.purpose, tuple(scorer.session(session_line(s, next(numbers))))) for s in group]
        for name, group in honest.items()
    }
    rows: list[PromiseRow] = []
    for name, group in honest.items():
        note(f"without {name}")
        others = [s for other, kept in decided.items() if other != name for s in kept]
        calibration = fit_calibration(
            others, judge_with=judge_with, source="the other sets", fold=fold, seed=asked.seed
        )
        folded = folding(judge_with(calibration), redactor)(group)
        rows += _promised(folded, asked, calibration=f"the others ({len(calibration.evidence.values)} sessions)")
    return rows


def _promised(folded: Sequence[FoldedSession], asked: Asked, calibration: str = "") -> list[PromiseRow]:
    return promises(
        folded, calibration=calibration, one_in=asked.one_in, seed=asked.seed, resamples=asked.resamples
    )


def _saw(row: PromiseRow, calibrated_on: Collection[str]) -> str:
    return "the configured one, fitted on this set too" if row.source in calibrated_on else "the configured one"


def _joined(first: Report, *others: Report) -> Report:
    """The first report, with the rows of all."""
    return replace(first, rows=tuple(row for report in (first, *others) for row in report.rows))


def _everywhere(report: Report) -> Report:
    """The report without its rows by domain."""
    return replace(report, rows=tuple(row for row in report.rows if row.domain is None))


def _kept(score_fn: ScoreFn, kept: list[float]) -> ScoreFn:
    """The scorer, which adds every score to `kept`."""

    def score(requests: Sequence[FitRequest]) -> Sequence[float]:
        scores = score_fn(requests)
        kept.extend(scores)
        return scores

    return score


def _curve(sessions: Sequence[LabelledSession], scores: Sequence[float]) -> Curve:
    points = distinct(judged(sessions), scores)
    return roc([point[0] for point in points], [point[1] for point in points])
