"""A control API of a bench's own, on a socket: the same settings under all that measure one."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from guardian.bootstrap.control import Control
from guardian.bootstrap.secrets import SecretFiles
from guardian.config import Settings, load
from guardian.control.advice.adviser import Adviser
from guardian.telemetry import Metrics


def settled(folder: Path, **overrides: Any) -> Settings:
    """Settings with their secrets in a folder of their own, where nobody is alerted and no self-test runs."""
    settings = load(
        None,
        overrides={
            "base": str(folder),
            "store": {"control": "sqlite:///control.db", "monitor": "sqlite:///monitor.db"},
            "revocation": {"self_test": {"canary_every_s": None}},
            "alerts": {"jsonl": {"path": str(folder / "alerts.jsonl")}},
            **overrides,
        },
        apart=True,
    )
    SecretFiles.of(settings).create()
    return settings


@contextmanager
def serving(settings: Settings, *, adviser: Adviser | None = None) -> Iterator[Control]:
    """Control on a free port, until the end."""
    control = Control(settings, metrics=Metrics(), port=0, adviser=adviser)
    try:
        control.start()
        yield control
    finally:
        control.stop()
