"""Attempts: what an outage ended says nothing about a record."""

import pytest

from guardian.bus.memory import MemoryConsumer
from guardian.domain.record import Place
from guardian.errors import BusError, SchemaAway, StaleMember, StoreError, Unstorable
from guardian.stream.attempts import Patience, Refunds
from guardian.stream.backoff import Backoff


@pytest.mark.parametrize(
    ("error", "owed"),
    [
        (StoreError, True), (SchemaAway, True), (StaleMember, True), (BusError, True),
        (Unstorable, False), (RecursionError, False),
    ],
)  # fmt: skip
def test_an_attempt_is_taken_back_only_where_no_record_is_at_fault(error, owed):
    taken = []
    with pytest.raises(error), Refunds().of(lambda: taken.append(1)):
        raise error
    assert bool(taken) is owed


def test_what_a_store_cannot_take_back_yet_is_taken_back_once_when_it_is_there_again():
    taken, away, refunds = [], [1, 1], Refunds()

    def take_back():
        if away:
            away.pop()
            raise StoreError("locked")
        taken.append(1)

    with pytest.raises(SchemaAway), refunds.of(take_back):
        raise SchemaAway
    with pytest.raises(StoreError, match="locked"):
        refunds.pay()
    refunds.pay()
    refunds.pay()
    assert taken == [1]


def test_a_record_at_the_head_of_an_outage_is_never_called_poison(rig, make_event, counting):
    for n in range(3):
        rig.broker.append("log", make_event(n))
    place = Place("log", 0)
    for _ in range(3):
        rig.store.claim([place], "earlier", now=rig.clock())  # each start of it ended without a commit
    for _ in range(3):
        pipeline, tries = counting(), []

        def away(record, tries=tries):
            tries.append(1)
            raise SchemaAway("the registry cannot be asked")

        pipeline.each = away
        rig.read(rig.worker(pipeline, store=rig.open()), lambda tries=tries: len(tries) >= 5)
        assert rig.store.attempts(place, 0) == 0
    rig.read(rig.worker(), rig.drained)
    assert rig.store.dead_letters.list() == []


@pytest.fixture
def failing(counting):
    """A pipeline whose model fails on the tools of `.on`, or on all; `.tries` counts."""

    class Failing(counting):
        def __init__(self, on=None):
            super().__init__(self._fail)
            self.on, self.tries = on, 0

        def _fail(self, tool):
            if self.on is None or tool in self.on:
                self.tries += 1
                raise MemoryError("std::bad_alloc")

    return Failing


@pytest.mark.parametrize("claimed", [0, 3])
def test_a_model_that_fails_for_a_while_makes_no_record_a_dead_letter(rig, make_event, failing, claimed):
    for n in range(12):
        rig.broker.append("log", make_event(n, f"s{n % 3}"), key=b"s%d" % (n % 3))
    for _ in range(claimed):
        rig.store.claim([Place("log", 0)], "earlier", now=rig.clock())
    pipeline, judged = failing(), []

    def mended():
        if pipeline.tries > 60:
            pipeline.on = ()
        return rig.drained()

    worker = rig.worker(pipeline, on_commit=lambda j: judged.extend(v.decoded.event.id for v in j.verdicts))
    rig.read(worker, mended)
    assert judged == [f"d{n}" for n in range(12)]
    assert rig.store.dead_letters.list() == []


def test_the_attempts_that_a_model_away_cost_a_record_are_not_there_after_a_restart(rig, make_event, failing):
    for n in range(2):
        rig.broker.append("log", make_event(n))
    for _ in range(4):
        pipeline = failing()
        rig.read(rig.worker(pipeline, store=rig.open()), lambda pipeline=pipeline: pipeline.tries > 20)
    assert rig.store.attempts(Place("log", 0), 0) == 0
    assert rig.store.dead_letters.list() == []


def test_bad_records_that_nobody_else_speaks_for_do_not_wait_for_ever(rig, make_event, failing):
    now = [0.0]
    for n in range(2):
        rig.broker.append("log", make_event(n))

    def gone():
        now[0] += 10
        return rig.drained()

    rig.read(rig.worker(failing(), patience=Patience(Backoff(0.001, 0.01), lambda: now[0])), gone)
    assert rig.store.dead_letters.counts() == {"poison": 2}


def test_bad_records_are_given_up_as_soon_as_another_one_comes_that_can_be_judged(rig, make_event, failing):
    for n in range(2):
        rig.broker.append("log", make_event(n, tool="boom"))
    pipeline = failing(on=("boom",))

    def told():
        if pipeline.tries > 40 and len(rig.broker.records("log")) == 2:
            assert rig.store.dead_letters.list() == []
            rig.broker.append("log", b"unreadable, so it says nothing of the model")
            rig.broker.append("log", make_event(2, "s2"))
        return "d2" in pipeline.judged and rig.drained()

    rig.read(rig.worker(pipeline), told)
    assert rig.store.dead_letters.counts() == {"poison": 2, "not_json": 1}


def test_a_member_that_is_evicted_while_its_batch_waits_reads_it_again_and_judges_each_once(
    rig, make_event, failing
):
    for n in range(4):
        rig.broker.append("log", make_event(n))
    pipeline, consumer, evicted = failing(), MemoryConsumer(rig.broker, ["log"]), []
    judged = []

    def back():
        if pipeline.tries > 40 and not evicted:
            evicted.append(consumer.member())
            rig.broker.evict(evicted[0])
        if pipeline.tries > 80:
            pipeline.on = ()
        return rig.drained()

    worker = rig.worker(
        pipeline, consumer=consumer, on_commit=lambda j: judged.extend(v.decoded.event.id for v in j.verdicts)
    )
    rig.read(worker, back)
    assert judged == [f"d{n}" for n in range(4)]
    assert rig.metrics.value("guardian_events_total", outcome="redelivered") == 0
    assert rig.store.dead_letters.list() == []


@pytest.mark.parametrize("idle", [True, False])
def test_a_topic_with_nothing_in_it_when_it_was_claimed_is_judged_in_batches_however_often_that_was(
    rig, make_event, counting, idle
):
    class Listening(MemoryConsumer):
        def poll(self, **asked):
            polled.append(1)
            return super().poll(**asked)

    def came() -> bool:
        if len(polled) > 5 and not rig.broker.records("log"):
            for n in range(6):
                rig.broker.append("log", make_event(n))
        return bool(rig.broker.records("log")) and rig.drained()

    place, pipeline, batches, polled = Place("log", 0), counting(), [], []
    judge = pipeline.judge
    pipeline.judge = lambda decoded, *rest: batches.append(len(decoded)) or judge(decoded, *rest)
    rig.broker.create_topic("log")
    for _ in range(3):
        rig.store.claim([place], "earlier", now=rig.clock())
    for n in range(0 if idle else 6):
        rig.broker.append("log", make_event(n))
    rig.read(rig.worker(pipeline, consumer=Listening(rig.broker, ["log"])), came)
    assert (max(batches) > 1) is idle
