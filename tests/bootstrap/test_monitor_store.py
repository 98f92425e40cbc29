"""What the monitor's database keeps for the archive."""

from datetime import UTC, datetime, timedelta

from guardian.bootstrap import archiving
from guardian.bootstrap.archiving import open_archive, open_archiving
from guardian.bootstrap.monitor_store import open_monitor_store
from guardian.commands.initialise import initialise
from guardian.config import load
from guardian.domain.batch import Change
from guardian.domain.identity import SessionKey
from guardian.domain.session import HumanWord
from guardian.telemetry import Metrics

NOW = datetime.now(UTC)


def test_what_people_say_reaches_the_archive_as_labels(tmp_path):
    settings = load(initialise(tmp_path / "home"))
    store = open_monitor_store(settings, makes=True)
    key = SessionKey("acme", "s")
    store.words.apply([Change(1, key, HumanWord.FALSE_POSITIVE, NOW)], now=NOW)
    opened = open_archiving(settings, store.spool, {}, fingerprint_key=b"k", metrics=Metrics())
    assert opened.write_due(everything=True) == 1
    (settings.resolve(settings.archive.path) / "events").mkdir()
    assert [(label.key, label.word) for label in open_archive(settings).labels()] == [
        (key, HumanWord.FALSE_POSITIVE)
    ]
    store.close()


def test_no_day_of_the_archive_is_forgotten_just_after_a_start(tmp_path, monkeypatch):
    by = []
    monkeypatch.setattr(archiving, "tidying", lambda _, *, sure, **__: iter([by.append(sure)]))
    settings = load(initialise(tmp_path / "home"))
    store = open_monitor_store(settings, makes=True)
    opened = open_archiving(settings, store.spool, {}, fingerprint_key=b"k", metrics=Metrics())
    list(opened._steps(NOW))
    assert NOW - by[0] > timedelta(days=10_000)
    store.close()
