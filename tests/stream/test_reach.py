"""What is stored and what the topic holds are two things: a topic may be created anew, or forget."""

from datetime import timedelta

import pytest
from structlog.testing import capture_logs

from guardian.bus.memory import MemoryBroker, MemoryConsumer, MemoryProducer
from guardian.domain.finding import Kind
from guardian.domain.record import Place, Record
from guardian.stream.commit import Committer
from guardian.stream.marks import Mark
from guardian.stream.outbox import Delivery
from guardian.stream.redrive import redrive
from guardian.stream.vitals import Lateness

PLACE = Place("log", 0)

SILENT = "the log's broker does not answer"


def told(rig):
    found = [item.finding for item in rig.store.outbox.due(rig.clock(), 99) if item.finding is not None]
    return [finding for finding in found if finding.kind is Kind.BUS]


@pytest.fixture
def read(rig, counting, make_event):
    def go(*numbers, **more):
        """On a broker that holds just these events; what was judged of them."""
        rig.broker = MemoryBroker(clock=rig.clock)
        for n in numbers:
            rig.broker.append("log", make_event(n))
        pipeline = counting()
        more.setdefault("consumer", MemoryConsumer(rig.broker, ["log"]))
        rig.read(rig.worker(pipeline, **more), rig.drained)
        return pipeline.judged

    return go


def test_a_topic_that_was_created_anew_is_read_from_its_beginning_and_people_are_told(rig, read):
    assert len(read(*range(6))) == 6
    rig.store.mark_attempt(PLACE, 2)
    with capture_logs() as logs:
        assert read(10, 11, 12) == ["d10", "d11", "d12"]
    assert [each["event"] for each in logs if each["log_level"] != "info"] == ["offset_out_of_reach"]
    assert rig.store.attempts(PLACE, 2) == 0
    (finding,) = told(rig)
    assert finding.title.startswith("log[0] was created anew, or cut off: it ends at 3, and was read up to 6")
    assert finding.tenant_id == "guardian"


def test_one_that_is_created_anew_while_it_is_read_is_read_from_its_beginning_too(rig, counting, make_event):
    for n in range(6):
        rig.broker.append("log", make_event(n))
    again: list[int] = []

    def done() -> bool:
        if not again and rig.drained():
            again.extend((10, 11, 12))
            rig.broker.create_anew("log")
            for n in again:
                rig.broker.append("log", make_event(n))
        return bool(again) and rig.drained()

    rig.read(rig.worker(pipeline := counting()), done)
    assert pipeline.judged == [*(f"d{n}" for n in range(6)), "d10", "d11", "d12"]
    (finding,) = told(rig)
    assert finding.title.startswith("log[0] was created anew")


def test_a_bad_record_where_another_was_before_the_topic_was_created_anew_has_its_own_letter(rig, control):
    def published():
        sender = Delivery(
            outbox=rig.store.outbox, client=control, producers={"log": MemoryProducer(rig.broker)},
            clock=rig.clock, jitter=lambda: 0.0, metrics=rig.metrics,
        )  # fmt: skip
        sender.deliver_due()
        return [record.value for record in rig.broker.records("dlq.log")]

    ids = ["log/0/0"]
    for n in range(3):
        rig.broker = MemoryBroker(clock=rig.clock)
        for value in (b"bad %d" % n, *(b"bad" for _ in range(3 - n))):
            rig.broker.append("log", value)
        rig.read(rig.worker(), rig.drained)
        if n != 1:  # what was not sent before goes out all the same
            assert (b"sealed:bad %d" % n) in published()
        kept = rig.store.dead_letters.get(ids)
        assert kept["log/0/0"].sealed == b"sealed:bad %d" % n
        ids = [letter.id for letter in rig.store.dead_letters.list()]
        rig.clock.forward(1)
    assert len([letter for letter in rig.store.dead_letters.list() if letter.offset == 0]) == 3
    assert b"sealed:bad 1" in published()
    again = MemoryBroker(clock=rig.clock)
    redrive(
        rig.store.dead_letters, ids, MemoryProducer(again), mark=Mark((b"key",)), clock=rig.clock,
        unseal=lambda sealed: sealed.removeprefix(b"sealed:"),
    )  # fmt: skip
    assert sorted(record.value for record in again.records("log") if b"bad " in record.value) == [
        b"bad 0", b"bad 1", b"bad 2"
    ]  # fmt: skip


