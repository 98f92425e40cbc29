"""The waiting room: records whose session has no envelope yet are kept, in order, until it comes or time is up.

They are stored in the transaction that moves the offsets on, so a restart loses none of them, and whichever member
owns the partition then judges them. When it is their turn they are decoded again; decoding is pure.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from guardian.bus.port import Consumer
from guardian.domain.backoff import Backoff
from guardian.domain.batch import DeadLetter, Decoded, Judgement, Known
from guardian.domain.record import Record
from guardian.errors import StoreError
from guardian.pipeline.side_findings import dead_letter_finding
from guardian.store.monitor.store import MonitorStore
from guardian.store.monitor.values import Held
from guardian.stream.attempts import Lenience, Refunds, blameless
from guardian.stream.poison import MAX_ATTEMPTS, poisoned
from guardian.stream.port import Clock, Fill
from guardian.telemetry import Metrics, logger

_log = logger("stream")
AT_ONCE = 500
"""So many decisions are due in a round at most."""
_LOTS = 20
"""After a crash so many parts of what was due are tried on their own: each reads its record again, however large
that is. Only those of a part that crashes again are then taken one by one."""
_STRANDED = timedelta(days=1)
_COMING_BACK = timedelta(hours=1)
_LOOK_EVERY = timedelta(minutes=1)

Unseal = Callable[[bytes, datetime], bytes]
"""Opens a value that was sealed at that time. Raises StoreError where it can no longer be opened."""


def decision_of(d: Decoded) -> tuple[object, ...]:
    """Where a decision lies, and whose it is: under another configuration another decision may lie there."""
    return (*d.record.place, d.record.offset, d.entry, *d.event.key)


def waiter_of(held: Held) -> tuple[object, ...]:
    """The same, of a decision that waits."""
    return (*held.id, held.tenant_id, held.session_id)


class WaitingRoom:
    """Decisions wait for at most `wait`. Where `most` of a tenant wait, they are judged as they are, and no
    other session of it begins to wait."""

    def __init__(
        self,
        *,
        store: MonitorStore,
        fill: Fill,
        unseal: Unseal,
        clock: Clock,
        metrics: Metrics,
        wait: timedelta,
        most: int = 10_000,
    ) -> None:
        self._store = store
        self._fill = fill
        self._unseal = unseal
        self._clock = clock
        self._metrics = metrics
        self._wait = wait
        self._most = most
        self._began = clock()
        self._depths = Counter(store.waiting.depths())

    @property
    def depth(self) -> int:
        """How many decisions wait in this store, as of the last look."""
        return self._depths.total()

    def _full(self) -> set[str]:
        """The tenants of which too many wait."""
        return {tenant for tenant, depth in self._depths.items() if depth >= self._most}

    def seat(self, decoded: Sequence[Decoded]) -> tuple[list[Decoded], list[Decoded]]:
        """The decisions to judge now, with their envelopes filled in, and those that wait."""
        if not self.depth and all(d.unfilled is None and d.signature != "missing" for d in decoded):
            return list(decoded), []
        known, full = self._known(decoded), self._full()
        begun = known.begun | {d.event.key for d in decoded if d.event.key.tenant_id in full}
        return self._fill(decoded, replace(known, begun=begun), patient=True)  # what has begun does not wait

    def seated(self, waits: Sequence[Decoded]) -> None:
        """These wait, too: they are stored."""
        self._depths.update(d.event.key.tenant_id for d in waits)

    def filled(self, decoded: Sequence[Decoded]) -> list[Decoded]:
        """Decisions whose turn it is, with the envelope that came for them, if one did."""
        return self._fill(decoded, Known(envelopes=self._known(decoded).envelopes), patient=False)[0]

    def due(self, consumer: Consumer) -> list[Held]:
        """The decisions of this consumer's partitions whose turn it is, each session in its order."""
        self._depths = Counter(self._store.waiting.depths())
        self._metrics.set("guardian_waiting_records", self.depth)
        if not self.depth:
            return []
        now = self._clock()
        return self._store.waiting.due(
            consumer.assignment(),
            before=now - self._wait,
            after=now + self._wait,
            limit=AT_ONCE,
            squeeze=self._full(),
        )

    def held_of(self, consumer: Consumer) -> int:
        """How many decisions of this consumer's partitions wait."""
        return self._store.waiting.depth(consumer.assignment())

    def give_up_stranded(self, consumer: Consumer) -> int:
        """Dead-letter what is a day overdue in places that nobody has read for a day: a topic that was renamed, a
        file. Returns how many decisions that were.

        Only a consumer that reads something itself may judge this, and not in its first hour: after an outage of
        all monitors the others need time to come back.
        """
        now, mine = self._clock(), consumer.assignment()
        before = now - self._wait - _STRANDED
        if not mine or now - self._began < _COMING_BACK:
            return 0
        held = self._store.waiting.stranded(mine, before=before, limit=AT_ONCE)
        letters = [self._stranded(each, now) for each in held]
        told = {f.id: f for letter in letters if (f := dead_letter_finding(letter, {})) is not None}
        if held:
            judgement = Judgement(dead_letters=tuple(letters), findings=tuple(told.values()))
            self._store.commit(judgement, positions={}, base={}, versions={}, member="", now=now, released=held)
            self._metrics.add("guardian_events_total", len(held), outcome="dead_letter")
            self._metrics.add("guardian_dead_letters_total", len(held), code="stranded")
            _log.error("records waited where nobody reads any more; they are dead letters", count=len(held))
        return len(held)

    def _stranded(self, held: Held, now: datetime) -> DeadLetter:
        record = self.record(held)
        why = "it waited for its session's envelope, and nobody reads its topic or file any more"
        named = (held.tenant_id, held.session_id, record.sender)
        return DeadLetter(record, "stranded", why, *named, now, entry=held.id[3], sealed=_shut(held, record))

    def record(self, held: Held) -> Record:
        """The record as it came. Where its seal cannot be opened it has no value, and becomes a dead letter that
        keeps what is sealed: another monitor may have the key."""
        topic, partition, offset, _ = held.id
        try:
            value = self._unseal(held.sealed, held.since)
        except StoreError as error:
            _log.error("a waiting record cannot be opened", topic=topic, offset=offset, error=str(error))
            value = b""
        return Record(topic, partition, offset, value, held.key, held.headers, held.stamped_at)

    def unread(self, held: Held, record: Record, refused: Sequence[DeadLetter]) -> DeadLetter:
        """The letter of a decision that could be read when it began to wait and cannot be read now: the seal's key
        is not here, or the configuration has changed."""
        if not record.value:
            why_not = "its seal cannot be opened: its key is not in keys/seal.key, or it was altered"
            refused = [DeadLetter(record, "sealed", why_not, gateway=record.sender)]
        mine = [each for each in refused if each.record is record]
        named = (each for each in mine if each.session_id == held.session_id)
        nameless = (each for each in mine if each.session_id is None and each.entry in (0, held.id[3]))
        why = next(named, None) or next(nameless, None)
        return DeadLetter(
            record,
            why.code if why is not None else "unread",
            f"after it waited for its session's envelope: {'no decision in it' if why is None else why.reason}",
            held.tenant_id,
            held.session_id,
            record.sender if why is None else why.gateway,
            self._clock(),
            entry=held.id[3],
            sealed=_shut(held, record),
        )

    def tried(self, held: Sequence[Held]) -> None:
        self._store.waiting.tried(held)

    def untried(self, held: Sequence[Held]) -> None:
        self._store.waiting.tried(held, by=-1)

    def _known(self, decoded: Sequence[Decoded]) -> Known:
        return self._store.registry.known({d.event.key for d in decoded})


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
            _log.error("a waiting record crashes the pipeline", error=type(error).__name__, among=len(due))
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
                self._judge(held, [self._letter(held[0])], consumer)
                continue
            try:
                self._try(held, consumer)
                judged += 1
            except Exception as error:
                if blameless(error):
                    raise
                _log.error(
                    "a waiting record crashes the pipeline",
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

    def _letter(self, held: Held) -> DeadLetter:
        record = self._room.record(held)
        (letter,) = poisoned(record, "it was waiting for its envelope", [], self._clock())
        named = replace(letter, tenant_id=held.tenant_id, session_id=held.session_id, entry=held.id[3])
        return replace(named, sealed=_shut(held, record))


def _shut(held: Held, record: Record) -> bytes | None:
    """What is sealed, where it could not be opened."""
    return None if record.value else held.sealed


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
