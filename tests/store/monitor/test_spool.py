from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import update

from guardian.domain.batch import Change, DecisionKey, Judgement
from guardian.domain.identity import SessionKey
from guardian.domain.record import Place
from guardian.domain.session import HumanWord
from guardian.store.engine import open_engine, writing
from guardian.store.monitor.spool import spool_in
from guardian.store.monitor.store import MonitorStore
from guardian.store.monitor.tables import spool

NOW = datetime(2026, 5, 12, 17, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


@pytest.fixture
def store(tmp_path):
    engine = open_engine(f"sqlite:///{tmp_path}/monitor.db")
    made = MonitorStore(
        engine, seal=lambda b: b, hear=lambda state, _: state, keep_words=lambda news: b"w%d" % len(news)
    )
    yield made
    made.close()


def put(store, *bodies, kind="events", rows=10, at=NOW):
    with writing(store.spool._engine) as connection:
        for body in bodies:
            spool_in(connection, kind, body, rows=rows, now=at)


def take(store, *, now=NOW, rows=100, patience=MINUTE):
    return store.spool.take(now, rows=rows, patience=patience)


def test_nothing_is_due_before_enough_waits_or_the_patience_ends(store):
    assert take(store) is None
    put(store, b"a", b"b")
    assert take(store) is None
    assert take(store, now=NOW + MINUTE).bodies == (b"a", b"b")


def test_a_clock_that_was_ahead_for_a_moment_puts_nothing_off(store):
    put(store, b"a", at=NOW + 1440 * MINUTE)
    put(store, b"b")
    group = take(store)
    assert group.bodies == (b"a", b"b")
    put(store, b"c", at=NOW + MINUTE / 2)  # another monitor's clock
    assert take(store) is None
    with writing(store.spool._engine) as connection:
        connection.execute(update(spool).values(leased_until=NOW + 1440 * MINUTE))
    assert take(store) == group


def test_enough_rows_are_due_at_once_and_a_group_holds_no_more_than_asked(store):
    put(store, b"a", b"b", b"c")
    assert take(store, rows=20).bodies == (b"a", b"b")
    assert take(store, rows=20) is None
    assert take(store, rows=20, now=NOW + MINUTE).bodies == (b"c",)


def test_a_group_holds_no_more_bytes_than_fit_into_memory_and_is_due_at_once(store, monkeypatch):
    monkeypatch.setattr("guardian.store.monitor.spool.MOST_BYTES", 5)
    put(store, b"abc", b"de", b"f", b"too much", b"g")
    taken = [take(store).bodies for _ in range(2)]
    assert taken == [(b"abc", b"de"), (b"f",)]
    assert take(store).bodies == (b"too much",)
    assert take(store) is None
    assert take(store, now=NOW + MINUTE).bodies == (b"g",)


def test_a_group_whose_writer_died_comes_back_the_same_under_the_same_name(store):
    put(store, b"a", b"b")
    first = take(store, rows=20)
    put(store, b"c")
    again = take(store, rows=20, now=NOW + timedelta(minutes=6))
    assert again == first
    store.spool.done(first.name)
    assert take(store, rows=20, now=NOW + timedelta(minutes=12)).bodies == (b"c",)


def test_who_is_about_to_stop_does_not_wait_for_a_lease(store):
    put(store, b"a")
    first = take(store, rows=10)
    assert take(store, rows=10) is None
    assert store.spool.take(NOW, rows=10, patience=MINUTE, even_leased=True) == first


def test_words_and_decisions_go_into_groups_of_their_own(store):
    put(store, b"a")
    put(store, b"w", kind="labels")
    put(store, b"b")
    later = NOW + MINUTE
    assert [take(store, now=later).bodies for _ in range(2)] == [(b"a", b"b"), (b"w",)]
    assert store.spool.depth() == 30


def test_a_batch_and_what_the_archive_keeps_of_it_are_one_transaction(store):
    place = Place("log", 0)
    store.claim([place], "m", now=NOW)
    store.commit(
        Judgement(seen={DecisionKey("acme", "gw", "d1"): "x"}), positions={place: 1}, base={}, versions={},
        member="m", now=NOW, archived=b"packed",
    )  # fmt: skip
    assert store.spool.depth() == 1
    with pytest.raises(Exception, match="belongs to"):
        store.commit(
            Judgement(seen={DecisionKey("acme", "gw", "d2"): "x"}), positions={place: 2}, base={place: 1},
            versions={}, member="stranger", now=NOW, archived=b"packed twice",
        )  # fmt: skip
    assert take(store, now=NOW + MINUTE).bodies == (b"packed",)


def test_what_people_say_is_kept_for_the_archive_when_it_is_heard_and_once(store):
    said = [Change(1, SessionKey("acme", "s"), HumanWord.CONFIRMED, NOW)]
    store.words.apply(said, now=NOW)
    store.words.apply(said, now=NOW)
    assert take(store, now=NOW + MINUTE).bodies == (b"w1",)
