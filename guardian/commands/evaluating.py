"""Evaluating the drift model, from settings."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from guardian.bootstrap import plugins
from guardian.bootstrap.judgement import configured_fold, open_calibration, open_fit, open_reading, speaks_for
from guardian.commands.archived_sessions import PER_PURPOSE, LeftOut
from guardian.commands.benchmarks import BENCHMARKS, TRAINED_ON, Benchmark, find_benchmark
from guardian.commands.calibrating import counting, judges
from guardian.commands.labelling import data_sets_of, is_log, labelled_sessions
from guardian.commands.offline import batches
from guardian.commands.training_folds import as_judged, open_folds
from guardian.config import Settings
from guardian.domain.breach import DOUBT
from guardian.domain.text import counted
from guardian.errors import ConfigurationError
from guardian.evaluation.alarms import RATES_ONE_IN, PromiseRow
from guardian.evaluation.assess import Asked, assess, left_out
from guardian.evaluation.assessment import Assessment
from guardian.evaluation.baselines import cosine, lexical
from guardian.evaluation.calibration import OutOfFold
from guardian.evaluation.folding import FoldFn, folding
from guardian.evaluation.labels import read_labels
from guardian.evaluation.sessions import LabelledSession
from guardian.pipeline.judging import Fit
from guardian.signals.credentials.scanner import CredentialScanner

NOT_SPOKEN_FOR = (
    "The calibration was fitted with another model, other signals or other weights than are configured: nothing is"
    " promised, every flag is an estimate. `guardian calibrate`, then set model.calibration."
)

LESS_THAN_THE_LOG = (
    "Logs, archives: only purposes, tools and arguments are judged here, each session by itself. Denied calls"
    " count as allowed; data classes, records, resources, envelopes, parents and siblings are not seen. The"
    " promise is of the whole monitor, so false alarms come out too few, and drift that shows there alone counts"
    " as missed. `guardian replay LOG` judges all of it."
)

BY_FEEDBACK = (
    "Feedback: what drifted is what people confirmed. Where they judged only what guardian flagged, a drift that"
    " it overlooked counts as honest: separation, recall and what is caught are then all but perfect whatever"
    " the model does, and measure nothing. They do over sessions that were judged whether flagged or not."
)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What `guardian evaluate` was asked for, beside its files."""

    benchmark: str | None = None
    without: tuple[str, ...] = ()
    exchanged: bool = False
    robustness: bool = False
    explanations: bool = False
    left_out: bool = False
    folds: Path | None = None
    labels: Path | None = None
    one_in: tuple[float, ...] = ()
    resamples: int = 400

    def asked(self, settings: Settings) -> Asked:
        """What of it is measured of the sessions, beside the rate at which the settings flag."""
        flag_one_in = settings.response.flag_one_in
        rates = {*(self.one_in or RATES_ONE_IN), flag_one_in} - {math.inf}  # which flags nothing
        return Asked(
            one_in=tuple(sorted(rates)),
            flag_one_in=flag_one_in,
            exchanged=self.exchanged,
            robustness=self.robustness,
            explanations=self.explanations,
            resamples=self.resamples,
        )


def evaluate_files(
    settings: Settings,
    files: Sequence[Path],
    progress: Callable[[int, int, str], None],
    wanted: Wanted,
    *,
    on_unread: Callable[[int], None] = lambda _: None,
) -> Assessment:
    """The configured monitor on labelled sessions, beside cosine and lexical overlap in the same run; `on_unread`
    as for `calibrate`.

    Raises ConfigurationError for nothing to read, an unknown benchmark or signal, too little to leave out, and
    folds that held none of it out.
    """
    routes = open_folds(settings, wanted.folds) if wanted.folds is not None else None
    if routes is not None and wanted.robustness:
        raise ConfigurationError(
            "--robustness changes purposes, and --out-of-fold goes by them: ask for one of both"
        )
    kept_back = LeftOut()
    read = counting(open_reading(settings), on_unread)
    told = labelled_sessions(settings, files, read_labels(wanted.labels), read, kept_back)
    benchmark = find_benchmark(wanted.benchmark) if wanted.benchmark is not None else None
    given = [*told, *(benchmark.sessions(wanted.folds) if benchmark is not None else ())]
    if not given:
        raise ConfigurationError(f"nothing to evaluate: {_why_nothing(files)}")
    ablated = {f"guardian without {name}": _without(settings, name) for name in wanted.without}
    model = open_fit(settings)
    sessions = given if routes is None else _held_out(given, routes)
    if not sessions:
        raise ConfigurationError(f"{wanted.folds}: held none of these {len(given):,} sessions out of a training")
    fit: Fit = model if routes is None else OutOfFold(routes)
    calibration, redactor, asked = open_calibration(settings), CredentialScanner(), wanted.asked(settings)
    stage = _Stage(progress, len(sessions))

    def fold(of: Settings) -> FoldFn:
        return folding(judges(of, fit)(calibration), redactor, progress=stage.moved)

    rows: Sequence[PromiseRow] = ()
    if wanted.left_out:  # before what takes longest, since it may be refused
        try:
            rows = left_out(
                sessions,
                judge_with=judges(settings, fit),
                fold=configured_fold(settings),
                redactor=redactor,
                asked=asked,
                note=stage.begun,
            )
        except ValueError as error:
            raise ConfigurationError(f"--left-out: {error}") from error
    found = assess(
        sessions,
        fold=fold(settings),
        explain=fit.explain,
        baselines={"cosine": cosine(model), "lexical": lexical},
        ablations={name: fold(of) for name, of in ablated.items()},
        calibrated_on=data_sets_of(calibration.source, files),
        asked=asked,
        note=stage.begun,
    )
    notes = _notes(
        wanted,
        kept_back,
        benchmark,
        spoken_for=speaks_for(calibration, settings),
        held_by_none=len(given) - len(sessions),
        by_feedback=_by_feedback(files, sessions),
        silent=_silent(sessions, found.promises, asked.flag_one_in),
        of_traffic=any(file.is_dir() or is_log(file) for file in files),
    )
    return replace(found, promises=(*found.promises, *rows)).with_notes(notes)


