"""Forgetting goes on, whatever else of a round fails."""

from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import func, insert, select

from guardian.bootstrap.monitor_store import learn_all
from guardian.errors import StoreError
from guardian.store.engine import open_engine, reading, writing
from guardian.store.monitor.retention import Retention
from guardian.store.monitor.sessions import BARE, TO_LEARN
from guardian.store.monitor.store import MonitorStore
from guardian.store.monitor.tables import seen, sessions
from guardian.stream.housekeeping import Housekeeping

NOW = datetime(2026, 5, 12, 12, tzinfo=UTC)


@pytest.fixture
def engine(tmp_path):
    opened = open_engine(f"sqlite:///{tmp_path}/monitor.db")
    with closing(MonitorStore(opened, seal=lambda value: value, hear=lambda state, _: state)) as store:
        yield opened, store


def old(connection):
    for n in range(3):
        row = {column.name: f"s{n}" for column in seen.c} | {"at": NOW - timedelta(days=900)}
        connection.execute(insert(seen).values(**row))


def session(connection, state, *, days, name="s"):
    row = {
        "tenant_id": "t",
        "session_id": name,
        "version": 1,
        "state": state,
        "stage": "clear",
        "learned": TO_LEARN,
    }
    connection.execute(insert(sessions).values(**row, touched_at=NOW - timedelta(days=days)))


@pytest.mark.parametrize(
    ("state", "days"),
    [('{"a_newer_field":1}', 1), ("no JSON", 900)],
    ids=["cannot be learnt", "cannot be forgotten"],
)
def test_what_is_old_goes_also_where_a_session_cannot_be_read(engine, state, days):
    engine, store = engine
    with writing(engine) as connection:
        old(connection)
        session(connection, state, days=days)
    tidier = Housekeeping(store=store, learn=learn_all, clock=lambda: NOW)
    with pytest.raises(StoreError):
        tidier.tidy(rest=lambda _: None)
    with reading(engine) as connection:
        assert connection.execute(select(func.count()).select_from(seen)).scalar() == 0


def test_a_session_that_is_damaged_stays_and_holds_up_no_other(engine):
    engine, store = engine
    with writing(engine) as connection:
        session(connection, "no JSON", days=901)
        for n in range(3):
            session(connection, "{}", days=900, name=f"s{n}")
        session(connection, '{"epoch":1}', days=900, name="began anew")
    for _ in range(2):
        with pytest.raises(StoreError, match="of session 's' of 't' is damaged"):
            store.prune(NOW, Retention(), rest=lambda _: None)
        with reading(engine) as connection:
            kept = connection.execute(select(sessions.c.session_id, sessions.c.learned)).all()
        assert sorted(kept) == [("began anew", BARE), ("s", TO_LEARN)]
