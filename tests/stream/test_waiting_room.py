"""Late envelopes: records wait for them in the store, in order, bounded in time and number, across restarts."""

import json
import sqlite3
import threading
from collections import Counter
from contextlib import closing
from datetime import timedelta

import pytest
from structlog.testing import capture_logs

from guardian.bus.file import FileConsumer
from guardian.bus.memory import MemoryBroker, MemoryConsumer
from guardian.domain.backoff import Backoff
from guardian.domain.batch import Change
from guardian.domain.envelope import Envelope, Grant
from guardian.domain.finding import Effect, Finding, Kind
from guardian.domain.identity import SessionKey
from guardian.domain.record import Place
from guardian.domain.session import HumanWord
from guardian.errors import FuseBlown, SchemaAway, StoreError
from guardian.pipeline.decoding import Decoder
from guardian.pipeline.filling import Filling
from guardian.signals.credentials.scanner import CredentialScanner
from guardian.sources.completing import Completion
from guardian.sources.envelope_records import EnvelopeRecords
from guardian.sources.mapping import plugin as mapping
from guardian.sources.reading import Reader
from guardian.store.engine import writing
from guardian.store.monitor.envelopes import Heard, save_envelopes
from guardian.store.monitor.values import Conflict
from guardian.stream import envelopes
from guardian.stream.commit import Committer, retry_conflicts
from guardian.stream.envelopes import EnvelopeTail
from guardian.stream.fuse import Fuse
from guardian.stream.marks import Mark
from guardian.stream.releasing import HeldCommitter, Release
from guardian.stream.waiting_room import WaitingRoom
from guardian.stream.worker import Worker, WorkerOptions

WAIT = timedelta(seconds=5)
MARK = Mark((b"key",))


def line(n, session="s1", **more):
    body = {
        "id": f"d{n}",
        "tool": "read",
        "decision": True,
        "session": session,
        "gateway": "gw",
        "agent": "a",
        **more,
    }
    return json.dumps(body).encode()


def envelope(session="s1", purpose="the purpose"):
    return Envelope(delegator_id="u", tenant_id="acme", session_id=session, purpose=purpose)


class Desk:
    """A worker with a waiting room on the rig's broker and store; `purposes` is what was judged, in order."""

    def __init__(self, rig, counting, **options):
        self.rig, self.counting, self.options = rig, counting, options
        self.purposes: list[tuple[str, str]] = []
        self.exploding: set[str] = set()
        self.start()

    def start(self, format_=None):
        """As a fresh process would."""
        rig, filling = self.rig, Filling(wait=self.options.get("wait", WAIT))
        decoder = Decoder(
            source=Reader({"mapping": format_ or mapping()}, Completion(tenant="acme")),
            redactor=CredentialScanner(key=b"k"),
            verify=lambda event: "missing" if event.has_envelope else "absent",
            clock=rig.clock, begin=filling.begin,
        )  # fmt: skip
        pipeline = self.counting()
        pipeline.each = decoder.each
        pipeline.fill = filling.fill
        inner = pipeline.judge

        def judge(decoded, letters, memory):
            for d in decoded:
                if d.event.id in self.exploding:
                    raise RuntimeError("a room crashed")
            self.purposes += [(d.event.id, d.event.envelope.purpose) for d in decoded]
            return inner(decoded, letters, memory)

        pipeline.judge = judge
        self.store = rig.open()
        self.room = WaitingRoom(
            store=self.store, fill=filling.fill, unseal=lambda value, at: value.removeprefix(b"sealed:"),
            clock=rig.clock, metrics=rig.metrics, wait=filling.wait, most=self.options.get("most", 1000),
        )  # fmt: skip
        self.committer = Committer(
            pipeline=pipeline, store=self.store, clock=rig.clock, timer=lambda: 0.0, metrics=rig.metrics,
            waiting=self.room, fuse=self.options.get("fuse"),
            crash_points=self.options.get("crash", lambda point: None),
        )  # fmt: skip
        self.held = HeldCommitter(self.committer, self.room, pipeline=pipeline, store=self.store)
        self.release = Release(self.room, self.held.commit, rig.clock, retry=Backoff(0.001, 0.01))

    def worker(self, consumer=None):
        return Worker(
            consumer=consumer or MemoryConsumer(self.rig.broker, ["log"]),
            store=self.store, committer=self.committer,
            clock=self.rig.clock, release=self.release, holds=self.room.held_of,
            options=WorkerOptions(50, 0.01, Backoff(0.001, 10)),
        )  # fmt: skip

    def send(self, *lines):
        for each in lines:
            self.rig.broker.append("log", each)

    def register(self, told, source="control"):
        with writing(self.store._engine) as connection:
            save_envelopes(connection, [Heard(Grant(told, told.digest), source)], self.rig.clock())

    def run(self, until):
        self.rig.read(self.worker(), until)

    @property
    def judged(self):
        return [name for name, _ in self.purposes]


@pytest.fixture
def desk(rig, counting):
    return Desk(rig, counting)


def test_an_envelope_that_comes_seconds_later_is_waited_for_and_the_session_keeps_its_order(desk, rig):
    desk.send(line(0), line(1, "s2", purpose="declared"), line(2))
    desk.run(lambda: desk.judged == ["d1"] and rig.drained())
    assert desk.store.waiting.depth() == 2
    desk.register(envelope())
    desk.send(line(3))
    desk.run(lambda: len(desk.judged) == 4)
    assert desk.purposes[1:] == [("d0", "the purpose"), ("d2", "the purpose"), ("d3", "the purpose")]
    assert desk.store.waiting.depth() == 0
    assert rig.metrics.value("guardian_events_total", outcome="waits") >= 2


