"""The monitor's database: what it seals, hears and keeps, and how it learns."""

from collections.abc import Collection, Sequence
from datetime import timedelta
from functools import partial
from typing import Any

from guardian.bootstrap.clock import utc_now
from guardian.bootstrap.databases import monitor_url
from guardian.bootstrap.judgement import lasting_of
from guardian.bootstrap.secrets import SecretFiles
from guardian.bootstrap.sources import cleaner, redactor_of
from guardian.config import Settings
from guardian.domain.batch import Change
from guardian.domain.session import SessionState
from guardian.domain.signal import BaselineFact
from guardian.response.hearing import hear
from guardian.signals.baseline.learning import learn
from guardian.signals.credentials.scanner import CredentialScanner
from guardian.store.engine import open_engine
from guardian.store.monitor.retention import Retention
from guardian.store.monitor.store import MonitorStore
from guardian.store.monitor.values import Tally


def open_monitor_store(settings: Settings, *, makes: bool = False) -> MonitorStore:
    """The monitor's database; what is dead-lettered into it is sealed.

    Who runs the monitor `makes` it, or brings it up to date; others find it so, or StoreError.
    """
    url = monitor_url(settings, makes=makes)
    files = SecretFiles.of(settings)
    seal = files.load_seal(settings)
    key = files.load_fingerprint_key()
    return MonitorStore(
        open_engine(url),
        migrates=makes,
        seal=lambda value: seal.seal(value, now=utc_now()),
        hear=partial(hear_change, lasting=lasting_of(settings)),
        dead_letter_ttl=timedelta(days=settings.store.dead_letter_days),
        clean=cleaner(redactor_of(settings, CredentialScanner(key=key), key)),
        keep_words=_keep_words if settings.archive.path is not None else None,
    )


def retention_of(settings: Settings) -> Retention:
    """A decision is known for longer than a dead letter of it can be sent again, lest it be judged twice: one that
    could be read only in part is both."""
    keep = timedelta(days=settings.store.keep_days)
    letters = timedelta(days=settings.store.dead_letter_days + 1)  # sent on its last day, one is read a bit later
    return Retention(seen=max(keep, letters), sessions=keep, agents=keep, findings=keep)


def hear_change(state: SessionState, change: Change, *, lasting: Collection[str]) -> SessionState:
    return hear(state, change.word, change.at, change.detail, lasting=lasting)


def learn_all(previous: BaselineFact | None, tallies: Sequence[Tally]) -> BaselineFact:
    """Fold finished sessions into the next snapshot; the store names its version."""
    fact = previous or BaselineFact("", 0, {}, {}, (), (0,) * 24)
    for tally in tallies:
        fact = learn(fact, tally.counts, weight=tally.weight, version="")
    return fact


def _keep_words(words: Any) -> bytes:
    from guardian.archive.rows import labels

    return labels(words)
