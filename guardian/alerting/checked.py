"""What the options of several channels have in common: how long is waited, and a secret in a file."""

from pathlib import Path

from guardian.errors import ConfigurationError
from guardian.keys.files import read_secret

_LONGEST_S = 120.0
"""A mail takes up to three such times and is sent twice at most: within the time in which an alert is its own."""


def seconds(setting: str, value: float, *, least: float = 0.1) -> None:
    """Refuse a time to wait in which nothing can be answered, or for which everything else would wait."""
    if not least <= value <= _LONGEST_S:
        raise ConfigurationError(f"{setting} must be {least:g} to {_LONGEST_S:g} seconds, got {value!r}")


def secret(setting: str, file: str) -> str:
    """One line of printable ASCII, without what surrounds it, from a file that only its owner may read."""
    try:
        text = read_secret(Path(file), lost="get another").decode("ascii").strip()
    except ConfigurationError as error:
        raise ConfigurationError(f"{setting}: {error}") from error
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{setting}: what {file} holds is not ASCII") from error
    if not text.isprintable():
        raise ConfigurationError(f"{setting}: {file} holds more than one line, or control characters")
    return text
