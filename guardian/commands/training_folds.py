"""The encoders that a training leaves behind, each for the purposes that it has not seen."""

import json
from pathlib import Path

from guardian.bootstrap.judgement import open_fit
from guardian.config import Settings
from guardian.embedding.artefact import HELD
from guardian.errors import ConfigurationError
from guardian.pipeline.judging import Fit
from guardian.signals.credentials.scanner import CredentialScanner


def open_folds(settings: Settings, folds: Path) -> dict[str, Fit]:
    """Which encoder has not seen which purpose, as it is declared and as it reads without its credentials; what
    two folds held out, in two data sets, both have seen. Raises ConfigurationError where there are no folds."""
    redacted = CredentialScanner().text
    routes: dict[str, Fit] = {}
    twice: set[str] = set()
    for folder in sorted(path for path in folds.iterdir() if (path / HELD).is_file()) if folds.is_dir() else ():
        model = settings.model.model_copy(update={"path": folder.resolve()})
        fit = open_fit(settings.model_copy(update={"model": model}))
        declared = json.loads((folder / HELD).read_text("utf-8"))
        held = {*declared, *map(redacted, declared)}
        twice |= routes.keys() & held
        routes |= dict.fromkeys(held, fit)
    if not routes:
        raise ConfigurationError(
            f"{folds}: no training folds here; `guardian train -o OUT` leaves them in OUT/.work/folds"
        )
    return {purpose: fit for purpose, fit in routes.items() if purpose not in twice}
