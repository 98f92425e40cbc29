"""Calibrating and evaluating the drift model, from settings."""

import secrets
from collections.abc import Callable, Sequence
from pathlib import Path

from guardian.bootstrap.judgement import open_fit, open_judge
from guardian.config import Settings
from guardian.errors import ConfigurationError
from guardian.evaluation.calibration import fit_calibration
from guardian.evaluation.sessions import LabelledSession, read_sessions
from guardian.pipeline.judging import Judge
from guardian.pipeline.scoring_run import SessionScorer
from guardian.scoring.calibration import Calibration
from guardian.signals.credential_exposure import CredentialScanner


def judges(settings: Settings) -> Callable[[Calibration], tuple[Judge, SessionScorer]]:
    """Folds for any calibration that share one drift model and its cache."""
    fit, key = open_fit(settings), secrets.token_bytes(32)

    def judge_with(calibration: Calibration) -> tuple[Judge, SessionScorer]:
        judge = open_judge(settings, fingerprint_key=key, fit=fit, calibration=calibration)
        return judge, SessionScorer(judge, CredentialScanner())

    return judge_with


def calibrate(
    settings: Settings, files: Sequence[Path], progress: Callable[[int, int], None], *, seed: int = 0
) -> Calibration:
    """Fit a calibration from files of session lines."""
    sessions: list[LabelledSession] = read_sessions(files)
    try:
        return fit_calibration(
            sessions,
            judge_with=judges(settings),
            source=", ".join(path.name for path in files),
            seed=seed,
            progress=progress,
        )
    except ValueError as error:
        raise ConfigurationError(str(error)) from error
