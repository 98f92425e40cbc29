"""Decisions that waited: read again, judged and stored, when it is their turn."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby

from guardian.bus.port import Consumer
from guardian.domain.batch import DeadLetter, Decoded
from guardian.domain.record import Record
from guardian.store.monitor.store import MonitorStore
from guardian.store.monitor.values import Held
from guardian.stream.commit import Committer, retry_conflicts
from guardian.stream.pieces import MOST_BYTES
from guardian.stream.port import Pipeline
from guardian.stream.waiting import AT_ONCE, WaitingRoom, decision_of, waiter_of


@dataclass(slots=True)
class _Reading:
    """A record that is read again, as far as it was read. `of` is what it lies in the store as; `refused` is whole
    once it is read to its end."""

    of: tuple[object, ...]
    record: Record
    rest: Iterator[Decoded | DeadLetter]
    refused: list[DeadLetter] = field(default_factory=list)

    def read(self, held: Sequence[Held]) -> dict[tuple[object, ...], Decoded]:
        """Those of these decisions that lie further on. Once all are found it goes no further."""
        wanted, found = set(map(waiter_of, held)), dict[tuple[object, ...], Decoded]()
        while len(found) < len(wanted) and (each := next(self.rest, None)) is not None:
            if isinstance(each, DeadLetter):
                self.refused.append(each)
            elif (which := decision_of(each)) in wanted:
                found[which] = each
        return found


class HeldCommitter:
    """Judges decisions of the waiting room and stores what comes of them, as the `committer` does with those that
    were just read.

    A record may hold a hundred thousand: while rounds are full it is read on where the last one ended.
    """

    def __init__(
        self, committer: Committer, room: WaitingRoom, *, pipeline: Pipeline, store: MonitorStore
    ) -> None:
        self._committer = committer
        self._room = room
        self._pipeline = pipeline
        self._store = store
        self._reading: _Reading | None = None

    def commit(self, held: Sequence[Held], letters: Sequence[DeadLetter], consumer: Consumer) -> None:
        """Judge decisions that waited, record by record and in pieces of bounded size. Where `letters` are given,
        `held` are dead-lettered instead; so is a decision that can no longer be read. Offsets stay where they are.
        """
        if letters:
            self._commit_once(held, [], letters, consumer)
            return
        going: list[Held] = []
        mine: list[Decoded] = []
        lost: list[DeadLetter] = []
        reading, self._reading = self._reading, None  # after a crash a record is read anew
        for _, group in groupby(held, key=lambda each: each.id[:3]):
            going += (of_record := list(group))
            reading, read = self._read_again(of_record, reading)
            for each in of_record:
                if (found := read.get(waiter_of(each))) is not None:
                    mine.append(found)
                else:
                    lost.append(self._room.unread(each, reading.record, reading.refused))
            if sum(d.size for d in mine) >= MOST_BYTES:
                self._commit_once(going, mine, lost, consumer)
                going, mine, lost = [], [], []
        if going:
            self._commit_once(going, mine, lost, consumer)
        if len(held) >= AT_ONCE:  # more of the last may be due
            self._reading = reading

    def _read_again(
        self, held: Sequence[Held], reading: _Reading | None
    ) -> tuple[_Reading, dict[tuple[object, ...], Decoded]]:
        """Those of one record's decisions that are found in it again: where the `reading` of it goes on, or from
        its beginning. One that is not found takes all of it: only then all is known that was refused."""
        of = (held[0].id[:3], held[0].stamped_at, held[0].sealed)
        if reading is not None and reading.of == of:
            read = reading.read(held)
            if len(read) == len(held):
                return reading, read
        record = self._room.record(held[0])
        reading = _Reading(of, record, iter(self._pipeline.each(record)))
        return reading, reading.read(held)

    def _commit_once(
        self,
        held: Sequence[Held],
        mine: Sequence[Decoded],
        letters: Sequence[DeadLetter],
        consumer: Consumer,
    ) -> None:
        places = {each.place for each in held}

        def once() -> None:
            base = self._store.positions(places)
            recall, judgement = self._committer.judgement_of(self._room.filled(mine), letters, None)
            bad = list({id(letter.record): letter.record for letter in letters}.values())  # the others came before
            judgement, blown = self._committer.stored(
                judgement, recall, (bad, mine, letters), consumer, positions=base, base=base, released=held
            )
            self._committer.tell(judgement, blown)

        retry_conflicts(once)
