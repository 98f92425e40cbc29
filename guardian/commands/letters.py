"""What is kept of trouble, as operators see it: dead letters, and what was refused (findings, alerts)."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import asdict, replace
from datetime import datetime, timedelta
from itertools import chain, islice

from pydantic import ValidationError

from guardian.bootstrap.clock import utc_now
from guardian.bootstrap.control_store import open_control_store
from guardian.bootstrap.databases import is_there
from guardian.bootstrap.kafka import kafka_settings
from guardian.bootstrap.monitor_store import open_monitor_store
from guardian.bootstrap.secrets import SecretFiles
from guardian.bus.kafka_producer import KafkaProducer
from guardian.config import Settings
from guardian.domain.text import counted
from guardian.errors import AlertError, ConfigurationError, ControlError, StoreError
from guardian.store.control.alerts import Chosen, Settled
from guardian.store.control.rows import ControlRows
from guardian.store.monitor.outbox import Parked
from guardian.store.monitor.values import ListedLetter
from guardian.stream.marks import Mark
from guardian.stream.redrive import Redriven, redrive
from guardian.wire.findings import AlertPayload

_PAGE = 500
_LOOKED_AT = 20
_MOST_ROWS = 2**63  # what a database takes for an id; larger ones belong to nothing
_SLACK, _LOG = "slack", "log"
_LATE = timedelta(minutes=10)
"""Alerts that wait longer are no matter of a moment (GuardianAlertsWait)."""


def dead_letters(settings: Settings, limit: int) -> Iterator[dict[str, object]]:
    """What is kept of the newest in the clear, the newest first, a page in memory at a time."""
    with closing(open_monitor_store(settings)) as store:
        last: ListedLetter | None = None
        while limit and (page := store.dead_letters.list(limit=min(limit, _PAGE), after=last)):
            for letter in page:
                yield {
                    name: value.isoformat() if isinstance(value, datetime) else value
                    for name, value in asdict(letter).items()
                }
            limit, last = limit - len(page), page[-1]


def kept_letters(settings: Settings) -> int:
    """How many dead letters are kept."""
    with closing(open_monitor_store(settings)) as store:
        return sum(store.dead_letters.counts().values())


def refused_findings(settings: Settings) -> list[Parked]:
    """The findings that control refused, the oldest first."""
    with closing(open_monitor_store(settings)) as store:
        return store.outbox.refused()


def release_findings(settings: Settings, ids: Sequence[str] | None) -> list[str]:
    """Let the monitor send them again (None: all); returns which were there to be released."""
    with closing(open_monitor_store(settings)) as store:
        return store.outbox.release(ids)


def refused_alerts(settings: Settings) -> list[dict[str, object]]:
    """The alerts that a channel refused, the oldest first; of one that cannot be read nothing of its finding.
    `held`: so many others, of what became of that, wait for it."""
    with closing(open_control_store(settings)) as store, store.read() as rows:
        return [
            {
                "id": each.id,
                "channel": each.channel,
                "at": each.at.isoformat(),
                "why": each.why,
                "held": each.held,
                **_about(each.payload),
            }
            for each in rows.alerts.refused()
        ]


def waiting_cases(settings: Settings) -> list[dict[str, object]]:
    """The cases whose message Slack did not take, the next to be tried first; `refused` is what it will not take
    before somebody mends something, the others are only late."""
    with closing(open_control_store(settings)) as store, store.read() as rows:
        failed = rows.cases.failed(utc_now())
    return [
        {
            "channel": "slack",
            "next_at": each.next_at.isoformat(timespec="seconds"),
            "refused": each.step is None,  # what is only late keeps its step
            "tenant_id": each.tenant_id,
            "session_id": each.session_id,
            "why": each.last_error,
        }
        for each in failed
    ]


def late_alerts(settings: Settings) -> list[dict[str, object]]:
    """How many alerts a channel did not take yet and gets by itself, by channel."""
    with closing(open_control_store(settings)) as store, store.read() as rows:
        return [
            {
                "channel": each.channel,
                "waiting": each.waiting,
                "since": each.since.isoformat(timespec="seconds"),
                "next_at": each.next_at.isoformat(timespec="seconds"),
                "why": each.why,
            }
            for each in rows.alerts.late()
        ]


def _about(payload: str) -> dict[str, object]:
    try:
        finding = AlertPayload.model_validate_json(payload).finding
    except ValidationError:
        return {}
    return {"finding": finding.id, "tenant_id": finding.tenant_id, "session_id": finding.session_id}


def release_alerts(settings: Settings, chosen: Chosen) -> tuple[list[Settled], int]:
    """Let control send them again, which is audited; of all also what Slack is asked again. Returns which were
    there to be released, and how many cases of Slack's."""
    now, chosen = utc_now(), _checked(settings, chosen)
    with closing(open_control_store(settings)) as store, store.write() as rows:
        released = rows.alerts.release(chosen, now)
        _note(rows, "releaseAlerts", released, now, result="released")
        asked = chosen.ids is None and chosen.channel in (None, _SLACK)
        hurried = Counter(rows.cases.hurry(now, chosen.tenant_id) if asked else ())
        for tenant, cases in sorted(hurried.items()):
            told = {"tenant_id": tenant, "channel": _SLACK, "cases": cases}
            rows.audit.note("releaseAlerts", at=now, actor="operator", **told, result="released")
        return released, hurried.total()


