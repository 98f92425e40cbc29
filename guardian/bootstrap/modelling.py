"""Calibrating and evaluating the drift model, from settings."""

import json
import secrets
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from guardian.bootstrap.judgement import open_fit, open_judge, open_pipeline, unchecked, utc_now
from guardian.bootstrap.offline import batches
from guardian.config import Settings
from guardian.domain.event import SessionKey
from guardian.embedding.artefact import HELD
from guardian.errors import ConfigurationError
from guardian.evaluation.baselines import cosine, lexical
from guardian.evaluation.calibration import (
    FLAT,
    HonestSession,
    JudgeWith,
    OutOfFold,
    fit_calibration,
    session_line,
)
from guardian.evaluation.judge import evaluate
from guardian.evaluation.report import Report
from guardian.evaluation.robustness import VARIANTS
from guardian.evaluation.sessions import read_sessions
from guardian.pipeline.batch import Decoded
from guardian.pipeline.judging import Fit, Judge
from guardian.pipeline.pipeline import Pipeline
from guardian.pipeline.scoring_run import SessionScorer
from guardian.scoring.calibration import Calibration
from guardian.signals.credential_exposure import CredentialScanner
from guardian.sources.session_lines import is_session_line


def judges(settings: Settings, fit: Fit) -> JudgeWith:
    """Folds for any calibration that share one drift model and its cache."""
    key = secrets.token_bytes(32)

    def judge_with(calibration: Calibration) -> Judge:
        return open_judge(settings, fingerprint_key=key, fit=fit, calibration=calibration)

    return judge_with


def calibrate(
    settings: Settings,
    files: Sequence[Path],
    progress: Callable[[int, int], None],
    *,
    seed: int = 0,
    folds: Path | None = None,
) -> Calibration:
    """Fit a calibration from files of session lines or of decisions.

    With `folds` (`.work/folds` of a training) each session is scored by the encoder that was trained without it,
    and sessions that every encoder has seen are left out: for the yardstick that is shipped with a model.
    """
    routes = out_of_fold(settings, folds) if folds is not None else {}
    fit: Fit = OutOfFold(routes) if folds is not None else open_fit(settings)
    judge_with = judges(settings, fit)
    judge = open_judge(settings, fingerprint_key=b"calibrate", fit=fit, calibration=FLAT)
    pipeline = open_pipeline(settings, judge, verify=unchecked, clock=utc_now, check_entitlements=False)
    sessions = [
        s for file in files for s in honest_sessions(file, pipeline) if folds is None or s.purpose in routes
    ]
    try:
        return fit_calibration(
            sessions,
            judge_with=judge_with,
            source=", ".join(path.name for path in files),
            seed=seed,
            progress=progress,
        )
    except ValueError as error:
        raise ConfigurationError(str(error)) from error


def out_of_fold(settings: Settings, folds: Path) -> dict[str, Fit]:
    """Which encoder has not seen which purpose. Raises ConfigurationError where there are no folds."""
    routes: dict[str, Fit] = {}
    for folder in sorted(path for path in folds.iterdir() if (path / HELD).is_file()) if folds.is_dir() else ():
        model = settings.model.model_copy(update={"path": folder.resolve()})
        fit = open_fit(settings.model_copy(update={"model": model}))
        routes |= dict.fromkeys(json.loads((folder / HELD).read_text("utf-8")), fit)
    if not routes:
        raise ConfigurationError(
            f"{folds}: no training folds here; `guardian train -o OUT` leaves them in OUT/.work/folds"
        )
    return routes


def honest_sessions(file: Path, pipeline: Pipeline) -> Iterator[HonestSession]:
    """Every session of a file; labelled ones with a drift are left out, unreadable records are skipped."""
    first = next(iter(batches(file)), [])
    if first and is_session_line(first[0].value):
        scorer = SessionScorer(pipeline.judging, CredentialScanner())
        for number, session in enumerate(read_sessions([file]), 1):
            if not session.drift:
                yield HonestSession(session.purpose, tuple(scorer.session(session_line(session, number))))
        return
    yield from decision_sessions(d for batch in batches(file) for d in pipeline.decode(batch)[0])


def decision_sessions(decoded: Iterator[Decoded]) -> Iterator[HonestSession]:
    """Decisions of a log grouped into their sessions, in order of first appearance."""
    grouped: dict[SessionKey, list[Decoded]] = {}
    for d in decoded:
        grouped.setdefault(d.event.key, []).append(d)
    for decisions in grouped.values():
        yield HonestSession(decisions[0].event.envelope.purpose, tuple(decisions))


def evaluate_files(
    settings: Settings,
    files: Sequence[Path],
    progress: Callable[[int, int, str], None],
    *,
    variants: bool = False,
    resamples: int = 400,
) -> Report:
    """The configured drift model on labelled sessions, beside cosine and lexical overlap in the same run."""
    sessions = read_sessions(files)
    if not any(s.drift for s in sessions) or all(s.drift for s in sessions):
        raise ConfigurationError(
            "an evaluation needs sessions with drift and sessions without; these have one kind"
        )
    fit = open_fit(settings)
    report = evaluate(
        fit.score,
        sessions,
        baselines={"cosine": cosine(fit), "lexical": lexical},
        resamples=resamples,
        progress=progress,
    )
    rows = list(report.rows)
    for name, variant in VARIANTS.items() if variants else ():
        found = evaluate(
            fit.score,
            [variant(s) for s in sessions],
            name=f"guardian, {name}",
            resamples=resamples,
            progress=progress,
        )
        rows += [row for row in found.rows if row.domain == "all"]
    return Report(tuple(rows), report.sessions, report.excluded, report.seed)
