"""The encoders that a training leaves behind, each for the purposes that it has not seen."""

import json
from pathlib import Path

from guardian.bootstrap.judgement import open_fit
from guardian.config import Settings
from guardian.embedding.artefact import HELD
from guardian.errors import ConfigurationError
from guardian.pipeline.judging import Fit
from guardian.pipeline.scoring_run import PURPOSE_READ
from guardian.signals.credentials.scanner import CredentialScanner


def as_judged(purpose: str) -> str:
    """A declared purpose as it is judged: so much as is read of it, without its credentials."""
    return CredentialScanner().text(purpose[:PURPOSE_READ])[:PURPOSE_READ]


def open_folds(settings: Settings, folds: Path) -> dict[str, Fit]:
    """Which encoder has not seen which purpose, `as_judged`; what two folds held out, in two data sets, both have
    seen. Raises ConfigurationError where there are no folds."""
    routes: dict[str, Fit] = {}
    twice: set[str] = set()
    for folder in sorted(path for path in folds.iterdir() if (path / HELD).is_file()) if folds.is_dir() else ():
        model = settings.model.model_copy(update={"path": folder.resolve()})
        fit = open_fit(settings.model_copy(update={"model": model}))
        held = set(map(as_judged, json.loads((folder / HELD).read_text("utf-8"))))
        twice |= routes.keys() & held
        routes |= dict.fromkeys(held, fit)
    if not routes:
        raise ConfigurationError(
            f"{folds}: no training folds here; `guardian train -o OUT` leaves them in OUT/.work/folds"
        )
    return {purpose: fit for purpose, fit in routes.items() if purpose not in twice}