def test_an_envelope_that_nobody_signed_is_waited_for_until_it_is_registered_and_no_longer_than_others(desk, rig):
    told = {"purpose": "the purpose", "delegator_id": "u"}
    desk.send(line(0, envelope=told), line(1, "s2", envelope=told))
    desk.run(rig.drained)
    desk.send(line(2))
    desk.run(rig.drained)
    assert (desk.judged, desk.store.waiting.depth()) == ([], 3)
    desk.register(envelope())
    desk.run(lambda: len(desk.judged) == 2)
    desk.send(line(3, envelope=told))
    desk.run(lambda: len(desk.judged) == 3)
    assert desk.judged == ["d0", "d2", "d3"]
    rig.clock.forward(6)
    desk.run(lambda: len(desk.judged) == 4)
    desk.register(envelope("s3", "another purpose"))
    waited = rig.metrics.value("guardian_events_total", outcome="waits")
    desk.send(line(4, "s2", envelope=told), line(5, "s3", envelope=told))
    desk.run(lambda: len(desk.judged) == 6)
    assert rig.metrics.value("guardian_events_total", outcome="waits") == waited


def test_sessions_of_one_record_wait_each_for_its_own_envelope(desk, rig):
    desk.send(b"[" + b",".join(line(n, f"s{n}") for n in range(4)) + b"]")
    desk.run(lambda: desk.store.waiting.depth() == 4)
    for session in ("s0", "s2"):
        desk.register(envelope(session))
        desk.run(lambda session=session: ("d" + session[1:], "the purpose") in desk.purposes)
        desk.start()
    rig.clock.forward(6)
    desk.run(lambda: desk.store.waiting.depth() == 0)
    assert sorted(desk.purposes) == [("d0", "the purpose"), ("d1", ""), ("d2", "the purpose"), ("d3", "")]
    assert desk.store.dead_letters.list() == []


def test_large_calls_that_waited_are_judged_a_few_at_a_time_and_in_their_order(desk, rig):
    large = {"arguments": {"text": "x" * 5_000_000}}
    desk.send(line(0, **large), line(1, "s2", **large), line(2), line(3, "s2", **large), line(4, **large))
    desk.run(lambda: desk.store.waiting.depth() == 5)
    rig.clock.forward(6)
    batches, judge = [], desk.committer._pipeline.judge

    def judged(decoded, letters, memory):
        batches.append([d.event.id for d in decoded])
        return judge(decoded, letters, memory)

    desk.committer._pipeline.judge = judged
    desk.run(lambda: desk.store.waiting.depth() == 0)
    assert [batch for batch in batches if batch] == [["d0", "d1"], ["d2", "d3", "d4"]]
    assert desk.store.dead_letters.list() == []


def test_when_time_is_up_the_session_is_judged_as_it_is_and_never_waits_again(desk, rig):
    desk.send(line(0), line(1))
    desk.run(lambda: desk.store.waiting.depth() == 2)
    rig.clock.forward(6)
    desk.run(lambda: desk.judged == ["d0", "d1"])
    desk.send(line(2))
    desk.run(lambda: desk.judged == ["d0", "d1", "d2"])
    assert {purpose for _, purpose in desk.purposes} == {""}
    assert rig.metrics.value("guardian_purposes_total", source="unknown") == 3


def test_a_restart_loses_nothing_that_waits(desk, rig):
    desk.send(line(0), line(1))
    desk.run(lambda: desk.store.waiting.depth() == 2)
    desk.start()
    assert desk.room.depth == 2
    desk.register(envelope())
    desk.run(lambda: desk.judged == ["d0", "d1"])


@pytest.mark.parametrize("point", ["before_commit", "after_commit"])
def test_a_process_that_dies_while_letting_go_judges_each_once_all_the_same(rig, counting, point):
    class Died(BaseException):
        pass

    armed = []

    def crash(reached):
        if armed and reached == point:
            armed.clear()
            raise Died

    desk = Desk(rig, counting, crash=crash)
    desk.send(line(0), line(1))
    desk.run(lambda: desk.store.waiting.depth() == 2)
    desk.register(envelope())
    armed.append(point)
    with pytest.raises(Died):
        desk.run(lambda: False)
    desk.start()
    desk.run(lambda: desk.store.waiting.depth() == 0)
    session = desk.store.load(_wanted("s1")).sessions[SessionKey("acme", "s1")]
    assert session.actions == 2


def test_after_a_process_died_a_record_of_many_decisions_is_not_read_again_for_each_of_them(rig, counting):
    class Died(BaseException):
        pass

    armed = []

    def crash(reached):
        if armed and reached == "before_commit":
            armed.clear()
            raise Died

    desk = Desk(rig, counting, crash=crash)
    desk.send(b"[" + b",".join(line(n, f"s{n}") for n in range(200)) + b"]")
    desk.run(lambda: desk.store.waiting.depth() == 200)
    rig.clock.forward(6)
    armed.append(True)
    with pytest.raises(Died):
        desk.run(lambda: False)
    desk.start()
    desk.exploding, desk.purposes = {"d7"}, []
    reads, record = [], desk.room.record
    desk.room.record = lambda held: reads.append(held) or record(held)
    desk.run(lambda: desk.store.waiting.depth() == 0)
    assert sorted(set(desk.judged)) == sorted(f"d{n}" for n in range(200) if n != 7)
    assert [letter.code for letter in desk.store.dead_letters.list()] == ["poison"]
    assert len(reads) < 50


def test_too_many_that_wait_are_judged_as_they_are_the_longest_first(rig, counting):
    desk = Desk(rig, counting, most=3, wait=timedelta(hours=1))
    desk.send(*(line(n, f"s{n}") for n in range(8)))
    desk.run(lambda: len(desk.judged) + desk.store.waiting.depth() == 8 and desk.store.waiting.depth() < 3)
    assert desk.judged == sorted(desk.judged)


def test_no_flood_of_one_tenant_takes_from_another_its_time_to_wait(rig, counting):
    desk = Desk(rig, counting, most=3, wait=timedelta(hours=1))
    desk.send(*(line(n, f"s{n}") for n in range(8)), line(8, "s8", tenant="globex"), line(9, "s9"))
    desk.run(lambda: rig.drained() and desk.store.waiting.depths() == {"globex": 1})
    assert sorted(desk.judged) == [f"d{n}" for n in (*range(8), 9)]


