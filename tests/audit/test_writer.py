"""The checkpoint writer: every checkpoint reaches every sink, in order, whatever fails on the way."""

import math
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import delete, update
from structlog.testing import capture_logs

from guardian.audit.checkpoint import origin_base
from guardian.audit.files import append_note, notes_in
from guardian.audit.sinks import FileSink, TopicSink, export
from guardian.audit.writer import Checkpoints
from guardian.bus.memory import MemoryBroker, MemoryProducer
from guardian.store.control.tables import audit
from guardian.telemetry import Metrics

NOW = datetime(2026, 5, 12, 12, 0, tzinfo=UTC)
BASE = origin_base("guardian")
TOPIC = "guardian.checkpoints"


@pytest.fixture
def broker():
    return MemoryBroker()


@pytest.fixture
def metrics():
    return Metrics()


@pytest.fixture
def writer(trail, store, broker, metrics):
    sinks = [FileSink(trail.exported), TopicSink(MemoryProducer(broker), TOPIC, BASE)]
    return Checkpoints(store, trail.keys, sinks, base=BASE, every_s=3600, metrics=metrics, clock=lambda: NOW)


def append(store, count=1):
    with store.write() as rows:
        for n in range(count):
            rows.audit.append({"action": "revoke", "n": n})


def in_file(trail):
    return [note for _, note in notes_in(trail.exported)]


def in_topic(broker):
    return [record.value.decode() for record in broker.records(TOPIC)]


def sizes(notes):
    return [int(note.split("\n")[1]) for note in notes]


def size(metrics):
    return metrics.value("guardian_audit_checkpoint_size")


def test_new_entries_become_a_checkpoint_in_file_topic_and_database(trail, store, broker, metrics, writer):
    append(store, 3)
    assert writer.step()
    assert sizes(in_file(trail)) == [3]
    assert in_topic(broker) == in_file(trail)
    assert broker.records(TOPIC)[0].key == b"guardian/audit"
    assert size(metrics) == 3
    assert writer.step()
    assert sizes(in_file(trail)) == [3]
    assert trail.verify(trail.exported).ok


def test_what_a_broker_missed_while_it_was_away_is_sent_later_in_order(trail, store, broker, metrics, writer):
    append(store)
    assert writer.step()
    broker.stop()
    for _ in range(3):
        append(store)
        assert not writer.step()
    assert sizes(in_file(trail)) == [1, 2, 3, 4]
    assert size(metrics) == 1  # the metric stands still until every sink has it
    broker.restart()
    assert writer.step()
    assert sizes(in_topic(broker)) == [1, 2, 3, 4]
    assert size(metrics) == 4


def unsigned(writer, metrics):
    writer.measure()
    return metrics.value("guardian_audit_unsigned_seconds")


def note(store, minutes):
    with store.write() as rows:
        rows.audit.note("revoke", at=NOW - timedelta(minutes=minutes))


def test_an_entry_grows_old_until_every_sink_has_a_checkpoint_that_covers_it(store, broker, metrics, writer):
    assert unsigned(writer, metrics) == 0
    note(store, 50)
    assert unsigned(writer, metrics) == 3000
    writer.step()
    assert unsigned(writer, metrics) == 0
    broker.stop()
    for minutes in (40, 20):
        note(store, minutes)
        writer.step()
        assert unsigned(writer, metrics) == 2400
    broker.restart()
    writer.step()
    assert unsigned(writer, metrics) == 0


def test_without_sinks_it_is_the_checkpoint_in_the_database_that_counts(trail, store, metrics):
    writer = Checkpoints(store, trail.keys, base=BASE, every_s=3600, metrics=metrics, clock=lambda: NOW)
    note(store, 5)
    assert unsigned(writer, metrics) == 300
    writer.step()
    assert unsigned(writer, metrics) == 0


_ALTERED = "no more", "[" * 100_000, '{"at": 1e999}'


@pytest.mark.parametrize("broken", [delete(audit), *(update(audit).values(record=text) for text in _ALTERED)])
def test_an_entry_that_does_not_say_when_it_was_made_is_never_young(store, metrics, writer, broken):
    note(store, 1)
    with store._engine.begin() as connection:
        connection.execute(broken)
    assert unsigned(writer, metrics) == math.inf


def test_a_file_that_cannot_be_written_holds_up_nothing_else(trail, store, broker, writer):
    trail.exported.mkdir()
    append(store)
    assert not writer.step()
    assert sizes(in_topic(broker)) == [1]
    trail.exported.rmdir()
    append(store)
    assert writer.step()
    assert sizes(in_file(trail)) == [1, 2]
    assert sizes(in_topic(broker)) == [1, 2]


def test_a_sink_that_takes_nothing_for_long_is_told_until_it_does(trail, store, broker, writer):
    append(store)
    trail.exported.mkdir()
    for told in ("", "", "", f"file {trail.exported}: [Errno 21] Is a directory: "):
        assert not writer.step()
        assert writer.kept_in().startswith(told)
        assert bool(writer.kept_in()) == bool(told)
    assert writer.trouble() == "", "it is signed all the same"
    broker.stop()
    append(store)
    for _ in range(4):
        writer.step()
    assert f"; topic {TOPIC}: " in writer.kept_in()
    broker.restart()
    trail.exported.rmdir()
    assert writer.step()
    assert writer.kept_in() == ""


def test_that_the_database_is_away_is_not_said_of_a_sink(trail, store, writer):
    append(store)
    trail.tamper("ALTER TABLE control_checkpoint RENAME TO away")
    for _ in range(5):
        assert not writer.step()
    assert writer.kept_in() == ""


