"""`guardian dlq redrive`: dead letters go back to the topic they came from, as they came."""

from collections.abc import Callable, Iterable
from typing import NamedTuple

from guardian.bus.port import Producer
from guardian.errors import BusError, RecordRefused, StoreError
from guardian.store.monitor.dead_letters import DeadLetters
from guardian.store.monitor.values import StoredDeadLetter
from guardian.stream.marks import REDRIVEN, Mark
from guardian.stream.port import Clock
from guardian.telemetry import logger

_log = logger("stream")


class Redriven(NamedTuple):
    """Ids of letters: `sent` again; `missing` from the store (or expired); `shut`, because the seal cannot be
    opened; `failed` to be sent. `left` counts those that were not tried, because their topic is not configured."""

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
    """Send the letters' records again, at least once.

    Key, headers and value are byte-identical to what came, with two exceptions: a header's name that is no UTF-8
    is spelt otherwise, and a `mark` is added. The timestamp is the original one, so that the record is judged as
    of then. A record with several dead letters is sent once. One is in memory at a time. `unseal` raises
    StoreError for what it cannot open, the producer BusError for what it cannot send: the others are still sent,
    but once a topic has failed, other than by RecordRefused, nothing more is tried there.
    """
    done = Redriven([], [], [], [])
    records: set[tuple[str, str]] = set()
    refused: set[str | tuple[str, str]] = set()  # topics and records
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
                if refused.isdisjoint((letter.topic, letter.record)):
                    came = letter.timestamp or letter.at
                    headers = _headers(letter, mark.of(letter.id, value))
                    producer.send(letter.topic, value, key=letter.key, headers=headers, timestamp=came)
            except RecordRefused as error:
                _log.error("dead_letter_not_sent", letter=letter_id, error=str(error))
                refused.add(letter.record)
            except BusError as error:
                _log.error("dead_letters_not_sent", topic=letter.topic, error=str(error))
                refused.add(letter.topic)
            if not refused.isdisjoint((letter.topic, letter.record)):
                done.failed.append(letter_id)
                continue
            records.add(letter.record)
        letters.redriven(letter_id, now=clock())
        done.sent.append(letter_id)
    return done


def _headers(letter: StoredDeadLetter, mark: bytes) -> tuple[tuple[str, bytes], ...]:
    """The record's own headers and one mark, in place of any mark that it had."""
    headers = tuple(each for each in letter.headers if each[0].lower() != REDRIVEN)
    return (*headers, (REDRIVEN, mark))