def drop_alerts(settings: Settings, chosen: Chosen) -> list[Settled]:
    """Give these up, which is audited; returns which were there to be given up."""
    now, chosen = utc_now(), _checked(settings, chosen)
    with closing(open_control_store(settings)) as store, store.write() as rows:
        dropped = rows.alerts.drop(chosen)
        _note(rows, "dropAlerts", dropped, now, result="dropped")
        return dropped


def _checked(settings: Settings, chosen: Chosen) -> Chosen:
    """Without ids that no database has. Raises ConfigurationError for a channel that there is not."""
    known = dict.fromkeys((*settings.alerts, _LOG))  # which others fall back to
    if chosen.channel is not None and chosen.channel not in known:
        raise ConfigurationError(f"channel {chosen.channel!r} is not configured; those are: {', '.join(known)}")
    return replace(chosen, ids=chosen.ids and [each for each in chosen.ids if each < _MOST_ROWS])


def _note(rows: ControlRows, action: str, settled: Sequence[Settled], now: datetime, *, result: str) -> None:
    """An entry for each tenant and channel, so that a tenant's auditors read their own."""
    of_one: dict[tuple[str, str], list[Settled]] = {}
    for each in settled:
        of_one.setdefault((each.tenant_id, each.channel), []).append(each)
    for (tenant, channel), these in sorted(of_one.items()):
        told = {"tenant_id": tenant} if tenant else {}  # of one that cannot be read nobody knows whose it is
        told |= {"channel": channel, "result": result}
        ids, held = [each.id for each in these], sum(each.held for each in these)
        rows.audit.note(action, at=now, actor="operator", **told, alerts=ids, **({"held": held} if held else {}))


