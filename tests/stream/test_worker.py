import json
import os
import sqlite3
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text
from structlog.testing import capture_logs

from guardian.bus.file import FileConsumer
from guardian.bus.memory import MemoryConsumer
from guardian.bus.pipe import PipeConsumer
from guardian.domain.batch import PurposeKey
from guardian.domain.finding import OPERATORS, Kind
from guardian.domain.identity import SessionKey
from guardian.domain.record import Place
from guardian.domain.signal import BaselineFact
from guardian.errors import BusError, ConfigurationError, FuseBlown, SchemaAway, StoreError
from guardian.pipeline.decoding import Decoder
from guardian.signals.credentials.scanner import CredentialScanner
from guardian.sources.completing import Completion
from guardian.sources.mcp import plugin as mcp
from guardian.sources.reading import Reader
from guardian.store.engine import writing
from guardian.stream.fuse import Fuse

HOSTILE = [
    b"{", b"\x00", b"\xff\xfe", b"[" * 10_000 + b"]" * 10_000, b"", b'{"schema": "guardian.decision/v9"}',
    b'{"schema": NaN}', b'{"a": "' + b"x" * 9_000_000 + b'"}',
]  # fmt: skip


def test_every_good_record_is_judged_and_every_bad_one_is_dead_lettered(rig, make_event, counting):
    for n in range(20):
        rig.broker.append("log", make_event(n))
        for bad in HOSTILE if n == 10 else []:
            rig.broker.append("log", bad)
    pipeline = counting()
    rig.read(rig.worker(pipeline), rig.drained)
    assert pipeline.judged == [f"d{n}" for n in range(20)]
    assert sum(rig.store.dead_letters.counts().values()) == len(HOSTILE)
    assert set(rig.store.dead_letters.counts()) == {
        "not_json", "not_utf8", "too_deep", "unknown_schema", "too_large",
    }  # fmt: skip
    assert rig.findings() == ["s1-12", "s1-15", "s1-18", "s1-3", "s1-6", "s1-9"]
    assert rig.metrics.value("guardian_events_total", outcome="judged") == 20
    assert rig.broker.committed("guardian") == {Place("log", 0): 20 + len(HOSTILE)}


@pytest.mark.parametrize("at_once", [1, 4, 50])
def test_verdicts_are_counted_one_by_one_however_many_are_judged_together(rig, make_event, at_once):
    for n in range(9):
        rig.broker.append("log", make_event(n, session=f"s{n % 2}"))
    rig.read(rig.worker(max_records=at_once), rig.drained)
    assert rig.metrics.value("guardian_verdicts_total", stage="clear") == 9


def test_the_session_of_a_record_that_cannot_be_judged_is_asked_for_with_the_batch(rig, make_event, counting):
    asked = []

    class Asking(counting):
        def wanted(self, decoded, letters=()):
            asked.extend(letter.key for letter in letters)
            return super().wanted(decoded, letters)

    rig.broker.append("log", make_event(1, session="s9").replace(b'"allow"', b'"maybe"'))
    rig.read(rig.worker(Asking()), rig.drained)
    assert asked == [SessionKey("acme", "s9")]


def test_a_record_delivered_again_writes_nothing(rig, make_event, counting):
    for n in (0, 1, 2, 0, 1, 2, 2):
        rig.broker.append("log", make_event(n))
    rig.read(rig.worker(), rig.drained)
    assert rig.findings() == ["s1-3"]
    assert rig.metrics.value("guardian_events_total", outcome="duplicate") == 4


def test_a_file_is_read_to_its_end_and_going_on_reads_only_what_is_new(rig, make_event, counting, tmp_path):
    path = tmp_path / "log.jsonl"
    path.write_bytes(b"\n".join(make_event(n) for n in range(7)) + b"\n" + HOSTILE[0])
    pipeline = counting()
    rig.worker(pipeline, consumer=FileConsumer(path)).run(threading.Event())
    with path.open("ab") as file:
        file.write(b"\n" + make_event(99))
    rig.worker(pipeline, consumer=FileConsumer(path)).run(threading.Event())
    assert pipeline.judged == [f"d{n}" for n in (*range(7), 99)]


