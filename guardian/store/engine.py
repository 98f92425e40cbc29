"""Opening a database, SQLite or PostgreSQL, and its transactions.

SQLite runs in WAL with `synchronous=FULL`: a commit is on the disk before the offset it carries is believed,
so a power cut cannot take back a finding that was already delivered (NORMAL may lose the last commits).
WAL needs a local disk, not NFS. PostgreSQL is a URL away: `postgresql+psycopg://…`.
"""

import errno
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine import URL, ExceptionContext
from sqlalchemy.exc import DatabaseError, DataError, NoSuchModuleError, OperationalError, SQLAlchemyError
from sqlalchemy.pool import StaticPool

from guardian.disk import make_file, make_folder
from guardian.errors import ConfigurationError, StoreError, Unstorable
from guardian.store.urls import parsed, without_secrets

_BUSY_MS = 5000
_READERS = 48
_CONNECTIONS = 15  # to a server, of one process; postgres-roles.sql says so
_WAL_PAGES = 4000  # at which a commit checkpoints by itself although `tidy` is called; that may fail
_NO_LOCK = "55P03"  # PostgreSQL's lock_not_available
_NOT_ALLOWED = "42501"  # PostgreSQL's insufficient_privilege
_TAKES_NO_WRITES = "25006"  # PostgreSQL's read_only_sql_transaction
_TOO_WIDE = "54000"  # PostgreSQL's program_limit_exceeded: a key is wider than an index holds
_ABANDONED = "SET LOCAL idle_in_transaction_session_timeout = '60s'"
"""Far beyond what a transaction waits for a decision point between two statements."""
_LINE: dict[str, Any] = {
    "connect_timeout": 10,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,  # in milliseconds, all others in seconds
}
"""When a server that is gone is given up, as libpq takes it; what the URL says of it goes first."""
_DAMAGE = ("not a database", "malformed", "is damaged")  # in what SQLite says of a file, or we of it
_RESTORE = "put back a backup, as config/README.md says under 'A backup was restored'"
_FOLDER = "its folder must exist or be creatable, on a local disk with space left, and be writable by this user"
_GRANTS = (
    "config/examples/postgres-roles.sql grants what is needed: for control's tables their owner runs"
    " section 3 (`guardian migrate`) and section 4, both again after every upgrade; section 2 is for the monitor's"
)


def open_engine(url: str, *, tidied: bool = False, reads: bool = False) -> Engine:
    """Open (and for SQLite create) the database at `url` and prove that it answers.

    With `tidied` the caller calls `tidy` now and then: commits rarely have to checkpoint SQLite's log themselves.
    Who only `reads` needs no right to write a SQLite file, as for a copy that is kept as evidence.

    A SQLite file's folder is created, and the file is readable by its owner only. Raises ConfigurationError when
    the URL is not understood or its driver is not installed, StoreError when the path cannot be written, the
    server is away or its database cannot hold every text.
    """
    target = parsed(url)
    try:
        lite = target.get_backend_name() == "sqlite"
        engine = _sqlite(target, tidied=tidied, reads=reads) if lite else _server(target)
        with engine.connect().execution_options(guardian_reads=True) as connection:
            connection.execute(text("SELECT 1"))
            if engine.dialect.name == "postgresql":
                _check_encoding(target, str(connection.execute(text("SHOW server_encoding")).scalar_one()))
    except (NoSuchModuleError, ImportError) as error:
        raise _no_driver(target, error) from error
    except (SQLAlchemyError, OSError) as error:
        raise _cannot_open(target, error) from error
    return engine


