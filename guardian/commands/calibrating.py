"""Calibrating the drift model, from settings."""

import secrets
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from guardian.bootstrap.judgement import (
    CALIBRATION,
    ReadLog,
    configured_fold,
    open_calibration,
    open_fit,
    open_judge,
    open_reading,
    speaks_for,
)
from guardian.commands.labelling import is_log, log_sessions, told_apart
from guardian.commands.training_folds import open_folds
from guardian.config import Settings
from guardian.config.judging import ModelSection
from guardian.disk import write_atomically
from guardian.domain.batch import DeadLetter, Decoded
from guardian.domain.record import Record
from guardian.domain.text import counted, some, visible
from guardian.embedding.artefact import FOLDS, is_artefact, list_file
from guardian.errors import ConfigurationError, GuardianError
from guardian.evaluation.calibration import FLAT, JudgeWith, OutOfFold, fit_calibration, session_line
from guardian.evaluation.honest import MAX_SHARE, HonestSession
from guardian.evaluation.labels import read_labels, tell_unmet
from guardian.evaluation.sessions import read_sessions
from guardian.pipeline.judging import Fit, Judge
from guardian.pipeline.scoring_run import SessionScorer
from guardian.scoring.calibration import Calibration
from guardian.signals.credentials.scanner import CredentialScanner

NAMED = 10


@dataclass(slots=True)
class Unjudged:
    """What a calibration takes for honest though nobody judged it: how many sessions, and those that the
    calibration in use flags, each as -N of its "1 in N" and its name. `unknown` where that one does not speak for
    what is configured."""

    flag_one_in: float
    sessions: int = 0
    unknown: bool = False
    flagged: list[tuple[float, str]] = field(default_factory=list)

    def met(self, session: HonestSession, one_in: float | None) -> None:
        self.sessions += 1
        self.unknown |= one_in is None
        if one_in is not None and one_in >= self.flag_one_in and (key := session.key) is not None:
            self.flagged.append((-one_in, f"{key.tenant_id}/{key.session_id}"))

    @property
    def names(self) -> list[str]:
        """Of those that are flagged, the furthest out first."""
        return list(dict.fromkeys(name for _, name in sorted(self.flagged)))

    def to_json(self) -> dict[str, Any]:
        flagged = None if self.unknown else len(self.flagged)
        return {"sessions": self.sessions, "flagged": flagged, "first_flagged": self.names[:NAMED]}

    def warning(self) -> str:
        """What to know before the calibration is used, fit for a terminal; empty where there is nothing."""
        taken = f"Taken for honest though nobody judged them: {counted(self.sessions, 'session')}."
        if self.unknown:
            return (
                f"{taken} Which of them are flagged today is not known: no calibration in use speaks for the"
                " configured model, signals and weights."
            )
        if not self.flagged:
            return ""
        return (
            f"{taken} The calibration in use flags {len(self.flagged):,} of them"
            f" (1 in {self.flag_one_in:,g}): {some(self.names, NAMED, visible)}.\n"
            "Where one of them drifted, the new calibration may flag neither it nor what is like it. Judge them"
            " first (guardian confirm or dismiss, then guardian labels; or lines TENANT/SESSION drift or benign in"
            " the file of --labels), and calibrate again."
        )


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
    labels: Path | None = None,
    max_per_purpose: int = 20,
    max_share: float = MAX_SHARE,
    on_unread: Callable[[int], None] = lambda _: None,
    unjudged: Unjudged | None = None,
) -> Calibration:
    """Fit a calibration from files of session lines or of decisions; `on_unread` is told how many records of a log
    could not be read or believed, as they are met, and `unjudged` what nobody judged of the sessions that count.

    `labels` says what people confirmed as drift (see `evaluation.labels`): those sessions are left out, no others.

    With `folds` (`.work/folds` of a training) each session is scored by the encoder that was trained without it,
    and sessions that every encoder has seen are left out: for the yardstick that is shipped with a model.
    """
    routes = open_folds(settings, folds) if folds is not None else {}
    fit: Fit = OutOfFold(routes) if folds is not None else open_fit(settings)
    judge_with = judges(settings, fit)
    said = read_labels(labels)
    read = counting(open_reading(settings), on_unread)
    scorer = SessionScorer(judge_with(FLAT), CredentialScanner())
    logs = [file for file in files if is_log(file)]
    logged = log_sessions(logs, read, timedelta(seconds=settings.source.idle_s))
    lines = list(honest_sessions([f for f in files if f not in logs], scorer))
    there = [s.key for s in (*logged, *lines) if s.key]
    tell_unmet(said, there)
    said = said.among(there)
    sessions = [
        s
        for s in (*told_apart(logged, said), *lines)
        if (folds is None or (s.purposes and s.purposes <= routes.keys()))
        and not (s.key and said.drifts_in(s.key))
    ]
    try:
        return fit_calibration(
            sessions,
            judge_with=judge_with,
            source=", ".join(path.name for path in files),
            fold=configured_fold(settings),
            seed=seed,
            max_per_purpose=max_per_purpose,
            max_share=max_share,
            progress=progress,
            in_use=calibration_in_use(settings) if unjudged is not None else None,
            on_unjudged=unjudged.met if unjudged is not None else lambda _session, _one_in: None,
        )
    except ValueError as error:
        raise ConfigurationError(str(error)) from error


def counting(read: ReadLog, on_unread: Callable[[int], None]) -> ReadLog:
    """The same reading; what could not be read is counted, but not what could be in part."""

    def told(records: Sequence[Record]) -> tuple[list[Decoded], list[DeadLetter]]:
        decoded, letters = read(records)
        on_unread(sum(not letter.judged for letter in letters))
        return decoded, letters

    return told


def calibrate_trained(
    settings: Settings,
    files: Sequence[Path],
    model: Path,
    progress: Callable[[int, int], None],
    *,
    labels: Path | None = None,
    on_unread: Callable[[int], None] = lambda _: None,
) -> Calibration:
    """Fit what a model that was just trained in the folder `model` is shipped with: each session of `files` is
    scored by the encoder that was trained without it, and written to the model's folder. `on_unread` as for
    `calibrate`.

    Archives among the files are left out: they keep no envelopes. Raises ConfigurationError for too few sessions.
    """
    trained = settings.model_copy(update={"model": ModelSection(path=model.resolve())})
    logs = [file for file in files if not file.is_dir()]
    made = calibrate(trained, logs, progress, folds=model / FOLDS, labels=labels, on_unread=on_unread)
    with write_atomically(model / CALIBRATION) as file:
        file.write(made.to_json().encode())
    list_beside_model(model / CALIBRATION)
    return made


def calibration_in_use(settings: Settings) -> Calibration | None:
    """The configured calibration; None where it does not speak for what is configured."""
    try:
        calibration = open_calibration(settings)
        return calibration if speaks_for(calibration, settings) else None
    except (GuardianError, OSError):
        return None


def list_beside_model(calibration: Path) -> None:
    """In a model's folder the manifest lists the calibration too, so that one which was altered loads no more."""
    folder = calibration.resolve().parent
    if calibration.name == CALIBRATION and is_artefact(folder):
        list_file(folder, CALIBRATION)


def honest_sessions(files: Sequence[Path], scorer: SessionScorer) -> Iterator[HonestSession]:
    """Every session of files of session lines in which no act is called drift, if with a doubt, or unknown. Their
    numbers go on from file to file: two session lines of one number are taken for the same."""
    for number, session in enumerate(read_sessions(files), 1):
        if session.honest:
            yield HonestSession(session.purpose, tuple(scorer.session(session_line(session, number))))
