import os
import re
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta, timezone

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Column, Integer, MetaData, Table, insert, select
from sqlalchemy.engine import make_url

import guardian.store.engine as engine_module
from guardian.errors import ConfigurationError, StoreError
from guardian.store.columns import UtcDateTime
from guardian.store.engine import open_engine, reading, writing
from guardian.store.monitor.tables import metadata, places
from guardian.store.schema import MONITOR, migrate
from guardian.store.urls import without_secrets


@pytest.fixture
def engine(tmp_path):
    made = open_engine(f"sqlite:///{tmp_path}/deep/er/monitor.db")
    yield made
    made.dispose()


def test_a_file_is_created_in_wal_mode_for_its_owner_only(engine, tmp_path):
    with reading(engine) as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2
        assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1
        assert connection.exec_driver_sql("PRAGMA busy_timeout").scalar() == 5000
    assert (tmp_path / "deep/er/monitor.db").stat().st_mode & 0o077 == 0


def test_only_who_is_tidied_leaves_its_log_for_later(engine, tmp_path):
    def pages(opened):
        with reading(opened) as connection:
            return connection.exec_driver_sql("PRAGMA wal_autocheckpoint").scalar()

    tidied = open_engine(f"sqlite:///{tmp_path}/control.db", tidied=True)
    assert pages(engine) == 1000  # SQLite's own
    assert pages(tidied) > pages(engine)
    tidied.dispose()


@pytest.mark.parametrize(
    ("url", "error", "says"),
    [
        ("nonsense", ConfigurationError, "not a database URL"),
        ("sqlite:////proc/nowhere/a.db", StoreError, "cannot open"),
        ("sqlite:////etc", StoreError, "cannot open"),
        ("nosuchdb://host/x", ConfigurationError, "in SQLite or PostgreSQL, not in 'nosuchdb'"),
        ("mysql+pymysql://host/x", ConfigurationError, "in SQLite or PostgreSQL, not in 'mysql'"),
        ("postgresql+nosuch://host/x", ConfigurationError, "no driver"),
    ],
)
def test_a_database_that_cannot_be_opened_is_named_with_the_way_out(url, error, says):
    with pytest.raises(error, match=says):
        open_engine(url)


def test_a_damaged_database_is_told_as_one_and_not_as_a_trouble_with_its_folder(tmp_path):
    (tmp_path / "control.db").write_bytes(b"no database at all" * 200)
    with pytest.raises(StoreError, match="file is not a database; put back a backup"):
        open_engine(f"sqlite:///{tmp_path}/control.db")
    with pytest.raises(StoreError, match="its folder must exist"):
        open_engine("sqlite:////proc/nowhere/a.db")


