"""What lasts: databases, the archive, and what is proposed from it."""

from os.path import realpath
from pathlib import Path
from typing import Annotated, Self
from urllib.parse import parse_qsl, urlsplit

from pydantic import AfterValidator, Field, model_validator

from guardian.archive.redaction import Treatment
from guardian.config.base import Days, Plugins, Seconds, Section, Wildcards, plugins

_THIS_MACHINE = ("127.0.0.1", "::1")  # others of 127.0.0.0/8 may be servers of their own
_SAYS_WHERE = ("host", "hostaddr", "port", "dbname", "service", "options")
"""What libpq is told after the `?` of where the data lies: `options` may name a schema."""


class StoreSection(Section):
    monitor: str = "sqlite:///guardian-data/monitor.db"
    control: str = "sqlite:///guardian-data/control.db"
    epoch_file: Path | None = None  # None: beside the file of SQLite; a server's must be named
    keep_days: Days = 90  # of the monitor's own sessions and findings; control deletes none of its own
    dead_letter_days: Days = 14

    @model_validator(mode="after")
    def _in_no_memory(self) -> Self:
        for name, url in (("control", self.control), ("monitor", self.monitor)):
            if place_of_database(url, Path("/")) in (("sqlite", "/"), ("sqlite", "/:memory:")):
                raise ValueError(f"{name}: a database in memory is gone with its process; name a file")
        return self


class ArgumentRuleSection(Section):
    """Patterns of tool and argument path, and what becomes of the values."""

    tool: Wildcards = "*"
    argument: Wildcards = "*"
    treatment: Treatment


def _of_its_own(folder: Path) -> Path:
    if folder == Path():  # which an empty text is too
        raise ValueError("the archive needs a folder of its own, not the configuration's")
    return folder


class ArchiveSection(Section):
    path: Annotated[Path, AfterValidator(_of_its_own)] | None = None  # None: no archive is kept
    keep_days: Days = 400
    flush_s: Seconds = 60.0
    file_rows: Annotated[int, Field(ge=100, le=1_000_000)] = 50_000
    arguments: list[ArgumentRuleSection] = Field(default_factory=list)  # the first that matches; else identifiers


class TighteningSection(Section):
    backends: Plugins = Field(default_factory=lambda: plugins("envelope", "cedar", "rego", "polar"))
    rejections: Path = Path("tightening-rejections.yaml")


def place_of_database(url: str, base: Path) -> tuple[object, ...] | None:
    """Which database a URL names, whoever signs in there and however; None for no URL. Files start at `base`."""
    try:
        parts = urlsplit(url)
        kind, port = parts.scheme.partition("+")[0], parts.port
    except ValueError:
        return None
    if kind == "sqlite":
        return kind, realpath(base / parts.path[1:])
    host = (parts.hostname or "").rstrip(".")
    where = sorted((name, told) for name, told in parse_qsl(parts.query) if name in _SAYS_WHERE)
    return kind, "localhost" if host in _THIS_MACHINE else host, port or 5432, parts.path, where
