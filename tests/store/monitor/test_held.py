"""Decisions that wait: of a record that holds many the value is kept once, for as long as one of them waits."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from guardian.domain.batch import Decoded
from guardian.domain.envelope import Envelope
from guardian.domain.event import SCHEMA, DecisionEvent
from guardian.domain.record import Place, Record
from guardian.store.engine import open_engine, reading, writing
from guardian.store.monitor.held import delete_waiting, insert_waiting
from guardian.store.monitor.store import MonitorStore
from guardian.store.monitor.tables import waiting

NOW = datetime(2026, 5, 12, 17, tzinfo=UTC)
RECORDS = [Record("log", 0, 7, b"seven"), Record("log", 0, 8, b"eight")]


def waits(record, entry):
    envelope = Envelope(delegator_id="u", tenant_id="acme", session_id=f"s{entry % 3}")
    told = {"schema": SCHEMA, "id": "d", "time": NOW, "gateway": "gw", "envelope": envelope}
    called = DecisionEvent.model_validate(told | {"action": {"tool": "t"}, "decision": {"effect": "allow"}})
    return Decoded(record, called, "", NOW, False, entry=entry)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    url = f"sqlite:///{tmp_path_factory.mktemp('waiting')}/monitor.db"
    made = MonitorStore(open_engine(url), seal=lambda value: value, hear=lambda state, _: state)
    yield made
    made.close()


def sealed_at(minute):
    return lambda value: b"%d:%s" % (minute, value)


def lying(store):
    """Minute of its sealing, and the value, of each that waits, by offset and entry."""
    places, far = [Place("log", 0)], NOW + timedelta(days=1)
    held = store.waiting.due(places, before=far, limit=999)
    assert held == sorted(store.waiting.stranded([Place("x", 0)], before=far, limit=999), key=held.index)
    return {each.id[2:]: (each, *each.sealed.split(b":")) for each in held}


STEP = st.tuples(st.booleans(), st.integers(0, 1), st.sets(st.integers(0, 5), min_size=1))


@settings(max_examples=60)
@given(st.lists(STEP, max_size=12))
def test_whoever_waits_keeps_a_value_of_its_own_record_that_was_sealed_no_later_than_it_waits(store, steps):
    model = {}
    with writing(store._engine) as connection:
        connection.execute(waiting.delete())
    for minute, (comes, which, entries) in enumerate(steps):
        record, now = RECORDS[which], NOW + timedelta(minutes=minute)
        with writing(store._engine) as connection:
            if comes:
                told = [waits(replace(record), entry) for entry in entries]
                insert_waiting(connection, told, sealed_at(minute), now)
                model |= {(record.offset, entry): now for entry in entries if (record.offset, entry) not in model}
            else:
                delete_waiting(connection, [("log", 0, record.offset, entry) for entry in entries])
                model = {key: at for key, at in model.items() if key[0] != record.offset or key[1] not in entries}
        found = lying(store)
        assert {key: each.since for key, (each, _, _) in found.items()} == model
        for (offset, _), (each, at, value) in found.items():
            assert value == RECORDS[offset - 7].value
            assert NOW + timedelta(minutes=int(at)) <= each.since


def test_no_more_of_what_waits_is_in_memory_at_once_than_it_takes_and_one_record_always(store):
    large = [Record("log", 0, n, b"x" * 5_000_000) for n in range(3)] + [Record("log", 0, 3, b"x" * 9_000_000)]
    with writing(store._engine) as connection:
        connection.execute(waiting.delete())
        told = [waits(record, entry) for record in large for entry in range(2)]
        insert_waiting(connection, told, lambda value: value, NOW)
    asked = {"before": NOW + timedelta(days=1), "limit": 999}
    for which in ([0, 1], [2, 3], []):
        held = store.waiting.due([Place("log", 0)], **asked)
        assert [each.id[2:] for each in held] == [(n, entry) for n in which for entry in range(2)]
        assert held == store.waiting.stranded([], **asked)
        with writing(store._engine) as connection:
            delete_waiting(connection, [each.id for each in held])


def test_what_is_read_somewhere_is_not_stranded(store):
    place = Place("read", 0)
    with writing(store._engine) as connection:
        connection.execute(waiting.delete())
        insert_waiting(connection, [waits(replace(RECORDS[0], topic="read"), 0)], lambda value: value, NOW)
    store.claim([place], "m", now=NOW + timedelta(hours=1))
    late = {minutes: NOW + timedelta(minutes=minutes) for minutes in (59, 60)}
    assert store.waiting.stranded([], before=late[59], limit=9) == []
    assert [each.place for each in store.waiting.stranded([], before=late[60], limit=9)] == [place]
    assert store.waiting.stranded([place], before=late[60], limit=9) == []


def test_a_record_of_many_decisions_that_wait_is_kept_once(store):
    with writing(store._engine) as connection:
        connection.execute(waiting.delete())
        insert_waiting(connection, [waits(RECORDS[0], entry) for entry in range(500)], sealed_at(0), NOW)
    with reading(store._engine) as connection:
        assert sum(map(len, connection.execute(select(waiting.c.sealed)).scalars())) == len(b"0:seven")
    assert list(store.waiting.sealed()) == [(b"0:seven", NOW)]
    assert {each[2] for each in lying(store).values()} == {b"seven"}