def check_url(url: str) -> None:
    """Raises ConfigurationError for what is no URL of a database that guardian can know; nothing is opened."""
    target = parsed(url)
    try:
        target.get_dialect()
    except (NoSuchModuleError, ImportError) as error:
        raise _no_driver(target, error) from error


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """One write transaction: committed at the end, rolled back on any exception.

    On SQLite it is BEGIN IMMEDIATE: it queues for the one write lock up front instead of failing half-way.
    On PostgreSQL the server ends one whose process is frozen or gone, and frees what that locked.
    A database error that leaves the block becomes a StoreError; Unstorable where a value cannot be stored.
    """
    try:
        with engine.begin() as connection:
            if engine.dialect.name == "postgresql":
                connection.exec_driver_sql(_ABANDONED)
            yield connection
    except SQLAlchemyError as error:
        raise _refused(engine, error) from error


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """One read transaction: a consistent snapshot that never waits for writers.

    On SQLite a plain BEGIN; on PostgreSQL REPEATABLE READ: by default each statement there sees newer commits.
    """
    isolation = {"isolation_level": "REPEATABLE READ"} if engine.dialect.name == "postgresql" else {}
    try:
        with engine.connect() as connection:
            reads = connection.execution_options(guardian_reads=True, **isolation)
            with reads.begin():
                yield reads
    except SQLAlchemyError as error:
        raise _refused(engine, error) from error


def tidy(engine: Engine) -> None:
    """Checkpoint SQLite's write-ahead log now, so that no commit has to stop for it."""
    if engine.dialect.name == "sqlite" and not isinstance(engine.pool, StaticPool):
        connection = engine.raw_connection()
        try:
            connection.cursor().execute("PRAGMA wal_checkpoint(PASSIVE)")
        finally:
            connection.close()


def _sqlite(target: URL, *, tidied: bool, reads: bool) -> Engine:
    path = target.database
    kept = False
    connect_args: dict[str, Any] = {"timeout": _BUSY_MS / 1000, "check_same_thread": False}
    if path is None or path in ("", ":memory:"):
        # One shared connection: fine for a single thread, which is all that an in-memory store is for.
        engine = create_engine(target, poolclass=StaticPool, connect_args=connect_args)
    elif reads and not (os.access(path, os.W_OK) and os.access(Path(path).parent, os.W_OK)):
        # SQLite's own files beside it cannot be made: without them nobody writes there either
        logged, makes = os.path.exists(f"{path}-wal"), os.access(Path(path).parent, os.W_OK)
        if logged and not makes and not os.path.exists(f"{path}-shm"):  # a copy without it: SQLite needs one
            raise PermissionError(errno.EACCES, f"there is no {path}-shm to its -wal, and it cannot be made")
        still = "" if logged else "&immutable=1"
        uri = f"file:{quote(os.path.abspath(path))}?mode=ro{still}"
        engine = create_engine(target, creator=lambda: sqlite3.connect(uri, uri=True, **connect_args))
        kept = True
    else:
        file = Path(path)
        make_folder(file.parent)
        make_file(file, mode=0o600)
        if not os.access(file, os.W_OK):  # found out now, and not by the first transaction that writes
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(file))
        # One for each thread that may read at a time: opening a connection costs more than most queries do.
        # Last in, first out: a few connections with warm caches do the work, and those of a rush lie idle.
        room = {"pool_size": _READERS, "max_overflow": _READERS, "pool_use_lifo": True}
        engine = create_engine(target, connect_args=connect_args, **room)

    @event.listens_for(engine, "connect")
    def set_up(connection: Any, _record: object) -> None:
        connection.isolation_level = None  # SQLAlchemy begins transactions, not the driver
        cursor = connection.cursor()
        for pragma in (
            f"busy_timeout={_BUSY_MS}",
            *(() if kept else ("journal_mode=WAL", "synchronous=FULL")),
            "foreign_keys=ON",
            "temp_store=MEMORY",
            *((f"wal_autocheckpoint={_WAL_PAGES}",) if tidied else ()),
        ):
            try:
                cursor.execute(f"PRAGMA {pragma}")
            except UnicodeDecodeError as error:
                raise _damaged(pragma) from error
        cursor.close()

    @event.listens_for(engine, "handle_error")
    def undecodable(context: ExceptionContext) -> None:
        if isinstance(context.original_exception, UnicodeDecodeError):
            raise _damaged(context.statement) from context.original_exception

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        reads = connection.get_execution_options().get("guardian_reads", False)
        connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")

    return engine