def test_what_a_topic_that_was_cut_off_still_holds_is_not_judged_twice(rig, read):
    read(*range(6))
    assert read(0, 1, 2) == []
    assert rig.metrics.value("guardian_events_total", outcome="duplicate") == 3


def test_records_that_were_removed_before_they_were_judged_are_counted_and_told_once(rig, read):
    class Forgetting(MemoryConsumer):
        def bounds(self, positions):
            return {place: (4, self._broker.end(place)) for place in positions}

    read(0, 1)
    rig.broker = MemoryBroker(clock=rig.clock)
    for n in range(6):
        rig.broker.append("log", b"%d" % n)
    for _ in range(2):
        rig.read(rig.worker(consumer=Forgetting(rig.broker, ["log"])), rig.drained)
    (finding,) = told(rig)
    assert finding.title.startswith("2 records of log[0] were removed before they were judged")
    assert [letter.offset for letter in rig.store.dead_letters.list()] == [4, 5]


def test_a_batch_that_is_skipped_whole_does_not_make_the_monitor_look_current(rig, read, counting):
    read(0, 1)
    lateness = Lateness(rig.clock)
    lateness.caught_up()
    rig.clock.forward(100)
    committer = Committer(
        pipeline=counting(), store=rig.store, clock=rig.clock, timer=lambda: 0.0, metrics=rig.metrics,
        lateness=lateness,
    )  # fmt: skip
    committer.judge(rig.broker.records("log"), MemoryConsumer(rig.broker, ["log"]))
    assert rig.metrics.value("guardian_events_total", outcome="redelivered") == 2
    assert lateness.lag().total_seconds() == 100


def test_records_from_the_future_are_no_lag_where_nothing_is_left_to_be_read(rig, counting):
    lateness = Lateness(rig.clock)
    consumer = MemoryConsumer(rig.broker, ["log"])
    committer = Committer(
        pipeline=counting(), store=rig.store, clock=rig.clock, timer=lambda: 0.0, metrics=rig.metrics,
        lateness=lateness,
    )  # fmt: skip
    rig.broker.append("log", b"of now")
    consumer.start(lambda places: rig.store.claim(places, consumer.member(), now=rig.clock()).positions)

    def lag_after(most):
        committer.judge(consumer.poll(timeout_s=0, max_records=most), consumer)
        return lateness.lag().total_seconds()

    looked = [lag_after(1)]
    for _ in range(2):
        rig.clock.forward(600)
        for _ in range(2):
            rig.broker.append("log", b"x", timestamp=rig.clock() + timedelta(hours=1))
        looked += [lag_after(1), lag_after(1)]
    assert looked == [0, 600, 0, 600, 0], "while something is left it may have lain there all the time"


def test_a_broker_that_says_nothing_does_not_make_the_monitor_look_current(rig, read):
    read(0, 1)
    lateness = Lateness(rig.clock)
    lateness.caught_up()
    worker = rig.worker(lateness=lateness)
    shown: list[float] = []

    def late() -> bool:
        rig.broker.fall_silent()
        rig.clock.forward(1)
        shown.append(lateness.lag().total_seconds())
        return max(shown) > 60

    rig.read(worker, late)
    assert worker.troubles() == [SILENT]


def test_one_that_cannot_reach_its_broker_does_not_know_how_late_it_is_until_it_was_answered(rig):
    rig.broker.append("log", b"0", timestamp=rig.clock())
    lateness = Lateness(rig.clock)
    worker, shown = rig.worker(lateness=lateness), []
    rig.broker.fall_silent()

    def silent() -> bool:
        shown.append(lateness.lag())
        return worker.troubles() == [SILENT] and len(shown) > 3

    rig.read(worker, silent)
    assert set(shown) == {None}


