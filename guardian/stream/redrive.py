"""`guardian dlq redrive`: dead letters go back to the topic they came from, as they came."""

from collections.abc import Callable, Iterable
from typing import NamedTuple

from guardian.bus.port import Producer
from guardian.errors import BusError, StoreError
from guardian.store.monitor_dead_letters import DeadLetters
from guardian.store.monitor_values import StoredDeadLetter
from guardian.stream.marks import REDRIVEN, Mark
from guardian.stream.port import Clock
from guardian.telemetry import logger

_log = logger("redrive")


class Redriven(NamedTuple):
    """The ids that were sent, those that are not kept (any more), those whose seal cannot be opened, and those
    that could not be sent. `left`: how many were not tried, being of no configured topic."""

    sent: list[str]
    missing: list[str]
    shut: list[str]
    failed: list[str]
    left: int = 0


def redrive(
    letters: DeadLetters,
    ids: Iterable[str],
    producer: Producer,
    *,
    unseal: Callable[[bytes], bytes],
    mark: Mark,
    clock: Clock,
) -> Redriven:
    """Send them again, at least once.

    Key, headers and value are byte-identical to what came, but for the spelling of a header's name that is no
    UTF-8, and for one header, a `mark`, that says that it is sent again. Its time is the one it came at: what
    was in order then is judged as of then. A record of which several decisions are dead letters is sent once.
    One is in memory at a time. `unseal` raises StoreError for what it cannot open, the producer BusError for
    what it cannot send: the others are sent all the same, but of a topic that failed no more is tried.
    """
    done = Redriven([], [], [], [])
    records: set[tuple[str, str]] = set()
    refused: set[str] = set()
    for letter_id in dict.fromkeys(ids):
        letter = letters.get([letter_id]).get(letter_id)
        if letter is None:
            done.missing.append(letter_id)
            continue
        if letter.record not in records:
            try:
                value = unseal(letter.sealed)
            except StoreError:
                done.shut.append(letter_id)
                continue
            try:
                if letter.topic not in refused:
                    came = letter.timestamp or letter.at
                    headers = _headers(letter, mark.of(letter.id, value))
                    producer.send(letter.topic, value, key=letter.key, headers=headers, timestamp=came)
            except BusError as error:
                _log.error("dead letters cannot be sent again", topic=letter.topic, error=str(error))
                refused.add(letter.topic)
            if letter.topic in refused:
                done.failed.append(letter_id)
                continue
            records.add(letter.record)
        letters.redriven(letter_id, now=clock())
        done.sent.append(letter_id)
    return done


def _headers(letter: StoredDeadLetter, mark: bytes) -> tuple[tuple[str, bytes], ...]:
    """Its own, and that it was sent again; once, however often that is and whoever said so before."""
    headers = tuple(each for each in letter.headers if each[0].lower() != REDRIVEN)
    return (*headers, (REDRIVEN, mark))