def _damaged(statement: str | None) -> DatabaseError:
    """For an error whose text the driver cannot decode: SQLite quotes the damaged file in it."""
    told = sqlite3.DatabaseError("the database file is damaged (what SQLite quotes of it is no text)")
    return DatabaseError(statement, None, told)


def _server(target: URL) -> Engine:
    libpq = target.get_driver_name().startswith("psycopg")
    line = {name: value for name, value in _LINE.items() if libpq and name not in target.query}
    if libpq:  # whatever the URL or PGCLIENTENCODING says: in another encoding not every text can be sent
        line["client_encoding"] = "utf8"
    # None is closed that the next request would have to open anew; who finds none free waits for one.
    room = {"pool_size": _CONNECTIONS, "max_overflow": 0, "pool_use_lifo": True}
    engine = create_engine(target, pool_pre_ping=True, connect_args=line, **room)

    @event.listens_for(engine, "connect")
    def set_up(connection: Any, _record: object) -> None:
        with connection.cursor() as cursor:
            # In any other zone the driver cannot read the first or the last hours of the calendar.
            cursor.execute("SET TIME ZONE 'UTC'")
            cursor.execute(f"SET lock_timeout = {_BUSY_MS}")
        connection.commit()

    @event.listens_for(engine, "handle_error")
    def elsewhere(context: ExceptionContext) -> None:
        # After a switch-over a kept connection may lie at what is a standby now: all of them are opened anew.
        if getattr(context.original_exception, "sqlstate", None) == _TAKES_NO_WRITES:
            context.is_disconnect = True

    return engine


def _check_encoding(target: URL, encoding: str) -> None:
    if encoding != "UTF8":
        raise StoreError(
            f"store: {without_secrets(target)} is a database in {encoding}, which cannot hold all that agents"
            " send; make one with CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0, as"
            " config/examples/postgres-roles.sql does, and restore into it a dump of what this one holds"
        )


def _no_driver(target: URL, error: Exception) -> ConfigurationError:
    return ConfigurationError(
        f"store: no driver for {target.drivername!r} is installed ({error}); for PostgreSQL install "
        "'intent-guardian[postgres]' and write postgresql+psycopg://…"
    )


def _cannot_open(target: URL, error: Exception) -> StoreError:
    shown = without_secrets(target)
    if _is_locked(error):
        return _locked(shown)
    if target.get_backend_name() == "sqlite":
        cause = _cause(error)
        way_out = _RESTORE if any(words in cause for words in _DAMAGE) else _FOLDER
        return StoreError(f"store: cannot open {shown}: {cause}; {way_out}")
    return StoreError(
        f"store: cannot reach {shown}: {_cause(error)}; check that the server is up and the role exists"
    )


def _refused(engine: Engine, error: SQLAlchemyError) -> StoreError:
    shown, cause = without_secrets(engine.url), _cause(error)
    if _is_locked(error):
        return _locked(shown)
    if isinstance(error, OperationalError) and "no such table" in cause:
        return StoreError(f"store: {shown} has no schema yet ({cause}); it must be migrated before use")
    state = _state(error)
    if isinstance(error, DataError) or state == _TOO_WIDE:
        return Unstorable(f"store: {shown}: {cause}")
    if state == _NOT_ALLOWED:
        return StoreError(f"store: {shown}: {cause}; {_GRANTS}")
    return StoreError(f"store: {shown}: {cause}")


def _is_locked(error: Exception) -> bool:
    return isinstance(error, OperationalError) and ("locked" in _cause(error) or _state(error) == _NO_LOCK)


def _locked(shown: str) -> StoreError:
    return StoreError(f"store: {shown} stayed locked for {_BUSY_MS} ms; is another process holding it open?")


def _state(error: Exception) -> str | None:
    return getattr(getattr(error, "orig", None), "sqlstate", None)


def _cause(error: Exception) -> str:
    original = getattr(error, "orig", None) or error
    return " ".join(str(original).split())[:300]