def test_a_file_that_is_not_there_ends_the_run(rig, tmp_path):
    with pytest.raises(ConfigurationError, match="nowhere"):
        rig.worker(consumer=FileConsumer(tmp_path / "nowhere")).run(threading.Event())


def test_a_broker_that_is_away_is_waited_for(rig, make_event):
    rig.broker.append("log", make_event(0))
    rig.broker.stop()
    worker = rig.worker()
    with capture_logs() as lines:
        rig.read(worker, lambda: worker.troubles() == ["the log's broker does not answer"])
    told = [line for line in lines if line["event"] == "source_or_store_away"]
    assert {line["log_level"] for line in told} == {"error"}, "as loud as what its client says of that"
    rig.broker.restart()
    rig.read(worker, rig.drained)
    assert worker.troubles() == []


def test_a_member_evicted_in_the_middle_of_a_batch_discards_it_and_nothing_is_doubled(rig, make_event, counting):
    for n in range(9):
        rig.broker.append("log", make_event(n))
    other = MemoryConsumer(rig.broker, ["log"])

    def steal(point: str) -> None:
        if point == "before_commit" and not stolen:
            stolen.append(1)
            rig.store.claim([Place("log", 0)], "somebody else", now=rig.clock())

    stolen: list[int] = []
    rig.read(rig.worker(crash_points=steal), rig.drained)
    assert rig.findings() == ["s1-3", "s1-6", "s1-9"]
    assert stolen
    other.close()


def _copied(source, target):
    with closing(sqlite3.connect(source)) as old, closing(sqlite3.connect(target)) as new:
        old.backup(new)


@pytest.mark.parametrize("later", [[], [20]], ids=["nothing more comes", "to one partition more comes"])
def test_what_a_database_that_goes_back_has_lost_is_read_again_and_nothing_is_doubled(
    rig, make_event, counting, tmp_path, later
):
    """As after a failover to a server that lacks the last commits."""
    rig.broker.create_topic("log", 2)
    copy = tmp_path / "copy.db"

    def add(*numbers, quiet=False):
        for n in numbers:
            rig.broker.append("log", make_event(n, session=f"s{int(quiet)}"), partition=int(quiet))

    def going_back() -> Iterator[None]:
        _copied(tmp_path / "monitor.db", copy)
        add(*range(4, 8))
        add(*range(14, 18), quiet=True)
        yield
        _copied(copy, tmp_path / "monitor.db")
        add(*later)
        yield

    steps, pipeline = going_back(), counting()
    add(*range(4))
    add(*range(10, 14), quiet=True)
    with capture_logs() as logs:
        rig.read(rig.worker(pipeline, store=rig.open()), lambda: rig.drained() and next(steps, 1) == 1)
    assert Counter(pipeline.judged) == {
        **{f"d{n}": 1 for n in (*range(4), *range(10, 14), *later)},
        **{f"d{n}": 2 for n in (*range(4, 8), *range(14, 18))},
    }
    assert rig.findings() == ["s0-3", "s0-6", *(["s0-9"] if later else []), "s1-3", "s1-6"]
    (said,) = [each for each in logs if each["log_level"] == "warning"]
    assert "the database went back" in said["error"]


def test_of_a_pipe_no_record_in_hand_is_lost_with_what_a_database_that_goes_back_has_lost(
    rig, make_event, counting, tmp_path
):
    class GoesBack(counting):
        def each(self, record):
            if record.offset == 6 and self.judged[-1] == "d5":
                _copied(tmp_path / "copy.db", tmp_path / "monitor.db")
            yield from super().each(record)

        def judge(self, decoded, letters, recall):
            if not self.judged:
                _copied(tmp_path / "monitor.db", tmp_path / "copy.db")
            return super().judge(decoded, letters, recall)

    read, write = os.pipe()
    os.write(write, b"".join(make_event(n) + b"\n" for n in range(12)))
    os.close(write)
    pipeline = GoesBack()
    consumer = PipeConsumer(read, topic="stdin-1")
    rig.worker(pipeline, consumer=consumer, max_records=3).run(threading.Event())
    os.close(read)
    assert pipeline.judged == [f"d{n}" for n in range(12)]
    assert rig.store.positions(consumer.assignment()) == {Place("stdin-1", 0): 12}


