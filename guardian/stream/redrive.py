"""`guardian dlq redrive`: dead letters go back to the topic they came from, as they came."""

from collections.abc import Callable, Iterable
from typing import NamedTuple

from guardian.bus.port import Producer
from guardian.errors import StoreError
from guardian.store.monitor_dead_letters import DeadLetters
from guardian.stream.port import Clock


class Redriven(NamedTuple):
    """The ids that were sent, those that are not kept (any more), and those whose seal cannot be opened."""

    sent: list[str]
    missing: list[str]
    shut: list[str]


def redrive(
    letters: DeadLetters,
    ids: Iterable[str],
    producer: Producer,
    *,
    unseal: Callable[[bytes], bytes],
    clock: Clock,
) -> Redriven:
    """Send them again, at least once.

    Key, headers and value are byte-identical to what came; a record of which several decisions are dead letters is
    sent once. `unseal` raises StoreError for what it cannot open: the others are sent all the same. Raises
    BusError; what was sent until then stays marked as sent.
    """
    wanted = list(dict.fromkeys(ids))
    kept = letters.get(wanted)
    done = Redriven([], [letter_id for letter_id in wanted if letter_id not in kept], [])
    records: set[tuple[str, int, int]] = set()
    for letter_id in wanted:
        letter = kept.get(letter_id)
        if letter is None:
            continue
        record = (letter.topic, letter.partition, letter.offset)
        if record not in records:
            try:
                value = unseal(letter.sealed)
            except StoreError:
                done.shut.append(letter_id)
                continue
            producer.send(letter.topic, value, key=letter.key, headers=letter.headers)
            records.add(record)
        letters.redriven(letter_id, now=clock())
        done.sent.append(letter_id)
    return done
