"""Decisions that waited: read again, judged and stored, when it is their turn."""

from collections.abc import Sequence
from itertools import groupby

from guardian.bus.port import Consumer
from guardian.domain.batch import DeadLetter, Decoded
from guardian.store.monitor.store import MonitorStore
from guardian.store.monitor.values import Held
from guardian.stream.commit import Committer, retry_conflicts
from guardian.stream.pieces import MOST_BYTES
from guardian.stream.port import Pipeline
from guardian.stream.waiting import WaitingRoom, decision_of, waiter_of


class HeldCommitter:
    """Judges decisions of the waiting room and stores what comes of them, as the `committer` does with those that
    were just read."""

    def __init__(
        self, committer: Committer, room: WaitingRoom, *, pipeline: Pipeline, store: MonitorStore
    ) -> None:
        self._committer = committer
        self._room = room
        self._pipeline = pipeline
        self._store = store

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
        for _, group in groupby(held, key=lambda each: each.id[:3]):
            going += (of_record := list(group))
            read, unread = self._read_again(of_record)
            mine, lost = [*mine, *read], [*lost, *unread]
            if sum(d.size for d in mine) >= MOST_BYTES:
                self._commit_once(going, mine, lost, consumer)
                going, mine, lost = [], [], []
        if going:
            self._commit_once(going, mine, lost, consumer)

    def _read_again(self, held: Sequence[Held]) -> tuple[list[Decoded], list[DeadLetter]]:
        """Read one record again: the decisions of it that waited, and a dead letter for each that is no longer
        found in it."""
        record, wanted = self._room.record(held[0]), set(map(waiter_of, held))
        refused: list[DeadLetter] = []
        read: dict[tuple[object, ...], Decoded] = {}
        for found in self._pipeline.each(record):
            if isinstance(found, DeadLetter):
                refused.append(found)
            elif (which := decision_of(found)) in wanted:
                read[which] = found
        mine = [read[waited] for each in held if (waited := waiter_of(each)) in read]
        return mine, [self._room.unread(each, record, refused) for each in held if waiter_of(each) not in read]

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