def test_one_that_its_group_has_not_admitted_yet_is_not_ready_until_it_reads(rig):
    class Joining(MemoryConsumer):
        joined = reads = False

        def poll(self, *, timeout_s, max_records):
            return super().poll(timeout_s=timeout_s, max_records=max_records) if self.reads else []

        def assignment(self):
            return frozenset({Place("log", 0)}) if self.joined else frozenset()

        def answers(self):
            return self.reads

    consumer, shown = Joining(rig.broker, ["log"]), []
    worker = rig.worker(consumer=consumer)

    def waits() -> bool:
        rig.clock.forward(1)
        shown.append(worker.troubles())
        return shown[-1] == ["its group has not given it anything to read yet"]

    def hears_nothing() -> bool:
        consumer.joined = True
        return worker.troubles() == ["the log's broker does not answer"]

    def reads() -> bool:
        consumer.reads = True
        return worker.troubles() == []

    rig.read(worker, waits)
    assert shown[0] == [], "to join takes its time"
    rig.read(worker, hears_nothing)
    rig.read(worker, reads)


def test_a_fetch_that_takes_longer_than_a_poll_is_no_end_of_what_there_is_to_read(rig):
    class Slowly(MemoryConsumer):
        asked = 0

        def poll(self, *, timeout_s, max_records):
            looked.append(lateness.lag())
            self.asked += 1
            return [] if self.asked % 2 else super().poll(timeout_s=timeout_s, max_records=1)

    looked: list[timedelta] = []
    lateness, behind = Lateness(rig.clock), timedelta(hours=3)
    for n in range(4):
        rig.broker.append("log", b"%d" % n, timestamp=rig.clock() - behind)
    worker = rig.worker(lateness=lateness, consumer=Slowly(rig.broker, ["log"]))
    rig.read(worker, lambda: rig.drained() and not looked[-1])
    assert looked.count(behind) == 7, "after each of the first three twice, and after the last"


def test_before_the_first_answer_nobody_knows_what_is_left_and_nothing_is_current(rig):
    class Untold(MemoryConsumer):
        asked = 0

        def poll(self, *, timeout_s, max_records):
            looked.append(lateness.lag())
            self.asked += 1
            return super().poll(timeout_s=timeout_s, max_records=int(self.asked >= 4))

        def lag(self):
            return {} if self.asked < 4 else super().lag()

    looked: list[timedelta] = []
    lateness, behind = Lateness(rig.clock), timedelta(hours=3)
    lateness.handled([Record("log", 0, 0, b"", timestamp=rig.clock() - behind)])
    rig.broker.append("log", b"0", timestamp=rig.clock() - behind)
    worker = rig.worker(lateness=lateness, consumer=Untold(rig.broker, ["log"]))
    rig.read(worker, lambda: rig.drained() and not looked[-1])
    assert looked[:4] == [behind] * 4


def test_a_topic_with_nothing_new_is_no_delay(rig, read):
    read(0, 1)
    lateness = Lateness(rig.clock)
    looked: list[float] = []

    def idle() -> bool:
        rig.clock.forward(1)
        lag = lateness.lag()
        looked.append(1e9 if lag is None else lag.total_seconds())
        return len(looked) > 100 and looked[-1] < 60

    worker = rig.worker(lateness=lateness)
    rig.read(worker, idle)
    assert worker.troubles() == []


def test_a_monitor_that_the_group_has_no_partition_for_is_not_behind(rig, read):
    read(0, 1)
    other = MemoryConsumer(rig.broker, ["log"])
    other.start(lambda places: {})
    other.poll(timeout_s=0, max_records=9)
    lateness = Lateness(rig.clock)
    looked: list[float] = []

    def idle() -> bool:
        rig.clock.forward(1)
        lag = lateness.lag()
        looked.append(1e9 if lag is None else lag.total_seconds())
        return len(looked) > 100 and looked[-1] < 60

    rig.read(rig.worker(lateness=lateness), idle)
    assert other.assignment() == {PLACE}