def test_a_tenant_of_which_too_many_wait_already_lets_no_more_begin_and_others_may(rig, counting):
    desk = Desk(rig, counting, most=3, wait=timedelta(hours=1))
    desk.send(*(line(n, f"s{n}") for n in range(3)))
    desk.room.due = lambda consumer: []
    desk.run(lambda: desk.store.waiting.depth() == 3)
    desk.send(line(3, "s3"), line(4, "s4", tenant="globex"))
    desk.run(rig.drained)
    assert (desk.judged, desk.store.waiting.depths()) == (["d3"], {"acme": 3, "globex": 1})


def test_a_tenant_whose_turn_it_is_does_not_wait_behind_all_that_is_due_of_another(rig, counting):
    desk = Desk(rig, counting, most=5000)
    desk.send(b"[" + b",".join(line(n, f"s{n}") for n in range(1200)) + b"]", line(1200, "g", tenant="globex"))
    desk.run(lambda: desk.store.waiting.depth() == 1201)
    rig.clock.forward(6)
    desk.run(lambda: desk.store.waiting.depth() == 0)
    assert desk.judged == [f"d{n}" for n in (1200, *range(1200))]


@pytest.fixture
def of_many(rig, counting):
    """A desk where a record of 1,200 decisions of two sessions waited long enough, and what is read of it then."""
    desk = Desk(rig, counting, most=5000)
    desk.send(b"[" + b",".join(line(n, f"s{n % 2}") for n in range(1200)) + b"]")
    desk.run(lambda: desk.store.waiting.depth() == 1200)
    rig.clock.forward(6)
    read, each = [], desk.committer._pipeline.each

    def reading(record):
        for found in each(record):
            read.append(found.entry)
            yield found

    desk.committer._pipeline.each = reading
    return desk, read


def test_a_record_of_many_decisions_that_waited_is_read_once_in_all(of_many):
    desk, read = of_many
    desk.run(lambda: desk.store.waiting.depth() == 0)
    assert read == list(range(1200))
    assert desk.judged == [f"d{n}" for n in read]
    assert desk.held._reading is None


def test_no_record_is_kept_open_once_nothing_is_due(rig, counting):
    desk = Desk(rig, counting, most=5000)
    desk.send(b"[" + b",".join(line(n) for n in range(500)) + b"]")  # the only round is full
    desk.run(lambda: desk.store.waiting.depth() == 500)
    rig.clock.forward(6)
    desk.run(lambda: desk.store.waiting.depth() == 0)
    desk.run(lambda: desk.held._reading is None)


def test_what_was_passed_over_in_a_record_that_is_read_on_is_found_when_its_turn_comes(rig, counting):
    desk = Desk(rig, counting, most=5000)
    desk.send(b"[" + b",".join(line(n, f"s{n % 2}") for n in range(1000)) + b"]")
    desk.run(lambda: desk.store.waiting.depth() == 1000)
    desk.register(envelope("s0"))
    desk.run(lambda: desk.store.waiting.depth() == 500)
    rig.clock.forward(6)
    desk.run(lambda: desk.store.waiting.depth() == 0)
    assert desk.judged == [f"d{n}" for n in (*range(0, 1000, 2), *range(1, 1000, 2))]
    assert desk.store.dead_letters.list() == []


def test_what_comes_while_many_are_released_does_not_wait_until_all_are(of_many):
    desk, _ = of_many
    release = desk.release

    def released(consumer):
        count = release(consumer)
        if len(desk.judged) == 500:
            desk.send(line(9999, "other", purpose="declared"))
        return count

    desk.release = released
    desk.run(lambda: desk.store.waiting.depth() == 0)
    assert desk.judged.index("d9999") == 500
    assert len(desk.judged) == 1201


def test_what_waits_becomes_fewer_however_much_of_its_session_the_log_holds(rig, counting):
    desk = Desk(rig, counting)
    desk.send(line(0))
    desk.run(lambda: desk.store.waiting.depth() == 1)
    rig.clock.forward(6)
    for n in range(0, 4000, 20):  # 1,000 in a batch, and 500 are released in a round
        desk.send(b"[" + b",".join(line(each + 1) for each in range(n, n + 20)) + b"]")
    depths, release = [], desk.release

    def released(consumer):
        depths.append(desk.store.waiting.depth())
        return release(consumer)

    desk.release = released
    desk.run(lambda: rig.drained() and desk.store.waiting.depth() == 0)
    assert max(depths) == 1001
    assert desk.judged == [f"d{n}" for n in range(4001)]


def test_a_crash_in_the_middle_of_a_record_that_is_read_on_changes_nothing(of_many):
    desk, read = of_many
    left = ["d700"]

    class Once:
        def __contains__(self, name):
            return name in left and left.remove(name) is None

    desk.exploding = Once()
    desk.run(lambda: desk.store.waiting.depth() == 0)
    assert (left, read[1000:1002]) == ([], [0, 1])
    for session in (0, 1):
        assert [n for n in desk.judged if int(n[1:]) % 2 == session] == [f"d{n}" for n in range(session, 1200, 2)]
    assert desk.store.dead_letters.list() == []


def test_a_waiting_record_that_crashes_a_room_is_given_up_and_the_others_get_through(desk, rig):
    desk.exploding = {"d1"}
    desk.send(line(0, "s1"), line(1, "s2"), line(2, "s3"))
    desk.run(lambda: desk.store.waiting.depth() == 3)
    rig.clock.forward(6)
    desk.run(lambda: desk.store.waiting.depth() == 0)
    assert sorted(set(desk.judged)) == ["d0", "d2"]
    (letter,) = desk.store.dead_letters.list()
    assert (letter.code, letter.session_id) == ("poison", "s2")
    assert desk.store.dead_letters.get([letter.id])[letter.id].sealed == b"sealed:" + line(1, "s2")


def test_a_model_that_fails_for_a_while_costs_no_waiting_record_its_attempts(desk, rig):
    desk.send(*(line(n, f"s{n}") for n in range(6)))
    desk.run(lambda: desk.store.waiting.depth() == 6)
    rig.clock.forward(6)
    desk.exploding = {f"d{n}" for n in range(6)}
    rounds, due = [], desk.room.due
    desk.room.due = lambda consumer: rounds.append(1) or due(consumer)
    desk.run(lambda: len(rounds) > 9)
    assert (desk.judged, desk.store.dead_letters.list(), desk.store.waiting.depth()) == ([], [], 6)
    desk.exploding = set()
    desk.run(lambda: desk.store.waiting.depth() == 0)
    assert sorted(desk.judged) == [f"d{n}" for n in range(6)]
    assert desk.store.dead_letters.list() == []


