"""The one row that orders everything: revision, feed position and the end of the audit chain."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, insert, select, update

from guardian.domain.revocation import Revision
from guardian.errors import StoreError
from guardian.store.control.tables import head

GENESIS = "0" * 64
_HEAD = select(head)
_QUEUE = update(head).values(writes=(head.c.writes + 1) % 2**30)  # for its lock: nobody reads the number


@dataclass(frozen=True, slots=True)
class Head:
    """Where the control database stands. `epoch_at` is when the present epoch began."""

    revision: Revision
    epoch_at: datetime
    change_seq: int
    audit_seq: int
    audit_hash: str


def read_head(connection: Connection) -> Head:
    row = connection.execute(_HEAD).one_or_none()
    if row is None:
        raise StoreError("the control database has no head row; open it with ControlStore.open")
    return Head(Revision(epoch=row.epoch, n=row.n), row.epoch_at, row.change_seq, row.audit_seq, row.audit_hash)


def has_head(connection: Connection) -> bool:
    """False in a database that was only just made."""
    return connection.execute(_HEAD).one_or_none() is not None


def create_head(connection: Connection, now: datetime) -> None:
    """Make the row of a new database."""
    row = {"id": 1, "writes": 0, "epoch": 1, "n": 0, "epoch_at": now}
    connection.execute(insert(head).values(**row, change_seq=0, audit_seq=0, audit_hash=GENESIS))


def queue_for_writing(connection: Connection) -> None:
    """Take the row's lock: from here to the commit this is the only writer, on every database."""
    connection.execute(_QUEUE)


def next_revision(connection: Connection) -> Revision:
    """Allocate inside the write transaction: it takes effect, without a gap, exactly if the entry does."""
    bump = update(head).values(n=head.c.n + 1).returning(head.c.epoch, head.c.n)
    row = connection.execute(bump).one()
    return Revision(epoch=row.epoch, n=row.n)


def next_change(connection: Connection) -> int:
    bump = update(head).values(change_seq=head.c.change_seq + 1).returning(head.c.change_seq)
    return int(connection.execute(bump).scalar_one())


def begin_epoch(connection: Connection, epoch: int, change_seq: int, now: datetime) -> None:
    connection.execute(update(head).values(epoch=epoch, n=0, epoch_at=now, change_seq=change_seq))


def extend_audit(connection: Connection, seq: int, digest: str) -> None:
    connection.execute(update(head).values(audit_seq=seq, audit_hash=digest))
