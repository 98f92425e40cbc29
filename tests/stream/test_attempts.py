"""Attempts: what an outage ended says nothing about a record."""

import pytest

from guardian.bus.memory import MemoryConsumer
from guardian.domain.record import Place
from guardian.errors import BusError, SchemaAway, StaleMember, StoreError, Unstorable
from guardian.stream.attempts import Refunds


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