def refused_checked(settings: Settings, *, monitor: bool = True, control: bool = True) -> str:
    """For the doctor: that nothing of what runs here was refused and waits for people. Raises ControlError or
    AlertError."""
    if monitor and is_there(settings, settings.store.monitor) and (findings := refused_findings(settings)):
        raise ControlError(
            f"control refused {counted(len(findings), 'finding')}, and what was asked for is not done; "
            "`guardian outbox list` says why, then `guardian outbox release --all`"
        )
    if control and is_there(settings, settings.store.control):
        with closing(open_control_store(settings)) as store, store.read() as rows:
            alerts, held, late = rows.alerts.refused_count(), rows.alerts.held(), rows.alerts.late()
        cases = [case for case in waiting_cases(settings) if case["refused"]]
        behind = f" and hold back {held:,} of what became of those" if held else ""
        told = [f"channels refused {counted(alerts, 'alert')}, which went to the log{behind}"] if alerts else []
        told += [f"Slack refused {counted(len(cases), 'case')} and is asked again by itself"] if cases else []
        if told:
            raise AlertError(
                f"{', and '.join(told)}; `guardian alerts list` says why, then `guardian alerts release --all`"
            )
        if overdue := [each for each in late if utc_now() - each.since > _LATE]:
            waits = (
                f"{each.channel} has not taken {counted(each.waiting, 'alert')} since"
                f" {each.since:%Y-%m-%d %H:%M} UTC ({each.why})"
                for each in overdue
            )
            raise AlertError(
                f"{', and '.join(waits)}; mend the channel, which is tried again by itself: `guardian alerts test`"
            )
    nothing = ["no finding by control"] * monitor + ["no alert by a channel"] * control
    return ", ".join(nothing)


def sealed_before(settings: Settings) -> int:
    """How many records an older sealing key alone opens: dead letters not sent again yet, and what waits."""
    seal, now = SecretFiles.of(settings).load_seal(settings), utc_now()
    newest = seal.newest()
    with closing(open_monitor_store(settings)) as store:
        kept = (store.dead_letters.get([letter_id]).get(letter_id) for letter_id, _ in store.dead_letters.unsent())
        letters = ((letter.sealed, now) for letter in kept if letter is not None)
        sealed = chain(letters, store.waiting.sealed())
        return sum(seal.opens(each, now=at) and not newest.opens(each, now=at) for each, at in sealed)


def sealed_checked(settings: Settings) -> str:
    """For the doctor: the newest of what lies sealed can be opened here. Raises StoreError where it cannot, since
    another monitor of the store seals with another key."""
    files = SecretFiles.of(settings)
    if not is_there(settings, settings.store.monitor):
        return "nothing lies sealed yet"
    seal = files.load_seal(settings)
    with closing(open_monitor_store(settings)) as store:
        newest = [each for each in store.dead_letters.list(limit=_LOOKED_AT) if each.redriven_at is None]
        kept = (store.dead_letters.get([each.id]).get(each.id) for each in newest)
        letters = ((letter.sealed, letter.at) for letter in kept if letter is not None)
        sealed = chain(letters, islice(store.waiting.sealed(), _LOOKED_AT))
        shut = sum(not seal.opens(each, now=at) for each, at in sealed)
    if shut:
        raise StoreError(
            f"{files.seal} does not open {counted(shut, 'newly sealed record')}: another monitor of this store"
            " seals with a key that it lacks, or their key was given up; copy keys/seal.key from where it was last"
            " rotated to every monitor and start them anew; what no key opens goes after store.dead_letter_days"
        )
    return f"{files.seal} opens what was sealed last"


def redrive_letters(settings: Settings, ids: Sequence[str] | None, tell: Callable[[int], None]) -> Redriven:
    """Send the named ones again (None: every one not sent again yet, the oldest first), of the configured topics:
    nobody here reads what is sent to others.

    `tell` hears how many these are before the first is sent.
    """
    seal = SecretFiles.of(settings).load_seal(settings)
    with (
        closing(open_monitor_store(settings)) as store,
        closing(KafkaProducer(kafka_settings(settings))) as producer,
    ):
        ours = {settings.kafka.topic, settings.envelopes.topic}
        if ids is None:
            topics = dict(store.dead_letters.unsent())
            ids = list(topics)
        else:
            topics = store.dead_letters.topics(ids)
        going = [letter_id for letter_id in ids if topics.get(letter_id) in {*ours, None}]
        tell(len(going))
        done = redrive(
            store.dead_letters,
            going,
            producer,
            unseal=lambda value: seal.unseal(value, now=utc_now()),
            mark=Mark(seal.keys),
            clock=utc_now,
        )
        return done._replace(left=len(ids) - len(going))