def test_of_a_pipe_that_is_stopped_all_that_was_taken_is_judged(rig, make_event, counting):
    read, write = os.pipe()
    os.write(write, b"".join(make_event(n) + b"\n" for n in range(12)))
    consumer = PipeConsumer(read, topic="stdin-1")

    class Stopped(counting):
        def judge(self, decoded, letters, recall):
            consumer.finish()
            return super().judge(decoded, letters, recall)

    pipeline = Stopped()
    worker = rig.worker(pipeline, consumer=consumer, max_records=3, max_outbox_depth=0)  # paused from then on
    assert worker.run(threading.Event())
    os.close(write)
    os.close(read)
    assert pipeline.judged == [f"d{n}" for n in range(12)]
    assert consumer.left() == 0


def test_two_workers_share_a_topic_and_count_every_action_once(rig, make_event, counting):
    rig.broker.create_topic("log", 4)
    for n in range(60):
        rig.broker.append("log", make_event(n, session=f"s{n % 6}"), key=f"s{n % 6}".encode())
    one, two = counting(), counting()
    stop = threading.Event()
    second = threading.Thread(target=rig.worker(two, store=rig.open(), max_records=5).run, args=(stop,))
    second.start()
    rig.read(rig.worker(one, max_records=5), rig.drained)
    stop.set()
    second.join(10)
    assert len(rig.findings()) == 18
    assert set(one.judged) | set(two.judged) == {f"d{n}" for n in range(60)}


def test_the_worker_pauses_while_too_many_findings_wait(rig, make_event, counting):
    for n in range(60):
        rig.broker.append("log", make_event(n))
    pipeline = counting()
    worker = rig.worker(pipeline, max_records=6, max_outbox_depth=5)
    looked = []

    def relieved() -> bool:
        if rig.store.outbox.depth() > 5:
            looked.append(len(pipeline.judged))
            if len(looked) > 5:
                for item in rig.store.outbox.due(rig.clock(), 100):
                    rig.store.outbox.delivered([item.id], "", now=rig.clock())
        return rig.drained()

    rig.read(worker, relieved)
    assert looked[:5] == [18] * 5


def test_dead_letters_whose_topic_takes_none_pause_nothing(rig, make_event, counting):
    for n in range(20):
        rig.broker.append("log", b"rubbish %d" % n)
    rig.broker.append("log", make_event(1))
    pipeline = counting()
    rig.read(rig.worker(pipeline, max_records=6, max_outbox_depth=5), rig.drained)
    assert pipeline.judged == ["d1"]
    assert rig.store.outbox.depth() == 20


def test_the_fuse_stops_the_worker_after_its_bad_records_are_safe(rig, make_event):
    for _ in range(30):
        rig.broker.append("log", b"{", headers=[("gateway", b"mad\x1b-gw")])
    with pytest.raises(FuseBlown, match="10 of the last"):
        rig.read(rig.worker(fuse=Fuse(window=20, minimum=10), max_records=10), lambda: False)
    assert rig.store.positions([Place("log", 0)]) == {Place("log", 0): 10}
    assert rig.store.dead_letters.counts() == {"not_json": 10}
    (item,) = [i for i in rig.store.outbox.due(rig.clock(), 99) if i.finding is not None]
    assert item.finding.kind is Kind.BUS
    assert item.finding.tenant_id == "guardian"
    assert "mad\ufffd-gw" in item.finding.title


def mcp_call(n, **params):
    message = {"jsonrpc": "2.0", "id": n, "method": "tools/call", "params": params}
    told = {"timestamp": "2026-05-12T17:00:00Z", "request_id": f"r{n}", "gateway": "gw", "session_id": f"s{n}"}
    return json.dumps({**told, "request": message}).encode()