@pytest.mark.parametrize(("driver", "takes_them"), [("psycopg", True), ("pg8000", False)])
def test_only_a_driver_that_takes_options_of_libpq_is_given_any(monkeypatch, driver, takes_them):
    told = []

    def create_engine(_target, **options):
        told.append(options["connect_args"])
        raise ImportError(driver)

    monkeypatch.setattr(engine_module, "create_engine", create_engine)
    with pytest.raises(ConfigurationError, match="no driver"):
        open_engine(f"postgresql+{driver}://host/x")
    assert ["tcp_user_timeout" in each for each in told] == [takes_them]


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql+psycopg:/guardian:s3cret@db/guardian", "postgresql+psycopg:/***"),
        ("postgresql+psycopg:guardian:s3cret@db/guardian", "postgresql+psycopg:***"),
        ("postgresql+psycopg//guardian:s3cret@db/guardian", "postgresql+psycopg//guardian:***"),
        ("postgresql psycopg://guardian:s3cret@db/guardian", "postgresql psycopg://***"),
        ("postgresql+psycopg//db/guardian?password=s3cret", "postgresql+psycopg//db/guardian***"),
        ("postgresql+psycopg://guardian:s3cret/guardian", "postgresql+psycopg://***"),  # read as a port
        ("postgresql+psycopg://guardian:s3cret@db:54x/guardian", "postgresql+psycopg://***"),
        ("postgresql+psycopg://guardian:a@s3cret@db/guardian", "postgresql+psycopg://***"),  # read as a host
        ("guardian:/s3cret@db/guardian", "guardian:/***"),
        (":s3cret@db", ":***"),
    ],
)
def test_a_mistyped_url_is_told_without_the_password_in_it(url, shown):
    with pytest.raises(ConfigurationError, match=f"store: '{re.escape(shown)}' is not a database URL") as told:
        open_engine(url)
    assert "s3cret" not in str(told.value)
    assert (told.value.__cause__, told.value.__context__) == (None, None)


def test_a_password_among_the_options_is_not_shown():
    url = make_url("postgresql+psycopg://guardian:s3cret@db/guardian?password=s3cret&sslmode=require")
    assert without_secrets(url) == "postgresql+psycopg://guardian:***@db/guardian?sslmode=require"


def test_a_database_that_somebody_holds_alone_is_told_as_locked_when_it_is_opened(tmp_path, monkeypatch):
    monkeypatch.setattr(engine_module, "_BUSY_MS", 20)
    with closing(sqlite3.connect(tmp_path / "monitor.db", isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(StoreError, match="stayed locked for 20 ms; is another process"):
            open_engine(f"sqlite:///{tmp_path}/monitor.db")


def test_a_long_writer_holds_up_nobody_who_opens_a_database_that_is_up_to_date(engine, monkeypatch):
    monkeypatch.setattr(engine_module, "_BUSY_MS", 20)
    migrate(engine, MONITOR)
    with writing(engine):
        other = open_engine(engine.url.render_as_string())
        migrate(other, MONITOR)
        other.dispose()


def test_a_file_that_may_not_be_written_is_refused_when_it_is_opened(engine, tmp_path, monkeypatch):
    file = tmp_path / "deep/er/monitor.db"
    monkeypatch.setattr(os, "access", lambda path, mode: path != file or mode != os.W_OK)  # root may write any
    with pytest.raises(StoreError, match=r"Permission denied.*be writable by this user"):
        open_engine(engine.url.render_as_string())


def test_migrating_twice_changes_nothing_and_gives_the_tables_of_the_code(engine):
    migrate(engine, MONITOR)
    migrate(engine, MONITOR)
    with writing(engine) as connection:
        context = MigrationContext.configure(connection, opts={"version_table": "migrations_monitor_version"})
        found = [
            change
            for change in compare_metadata(context, metadata)
            if not (change[0] == "remove_table" and change[1].name == "migrations_monitor_version")
        ]
    assert found == []


def test_a_schema_newer_than_the_code_is_refused(engine):
    migrate(engine, MONITOR)
    with writing(engine) as connection:
        connection.exec_driver_sql("UPDATE migrations_monitor_version SET version_num = 'm9999'")
    with pytest.raises(StoreError, match=r"m9999.*upgrade intent-guardian"):
        migrate(engine, MONITOR)


def test_a_store_without_a_schema_says_so(engine):
    with pytest.raises(StoreError, match="no schema yet"), reading(engine) as connection:
        connection.execute(select(places))


def test_what_fails_inside_a_transaction_is_not_written(engine):
    table = Table("t", MetaData(), Column("n", Integer))
    with writing(engine) as connection:
        table.create(connection)

    def half_done():
        with writing(engine) as connection:
            connection.execute(insert(table).values(n=1))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        half_done()
    with reading(engine) as connection:
        assert connection.execute(select(table)).all() == []


def test_a_reader_is_not_held_up_by_a_writer(engine):
    table = Table("t", MetaData(), Column("n", Integer))
    with writing(engine) as connection:
        table.create(connection)
    with writing(engine) as writer:
        writer.execute(insert(table).values(n=1))
        with reading(engine) as reader:
            assert reader.execute(select(table)).all() == []


def test_times_come_back_aware_and_in_utc_and_naive_ones_are_refused(engine):
    table = Table("t", MetaData(), Column("at", UtcDateTime))
    at = datetime(2026, 5, 1, 12, 0, 0, 123456, tzinfo=timezone(timedelta(hours=2)))
    with writing(engine) as connection:
        table.create(connection)
        connection.execute(insert(table).values(at=at))
        got = connection.execute(select(table.c.at)).scalar_one()
        assert got == at
        assert got.tzinfo is UTC
    with pytest.raises(StoreError, match="must be aware"), writing(engine) as connection:
        connection.execute(insert(table).values(at=datetime(2026, 5, 1)))


def test_damage_that_is_quoted_in_no_readable_text_is_told_as_damage(tmp_path):
    path = tmp_path / "monitor.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE control_audit (a TEXT)")
    raw = bytearray(path.read_bytes())
    raw[raw.index(b"control_audit")] = 0xF0  # its name, as SQLite will quote it
    raw[raw.index(b"CREATE TABLE")] = ord("X")
    path.write_bytes(raw)
    with pytest.raises(StoreError, match="the database file is damaged"):
        open_engine(f"sqlite:///{path}")


def test_so_it_is_when_a_statement_meets_it(engine):
    with pytest.raises(StoreError, match="the database file is damaged"), reading(engine) as connection:
        connection.exec_driver_sql("ATTACH CAST(x'2f6e6f2ff0' AS TEXT) AS elsewhere")  # quoted in the refusal


def test_a_caller_that_reads_no_text_is_not_the_databases_fault(engine):
    with pytest.raises(UnicodeDecodeError), reading(engine):
        b"\xff".decode()
