"""Records that crash a room: attempts are counted across restarts, then the record becomes a dead letter."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from guardian.domain.batch import DeadLetter, Decoded
from guardian.domain.finding import OPERATORS
from guardian.domain.record import Place, Record
from guardian.pipeline.decoding import Letters

MAX_ATTEMPTS = 3


def halves(records: list[Record]) -> tuple[list[Record], list[Record]]:
    """First and second half, in order; the first is the smaller of an odd number."""
    middle = len(records) // 2
    return records[:middle], records[middle:]


def poisoned(record: Record, why: str, found: Iterable[Decoded | DeadLetter], now: datetime) -> list[DeadLetter]:
    """The dead letters of a record that was given up: one for each session that could be read in it, and those of
    its entries that were refused, else one of its partition. `why` must quote none of the record: that is the
    agent's word."""
    reason = f"judging it failed {MAX_ATTEMPTS} times: {why}"
    letters, refused = Letters(), list[DeadLetter]()
    for each in found:
        if isinstance(each, Decoded):
            who = (*each.event.key, each.event.gateway)
            letters.add(DeadLetter(record, "poison", reason, *who, now, entry=each.entry))
        elif not each.judged:
            refused.append(each)
    told = [*letters.kept(), *refused]
    return told or [DeadLetter(record, "poison", reason, OPERATORS, record.day_of_place, record.sender, now)]


def advanced(records: Sequence[Record], base: Mapping[Place, int]) -> dict[Place, int]:
    """The next offset of each place after these records."""
    positions = {record.place: base.get(record.place, 0) for record in records}
    for record in records:
        positions[record.place] = max(positions[record.place], record.offset + 1)
    return positions