def _held_out(sessions: Sequence[LabelledSession], routes: Mapping[str, Fit]) -> list[LabelledSession]:
    """Those whose purpose a fold held out, with the purpose by which the fold is found."""
    return [
        replace(session, purpose=purpose)
        for session in sessions
        if (purpose := as_judged(session.purpose)) in routes
    ]


class _Stage:
    """Tells `progress` what is measured, and of how many sessions."""

    def __init__(self, progress: Callable[[int, int, str], None], sessions: int) -> None:
        self._progress, self._sessions, self._doing = progress, sessions, ""

    def begun(self, doing: str) -> None:
        self._doing = doing
        self._progress(0, self._sessions, doing)

    def moved(self, done: int, total: int) -> None:
        self._progress(done, total, self._doing)


def _why_nothing(files: Sequence[Path]) -> str:
    """Why the files hold nothing to evaluate, and what to give."""
    empty = [file for file in files if not file.is_dir() and not any(batches(file))]
    why = f"{empty[0]} holds no records; " if empty else "no session has labels and a purpose; " if files else ""
    return f"{why}give files of labelled sessions, or --benchmark {' or '.join(BENCHMARKS)}"


def _notes(
    wanted: Wanted,
    kept_back: LeftOut,
    benchmark: Benchmark | None,
    *,
    spoken_for: bool,
    held_by_none: int,
    by_feedback: bool,
    silent: str,
    of_traffic: bool,
) -> Iterator[str]:
    """What a reader has to know of what was judged, and by what."""
    if of_traffic:
        yield LESS_THAN_THE_LOG
    if silent:
        yield silent
    if by_feedback:
        yield BY_FEEDBACK
    if kept_back.unjudged or kept_back.beyond:
        yield _kept_back(kept_back)
    if kept_back.for_rules:
        yield (
            f"Confirmed for a broken rule alone: {counted(kept_back.for_rules, 'act')}. Nobody said that they left"
            " their purpose, so they are neither caught nor missed here."
        )
    if not spoken_for:
        yield NOT_SPOKEN_FOR
    if wanted.folds is not None:
        apart = f"{held_by_none:,} that no fold held out are not here"
        yield f"Each session was judged by the encoder that was trained without it; {apart}."
    if benchmark is not None and benchmark.note and not (wanted.folds and TRAINED_ON in benchmark.note):
        yield benchmark.note
    if wanted.left_out:
        yield _exchangeable(wanted.folds)


def _without(settings: Settings, name: str) -> Settings:
    """The same settings with one signal off. Raises ConfigurationError with the names of those that are on."""
    if name not in settings.signals:
        raise ConfigurationError(f"--without {name}: not switched on; signals are {', '.join(settings.signals)}")
    signals = {kept: options for kept, options in settings.signals.items() if kept != name}
    weights = {kept: weight for kept, weight in settings.weights.items() if kept != name}
    lost = plugins.find("signals", name).breaches
    breaches = {
        rule: effect for rule, effect in settings.response.breaches.items() if rule.removesuffix(DOUBT) not in lost
    }
    response = settings.response.model_copy(update={"breaches": breaches})
    return settings.model_copy(update={"signals": signals, "weights": weights, "response": response})


def _silent(sessions: Sequence[LabelledSession], promises: Sequence[PromiseRow], flag_one_in: float) -> str:
    """Of the sessions that nobody judged, where some of them would be flagged; else empty."""
    flagged = sum(row.unjudged for row in promises if row.one_in == flag_one_in)
    if not flagged:
        return ""
    silent = sum(session.unjudged for session in sessions)
    return (
        f"Logs: {silent:,} sessions that nobody judged count as honest, and {flagged:,} of them reach"
        f" 1 in {flag_one_in:,g}. What drifted among them is no false alarm: judge those first, or give the"
        " archive, which leaves them out."
    )


def _by_feedback(files: Sequence[Path], sessions: Sequence[LabelledSession]) -> bool:
    """Whether any drift is known from what people said of an archive, or of a log of which they judged a part."""
    archives = {file.name for file in files if file.is_dir()}
    logs = {session.dataset for session in sessions if session.unjudged}
    return any(session.drift and session.dataset in archives | logs for session in sessions)


def _kept_back(left_out: LeftOut) -> str:
    return (
        f"Archives: {left_out.unjudged:,} flagged or revoked sessions that nobody judged are not here, nor are"
        f" {left_out.beyond:,} beyond the first {PER_PURPOSE} of a purpose. The false alarms among the flagged are"
        " not counted, so there are more than is measured here; a log has them all."
    )


def _exchangeable(folds: Path | None) -> str:
    seen = (
        "scored by encoders that were trained without it"
        if folds
        else "which the encoder may have been trained on"
    )
    return (
        f"Left out: each data set is judged by a calibration fitted on the others, {seen}. Promises assume that "
        "sessions are exchangeable with the calibration's; another data set is not, which is what these rows "
        "show."
    )
