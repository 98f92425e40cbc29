"""The waiting room: records whose session has no envelope yet are kept, in order, until it comes or time is up.

They are stored in the transaction that moves the offsets on, so a restart loses none of them, and whichever member
owns the partition then judges them. When it is their turn they are decoded again; decoding is pure.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from guardian.bus.port import Consumer
from guardian.domain.batch import DeadLetter, Decoded, Judgement, Known
from guardian.domain.record import Record
from guardian.errors import StoreError
from guardian.pipeline.side_findings import dead_letter_finding
from guardian.store.monitor.store import MonitorStore
from guardian.store.monitor.values import Held
from guardian.stream.poison import poisoned
from guardian.stream.port import Clock, Fill
from guardian.telemetry import Metrics, logger

_log = logger("stream")
AT_ONCE = 500
"""So many decisions are due in a round at most."""
_STRANDED = timedelta(days=1)
_COMING_BACK = timedelta(hours=1)

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
        most: int,
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
            _log.error("waiting_records_stranded", count=len(held), effect="they are dead letters")
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
            _log.error("waiting_record_shut", topic=topic, offset=offset, error=str(error))
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

    def crashing(self, held: Held) -> DeadLetter:
        """The letter of a decision that crashed a room each time it was tried."""
        record = self.record(held)
        (letter,) = poisoned(record, "it was waiting for its envelope", [], self._clock())
        named = replace(letter, tenant_id=held.tenant_id, session_id=held.session_id, entry=held.id[3])
        return replace(named, sealed=_shut(held, record))

    def tried(self, held: Sequence[Held]) -> None:
        self._store.waiting.tried(held)

    def untried(self, held: Sequence[Held]) -> None:
        self._store.waiting.tried(held, by=-1)

    def _known(self, decoded: Sequence[Decoded]) -> Known:
        return self._store.registry.known({d.event.key for d in decoded})


def _shut(held: Held, record: Record) -> bytes | None:
    """What is sealed, where it could not be opened."""
    return None if record.value else held.sealed