def test_after_a_crash_the_loop_goes_on_and_what_waits_is_tried_again_after_a_pause(desk, rig):
    now, consumer = [0.0], MemoryConsumer(rig.broker, ["log"])
    desk.release = Release(desk.room, desk.held.commit, rig.clock, timer=lambda: now[0], retry=Backoff(0.5, 10))
    desk.exploding = {"d0"}
    desk.send(line(0), line(1))
    desk.run(lambda: desk.store.waiting.depth() == 2)
    rig.clock.forward(6)
    consumer.start(lambda places: desk.store.claim(places, consumer.member(), now=rig.clock()).positions)
    consumer.poll(timeout_s=0, max_records=0)
    tried, mark = [], desk.room.tried
    desk.room.tried = lambda held: tried.append(len(held)) or mark(held)
    assert [desk.release(consumer) for _ in range(3)] == [0, 0, 0]
    assert tried == [2]
    now[0] += 1
    assert [desk.release(consumer) for _ in range(3)] == [0, 0, 0]
    assert tried == [2, 1]


def test_bad_records_that_are_alone_in_the_room_do_not_wait_for_ever(desk, rig):
    now = [0.0]
    desk.release = Release(
        desk.room, desk.held.commit, rig.clock, timer=lambda: now[0], retry=Backoff(0.001, 0.01)
    )
    desk.exploding = {"d0", "d1"}
    desk.send(line(0, "s1"), line(1, "s2"))
    desk.run(lambda: desk.store.waiting.depth() == 2)
    rig.clock.forward(6)

    def gone():
        now[0] += 10
        return desk.store.waiting.depth() == 0

    desk.run(gone)
    assert [letter.code for letter in desk.store.dead_letters.list()] == ["poison"] * 2


def test_waiting_records_that_become_dead_letters_blow_the_fuse(rig, counting):
    desk = Desk(rig, counting, fuse=Fuse(window=6, minimum=5, ratio=0.5))
    desk.send(*(line(n, f"s{n}") for n in range(9)))
    desk.run(lambda: desk.store.waiting.depth() == 9)
    desk.start(mapping(when="gateway=='x'"))
    rig.clock.forward(6)
    with pytest.raises(FuseBlown):
        desk.run(lambda: False)
    assert {letter.code for letter in desk.store.dead_letters.list()} == {"unread"}


def test_every_session_of_a_record_that_crashes_a_room_is_told(rig, counting):
    desk = Desk(rig, counting, wait=timedelta(0))
    desk.exploding = {"d1"}
    desk.send(b"[" + b",".join([line(0, "s1"), line(1, "s2"), line(2, "s3"), line(3, "s3")]) + b"]")
    desk.run(lambda: rig.drained())
    letters = {(letter.id, letter.code, letter.session_id) for letter in desk.store.dead_letters.list()}
    expected = {("log/0/0", "poison", "s1"), ("log/0/0/1", "poison", "s2"), ("log/0/0/2", "poison", "s3")}
    assert letters == expected


def test_what_was_refused_of_a_record_that_crashes_a_room_is_told_too(rig, counting):
    desk = Desk(rig, counting, wait=timedelta(0))
    desk.exploding = {"d1"}
    desk.send(b"[" + b",".join([line(0, "s0", tool=None), line(1, "s1"), line(2, "s2", decision="?")]) + b"]")
    desk.run(lambda: rig.drained())
    letters = {(letter.id, letter.code, letter.session_id) for letter in desk.store.dead_letters.list()}
    expected = {("log/0/0", "no_tool", "s0"), ("log/0/0/1", "poison", "s1"), ("log/0/0/2", "invalid", "s2")}
    assert letters == expected


def test_a_waiting_record_that_the_database_refuses_is_given_up_and_the_others_get_through(desk, rig, refuses):
    desk.send(line(0, "s1"), line(1, "s2"))
    desk.run(lambda: desk.store.waiting.depth() == 2)
    refuses(desk.store, "d0")
    rig.clock.forward(6)
    desk.run(lambda: desk.store.waiting.depth() == 0)
    assert [(letter.code, letter.session_id) for letter in desk.store.dead_letters.list()] == [("poison", "s1")]
    assert desk.store.load(_wanted("s2")).sessions


def test_a_waiting_record_outlasts_an_outage_of_any_length(desk, rig):
    desk.send(line(0))
    desk.run(lambda: desk.store.waiting.depth() == 1)
    rig.clock.forward(6)
    left, each = [5], desk.committer._pipeline.each

    def away(record):
        if left[0]:
            left[0] -= 1
            raise SchemaAway("the registry cannot be asked")
        return each(record)

    desk.committer._pipeline.each = away
    desk.run(lambda: desk.store.waiting.depth() == 0)
    assert desk.judged == ["d0"]
    assert desk.store.dead_letters.list() == []


def test_a_seal_whose_key_is_gone_ends_in_the_dead_letters_rather_than_in_a_loop(desk, rig):
    desk.send(line(0))
    desk.run(lambda: desk.store.waiting.depth() == 1)
    desk.room._unseal = gone
    rig.clock.forward(6)
    desk.run(lambda: desk.store.waiting.depth() == 0)
    (letter,) = desk.store.dead_letters.list()
    assert (letter.code, letter.tenant_id, letter.session_id) == ("sealed", "acme", "s1")
    assert "its key is not in keys/seal.key" in letter.reason
    assert rig.findings() == ["unscorable-0-0"]


def gone(value, at):
    raise StoreError("the key is gone")


def kept_sealed(desk):
    return [desk.store.dead_letters.get([each.id])[each.id].sealed for each in desk.store.dead_letters.list()]


