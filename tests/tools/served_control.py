"""A control API of a folder's own, as commands of the same configuration reach it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from guardian.bootstrap.control import Control
from guardian.bootstrap.secrets import SecretFiles
from guardian.config import Settings, load
from guardian.telemetry import Metrics


@contextmanager
def served_control(folder: Path, more: str = "") -> Iterator[tuple[Control, Settings, Path]]:
    """While it lasts: the API, its settings, and the configuration file that names its address."""
    file = folder / "guardian.yaml"
    text = f"{more}store: {{control: 'sqlite:///control.db'}}\nalerts: {{jsonl: {{path: a.jsonl}}}}\n"
    file.write_text(text)
    settings = load(file)
    SecretFiles.of(settings).create()
    control = Control(settings, metrics=Metrics(), port=0)
    control.start()
    try:
        file.write_text(f"{text}control: {{url: '{control.url}'}}\n")
        yield control, settings, file
    finally:
        control.stop()
