"""Decisions that waited: read again, judged and stored, when it is their turn."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import groupby

from guardian.bus.port import Consumer
from guardian.domain.backoff import Backoff
from guardian.domain.batch import DeadLetter, Decoded
from guardian.domain.record import Record
from guardian.store.monitor.store import MonitorStore
from guardian.store.monitor.values import Held
from guardian.stream.attempts import Lenience, Refunds, blameless
from guardian.stream.commit import Committer, retry_conflicts
from guardian.stream.pieces import MOST_BYTES
from guardian.stream.poison import MAX_ATTEMPTS
from guardian.stream.port import Clock, Pipeline
from guardian.stream.waiting_room import AT_ONCE, WaitingRoom, decision_of, waiter_of
from guardian.telemetry import logger

_log = logger("stream")
_LOTS = 20
"""After a crash so many parts of what was due are tried on their own: each reads its record again, however large
that is. Only those of a part that crashes again are then taken one by one."""
_LOOK_EVERY = timedelta(minutes=1)


class Release:
    """Judges the waiting decisions whose turn it is. After a crash they are taken in lots, then one by one, so
    that the others get through; one that crashes a room three times, over all restarts, is dead-lettered.

    A crash is followed by a pause, as `retry` says. Where all records of a round crash, and they are several, no
    record is at fault, but a model that fails: that counts as no attempt. `timer` is a monotonic clock in seconds.
    """

    def __init__(
        self,
        room: WaitingRoom,
        judge: Callable[[Sequence[Held], Sequence[DeadLetter], Consumer], None],
        clock: Clock,
        *,
        timer: Callable[[], float] = time.monotonic,
        retry: Backoff = Backoff(0.5, 10),  # noqa: B008 - frozen
    ) -> None:
        self._room = room
        self._judge = judge
        self._clock = clock
        self._timer = timer
        self._lenience = Lenience(timer, retry)
        self._refunds = Refunds()
        self._next_look: datetime | None = None
        self._not_before: float | None = None

    def __call__(self, consumer: Consumer) -> int:
        """Judge what is due; returns how many decisions that was, 0 after a crash. Raises StoreError, also
        StaleMember, and FuseBlown."""
        self._refunds.pay()
        if self._not_before is not None and self._timer() < self._not_before:
            return 0
        due = self._room.due(consumer)
        if not due:
            self._judge((), (), consumer)  # which lets go of the record that it was reading
            self._look_for_stranded(consumer)
            return 0
        if any(held.attempts for held in due):
            return len(due) if self._in_lots(due, consumer) else 0
        try:
            self._try(due, consumer)
        except Exception as error:  # a room crashed on one of them
            if blameless(error):
                raise
            _log.error("waiting_record_crashes", error=type(error).__name__, among=len(due))
            self._pause(judged=False)
            return 0  # the next round takes them in lots
        self._went_well()
        return len(due)

    def _look_for_stranded(self, consumer: Consumer) -> None:
        now = self._clock()
        if self._room.depth and (self._next_look is None or now >= self._next_look):
            self._next_look = now + _LOOK_EVERY
            self._room.give_up_stranded(consumer)

    def _in_lots(self, due: Sequence[Held], consumer: Consumer) -> bool:
        """Whether nothing crashed. A session of which one crashed keeps its order: nothing overtakes it."""
        judged, crashed, sessions = 0, list[Held](), set[tuple[str, str]]()
        for lot in _lots(due):
            held = [each for each in lot if (each.tenant_id, each.session_id) not in sessions]
            if not held:
                continue
            if held[0].attempts >= MAX_ATTEMPTS:
                self._judge(held, [self._room.crashing(held[0])], consumer)
                continue
            try:
                self._try(held, consumer)
                judged += 1
            except Exception as error:
                if blameless(error):
                    raise
                _log.error(
                    "waiting_record_crashes",
                    error=type(error).__name__,
                    offset=held[0].id[2],
                    among=len(held),
                )
                crashed += held
                sessions |= {(each.tenant_id, each.session_id) for each in held}
        if not crashed:
            self._went_well()
            return True
        self._pause(judged=judged > 0)
        if not judged and len({held.id[:3] for held in crashed}) > 1 and self._lenience.lasts():
            self._refunds.owe(lambda: self._room.untried(crashed))
        return False

    def _pause(self, *, judged: bool) -> None:
        self._not_before = self._timer() + self._lenience.pause(judged=judged)

    def _went_well(self) -> None:
        self._lenience.went_well()
        self._not_before = None

    def _try(self, held: Sequence[Held], consumer: Consumer) -> None:
        self._room.tried(held)
        with self._refunds.of(lambda: self._room.untried(held)):
            self._judge(held, (), consumer)


def _lots(due: Sequence[Held]) -> Iterator[list[Held]]:
    """In their order: of one record a part each, or one alone that crashed in such a part before."""
    most = -(-len(due) // _LOTS)
    lot: list[Held] = []
    for each in due:
        alone = each.attempts > 1
        if lot and (alone or lot[0].attempts > 1 or len(lot) >= most or lot[0].id[:3] != each.id[:3]):
            yield lot
            lot = []
        lot.append(each)
    if lot:
        yield lot


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