@pytest.fixture
def mcp_worker(rig, counting):
    """Makes workers that read MCP traffic, each as a fresh process would."""
    decoder = Decoder(
        source=Reader({"mcp": mcp()}, Completion(tenant="acme")), redactor=CredentialScanner(key=b"k"),
        verify=lambda _: "absent", clock=rig.clock,
    )  # fmt: skip

    def make(archived=None):
        def told(judgement):
            if archived is not None:
                archived.extend(finding.id for finding in judgement.findings if finding.kind is Kind.BUS)
            return b""

        pipeline = counting()
        pipeline.each = decoder.each
        return rig.worker(pipeline, fuse=Fuse(), store=rig.open(), max_records=100, archived=told)

    return make


def pages(rig):
    told = [i.finding for i in rig.store.outbox.due(rig.clock(), 999, lease=timedelta(0)) if i.finding is not None]
    return [each.title for each in told if each.kind is Kind.BUS]


def test_no_agent_stops_the_monitor_by_calls_without_a_tool_once_its_gateway_named_any(rig, mcp_worker):
    rig.broker.append("log", mcp_call(0, name="crm.read"))
    for at in (1, 61, 121):  # then nobody else calls, and the monitor is started anew
        for n in range(at, at + 60):
            rig.broker.append("log", mcp_call(n))
        rig.read(mcp_worker(), rig.drained)
    assert rig.store.dead_letters.counts() == {"no_tool": 180}
    (told,) = pages(rig)
    assert told == (
        "50 of the last 51 records of gateway gw are calls without a valid session or tool; the monitor goes on"
    )
    for _ in range(60):
        rig.broker.append("log", b"{", headers=[("gateway", b"gw")])
    with pytest.raises(FuseBlown):
        rig.read(mcp_worker(), lambda: False)


def test_people_are_told_each_day_anew_that_the_monitor_goes_on_and_of_a_day_once(rig, mcp_worker):
    archived = []
    for worker in (mcp_worker(archived), mcp_worker(archived)):  # a restart makes it no news
        for _ in range(2):
            rig.broker.append("log", mcp_call(0, name="crm.read"))
            for n in range(200):
                rig.broker.append("log", mcp_call(n))
            rig.read(worker, rig.drained)
    assert len(pages(rig)) == 1
    rig.clock.forward(86_400)
    rig.broker.append("log", mcp_call(1))
    rig.read(worker, rig.drained)
    assert len(pages(rig)) == 2
    assert Counter(archived).most_common(1)[0][1] == 1


def test_tombstones_of_a_compacted_topic_are_skipped_and_counted_and_blow_no_fuse(rig, mcp_worker):
    for n in range(60):
        rig.broker.append("log", None, key=b"s%d" % n)
    rig.read(mcp_worker(), rig.drained)
    assert rig.metrics.value("guardian_events_total", outcome="skipped") == 60
    rig.broker.append("log", b"", key=b"s1")
    rig.read(mcp_worker(), rig.drained)
    assert rig.store.dead_letters.counts() == {"not_json": 1}


def test_a_gateway_that_never_named_a_tool_stops_the_monitor(rig, mcp_worker):
    for n in range(60):
        rig.broker.append("log", mcp_call(n))
    with pytest.raises(FuseBlown, match="50 of the last 50 records of gateway 'gw' are unreadable"):
        rig.read(mcp_worker(), lambda: False)
    assert len(pages(rig)) == 1


def test_a_record_that_crashes_the_pipeline_is_dead_lettered_after_three_attempts_and_the_others_pass(
    rig, make_event, counting
):
    tries = []

    def explode(tool: str) -> None:
        if tool == "boom":
            tries.append(1)
            raise RecursionError("agent's secret text")

    for n in range(40):
        rig.broker.append("log", make_event(n, tool="boom" if n == 17 else "read"))
    pipeline = counting(explode)
    rig.read(rig.worker(pipeline), rig.drained)
    assert pipeline.judged[-1] == "d39"
    assert set(pipeline.judged) == {f"d{n}" for n in range(40)} - {"d17"}
    (letter,) = rig.store.dead_letters.list()
    assert (letter.code, letter.offset, letter.session_id) == ("poison", 17, "s1")
    assert "RecursionError" in letter.reason
    assert "secret" not in letter.reason
    assert "unscorable-0-17" in rig.findings()
    assert rig.store.attempts(Place("log", 0), 17) == 0


