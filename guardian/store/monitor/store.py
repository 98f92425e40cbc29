"""What the monitor remembers: one transaction holds session states, findings, outbox, seen keys and offsets.

The offsets here are the truth, the broker's copy is for lag tools. A partition belongs to the member that
claimed it last; anyone else's commit is refused whole.
"""

import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from sqlalchemy import Engine

from guardian.domain.batch import Decoded, Judgement, Wanted
from guardian.domain.envelope import Envelope
from guardian.domain.finding import Finding
from guardian.domain.identity import SessionKey
from guardian.domain.record import Place
from guardian.store.engine import reading, writing
from guardian.store.monitor.baselines import Baselines, load_baselines
from guardian.store.monitor.dead_letters import DeadLetters, insert_dead_letters
from guardian.store.monitor.departures import Departures
from guardian.store.monitor.envelopes import Heard, Registry, load_envelopes, save_envelopes
from guardian.store.monitor.held import Waiting, delete_waiting, insert_waiting
from guardian.store.monitor.outbox import Outbox, enqueue, insert_findings, known_findings
from guardian.store.monitor.places import (
    Owned,
    add_attempt,
    advance,
    begin,
    begun_topics,
    check_owner,
    check_reached,
    claim,
    count_attempts,
    move,
    place_rows,
    take_attempt_back,
)
from guardian.store.monitor.retention import Retention, prune
from guardian.store.monitor.seen import has_seen, load_agents, load_seen, save_agents, save_seen
from guardian.store.monitor.sessions import load_sessions, save_sessions
from guardian.store.monitor.spool import Pack, Spool, spool_in
from guardian.store.monitor.tables import findings, metadata
from guardian.store.monitor.tasks import load_task_reads, save_task_reads
from guardian.store.monitor.values import Held, Recall
from guardian.store.monitor.words import Hear, Words
from guardian.store.room import check_room
from guardian.store.schema import MONITOR, check_rights, check_schema, migrate
from guardian.store.turns import Rest

_RIGHTS = dict.fromkeys(metadata.tables, ("SELECT", "INSERT", "UPDATE", "DELETE"))