def test_what_another_monitors_key_sealed_is_kept_as_it_lies_for_who_has_that_key(desk, rig):
    both = b"[" + line(0, "s1") + b"," + line(1, "s2") + b"]"
    desk.send(both)
    desk.run(lambda: desk.store.waiting.depth() == 2)
    desk.room._unseal = gone
    rig.clock.forward(6)
    desk.run(lambda: desk.store.waiting.depth() == 0)
    assert kept_sealed(desk) == [b"sealed:" + both] * 2


def test_what_another_monitors_key_sealed_is_kept_as_it_lies_where_nobody_reads_any_more(desk, rig):
    desk.send(line(0, "s1"))
    desk.run(lambda: desk.store.waiting.depth() == 1)
    other = lambda: MemoryConsumer(rig.broker, ["log.v2"], group="v2")  # noqa: E731
    rig.broker.append("log.v2", line(1, "s2", purpose="declared"))
    rig.read(desk.worker(other()), lambda: desk.judged == ["d1"])
    desk.room._unseal = gone
    rig.clock.forward(timedelta(days=2).total_seconds())
    rig.read(desk.worker(other()), lambda: desk.store.waiting.depth() == 0)
    assert kept_sealed(desk) == [b"sealed:" + line(0, "s1")]


def test_what_another_monitors_key_sealed_is_kept_as_it_lies_where_reading_it_crashes_a_room(desk, rig):
    def crashes(record):
        raise RuntimeError("a room crashed")

    desk.send(line(0, "s1"))
    desk.run(lambda: desk.store.waiting.depth() == 1)
    desk.room._unseal = gone
    desk.committer._pipeline.each = crashes
    rig.clock.forward(6)
    desk.run(lambda: desk.store.waiting.depth() == 0)
    assert [letter.code for letter in desk.store.dead_letters.list()] == ["poison"]
    assert kept_sealed(desk) == [b"sealed:" + line(0, "s1")]


def test_what_another_monitors_key_sealed_speaks_against_no_gateway(rig, counting):
    desk = Desk(rig, counting, fuse=Fuse(window=6, minimum=5, ratio=0.5))
    desk.send(*(line(n, f"s{n}") for n in range(9)))
    desk.run(lambda: desk.store.waiting.depth() == 9)
    desk.room._unseal = gone
    rig.clock.forward(6)
    desk.run(lambda: desk.store.waiting.depth() == 0)
    assert {letter.code for letter in desk.store.dead_letters.list()} == {"sealed"}


@pytest.mark.parametrize("when", ["gateway=='x'", "id=='d1'"])
def test_what_is_read_otherwise_since_it_waits_is_told_and_not_forgotten(desk, rig, when):
    desk.send(b"[" + line(0, "s1") + b"," + line(1, "s2") + b"]")
    desk.run(lambda: desk.store.waiting.depth() == 2)
    desk.start(mapping(when=when))
    rig.clock.forward(6)
    desk.run(lambda: desk.store.waiting.depth() == 0)
    letters = {letter.session_id: (letter.code, letter.id) for letter in desk.store.dead_letters.list()}
    assert letters == {"s1": ("unread", "log/0/0"), "s2": ("unread", "log/0/0/1")}
    assert desk.judged == []


def test_what_cannot_be_read_any_more_is_told_to_its_own_session_whoever_else_was_refused(desk, rig):
    desk.send(b"[" + line(0, "s0", tool=None) + b"," + line(1, "s1") + b"," + line(2, "s2", agent="b") + b"]")
    desk.run(lambda: desk.store.waiting.depth() == 2)
    desk.start(mapping(when="id!='d1'", fields={**mapping().fields, "tool": "missing"}))
    rig.clock.forward(6)
    desk.run(lambda: desk.store.waiting.depth() == 0)
    letters = {letter.id: (letter.session_id, letter.code) for letter in desk.store.dead_letters.list()}
    expected = {"log/0/0": ("s0", "no_tool"), "log/0/0/1": ("s1", "unread"), "log/0/0/2": ("s2", "no_tool")}
    assert letters == expected


def test_a_file_ends_although_records_of_a_topic_wait(desk, rig, tmp_path):
    desk.send(line(0))
    desk.run(lambda: desk.store.waiting.depth() == 1)
    (tmp_path / "new.jsonl").write_bytes(
        line(1, "s2", purpose="declared", time="2026-05-12T17:00:00Z")
        + b"\n"
        + line(2, "s3", time="2026-05-12T17:00:01Z")
    )
    ended = []

    class Run:
        def run(self, stop):
            desk.worker(FileConsumer(tmp_path / "new.jsonl")).run(stop)
            ended.append(stop.is_set())

    looked = []

    def over():
        looked.append(rig.clock.forward(1))  # time passes until the file's own record waits no longer
        return ended == [False]

    rig.read(Run(), over)
    assert desk.judged == ["d1", "d2"]
    assert desk.store.waiting.depth([("log", 0)]) == 1


def test_what_is_tried_again_because_another_member_wrote_meanwhile_counts_once_as_waiting(desk, monkeypatch):
    desk.send(line(0))
    conflicts, commit = [Conflict("somebody else wrote")] * 3, desk.store.commit

    def contended(*judged, **more):
        if conflicts:
            raise conflicts.pop()
        commit(*judged, **more)

    depths = []
    monkeypatch.setattr(desk.store, "commit", contended)
    monkeypatch.setattr(desk.room, "due", lambda consumer: depths.append(desk.room.depth) or [])
    desk.run(lambda: depths and depths[-1] > 0)
    assert (conflicts, depths[-1]) == ([], 1)


def test_what_conflicts_every_time_is_told_after_twenty_times():
    tried = []

    def once():
        tried.append(len(tried))
        raise Conflict("somebody else wrote")

    with pytest.raises(Conflict, match="somebody else wrote"):
        retry_conflicts(once)
    assert len(tried) == 20


def test_a_store_that_is_away_while_the_last_of_a_file_waits_is_waited_for(desk, rig, tmp_path, monkeypatch):
    path = tmp_path / "log.jsonl"
    path.write_bytes(line(1, time="2026-05-12T17:00:00Z"))
    consumer, away = FileConsumer(path), [StoreError("the database is locked")] * 3
    depth = desk.store.outbox.depth

    def counted(*kinds):
        if consumer.exhausted() and away:
            raise away.pop()
        return depth(*kinds)

    monkeypatch.setattr(desk.store.outbox, "depth", counted)

    def over():
        rig.clock.forward(0 if away else 1)
        return desk.judged == ["d1"]

    rig.read(desk.worker(consumer), over)
    assert away == []