def test_attempts_at_a_crashing_record_are_counted_over_restarts(rig, make_event, counting):
    rig.broker.append("log", make_event(0, tool="boom"))
    stop = threading.Event()

    def explode(tool: str) -> None:
        stop.set()
        raise ValueError

    for expected in (1, 2):
        stop.clear()
        assert rig.worker(counting(explode)).run(stop) is False
        assert rig.store.attempts(Place("log", 0), 0) == expected
    stop.clear()
    rig.worker(counting(explode)).run(stop)
    assert rig.store.dead_letters.counts() == {"poison": 1}


@pytest.mark.parametrize("at_once", [1, 50])
def test_a_model_that_fails_for_a_while_costs_no_record_its_attempts(rig, make_event, counting, at_once):
    failing, troubles = [], set()

    def explode(tool: str) -> None:
        if failing:
            failing.pop()
            raise RuntimeError("std::bad_alloc")

    rig.broker.append("log", make_event(0))
    worker = rig.worker(counting(explode), max_records=at_once, timer=lambda: 0.0)
    added = False

    def done() -> bool:
        nonlocal added
        if not added and rig.drained():
            failing.extend([1] * 60)
            for n in range(1, 20):
                rig.broker.append("log", make_event(n, session=f"s{n}"))
            added = True
        troubles.update(worker.troubles())
        return added and rig.drained()

    rig.read(worker, done)
    assert rig.store.dead_letters.list() == []
    assert rig.metrics.value("guardian_events_total", outcome="judged") == 20
    assert rig.store.attempts(Place("log", 0), 1) == 0
    assert troubles == {"nothing can be judged"}
    assert worker.troubles() == []


def test_a_model_that_fails_from_the_start_costs_one_record_where_they_come_one_by_one(rig, make_event, counting):
    failing = [1] * 30

    def explode(tool: str) -> None:
        if failing:
            failing.pop()
            raise RuntimeError("std::bad_alloc")

    for n in range(6):
        rig.broker.append("log", make_event(n, session=f"s{n}"))
    rig.read(rig.worker(counting(explode), max_records=1, timer=lambda: 0.0), rig.drained)
    assert [letter.offset for letter in rig.store.dead_letters.list()] == [0]
    assert rig.metrics.value("guardian_events_total", outcome="judged") == 5


def test_a_model_that_fails_for_ever_holds_the_log_up_for_a_while_and_never_blames_the_gateway(
    rig, make_event, counting
):
    now, calls = [0.0], []

    def explode(tool: str) -> None:
        now[0] += 5
        calls.append(now[0] if not rig.store.dead_letters.counts() else None)
        raise RuntimeError

    for n in range(12):
        rig.broker.append("log", make_event(n, session=f"s{n}"))
    rig.read(rig.worker(counting(explode), fuse=Fuse(window=20, minimum=5), timer=lambda: now[0]), rig.drained)
    assert rig.store.dead_letters.counts() == {"poison": 12}
    assert 600 <= max(filter(None, calls)) < 900


def test_what_cannot_be_read_between_them_holds_those_of_a_failing_model_up_no_longer(rig, make_event, counting):
    now = [0.0]

    def explode(tool: str) -> None:
        now[0] += 5
        raise RuntimeError

    for n in range(6):
        rig.broker.append("log", make_event(n, session=f"s{n}"))
        rig.broker.append("log", b"rubbish")
    rig.read(rig.worker(counting(explode), timer=lambda: now[0]), rig.drained)
    assert rig.store.dead_letters.counts() == {"poison": 6, "not_json": 6}
    assert now[0] < 2000  # and not ten minutes for each


def test_a_record_that_is_alone_is_given_up_at_once_where_the_one_before_it_can_still_be_judged(
    rig, make_event, counting
):
    def explode(tool: str) -> None:
        if tool == "boom":
            raise RuntimeError

    rig.broker.append("log", make_event(0))
    rig.broker.append("log", make_event(1, tool="boom"))
    rig.read(rig.worker(counting(explode), max_records=1, timer=lambda: 0.0), rig.drained)
    assert rig.store.dead_letters.counts() == {"poison": 1}


