"""A batch in pieces, one transaction each: a record may hold a hundred thousand calls, and a call eight megabytes.

A record that is larger than a piece is split, and its offset moves with the last piece. If a crash comes before
that, the record is read again, and the decisions that are stored already are recognised by their ids.
"""

import heapq
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from guardian.domain.batch import DeadLetter, Decoded
from guardian.domain.record import Place, Record

MOST_BYTES = 8 * 1024 * 1024
"""The most bytes of a piece: of its calls as logged and its dead letters' records. A larger call is a piece
alone."""
_BEGINNING = datetime.min.replace(tzinfo=UTC)


def in_time(records: Sequence[Record]) -> list[Record]:
    """The batch in the broker's order of time, each partition's own order untouched.

    A poll hands out one partition after the other; a child session must not be judged before a parent that
    was decided earlier only because its partition came first.
    """
    by_place: dict[Place, list[tuple[datetime, Record]]] = {}
    for record in records:
        row = by_place.setdefault(record.place, [])
        before = row[-1][0] if row else _BEGINNING
        row.append((max(before, record.timestamp or before), record))
    return [record for _, record in heapq.merge(*by_place.values(), key=lambda stamped: stamped[0])]


@dataclass(frozen=True, slots=True)
class Piece:
    """`records` are those that are complete with this piece: of a split record only the last piece names it
    here."""

    records: Sequence[Record]
    decoded: Sequence[Decoded] = ()
    letters: Sequence[DeadLetter] = ()

    @property
    def places(self) -> set[Place]:
        """The places of everything in it, also of a record that is not complete yet."""
        parts = [*(d.record for d in self.decoded), *(letter.record for letter in self.letters)]
        return {record.place for record in (*self.records, *parts)}

    def beyond(self, stored: Mapping[Place, int]) -> tuple["Piece", int]:
        """The piece without what lies before these offsets, and how many records were left out."""

        def new(record: Record) -> bool:
            return record.offset >= stored.get(record.place, 0)

        records = [record for record in self.records if new(record)]
        decoded = [d for d in self.decoded if new(d.record)]
        letters = [letter for letter in self.letters if new(letter.record)]
        return Piece(records, decoded, letters), len(self.records) - len(records)


def pieces(
    records: Iterable[Record],
    read: Callable[[Record], Iterable[Decoded | DeadLetter]],
    *,
    most: int,
    most_bytes: int = MOST_BYTES,
) -> Iterator[Piece]:
    """The batch in its order. A record is read when its turn comes; its letters are in its last piece."""
    done: list[Record] = []
    decoded: list[Decoded] = []
    letters: list[DeadLetter] = []
    size = 0
    for record in records:
        for each in read(record):
            if isinstance(each, DeadLetter):
                letters.append(each)
                size += len(record.value)
                continue
            if len(decoded) >= most or size >= most_bytes:
                yield Piece(done, decoded, letters)
                done, decoded, letters, size = [], [], [], 0
            decoded.append(each)
            size += each.size
        done.append(record)
        if len(decoded) >= most or size >= most_bytes:
            yield Piece(done, decoded, letters)
            done, decoded, letters, size = [], [], [], 0
    if done:
        yield Piece(done, decoded, letters)