def test_what_waits_where_nobody_reads_any_more_is_dead_lettered_with_a_finding(desk, rig):
    desk.send(line(0, "s1"))
    desk.run(lambda: desk.store.waiting.depth() == 1)
    other = lambda: MemoryConsumer(rig.broker, ["log.v2"], group="v2")  # noqa: E731
    rig.broker.append("log.v2", line(1, "s2", purpose="declared"))
    rig.read(desk.worker(other()), lambda: desk.judged == ["d1"])
    assert desk.store.waiting.depth() == 1  # its monitor may come back
    rig.clock.forward(timedelta(days=2).total_seconds())
    rig.read(desk.worker(other()), lambda: desk.store.waiting.depth() == 0)
    (letter,) = desk.store.dead_letters.list()
    assert (letter.code, letter.topic, letter.session_id) == ("stranded", "log", "s1")
    assert rig.metrics.value("guardian_events_total", outcome="dead_letter") == 1
    assert desk.store.dead_letters.get([letter.id])[letter.id].sealed == b"sealed:" + line(0, "s1")
    (told,) = [i.finding for i in desk.store.outbox.due(rig.clock(), 9) if i.finding is not None]
    assert (told.kind, told.session_id) == (Kind.UNSCORABLE, "s1")


def test_what_waits_is_nobodys_only_when_its_place_was_not_read_for_a_day_and_somebody_could_come_back(
    desk, rig, tmp_path
):
    reader = FileConsumer(tmp_path / "another.jsonl")
    given_up = lambda: desk.room.give_up_stranded(reader)  # noqa: E731
    desk.send(line(0))
    desk.run(lambda: desk.store.waiting.depth() == 1)
    rig.clock.forward(2 * 86_400)
    desk.start()
    assert given_up() == 0  # two days in which nobody was up
    rig.clock.forward(0.9 * 86_400)
    desk.store.claim([Place("log", 0)], "late", now=rig.clock())
    rig.clock.forward(0.9 * 86_400)
    assert given_up() == 0  # somebody came
    rig.clock.forward(0.2 * 86_400)
    assert given_up() == 1


def test_where_nobody_is_ever_up_for_a_day_what_is_nobodys_is_given_up_all_the_same(desk, rig, tmp_path):
    desk.send(line(0))
    desk.run(lambda: desk.store.waiting.depth() == 1)
    rig.clock.forward(2 * 86_400)
    desk.start()
    rig.clock.forward(3_601)
    assert desk.room.give_up_stranded(FileConsumer(tmp_path / "another.jsonl")) == 1


def test_after_days_off_the_first_member_leaves_the_others_partition_to_them(desk, rig):
    rig.broker.create_topic("log", 2)
    for n in (0, 1):
        rig.broker.append("log", line(n, f"s{n}"), partition=n)
    desk.run(lambda: desk.store.waiting.depth() == 2)
    rig.clock.forward(2 * 86_400)
    desk.start()
    other = rig.broker.join("guardian", ["log"])  # assigned, and not started yet
    rig.read(desk.worker(), lambda: desk.judged == ["d1"] and desk.release._next_look is not None)
    rig.broker.leave("guardian", other)
    desk.run(lambda: desk.store.waiting.depth() == 0)
    assert (desk.judged, desk.store.dead_letters.list()) == (["d1", "d0"], [])


def test_what_waits_of_a_topic_that_was_created_anew_is_judged_and_so_is_what_waits_at_its_offset(desk, rig):
    for numbers, wait in (((0, 1, 2), 3), ((10, 11), 5), ((20,), 6)):  # anew twice over, and shorter each time
        rig.broker = MemoryBroker(clock=rig.clock)
        desk.send(*(line(n, f"s{n // 10}") for n in numbers))
        desk.run(lambda wait=wait: desk.store.waiting.depth() == wait)
    rig.clock.forward(6)
    desk.run(lambda: desk.store.waiting.depth() == 0)
    assert sorted(desk.judged) == ["d0", "d1", "d10", "d11", "d2", "d20"]
    assert [name for name in desk.judged if len(name) == 2] == ["d0", "d1", "d2"]
    assert desk.store.dead_letters.list() == []


def test_controls_feed_brings_the_envelope_with_the_news(desk, rig, control):
    from guardian.stream.changes import ChangeTail

    told = envelope()
    key = SessionKey("acme", "s1")
    control.feed.append(Change(1, key, HumanWord.REGISTERED, rig.clock(), told.digest, told))
    ChangeTail(words=desk.store.words, client=control, clock=rig.clock).follow()
    known = desk.store.registry.known({key})
    assert known.envelopes[key] == Grant(told, told.digest)
    assert not known.begun  # it has not acted


def test_what_is_registered_for_a_parent_is_part_of_what_a_batch_remembers(desk):
    from guardian.domain.batch import Wanted

    desk.register(envelope())
    desk.register(envelope("s2"))
    none, parent = frozenset(), SessionKey("acme", "s1")
    recall = desk.store.load(Wanted(frozenset({parent}), none, none, none, registered=frozenset({parent})))
    assert recall.registered == {parent: Grant(envelope(), envelope().digest)}


def test_controls_word_is_final_and_the_topics_newest_counts_otherwise(desk):
    key = SessionKey("acme", "s1")
    for purpose, source in (("one", "topic"), ("two", "topic")):
        desk.register(envelope(purpose=purpose), source)
    assert desk.store.registry.known({key}).envelopes[key].envelope.purpose == "two"
    desk.register(envelope(purpose="control's"), "control")
    desk.register(envelope(purpose="three"), "topic")
    assert desk.store.registry.known({key}).envelopes[key].envelope.purpose == "control's"


def _wanted(session):
    from guardian.domain.batch import Wanted

    return Wanted(frozenset({SessionKey("acme", session)}), frozenset(), frozenset(), frozenset())


