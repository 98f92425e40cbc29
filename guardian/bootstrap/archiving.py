"""The archive put together: its rules and folder from settings, its reader, its writer beside a monitor."""

import secrets
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

from guardian.archive.compaction import Tidied, tidying
from guardian.archive.folder import check_folder, folder_id, made_id
from guardian.archive.reader import Archive
from guardian.archive.redaction import ArgumentRule, Redaction
from guardian.archive.rows import Rows, share_memory
from guardian.archive.writer import write_events, write_labels
from guardian.bootstrap.clock import steady_s, utc_now
from guardian.bootstrap.judgement import fingerprinter
from guardian.config import Settings
from guardian.domain.batch import Judgement
from guardian.errors import ConfigurationError
from guardian.store.monitor.spool import Group, Spool
from guardian.store.sure_time import SureTime
from guardian.stream.archiving import Archiving, ArchivingOptions
from guardian.stream.port import CrashPoints, no_crash
from guardian.telemetry import Metrics


def archive_root(settings: Settings) -> Path:
    """The configured folder. Raises ConfigurationError where no archive is kept."""
    if settings.archive.path is None:
        raise ConfigurationError("no archive is kept here: set archive.path in the configuration")
    return settings.resolve(settings.archive.path)


def open_archive(settings: Settings, path: Path | None = None) -> Archive:
    """For reading: `path`, else the configured one. Raises ConfigurationError where nothing lies there."""
    root = path or archive_root(settings)
    if not (root / "events").is_dir():
        raise ConfigurationError(
            f"{root}: no archive here yet (events/); the monitor fills it, `guardian archive import` back-fills"
        )
    return Archive(root)


def check_archive(root: Path, spool: Spool) -> None:
    """Raises ArchiveError unless what waits goes into this folder. The first that something waits for becomes the
    one: it gets its id before the store knows of it."""
    if spool.folder() is None and spool.depth():
        settle_archive(root, spool)
    check_settled(root, spool)


def check_settled(root: Path, spool: Spool) -> None:
    """Raises ArchiveError where another folder was settled on."""
    if (known := spool.folder()) is not None:
        check_folder(root, known)


def settle_archive(root: Path, spool: Spool, *, anew: bool = False) -> str:
    """Have what waits go into this folder, unless another was settled on, or `anew` in any case; returns the id of
    the one it is. Raises ArchiveError where the folder takes no id."""
    return spool.settle(folder_id(root) or made_id(root, secrets.token_hex(16)), anew=anew)


def redaction_of(settings: Settings, fingerprint_key: bytes) -> Redaction:
    rules = tuple(ArgumentRule(rule.tool, rule.argument, rule.treatment) for rule in settings.archive.arguments)
    return Redaction(rules, fingerprinter(fingerprint_key))


def open_archiving(
    settings: Settings,
    spool: Spool,
    versions: Mapping[str, str],
    *,
    fingerprint_key: bytes,
    metrics: Metrics,
    origin: str = "live",
    crash_points: CrashPoints = no_crash,
) -> Archiving:
    """The writer beside a monitor."""
    share_memory()
    root = archive_root(settings)
    rows = Rows(redaction_of(settings, fingerprint_key), versions, origin)

    def pack(judgement: Judgement) -> bytes:
        return rows.events(judgement.scored, judgement.findings)

    def write(group: Group) -> int:
        put = write_labels if group.kind == "labels" else write_events
        return put(root, group.name, group.bodies)

    keep, sure = timedelta(days=settings.archive.keep_days), SureTime(utc_now, steady_s)

    def tidy(now: datetime) -> Iterator[Tidied]:
        check_settled(root, spool)  # in another's archive no day is too old
        return tidying(root, now=now, keep=keep, sure=sure(now))

    return Archiving(
        spool=spool,
        pack=pack,
        write=write,
        tidy=tidy,
        check=partial(check_archive, root, spool),
        clock=utc_now,
        metrics=metrics,
        options=ArchivingOptions(
            rows=settings.archive.file_rows, patience=timedelta(seconds=settings.archive.flush_s)
        ),
        crash_points=crash_points,
    )