def test_a_new_process_goes_on_where_the_last_one_stopped(trail, store, broker, metrics, writer):
    append(store)
    writer.step()
    again = Checkpoints(
        store, trail.keys, [FileSink(trail.exported)], base=BASE, every_s=1, metrics=metrics, clock=lambda: NOW
    )
    append(store)
    assert again.step()
    assert sizes(in_file(trail)) == [1, 2]


def test_a_crash_between_the_export_and_its_note_does_not_double_the_file(trail, store, writer):
    append(store)
    writer.step()
    append(store)
    trail_only = Checkpoints(store, trail.keys, [], base=BASE, every_s=1, metrics=Metrics(), clock=lambda: NOW)
    trail_only.step()
    with store.read() as rows:
        append_note(trail.exported, rows.checkpoints.latest().note)
    assert writer.step()
    assert sizes(in_file(trail)) == [1, 2]


@pytest.mark.parametrize("forged", [2, 10**9])
def test_who_has_the_database_does_not_stop_the_export_by_saying_that_all_went_out(
    trail, store, writer, metrics, forged
):
    """Else what is rewritten after the last exported checkpoint would never be found."""
    append(store)
    writer.step()
    append(store)
    inside = Checkpoints(store, trail.keys, base=BASE, every_s=1, metrics=Metrics(), clock=lambda: NOW)
    inside.step()
    with store.write() as rows:
        for sink in rows.checkpoints.progress().exported:
            rows.checkpoints.mark_exported(sink, forged, NOW)
    assert writer.step()
    assert sizes(in_file(trail)) == [1, 2]
    assert size(metrics) == 2


def test_a_new_process_believes_no_export_of_what_there_is_not(trail, store, writer):
    append(store)
    with store.write() as rows:
        rows.checkpoints.mark_exported(FileSink(trail.exported).name, 10**9, NOW)
    assert writer.step()
    assert sizes(in_file(trail)) == [1]


def test_a_sink_that_is_added_later_is_given_everything(trail, store, writer, tmp_path):
    for _ in range(3):
        append(store)
        writer.step()
    late = FileSink(tmp_path / "late.txt")
    assert export(store, late, lambda: NOW, {}) == 3
    assert late.path.read_text(encoding="utf-8") == trail.exported.read_text(encoding="utf-8")


def test_a_sink_that_fails_half_way_is_not_given_the_first_half_again(store, trail, writer):
    class Frail:
        name = "frail"
        taken: list[int] = []  # noqa: RUF012

        def put(self, note):
            if len(self.taken) == 2:
                raise OSError("full")
            self.taken.append(int(note.split("\n")[1]))

    for _ in range(4):
        append(store)
        writer.step()
    with pytest.raises(OSError, match="full"):
        export(store, Frail(), lambda: NOW, {})
    with store.read() as rows:
        assert rows.checkpoints.progress().exported["frail"] == 2


def test_a_trail_that_does_not_hold_is_not_signed_and_the_writer_says_it_must_try_again(
    trail, store, writer, metrics
):
    append(store, 2)
    writer.step()
    append(store)
    trail.tamper("UPDATE control_audit SET record = replace(record, 'revoke', 'flag') WHERE seq = 3")
    assert not writer.step()
    assert size(metrics) == 2
    assert writer.trouble() == "", "it may be better next time"
    writer.step()
    assert "entry 3 is edited; `guardian audit verify`" in writer.trouble()
    trail.tamper("UPDATE control_audit SET record = replace(record, 'flag', 'revoke') WHERE seq = 3")
    assert writer.step()
    assert writer.trouble() == ""


def test_a_fault_that_nobody_thought_of_is_heard_of(store, writer, monkeypatch):
    def fails(*_, **__):
        raise ValueError("no such thing")

    append(store)
    with monkeypatch.context() as patched:
        patched.setattr("guardian.audit.writer.make_checkpoint", fails)
        for told in ("", "unexpected error ValueError: no such thing"):
            with capture_logs() as logged:
                assert not writer.step()
            assert logged[0]["exc_info"], "with where it was raised"
            assert writer.trouble() == told
    assert writer.step()
    assert writer.trouble() == ""


def test_a_database_that_is_away_for_a_while_is_no_trouble_of_the_trail(trail, store, writer):
    append(store)
    trail.tamper("ALTER TABLE control_head RENAME TO away")
    for _ in range(2):
        assert not writer.step()
    assert writer.trouble() == ""
    trail.tamper("ALTER TABLE away RENAME TO control_head")
    assert writer.step()


def test_without_sinks_checkpoints_are_kept_in_the_database(trail, store, metrics):
    alone = Checkpoints(store, trail.keys, base=BASE, every_s=1, metrics=metrics, clock=lambda: NOW)
    assert alone.step()
    assert size(metrics) == 0
    append(store)
    assert alone.step()
    assert size(metrics) == 1


def test_stopping_makes_a_last_checkpoint_and_closes_what_it_was_given(trail, store):
    closed = []
    writer = Checkpoints(
        store, trail.keys, [FileSink(trail.exported)], base=BASE, every_s=3600, metrics=Metrics(),
        clock=lambda: NOW, close=lambda: closed.append(True),
    )  # fmt: skip
    assert writer.stop()  # never started: nothing to do
    writer.start()
    append(store, 2)
    assert writer.stop()
    assert sizes(in_file(trail))[-1] == 2
    assert closed == [True]
    assert trail.verify(trail.exported).ok