@pytest.fixture
def tail(rig, desk):
    """The reader of the envelopes topic, entitled gateways `gw` for acme; `signed` may be asked for."""

    def read(until, *, signed=False, verify=lambda _: "absent", decoding=lambda decode: decode):
        decoder = Decoder(
            source=EnvelopeRecords(), redactor=CredentialScanner(key=b"k"), verify=verify, clock=rig.clock,
            entitlements={"gw": frozenset({"acme"})},
        )  # fmt: skip
        made = EnvelopeTail(
            consumer=MemoryConsumer(rig.broker, ["envelopes"], group="e"), store=desk.store,
            decode=decoding(decoder.decode), clock=rig.clock, metrics=rig.metrics, signed=signed, mark=MARK,
            poll_timeout_s=0.01,
        )  # fmt: skip
        rig.read(made, until)

    return read


def told(session="s1", gateway="gw", **more):
    body = {
        "schema": "guardian.envelope/v1",
        "gateway": gateway,
        "envelope": envelope(session).model_dump(mode="json"),
    }
    return json.dumps({**body, **more}).encode()


def test_the_envelopes_topic_is_kept_and_read_on_where_it_was_left(tail, rig, desk):
    rig.broker.append("envelopes", told("s1"))
    rig.broker.append("envelopes", b"")  # a tombstone
    rig.broker.append("envelopes", told("s2"))
    known = lambda: desk.store.registry.known({SessionKey("acme", f"s{n}") for n in (1, 2, 3)}).envelopes  # noqa: E731
    tail(lambda: len(known()) == 2)
    rig.broker.append("envelopes", told("s3"))
    tail(lambda: len(known()) == 3)
    assert rig.metrics.value("guardian_envelopes_total", result="heard") == 3


def test_envelopes_that_a_database_lost_as_it_went_back_are_read_again_though_none_comes(
    tail, rig, desk, tmp_path
):
    def copied(source, target):
        with (
            closing(sqlite3.connect(tmp_path / source)) as old,
            closing(sqlite3.connect(tmp_path / target)) as new,
        ):
            old.backup(new)

    def known(session):
        return bool(desk.store.registry.known({SessionKey("acme", session)}).envelopes)

    def going_back():
        while not known("s1"):
            yield False
        copied("monitor.db", "copy.db")
        rig.broker.append("envelopes", told("s2"))
        while not known("s2"):
            yield False
        copied("copy.db", "monitor.db")
        assert not known("s2")
        while True:
            yield known("s2")

    rig.broker.append("envelopes", told("s1"))
    steps = going_back()
    tail(lambda: next(steps))


def test_an_envelope_from_somebody_without_the_right_is_dead_lettered_with_a_finding(tail, rig, desk):
    rig.broker.append("envelopes", told(gateway="mallory"))
    rig.broker.append("envelopes", b"{not json")
    rig.broker.append("envelopes", told(envelope={"tenant_id": "acme", "session_id": "s9"}))
    with capture_logs() as lines:
        tail(lambda: len(desk.store.dead_letters.list()) == 3)
    codes = {letter.code for letter in desk.store.dead_letters.list()}
    assert codes == {"gateway_not_entitled", "not_json", "invalid"}
    kinds = {item.finding.kind for item in desk.store.outbox.due(rig.clock(), 100) if item.finding is not None}
    assert kinds == {Kind.ENTITLEMENT, Kind.UNSCORABLE}
    assert not desk.store.registry.known({SessionKey("acme", "s1")}).envelopes
    assert {rig.metrics.value("guardian_dead_letters_total", code=code) for code in codes} == {1}
    assert sum((Counter(each["by_code"]) for each in lines if "by_code" in each), Counter()) == Counter(codes)


def test_an_envelope_that_the_database_refuses_is_dead_lettered_and_the_others_are_kept(tail, rig, desk, refuses):
    for n in range(5):
        rig.broker.append("envelopes", told(f"s{n}"))
    refuses(desk.store, "s3")
    tail(lambda: desk.store.positions([Place("envelopes", 0)]) == {("envelopes", 0): 5})
    (letter,) = desk.store.dead_letters.list()
    assert (letter.code, letter.session_id) == ("unstorable", "s3")
    assert len(desk.store.registry.known({SessionKey("acme", f"s{n}") for n in range(5)}).envelopes) == 4


def test_an_envelope_that_crashes_its_reading_is_dead_lettered_after_three_tries_and_the_others_are_kept(
    tail, rig, desk
):
    for n in range(5):
        rig.broker.append("envelopes", told(f"s{n}"))
    tries = []

    def crashing(decode):
        def read(records):
            if any(record.offset == 3 for record in records):
                tries.extend([1] * (len(records) == 1))
                raise KeyError("what the agent wrote")
            return decode(records)

        return read

    def kept():
        return {key.session_id for key in desk.store.registry.known(sessions).envelopes}

    sessions = {SessionKey("acme", f"s{n}") for n in range(5)}
    for _ in range(2):
        with pytest.raises(KeyError):
            tail(lambda: False, decoding=crashing)
        assert kept() == {"s0", "s1", "s2"}
    tail(lambda: desk.store.positions([Place("envelopes", 0)]) == {("envelopes", 0): 5}, decoding=crashing)
    assert (len(tries), kept()) == (3, {"s0", "s1", "s2", "s4"})
    (letter,) = desk.store.dead_letters.list()
    assert (letter.code, letter.offset) == ("poison", 3)
    assert "what the agent wrote" not in letter.reason
    assert [i.finding.kind for i in desk.store.outbox.due(rig.clock(), 9) if i.finding] == [Kind.UNSCORABLE]


def test_a_crash_that_is_no_records_fault_is_not_counted(tail, rig, desk, monkeypatch):
    rig.broker.append("envelopes", told("s1"))
    monkeypatch.setattr(envelopes, "_BACKOFF", Backoff(base_s=0.0, cap_s=0.0))
    away = [StoreError("away")] * 4

    def coming_back(decode):
        def read(records):
            if away:
                raise away.pop()
            return decode(records)

        return read

    key = SessionKey("acme", "s1")
    tail(lambda: bool(desk.store.registry.known({key}).envelopes), decoding=coming_back)
    assert desk.store.dead_letters.list() == []


