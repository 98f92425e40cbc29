"""Alerts are delivered by whoever has them in hand, and two processes on one database lose none."""

import shutil
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import event
from whole_store import alert_states

from guardian.alerting.worker import AlertRow
from guardian.control.telling.alert_outbox import ControlAlertOutbox
from guardian.errors import StoreError
from guardian.store.control.alerts import UNNAMED
from guardian.store.control.store import ControlStore

NOW = datetime(2026, 5, 12, 12, 0, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.fixture
def store(tmp_path, migrated):
    shutil.copytree(migrated, tmp_path / "store")
    opened = ControlStore.open(f"sqlite:///{tmp_path}/store/control.db", now=NOW)
    yield opened
    opened.close()


def _queue(store, key, case="c1"):
    with store.write() as rows:
        rows.alerts.add(kind="finding", case_key=case, idempotency_key=key, payload="{}", now=NOW)


def test_an_alert_is_claimed_once_and_waits_as_long_as_it_is_told(store):
    outbox = ControlAlertOutbox(store, UNNAMED)
    assert outbox.claim(NOW) is None
    _queue(store, "k1")
    _queue(store, "k2")
    first = outbox.claim(NOW)
    assert first == AlertRow("1", "{}", 0)
    outbox.sent(first.id, "1700.1")
    second = outbox.claim(NOW)
    assert outbox.claim(NOW) is None
    outbox.postponed(second.id, NOW + timedelta(minutes=1), "rate limited")
    assert outbox.claim(NOW) is None
    again = outbox.claim(NOW + timedelta(minutes=1))
    assert again.attempts == 1
    outbox.parked(again.id, "channel is gone")
    assert outbox.depth() == 0
    with store.read() as rows:
        assert alert_states(rows) == {"sent": 1, "parked": 1}
    with pytest.raises(KeyError, match="not being sent"):
        outbox.sent(again.id, "x")


def test_an_alert_that_was_being_sent_at_a_crash_comes_back_with_its_attempts(store):
    outbox = ControlAlertOutbox(store, UNNAMED)
    _queue(store, "k1")
    outbox.claim(NOW)
    assert outbox.recover() == 1
    assert outbox.recover() == 0
    assert outbox.claim(NOW).attempts == 1


def test_what_another_process_gave_back_to_the_queue_is_sent_by_whoever_delivers_it_first(store):
    outbox, other = ControlAlertOutbox(store, UNNAMED), ControlAlertOutbox(store, UNNAMED)
    for key in ("k1", "k2", "k3"):
        _queue(store, key)
    first, second = outbox.claim(NOW), outbox.claim(NOW)
    assert other.recover() == 2
    outbox.sent(first.id, "x")
    assert other.claim(NOW).id == second.id
    outbox.sent(second.id, "x")
    other.sent(second.id, "y")
    third = outbox.claim(NOW)
    other.recover()
    outbox.postponed(third.id, NOW + DAY, "rate limited")
    assert other.claim(NOW).id == third.id
    other.sent(third.id, "y")
    with store.read() as rows:
        assert alert_states(rows) == {"sent": 3}


@pytest.mark.parametrize("end", ["sent", "postponed", "parked"])
def test_whoever_failed_with_one_that_another_process_took_over_ends_nothing_of_what_that_does(store, end):
    outbox, other = ControlAlertOutbox(store, UNNAMED), ControlAlertOutbox(store, UNNAMED)
    _queue(store, "k1")
    slow = outbox.claim(NOW)
    other.recover()
    other.claim(NOW)
    outbox.postponed(slow.id, NOW + DAY, "rate limited")
    assert (other.depth(), other.claim(NOW + DAY)) == (1, None), "it is still being sent"
    end_of(other, slow.id, end)
    with store.read() as rows:
        assert alert_states(rows) == {"pending" if end == "postponed" else end: 1}


@pytest.mark.parametrize("first", ["sent", "postponed", "parked"])
@pytest.mark.parametrize("then", ["sent", "postponed", "parked"])
def test_however_two_processes_end_the_same_alert_it_is_sent_if_one_of_them_sent_it(store, first, then):
    outbox, other = ControlAlertOutbox(store, UNNAMED), ControlAlertOutbox(store, UNNAMED)
    _queue(store, "k1")
    row = outbox.claim(NOW)
    other.recover()
    other.claim(NOW)
    end_of(other, row.id, first)
    end_of(outbox, row.id, then)
    with store.read() as rows:
        wanted = "sent" if "sent" in (first, then) else first.replace("postponed", "pending")
        assert alert_states(rows) == {wanted: 1}


def end_of(outbox, id_, end):
    match end:
        case "sent":
            outbox.sent(id_, "x")
        case "postponed":
            outbox.postponed(id_, NOW + DAY, "rate limited")
        case "parked":
            outbox.parked(id_, "gone")


def test_only_what_was_claimed_long_ago_is_taken_from_a_process_that_may_live(store):
    outbox, other = ControlAlertOutbox(store, UNNAMED), ControlAlertOutbox(store, UNNAMED)
    for key in ("k1", "k2"):
        _queue(store, key)
    old = outbox.claim(NOW)
    outbox.claim(NOW + timedelta(minutes=5))
    assert other.recover(NOW - timedelta(seconds=1)) == 0
    assert other.recover(NOW) == 1
    again = other.claim(NOW + DAY)
    assert (again.id, again.attempts) == (old.id, 1)
    assert other.claim(NOW + DAY) is None


def test_the_same_alert_cannot_be_queued_twice(store):
    _queue(store, "k1")
    with pytest.raises(StoreError):
        _queue(store, "k1")


def test_whether_one_is_due_is_seen_without_counting_all_that_wait(store):
    outbox, steps = ControlAlertOutbox(store, UNNAMED), 0

    def step():
        nonlocal steps
        steps += 1

    def count(connection, *_):
        connection.connection.dbapi_connection.set_progress_handler(step, 1)

    event.listen(store._engine, "before_cursor_execute", count)
    taken = []
    for look, more in enumerate((1, 1, 30)):  # the first look prepares the connection
        for n in range(more):
            _queue(store, f"{look}/{n}")
        steps = 0
        assert outbox.claim(NOW - timedelta(minutes=1)) is None
        taken.append(steps)
    assert taken[1] == taken[2] > 0


def test_a_look_while_all_that_waits_is_put_off_waits_for_no_writer(store):
    outbox = ControlAlertOutbox(store, UNNAMED)
    _queue(store, "k1")
    outbox.postponed(outbox.claim(NOW).id, NOW + timedelta(minutes=1), "away")
    with store.write():
        assert outbox.claim(NOW) is None
