"""What lasts: databases, the archive, and what is proposed from it."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from guardian.config.base import Days, Plugins, Seconds, Section, Wildcards, plugins


class StoreSection(Section):
    monitor: str = "sqlite:///guardian-data/monitor.db"
    control: str = "sqlite:///guardian-data/control.db"
    epoch_file: Path | None = None  # None: beside the file of SQLite, and nowhere for a server
    keep_days: Days = 90
    dead_letter_days: Days = 14


class ArgumentRuleSection(Section):
    """Patterns of tool and argument path, and what becomes of the values."""

    tool: Wildcards = "*"
    argument: Wildcards = "*"
    treatment: Literal["keep", "identifiers", "hash", "shape", "drop"]


class ArchiveSection(Section):
    path: Path | None = None  # None: no archive is kept
    keep_days: Days = 400
    flush_s: Seconds = 60.0
    file_rows: Annotated[int, Field(ge=100, le=1_000_000)] = 50_000
    arguments: list[ArgumentRuleSection] = Field(default_factory=list)  # the first that matches; else identifiers


class TighteningSection(Section):
    backends: Plugins = Field(default_factory=lambda: plugins("envelope", "cedar", "rego", "polar"))
    rejections: Path = Path("tightening-rejections.yaml")
