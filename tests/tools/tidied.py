"""The archive's tidying in one go."""

from datetime import datetime, timedelta
from pathlib import Path

from guardian.archive.compaction import Tidied, tidying


def tidy(root: Path, *, now: datetime, keep: timedelta) -> Tidied:
    *_, done = tidying(root, now=now, keep=keep)
    return done