def test_a_database_is_not_said_to_be_gone_while_a_broker_is_gone_and_nobody_asks_it(rig, monkeypatch):
    depth, gone, down, seen = rig.store.outbox.depth, [1], [1] * 3, []

    class Consumer(MemoryConsumer):
        def start(self, claim):
            seen.append(worker.troubles())
            if seen[1:] and down:
                down.pop()
                raise BusError("no route to host")
            super().start(claim)

        def poll(self, **how):
            if down:
                raise BusError("no route to host")
            return super().poll(**how)

    def asked(*kinds):
        if gone:
            gone.pop()
            raise StoreError("no route to host")
        return depth(*kinds)

    rig.broker.create_topic("log")
    worker = rig.worker(consumer=Consumer(rig.broker, ["log"]))
    monkeypatch.setattr(rig.store.outbox, "depth", asked)
    rig.read(worker, lambda: len(seen) > 4)
    assert seen == [[], *[["the log's broker does not answer"]] * 4]


def test_a_database_that_is_gone_keeps_the_worker_from_being_ready_until_it_is_back(rig, monkeypatch):
    depth, gone, seen = rig.store.outbox.depth, [1] * 5, []

    def asked(*kinds):
        seen.append(worker.troubles())
        if gone:
            gone.pop()
            raise StoreError("no such host")
        return depth(*kinds)

    rig.broker.create_topic("log")
    worker = rig.worker(max_outbox_depth=100)
    monkeypatch.setattr(rig.store.outbox, "depth", asked)
    rig.read(worker, lambda: len(seen) > 8)
    assert seen[0] == seen[7] == []
    assert seen[1:6] == [["its database cannot be used"]] * 5


class Killed(BaseException):
    """Stands for the end of the process: nothing catches it."""


def test_a_record_that_kills_the_process_is_found_and_given_up_after_three_restarts_more(
    rig, make_event, counting
):
    for n in range(12):
        rig.broker.append("log", make_event(n, tool="kill" if n == 5 else "read"))

    def explode(tool: str) -> None:
        if tool == "kill":
            raise Killed

    kills = 0
    for _ in range(10):
        try:
            rig.read(rig.worker(counting(explode), store=rig.open()), rig.drained)
            break
        except Killed:
            kills += 1
    (letter,) = rig.store.dead_letters.list()
    assert (letter.code, letter.offset) == ("poison", 5)
    assert kills <= 8
    assert rig.findings() == ["s1-3", "s1-6", "s1-9", "unscorable-0-5"]


def test_a_record_that_kills_the_process_whenever_it_is_read_is_given_up_without_reading_it(
    rig, make_event, counting
):
    class Reading(counting):
        def each(self, record):
            if record.offset == 5:
                raise Killed
            yield from super().each(record)

    for n in range(12):
        rig.broker.append("log", make_event(n))
    kills = 0
    for _ in range(12):
        try:
            rig.read(rig.worker(Reading(), store=rig.open()), rig.drained)
            break
        except Killed:
            kills += 1
    (letter,) = rig.store.dead_letters.list()
    assert (letter.code, letter.offset, letter.tenant_id) == ("poison", 5, OPERATORS)
    assert letter.session_id.startswith("log[0]")
    assert kills <= 9
    assert [name for name in rig.findings() if name.startswith("s1-")] == ["s1-3", "s1-6", "s1-9"]
    assert len(rig.findings()) == 4, "people hear of the partition"


