"""A batch in pieces, one transaction each: a record may hold a hundred thousand calls, and a call eight megabytes.

What was judged is known by its id. So a record is taken apart where it holds more than one piece, and its offset
moves with the last of them: if it is read again, what is stored of it counts as delivered twice.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from guardian.domain.batch import DeadLetter, Decoded
from guardian.domain.record import Place, Record

MOST_BYTES = 8 * 1024 * 1024
"""Of calls as the log has them, and of records that become dead letters: a call that large is one by itself."""


@dataclass(frozen=True, slots=True)
class Piece:
    """`records` are those of which nothing more comes; the last piece of one taken apart has a decision."""

    records: Sequence[Record]
    decoded: Sequence[Decoded] = ()
    letters: Sequence[DeadLetter] = ()

    @property
    def places(self) -> set[Place]:
        """Of all that is in it, also of a record of which more comes."""
        parts = [*(d.record for d in self.decoded), *(letter.record for letter in self.letters)]
        return {record.place for record in (*self.records, *parts)}

    def beyond(self, stored: Mapping[Place, int]) -> tuple["Piece", int]:
        """The same without what lies before these offsets, and how many records that were."""

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
    """The batch in its order. A record is read as its turn comes, and its letters come with its last piece."""
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