class MonitorStore:
    """The monitor's database. Opening it brings its schema up to date; without `migrates` it has to be already."""

    def __init__(
        self,
        engine: Engine,
        *,
        seal: Callable[[bytes], bytes],
        hear: Hear,
        dead_letter_ttl: timedelta = timedelta(days=14),
        clean: Callable[[Envelope], Envelope] = lambda envelope: envelope,
        keep_words: Pack | None = None,
        migrates: bool = True,
    ) -> None:
        (migrate if migrates else check_schema)(engine, MONITOR)
        check_rights(engine, _RIGHTS)
        self._engine = engine
        self._seal = seal
        self._ttl = dead_letter_ttl
        self._reached: dict[Place, int] = {}  # by what this process claimed and stored
        self.outbox = Outbox(engine)
        self.words = Words(engine, hear, clean, keep=keep_words)
        self.registry = Registry(engine)
        self.waiting = Waiting(engine)
        self.baselines = Baselines(engine)
        self.departures = Departures(engine)
        self.spool = Spool(engine)
        self.dead_letters = DeadLetters(engine)

    def close(self) -> None:
        self._engine.dispose()

    def check_room(self, now: datetime) -> None:
        """Raises StoreError where the database takes nothing that needs room. Leaves nothing in it."""
        row = {"id": "room?", "tenant_id": "", "session_id": "", "kind": "", "at": now}
        check_room(self._engine, findings, "body", row)

    def prune(self, now: datetime, keep: Retention, *, rest: Rest = time.sleep) -> dict[str, int]:
        """Forget what is older than it may be; returns how many rows went, by table."""
        return prune(self._engine, now, keep, rest=rest)

    def positions(self, wanted: Iterable[Place]) -> dict[Place, int]:
        """The next offset to read of each place; absent where nothing was committed yet.

        Raises StaleMember where it is less than this process stored, as after a failover to a server that lacks
        the last commits: what lies between is read again by whoever claims the place next. The thread that claims
        places and commits there is the one to ask.
        """
        wanted = set(wanted)
        reached = {place: offset for place, offset in self._reached.copy().items() if place in wanted}
        with reading(self._engine) as connection:
            rows = place_rows(connection, wanted)
        found = {place: row["next_offset"] for place, row in rows.items() if row["next_offset"] >= 0}
        check_reached(found, reached)
        return found

    def claim(self, wanted: Iterable[Place], member: str, *, now: datetime) -> Owned:
        """Take the places for `member`: from now on, whoever held them before cannot commit."""
        with writing(self._engine) as connection:
            owned = claim(connection, wanted, member, now)
        self._reached |= {place: owned.positions.get(place, 0) for place in owned.claims}
        return owned

    def has_begun(self, topic: str) -> bool:
        """Whether a next offset is known of any of its partitions."""
        with reading(self._engine) as connection:
            return topic in begun_topics(connection)

    def begin(self, at: Mapping[Place, int], *, now: datetime) -> dict[Place, int]:
        """Read each topic that has not begun from there on, before any of it is claimed. Any other stays as it is,
        also where partitions were added to it. Returns the next offset of each place; absent: from the start."""
        with writing(self._engine) as connection:
            begin(connection, at, now)
            rows = place_rows(connection, at)
        return {place: row["next_offset"] for place, row in rows.items() if row["next_offset"] >= 0}

    def move(self, place: Place, offset: int, *, member: str, told: Finding, now: datetime) -> None:
        """Read the place from `offset` on, wherever it stood, and tell people so."""
        with writing(self._engine) as connection:
            move(connection, place, offset, member, now)
            insert_findings(connection, [told], now)
        self._reached[place] = offset

    def load(self, wanted: Wanted) -> Recall:
        """Everything a batch may look at, as one snapshot."""
        with reading(self._engine) as connection:
            states, versions = load_sessions(connection, wanted.sessions)
            above, _ = load_sessions(connection, wanted.above(states))
            return Recall(
                sessions=above | states,
                versions=versions,
                seen=load_seen(connection, wanted.decisions),
                baselines=load_baselines(connection, wanted.purposes),
                agent_purposes=load_agents(connection, wanted.agents),
                task_reads=load_task_reads(connection, wanted.all_tasks(states)),
                registered=load_envelopes(connection, wanted.registered),
            )

    def told(self, ids: Collection[str]) -> frozenset[str]:
        """Those of the findings that are stored already: each is made, archived and sent once."""
        if not ids:
            return frozenset()
        with reading(self._engine) as connection:
            return known_findings(connection, ids)

    def commit(
        self,
        judged: Judgement,
        *,
        positions: Mapping[Place, int],
        base: Mapping[Place, int],
        versions: Mapping[SessionKey, int],
        member: str,
        now: datetime,
        waits: Sequence[Decoded] = (),
        released: Sequence[Held] = (),
        heard: Sequence[Heard] = (),
        archived: bytes = b"",
    ) -> None:
        """Write all of it, or nothing.

        `positions` is the next offset of each place after this batch, `base` what `positions()` said before it,
        and `versions` what `load` returned. `waits` are decisions to keep for later, `released` are kept ones that
        were judged now, `heard` are envelopes to keep, and `archived` is the batch as the archive packs it.

        Raises StaleMember when another member owns one of the places, and Conflict when a session or an offset
        moved meanwhile: load and judge the batch again.
        """
        with writing(self._engine) as connection:
            check_owner(connection, positions, base, member)
            save_sessions(connection, judged.sessions, versions, now)
            save_seen(connection, judged.seen, now)
            save_agents(connection, judged.agent_purposes, now)
            save_task_reads(connection, judged.task_reads, now)
            insert_findings(connection, judged.findings, now)
            letters = insert_dead_letters(
                connection, judged.dead_letters, self._seal, now=now, expires_at=now + self._ttl
            )
            enqueue(connection, "dead_letter", dict.fromkeys(letters, ""), now)
            insert_waiting(connection, waits, self._seal, now)
            delete_waiting(connection, [held.id for held in released])
            save_envelopes(connection, heard, now)
            spool_in(connection, "events", archived, rows=len(judged.seen), now=now)
            moved = {place: offset for place, offset in positions.items() if offset > base.get(place, 0)}
            advance(connection, moved, now)
        self._reached |= moved

    def has_judged(self, gateway: str) -> bool:
        """Whether any decision of this gateway is remembered."""
        with reading(self._engine) as connection:
            return has_seen(connection, gateway)

    def attempts(self, place: Place, offset: int) -> int:
        """How often judging this record was begun without success, over all restarts."""
        with reading(self._engine) as connection:
            return count_attempts(connection, place, offset)

    def mark_attempt(self, place: Place, offset: int) -> int:
        """Count one more, durably, before trying; returns the new count. A commit past it clears it."""
        with writing(self._engine) as connection:
            return add_attempt(connection, place, offset)

    def unmark_attempt(self, place: Place, offset: int) -> None:
        """Take one back that ended by an outage, and so says nothing of the record."""
        with writing(self._engine) as connection:
            take_attempt_back(connection, place, offset)
