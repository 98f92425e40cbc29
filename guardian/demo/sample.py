"""The sample data of the notebooks. Whoever has it, or an archive, loads nothing of what makes it."""

import os
from collections.abc import Callable
from pathlib import Path

from guardian import __version__
from guardian.bootstrap.judgement import configured_fold
from guardian.config import load
from guardian.telemetry import only_errors

SEED = 7

Update = Callable[[int, int | None], None]


def sample(folder: Path | None = None, *, seed: int = SEED, update: Update = lambda _done, _total: None) -> Path:
    """An archive of six weeks in `folder`, made if it is not there, whole or not at all; takes some seconds.

    Without a folder it is kept in the user's cache, for this version, model and reading. Raises ConfigurationError
    where it cannot be written.
    """
    folder = folder or _kept()
    if not (folder / "events").is_dir():
        from guardian.demo.sample_making import make

        with only_errors():
            make(folder, seed=seed, update=update)
    return folder


def _kept() -> Path:
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    fold = configured_fold(load(None, apart=True)).replace("/", "-")
    return Path(cache) / "guardian" / f"sample-{__version__}-{fold}"
