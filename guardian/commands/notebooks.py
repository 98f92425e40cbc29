"""The notebooks that travel with the package, copied to where people work with them."""

import os
import shutil
import sys
from importlib.util import find_spec
from pathlib import Path

from guardian.bootstrap.resources import resource
from guardian.errors import ConfigurationError

INSTALL = "pip install 'intent-guardian[notebooks]'"
_SUFFIXES = (".py", ".ipynb")


def notebooks() -> list[Path]:
    """Every notebook's .py and .ipynb, in order."""
    return sorted(path for path in resource("notebooks").iterdir() if path.suffix in _SUFFIXES)


def copy_notebooks(folder: Path, *, force: bool) -> list[Path]:
    """Copy them into `folder`, made if it is not there; what was written.

    Raises ConfigurationError where one of them lies there already, unless `force`: then nothing is written.
    """
    if folder.exists() and not folder.is_dir():
        raise ConfigurationError(f"{folder} is a file; name a folder for the notebooks")
    wanted = {path: folder / path.name for path in notebooks()}
    there = [to.name for to in wanted.values() if to.exists()]
    if there and not force:
        raise ConfigurationError(f"{folder}: {there[0]} is there already; --force overwrites it and the others")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path, to in wanted.items():
            shutil.copyfile(path, to)
    except OSError as error:
        raise ConfigurationError(f"cannot write to {folder}: {error.strerror}") from error
    return list(wanted.values())


def lacking() -> list[str]:
    """Packages that notebooks import and that are not installed."""
    return [name for name in ("pandas", "matplotlib", "ipykernel") if find_spec(name) is None]


def jupyter() -> list[str] | None:
    """The command that opens Jupyter in this environment; None where it is not installed."""
    installed = next((module for module in ("jupyterlab", "notebook") if find_spec(module) is not None), None)
    return None if installed is None else [sys.executable, "-m", installed]


def open_jupyter(command: list[str], folder: Path) -> None:
    """Become Jupyter, in that folder; does not return."""
    sys.stdout.flush()
    os.chdir(folder)
    os.execv(command[0], command)  # noqa: S606 - our own interpreter, no shell