@pytest.mark.parametrize("together", [True, False])
@pytest.mark.parametrize(
    ("tellings", "kept"),
    [
        ([("new", -1, False), ("old", -9, True)], "new"),
        ([("old", -9, False), ("new", -1, True)], "new"),
        ([("old", -90, True), ("new", -80, True)], "new"),
        ([("old", -90, True), ("new", -1, False)], "new"),
        ([("its stamp is wrong", -1, False), ("last", -9, False)], "last"),
    ],
)
def test_an_envelope_that_was_sent_again_replaces_none_that_was_told_since(
    tellings, kept, together, tail, rig, desk
):
    key, now = SessionKey("acme", "s1"), rig.clock()
    for n, (purpose, hours, again) in enumerate(tellings):
        value = told(envelope=envelope(purpose=purpose).model_dump(mode="json"))
        headers = [("guardian-redriven", MARK.of("envelopes/0/0", value))] if again else []
        rig.broker.append("envelopes", value, headers=headers, timestamp=now + timedelta(hours=hours))
        if not together:
            tail(lambda n=n: desk.store.positions([Place("envelopes", 0)]) == {("envelopes", 0): n + 1})
    tail(lambda: desk.store.positions([Place("envelopes", 0)]) == {("envelopes", 0): len(tellings)})
    assert desk.store.registry.known({key}).envelopes[key].envelope.purpose == kept
    desk.register(envelope(purpose="control's"), "control")
    value = told()
    rig.broker.append("envelopes", value, headers=[("guardian-redriven", MARK.of("envelopes/0/1", value))])
    tail(lambda: desk.store.positions([Place("envelopes", 0)]) == {("envelopes", 0): len(tellings) + 1})
    assert desk.store.registry.known({key}).envelopes[key].envelope.purpose == "control's"


@pytest.mark.parametrize(("says", "counts"), [("valid", True), ("invalid", False), ("absent", False)])
def test_where_envelopes_are_signed_only_a_signature_that_holds_counts(says, counts, tail, rig, desk):
    rig.broker.append("envelopes", told())
    key = SessionKey("acme", "s1")
    tail(
        lambda: bool(desk.store.registry.known({key}).envelopes) or bool(desk.store.dead_letters.list()),
        signed=True,
        verify=lambda _: says,
    )
    assert bool(desk.store.registry.known({key}).envelopes) is counts


def upload(*numbers, session):
    return b"[" + b",".join(line(n, session) for n in numbers) + b"]"


def begun(desk, after, most=2):
    """A desk that stopped within a record: after so many transactions of `most` calls."""
    stop, commit, done = threading.Event(), desk.store.commit, []

    def counted(*args, **more):
        commit(*args, **more)
        done.append(1)
        if len(done) == after:
            stop.set()

    desk.committer._most, desk.store.commit = most, counted
    desk.worker().run(stop)
    desk.start()


@pytest.mark.parametrize("before", [0, 3], ids=["nothing was stored there yet", "records were stored there"])
def test_what_waits_of_a_record_begun_is_not_in_the_way_of_a_topic_made_anew(rig, counting, before):
    desk = Desk(rig, counting, wait=timedelta(hours=5))
    for number in range(before):
        desk.send(line(number, f"s{number}"))
        desk.run(rig.drained)
    desk.send(upload(*range(10, 18), session="old"))
    begun(desk, after=1)
    assert desk.store.waiting.depth() == before + 2
    rig.clock.forward(1)
    rig.broker = MemoryBroker(clock=rig.clock)
    desk.send(upload(100, 101, session="new"))
    desk.run(rig.drained)
    rig.clock.forward(6 * 3600)
    desk.run(lambda: desk.store.waiting.depth() == 0)
    assert {"d100", "d101", "d10", "d11"} <= set(desk.judged)
    assert desk.store.dead_letters.list() == []


def test_what_waits_keeps_its_record_though_the_clock_goes_back(rig, counting):
    desk = Desk(rig, counting, wait=timedelta(hours=5))
    desk.send(upload(0, 1, session="s0"), upload(*range(2, 6), session="s1"))
    begun(desk, after=1, most=4)
    rig.clock.forward(-120)
    desk.run(rig.drained)
    rig.clock.forward(6 * 3600)
    desk.run(lambda: desk.store.waiting.depth() == 0)
    assert (sorted(desk.judged), desk.store.dead_letters.list()) == ([f"d{n}" for n in range(6)], [])


def test_what_began_to_wait_by_a_clock_that_was_ahead_does_not_wait_until_then(desk, rig):
    rig.clock.forward(86_400)
    desk.send(line(0))
    desk.run(rig.drained)
    rig.clock.forward(-86_400)
    desk.send(line(1, "s2"))
    desk.run(lambda: rig.drained() and desk.judged == ["d0"])
    assert desk.store.waiting.depth() == 1


def test_a_record_is_kept_once_however_many_pieces_it_is_judged_in(rig, counting):
    desk = Desk(rig, counting, wait=timedelta(hours=5))
    desk.committer._most = 3
    desk.send(upload(*range(12), session="s1"))
    desk.run(rig.drained)
    assert (len(list(desk.store.waiting.sealed())), desk.store.waiting.depth()) == (1, 12)


def test_where_a_topic_begins_again_all_that_waits_lies_below_it(rig, counting):
    desk, place = Desk(rig, counting, wait=timedelta(hours=5)), Place("log", 0)
    desk.send(upload(0, session="s0"), upload(*range(1, 9), session="s1"))
    begun(desk, after=2)
    assert desk.store.positions([place]) == {place: 1}
    told = Finding(
        id="f" * 20, kind=Kind.BUS, tenant_id="acme", session_id="log[0]", wanted=Effect.FLAG, severity="critical",
        title="made anew", time=rig.clock(),
    )  # fmt: skip
    desk.store.claim([place], "m", now=rig.clock())
    desk.store.move(place, 0, member="m", told=told, now=rig.clock())
    held = desk.store.waiting.due([place], before=rig.clock(), limit=10)
    assert [each.id[2:] for each in held] == [(-2, 0), (-1, 0), (-1, 1), (-1, 2)]
