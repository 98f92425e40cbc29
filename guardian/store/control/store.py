"""The control database: who was flagged, revoked and reinstated, by whom, and why.

The monitor has no way in here: it speaks to the control API, with a database of its own.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import astuple, replace
from datetime import datetime
from pathlib import Path
from threading import Lock
from typing import Self

from sqlalchemy import Connection, Engine

from guardian.domain.revocation import Revision
from guardian.errors import StoreError, Unstorable
from guardian.store.control.audit import AuditRows
from guardian.store.control.epoch import EpochFile, Mark, epoch_file_of, lost_mark, restored_mark
from guardian.store.control.head import Head, create_head, has_head, queue_for_writing, read_head
from guardian.store.control.rights import RIGHTS
from guardian.store.control.rows import ControlRows
from guardian.store.control.tables import audit
from guardian.store.engine import open_engine, reading, tidy, writing
from guardian.store.room import check_room, wants_room
from guardian.store.schema import CONTROL, check_rights, check_schema, migrate
from guardian.store.urls import without_secrets
from guardian.telemetry import logger

_log = logger("store")
_TURN_S = 10.0
_SHORT_TURN_S = 1.0  # while writes fail: those that wait would keep the ones behind them waiting as long again


class ControlStore:
    """Opens transactions. Writers queue for one row, so ledger, budget and audit chain have one order."""

    def __init__(self, engine: Engine, epoch_file: EpochFile | None, clock: Callable[[], datetime]) -> None:
        self._engine = engine
        self._epoch_file = epoch_file
        self._clock = clock
        self.last_sign: datetime | None = None  # of control before this start, for who serves; see ControlRows
        self._trail = ""  # the first entry's hash: no other database has it, and each of its backups has
        self._serves = True
        self._known: Head | None = None  # the furthest that this process wrote or read
        self._knowing = Lock()
        self._listeners: list[Callable[[], None]] = []
        self._refuses = False
        self._full = False
        self._forgets = False
        self._turn = Lock()  # threads of one process wait here in turn, not in the database's busy loop

    @classmethod
    def open(
        cls,
        url: str,
        *,
        now: datetime,
        clock: Callable[[], datetime] | None = None,
        epoch_file: Path | None = None,
        migrates: bool = True,
    ) -> Self:
        """Who serves `migrates`, and begins a new epoch if the database turns out to be a restored backup.

        Others may have the file of another database in their settings: opening changes neither, and what they
        write begins an epoch only in a backup of the file's own. Raises StoreError where the role lacks a right
        that control needs, and for them where the file is another's or the schema is not this version's.
        `epoch_file` defaults to `<database>.epoch` for SQLite; for a server, name one on a durable disk. `clock`
        says when an epoch begins that begins later; without one that is `now`.
        """
        engine = open_engine(url, tidied=True)
        (migrate if migrates else check_schema)(engine, CONTROL)
        check_rights(engine, RIGHTS)
        store = cls(engine, epoch_file_of(url, epoch_file), clock or (lambda: now))
        if migrates:
            with store.read() as rows:  # before a new epoch is noted by the present clock
                store.last_sign = rows.last_sign(now)
            store.settle_epoch(now)
        else:
            store._visit(now)
            store._serves = False
        return store

    @contextmanager
    def write(self) -> Iterator[ControlRows]:
        """One write transaction: all of it, or nothing of it when the block raises."""
        try:
            with self._in_turn():
                with writing(self._engine) as connection:
                    queue_for_writing(connection)
                    before = read_head(connection)
                    anew = self._go_on(connection, before)
                    yield ControlRows(connection)
                    after = read_head(connection)
                self._know(after)
        except StoreError as error:
            self._refuses = not isinstance(error, Unstorable)
            if wants_room(error):
                self._full = True
            raise
        self._refuses = False
        if (before.revision, before.change_seq) != (after.revision, after.change_seq):
            self._remember(after, anew=anew)
            for listener in tuple(self._listeners):
                listener()

    @contextmanager
    def _in_turn(self) -> Iterator[None]:
        longest = _SHORT_TURN_S if self._refuses else _TURN_S
        if not self._turn.acquire(timeout=longest):
            raise StoreError(f"store: other writes of this process have not ended for {longest:.0f} s")
        try:
            yield
        finally:
            self._turn.release()

    def takes_writes(self) -> bool:
        """Whether the last write was committed, and there was room when that was tried last: from a full disk one
        can still read, and it takes small writes. Asks the database nothing."""
        return not (self._refuses or self._full)

    def remembers(self) -> bool:
        """Whether what was last to be noted beside the database is there. Asks the disk nothing."""
        return not self._forgets

    def try_again(self) -> None:
        """If the last write failed, try an empty one: whoever waits for writes to work again sends none. The same
        for what is noted beside the database, and for room."""
        if self._full:
            self.check_room()
            self._full = False
        if self._refuses:
            with self.write():
                pass
        if self._forgets:
            self.remember()

    def check_room(self) -> None:
        """Raises StoreError where the database takes nothing that needs room. Leaves nothing in it."""
        check_room(self._engine, audit, "record", {"seq": -1, "hash": ""})

    @contextmanager
    def read(self) -> Iterator[ControlRows]:
        """One consistent view; it never waits for a writer."""
        with reading(self._engine) as connection:
            yield ControlRows(connection)

    def head(self) -> Head:
        with self.read() as rows:
            return rows.head()

    def look(self) -> Head:
        """Where the database stands, whoever wrote last. Where it went back a new epoch begins first."""
        with reading(self._engine) as connection:
            stands = read_head(connection)
            known = self._moved_from(stands)
            back = known is not None and _onward(connection, known) is not None
        if back:
            with self.write():
                pass
            return self.head()
        self._know(stands)
        return stands

    def remember(self, *, signed: int = 0, signed_as: str = "", anew: bool = False) -> None:
        """Note beside the database how far it has come, before others build on it: then a restore is noticed.
        `signed` and `signed_as` as in a Mark, where the trail was just signed."""
        with self.read() as rows:
            stands, self._trail = rows.head(), rows.audit.digest(1)
        self._remember(stands, signed=signed, signed_as=signed_as, anew=anew)

    def signed(self) -> tuple[int, str]:
        """How many entries of the trail were signed and the hash of the last of them, by what is remembered beside
        the database. Whoever compares reads it first: the trail grows meanwhile."""
        remembered = self._remembered()
        return (0, "") if remembered is None else (remembered.signed, remembered.signed_as)

    def check_epoch(self) -> None:
        """Raises StoreError where the database is behind what is remembered beside it, or that is not there."""
        remembered = self._remembered()
        with reading(self._engine) as connection:
            moved = lost_mark(_mark(read_head(connection))) is not None
            behind = _onward(connection, remembered) is not None
        if behind:
            raise self._not_served("is ahead of")
        if moved and remembered is None and self._epoch_file is not None:
            raise StoreError(
                f"store: {self._epoch_file.path} is not there, and a restored backup would go unnoticed; if one"
                " was restored see config/README.md first ('A backup was restored'), else the next start of"
                " `guardian serve` (or `run`) makes it, begins a new epoch and calls people"
            )

    def subscribe(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Call `listener` after every commit that moved the ledger or the feed. Returns how to stop that."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def tidy(self) -> None:
        """The database's own housekeeping; call it now and then, from any thread."""
        tidy(self._engine)

    def close(self) -> None:
        self._engine.dispose()

    def settle_epoch(self, now: datetime) -> None:
        """Begin a new epoch if the database is behind what is remembered beside it, or the file that remembers is
        not there: then nothing else would show that a backup was restored."""
        remembered = self._remembered()
        lost = remembered is None and self._epoch_file is not None
        with reading(self._engine) as connection:
            new = not has_head(connection)
            if lost and not new:
                remembered = lost_mark(_mark(read_head(connection)))
            settled = not new and _onward(connection, remembered) is None
        if not settled:
            self._begin(remembered, now, lost=lost)
        self.remember(anew=not settled)
        self.look()

    def _visit(self, now: datetime) -> None:
        """For who does not serve: a database that was only just made has its first epoch, none is begun anew."""
        remembered = self._remembered()
        with reading(self._engine) as connection:
            new, self._trail = not has_head(connection), AuditRows(connection).digest(1)
        known = remembered.trail if remembered is not None else ""
        if known and self._trail not in ("", known):
            raise self._not_served("belongs to another database than")
        if new:
            self._begin(None, now)

    def _go_on(self, connection: Connection, before: Head) -> bool:
        """What is written into a restored backup, or after a failover to a server that lacks the last commits,
        would bear revisions that were given out before, and hide how much of the signed trail is lost: a new epoch
        begins first; whether it did. Who serves looked at the file at the start, and knows the rest. Raises
        StoreError where nothing tells that it is a backup, and not another database."""
        if self._serves:
            return _begin_epoch(connection, self._moved_from(before), self._clock())
        remembered = self._remembered()
        ours = remembered is not None and self._trail != "" and self._trail == remembered.trail
        if not ours and _onward(connection, remembered) is not None:
            raise self._not_served("is ahead of")
        return _begin_epoch(connection, remembered, self._clock())

    def _moved_from(self, stands: Head) -> Mark | None:
        """The mark that the database must not be behind; None where it is where this process knows it to be, or
        another process has begun an epoch since."""
        known = self._known
        if known is None or stands == known or stands.revision.epoch > known.revision.epoch:
            return None
        return replace(_mark(known), signed=known.audit_seq, signed_as=known.audit_hash if known.audit_seq else "")

    def _know(self, stands: Head) -> None:
        with self._knowing:
            known = self._known
            if known is None or astuple(_mark(stands)) > astuple(_mark(known)):
                self._known = stands

    def _not_served(self, how: str) -> StoreError:
        path = self._epoch_file.path if self._epoch_file is not None else None
        return StoreError(
            f"store: {path} {how} {without_secrets(self._engine.url)}; ask with the settings that control has"
            " (its unit may set GUARDIAN_STORE__CONTROL); if these are they, for a backup or a new database,"
            " start `guardian serve` (or `run`) first"
        )

    def _begin(self, remembered: Mark | None, now: datetime, *, lost: bool = False) -> None:
        """The first one, or the one after a restore; unless another process has begun it meanwhile."""
        with writing(self._engine) as connection:
            queue_for_writing(connection)
            if not has_head(connection):
                create_head(connection, now)
            _begin_epoch(connection, remembered, now, lost=lost)

    def _remembered(self) -> Mark | None:
        return self._epoch_file.read() if self._epoch_file is not None else None

    def _remember(self, stands: Head, *, signed: int = 0, signed_as: str = "", anew: bool = False) -> None:
        if self._epoch_file is None:
            return
        mark = replace(_mark(stands), trail=self._trail, signed=signed, signed_as=signed_as)
        try:
            if not self._serves and self._epoch_file.read() is None:
                return  # made by who does not serve, it would hide from who does that it was lost
            self._epoch_file.advance(mark, anew=anew)
            self._forgets = False
        except (OSError, StoreError) as error:
            # The transaction is committed; without the file only a later restore goes unnoticed.
            self._forgets = True
            _log.error("epoch_file_not_written", path=str(self._epoch_file.path), error=str(error))


def _begin_epoch(connection: Connection, remembered: Mark | None, now: datetime, *, lost: bool = False) -> bool:
    """If the database is behind what is remembered; whether it was. `lost`: only assumed, as by `lost_mark`."""
    if remembered is None or (onward := _onward(connection, remembered)) is None:
        return False
    expected = None if lost else Revision(epoch=remembered.epoch, n=remembered.n)
    ControlRows(connection).begin_epoch(onward.epoch, onward.change_seq, expected=expected, now=now)
    return True


def _onward(connection: Connection, remembered: Mark | None) -> Mark | None:
    """Where the database has to go on from, if it is behind what is remembered, or behind its own head row."""
    head, trail = read_head(connection), AuditRows(connection)
    stands = _mark(head)
    if remembered is not None and remembered.signed:
        stands = replace(stands, signed_as=trail.digest(remembered.signed))
    ends = head.audit_seq == 0 or trail.digest(head.audit_seq) == head.audit_hash
    return restored_mark(stands, remembered, ends=ends)


def _mark(stands: Head) -> Mark:
    return Mark(stands.revision.epoch, stands.revision.n, stands.change_seq, stands.audit_seq)