def test_a_crash_at_any_point_ends_with_the_findings_of_an_undisturbed_run(rig, make_event, counting):
    for n in range(30):
        rig.broker.append("log", make_event(n, session=f"s{n % 4}"))
    crashes = 0
    for crash_at in range(1, 40):
        points = 0

        def crash(point: str, at: int = crash_at) -> None:
            nonlocal points
            points += 1
            if points == at % 3 + 1:
                raise Killed

        try:
            rig.read(rig.worker(store=rig.open(), crash_points=crash, max_records=4), rig.drained)
            break
        except Killed:
            crashes += 1
    assert crashes > 5
    assert rig.findings() == [
        "s0-3", "s0-6", "s1-3", "s1-6", "s2-3", "s2-6", "s3-3", "s3-6",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (StoreError("full"), "its database cannot be used"),
        (SchemaAway("it answered 401"), "the schema registry gives no schema"),
    ],
)
def test_a_store_that_is_away_holds_the_batch_until_it_is_back(rig, make_event, counting, error, told):
    for n in range(6):
        rig.broker.append("log", make_event(n))
    failures, troubles = [error] * 3, []

    def away(point: str) -> None:
        if point == "before_commit" and failures:
            troubles.append(worker.troubles())
            raise failures.pop()

    worker = rig.worker(crash_points=away)
    rig.read(worker, rig.drained)
    assert (troubles, worker.troubles()) == ([[], [told], [told]], [])
    assert rig.findings() == ["s1-3", "s1-6"]
    assert rig.store.dead_letters.list() == []


def test_sessions_of_a_newer_version_hold_their_records_until_it_is_back_and_make_no_dead_letters(
    rig, make_event, counting
):
    rig.broker.append("log", make_event(0))
    rig.read(rig.worker(), rig.drained)
    written = text("update sessions set state = replace(state, :old, :new)")
    old, new = '{"epoch":', '{"novel":1,"epoch":'
    with writing(rig.store._engine) as connection:
        connection.execute(written, {"old": old, "new": new})
    rig.broker.append("log", make_event(1))
    tried, load = [], rig.store.load

    def counted(wanted):
        tried.append(wanted)
        return load(wanted)

    rig.store.load = counted
    rig.read(rig.worker(), lambda: len(tried) > 12)
    assert (rig.store.dead_letters.list(), rig.drained()) == ([], False)
    with writing(rig.store._engine) as connection:
        connection.execute(written, {"old": new, "new": old})
    rig.read(rig.worker(pipeline := counting()), rig.drained)
    assert pipeline.judged == ["d1"]


def test_baselines_of_a_newer_version_hold_their_records_until_it_is_back_and_make_no_dead_letters(
    rig, make_event, counting
):
    key = PurposeKey("acme", "p")

    class Comparing(counting):
        def wanted(self, decoded, letters=()):
            return replace(super().wanted(decoded, letters), purposes=frozenset({key}))

    rig.store.baselines.install(
        {key: BaselineFact("", 1, {}, {}, (), (0,) * 24)}, datetime(2026, 5, 12, tzinfo=UTC)
    )
    written = text("update baselines set body = replace(body, :old, :new)")
    old, new = '{"hours":', '{"novel": 1, "hours":'
    with writing(rig.store._engine) as connection:
        connection.execute(written, {"old": old, "new": new})
    rig.broker.append("log", make_event(0))
    tried, load = [], rig.store.load

    def counted(wanted):
        tried.append(wanted)
        return load(wanted)

    rig.store.load = counted
    rig.read(rig.worker(Comparing()), lambda: len(tried) > 12 or rig.drained())
    assert (rig.store.dead_letters.list(), rig.drained()) == ([], False)
    with writing(rig.store._engine) as connection:
        connection.execute(written, {"old": new, "new": old})
    rig.read(rig.worker(pipeline := Comparing()), rig.drained)
    assert pipeline.judged == ["d0"]


def test_a_record_that_the_database_refuses_is_dead_lettered_and_the_others_pass(rig, make_event, refuses):
    for n in range(6):
        rig.broker.append("log", make_event(n))
    refuses(rig.store, "d4")
    rig.read(rig.worker(), rig.drained)
    assert [(letter.code, letter.offset) for letter in rig.store.dead_letters.list()] == [("poison", 4)]
    assert rig.findings() == ["s1-3", "unscorable-0-4"]


def test_the_time_lag_is_the_age_of_the_newest_record(rig, make_event):
    rig.broker.append("log", make_event(0))
    rig.clock.forward(42)
    rig.read(rig.worker(), rig.drained)
    assert rig.metrics.value("guardian_time_lag_seconds") == 42
