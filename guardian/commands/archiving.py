"""History into the archive, what it holds, and tidying it now."""

import secrets
import time
from contextlib import closing
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from guardian.archive.compaction import Tidied, count_files, tidying
from guardian.archive.files import partitions
from guardian.archive.reader import Archive
from guardian.bootstrap.archiving import archive_root, check_settled, open_archive, open_archiving, settle_archive
from guardian.bootstrap.clock import utc_now
from guardian.bootstrap.databases import is_there
from guardian.bootstrap.judgement import open_judge, open_pipeline, unchecked
from guardian.bootstrap.kafka import kafka_settings
from guardian.bootstrap.monitor_store import open_monitor_store
from guardian.bootstrap.secrets import SecretFiles
from guardian.bus.admin import topic_partitions
from guardian.bus.kafka import KafkaConsumer
from guardian.bus.past import PastOnly
from guardian.bus.port import Consumer
from guardian.commands.offline import PlainLines, Update, judge_all, scratch_store
from guardian.config import Settings
from guardian.domain.batch import Judgement
from guardian.errors import BusError, ConfigurationError
from guardian.telemetry import Metrics


def archive_counts(archive: Archive) -> dict[str, int]:
    """Files, bytes, rows, days, tenants and labels."""
    return count_files(archive.root)


def tidy_archive(settings: Settings, update: Update) -> Tidied:
    """Merge files and forget old days now; `update` is told how many files are merged so far.

    Raises ArchiveError where the folder is not the archive of the monitor's database, if there is one: another's
    days may be kept for longer.
    """
    root, done = open_archive(settings).root, Tidied()
    _check_own(settings)
    for done in tidying(root, now=utc_now(), keep=timedelta(days=settings.archive.keep_days)):
        update(done.merged, None)
    return done


def _check_own(settings: Settings) -> None:
    if is_there(settings, settings.store.monitor):
        with closing(open_monitor_store(settings)) as kept:
            check_settled(archive_root(settings), kept.spool)


def adopt_archive(settings: Settings) -> Path:
    """Have the monitor's database archived in the configured folder from now on; returns the folder."""
    root = archive_root(settings)
    with closing(open_monitor_store(settings)) as store:
        settle_archive(root, store.spool, anew=True)
    return root


def open_history(settings: Settings, source: str) -> Consumer:
    """A file by name, or `kafka`: what the configured topic holds now, read in a group of its own.

    Raises BusError where no broker answers, ConfigurationError where it has no such topic.
    """
    if source != "kafka":
        return PlainLines(Path(source))
    broker, topic = kafka_settings(settings), settings.kafka.topic
    if topic_partitions(broker, topic) is None:
        raise ConfigurationError(f"kafka.topic: {broker.bootstrap_servers} has no topic {topic!r}")
    group = f"{settings.kafka.group}.import.{secrets.token_hex(4)}"
    return PastOnly(
        KafkaConsumer(broker, [topic], group=group),
        until=utc_now(),
        timer=time.monotonic,
    )


@dataclass(slots=True)
class RefusedRecords:
    """Records refused with one code: how many, and the first of them. `offset` counts from 0."""

    code: str
    reason: str
    topic: str
    partition: int
    offset: int
    count: int = 0


@dataclass(slots=True)
class Imported:
    """What a back-fill brought; `refusals` by code. `too_old` are days that lie there and go the next time."""

    decisions: int = 0
    duplicates: int = 0
    too_old: int = 0
    refusals: dict[str, RefusedRecords] = field(default_factory=dict)

    @property
    def refused(self) -> int:
        return sum(each.count for each in self.refusals.values())

    def add(self, judgement: Judgement) -> None:
        self.decisions += len(judgement.scored)
        self.duplicates += judgement.duplicates
        for letter in judgement.dead_letters:
            place = letter.record
            first = RefusedRecords(letter.code, letter.reason, place.topic, place.partition, place.offset)
            self.refusals.setdefault(letter.code, first).count += 1


def import_history(settings: Settings, consumer: Consumer, update: Update) -> Imported:
    """Judge a bounded source against a scratch store (see `judge_all`), and archive it as `import`. Of a topic
    `update` is told the decisions, and no end.

    Signatures of envelopes are archived as `unchecked`: the keys of that time may be gone.
    Nothing is sent anywhere and no session changes. Doing it again adds nothing that is counted twice; of a log
    without ids where it is read from the same file or topic. Raises ArchiveError where the folder is not the
    archive of the monitor's database, if there is one.
    """
    _check_own(settings)
    key = SecretFiles.of(settings).load_fingerprint_key()
    judge = open_judge(settings, fingerprint_key=key)
    pipeline = open_pipeline(
        settings,
        judge,
        verify=unchecked,
        clock=utc_now,
        redaction_key=key,
        check_entitlements=bool(settings.gateways),
    )
    imported = Imported()
    metrics = Metrics()
    with scratch_store() as store:
        archiving = open_archiving(
            settings, store.spool, judge.versions, fingerprint_key=key, metrics=metrics, origin="import"
        )

        def committed(judgement: Judgement) -> None:
            imported.add(judgement)
            archiving.write_due()
            update(*(consumer.so_far if isinstance(consumer, PlainLines) else (imported.decisions, None)))

        try:
            judge_all(
                settings,
                consumer,
                pipeline,
                store,
                metrics=metrics,
                on_commit=committed,
                archived=archiving.packed,
            )
            archiving.write_due(everything=True)
        except BusError:  # the source broke off: what was read of it stays
            archiving.write_due(everything=True)
            raise
    oldest = (utc_now() - timedelta(days=settings.archive.keep_days)).date()
    old = partitions(archive_root(settings), last=oldest - timedelta(days=1))
    imported.too_old = len({partition.day for partition in old})
    return imported
