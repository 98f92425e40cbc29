"""What part of the archive a command looks at, as people say it: the folder, how far back, until when."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer

from guardian.errors import ConfigurationError

ArchiveOption = Annotated[
    Path | None, typer.Option("--archive", help="The archive's folder; default archive.path of the configuration.")
]
_MOST_DAYS = 100 * 365
_EARLIEST, _LATEST = 1970, 2261
_UNITS = {"d": 1, "w": 7, "m": 30, "y": 365}


def days_of(text: str) -> timedelta:
    """How long a --window is. Raises ConfigurationError."""
    found = re.fullmatch(r"([1-9]\d{0,3})([dwmy])", text)
    if found is None:
        raise ConfigurationError(f"--window {text!r}: write a number and d, w, m or y, such as 90d")
    days = int(found[1]) * _UNITS[found[2]]
    if days > _MOST_DAYS:
        raise ConfigurationError(f"--window {text!r}: at most {_MOST_DAYS // 365}y")
    return timedelta(days=days)


def moment_of(text: str | None) -> datetime | None:
    """An aware time, UTC where no zone is told. Raises ConfigurationError."""
    if text is None:
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError as error:
        raise ConfigurationError(f"{text!r} is no ISO 8601 time, such as 2026-05-12T17:00:00Z") from error
    if not _EARLIEST <= at.year <= _LATEST:
        raise ConfigurationError(f"{text!r}: the years {_EARLIEST} to {_LATEST} are known here")
    return at if at.tzinfo is not None else at.replace(tzinfo=UTC)
