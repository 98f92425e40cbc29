"""`guardian dlq redrive`: dead letters go back to the topic they came from, as they came."""

from collections.abc import Callable, Iterable, Sequence

from guardian.bus.port import Producer
from guardian.store.monitor_dead_letters import DeadLetters
from guardian.stream.port import Clock


def redrive(
    letters: DeadLetters,
    ids: Iterable[str],
    producer: Producer,
    *,
    unseal: Callable[[bytes], bytes],
    clock: Clock,
) -> tuple[Sequence[str], Sequence[str]]:
    """Send them again, at least once; returns the ids that were sent and those that are not kept (any more).

    Key, headers and value are byte-identical to what came; a record of which several decisions are dead letters is
    sent once. Raises BusError or, where the seal cannot be
    opened, StoreError; what was sent until then stays marked as sent.
    """
    wanted = list(dict.fromkeys(ids))
    kept = letters.get(wanted)
    sent: list[str] = []
    records: set[tuple[str, int, int]] = set()
    for letter_id in wanted:
        letter = kept.get(letter_id)
        if letter is None:
            continue
        record = (letter.topic, letter.partition, letter.offset)
        if record not in records:
            producer.send(letter.topic, unseal(letter.sealed), key=letter.key, headers=letter.headers)
            records.add(record)
        letters.redriven(letter_id, now=clock())
        sent.append(letter_id)
    return sent, [letter_id for letter_id in wanted if letter_id not in kept]
