"""A record may hold any number of calls: it is judged piece by piece, and its offset moves with the last."""

import json
import threading
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guardian.domain.batch import DeadLetter
from guardian.domain.record import Place, Record
from guardian.errors import FuseBlown, StoreError
from guardian.pipeline.decoding import Decoder
from guardian.signals.credentials.scanner import CredentialScanner
from guardian.sources.completing import Completion
from guardian.sources.mapping import plugin as mapping
from guardian.sources.reading import Reader
from guardian.stream.fuse import Fuse
from guardian.stream.pieces import pieces
from guardian.stream.vitals import Lateness

PLACE = Place("log", 0)
MOST = 3


class Killed(BaseException):
    """Stands for the end of the process: nothing catches it."""


def upload(*calls, tool="read", **more):
    """One record with these calls."""
    known = {"decision": True, "session": "s1", "gateway": "gw", "tool": tool, **more}
    return json.dumps([{**known, "id": f"d{n}"} for n in calls]).encode()


@pytest.fixture
def decoder(rig):
    return Decoder(
        source=Reader({"mapping": mapping()}, Completion(tenant="acme")),
        redactor=CredentialScanner(key=b"k"), verify=lambda _: "absent", clock=rig.clock,
    )  # fmt: skip


@pytest.fixture
def pipeline(counting, decoder):
    """One that reads uploads; `batches` are the ids of what was judged at once."""

    def make(explode=lambda tool: None):
        made = counting(explode)
        made.each, judge, made.batches = decoder.each, made.judge, []

        def judged(decoded, letters, memory):
            made.batches.append([d.event.id for d in decoded])
            return judge(decoded, letters, memory)

        made.judge = judged
        return made

    return make


def test_a_record_of_many_calls_is_judged_in_pieces_and_its_offset_moves_with_the_last(rig, pipeline):
    for calls in (range(2), range(2, 10), range(10, 12)):
        rig.broker.append("log", upload(*calls))
    made, stored = pipeline(), []
    on_commit = lambda _: stored.append(rig.store.positions([PLACE]).get(PLACE))  # noqa: E731
    rig.read(rig.worker(made, most=MOST, on_commit=on_commit), rig.drained)
    assert made.batches == [[f"d{n}" for n in range(at, at + MOST)] for at in range(0, 12, MOST)]
    assert stored == [1, 1, 1, 3]
    assert rig.findings() == ["s1-12", "s1-3", "s1-6", "s1-9"]
    assert rig.metrics.value("guardian_events_total", outcome="judged") == 12
    assert rig.metrics.value("guardian_events_total", outcome="skipped") == 0


def test_no_more_of_a_record_is_read_than_a_piece_holds(rig, pipeline, decoder):
    rig.broker.append("log", upload(*range(50)))
    read, ahead, made = [], [], pipeline()
    made.each = lambda record: (read.append(1) or each for each in decoder.each(record))
    on_commit = lambda _: ahead.append(len(read) - len(made.judged))  # noqa: E731
    rig.read(rig.worker(made, most=MOST, on_commit=on_commit), rig.drained)
    assert max(ahead) == 1


def test_large_calls_make_smaller_pieces(rig, decoder):
    value = upload(*range(4), arguments={"x": "y" * 300})
    records = [Record("log", 0, n, value, timestamp=rig.clock()) for n in range(2)]
    found = list(pieces(records, decoder.each, most=100, most_bytes=1_000))
    assert [len(piece.decoded) for piece in found] == [3, 3, 2]
    assert [[r.offset for r in piece.records] for piece in found] == [[], [0], [1]]


@given(st.lists(st.integers(0, 7), max_size=8), st.integers(1, 4))
def test_every_decision_is_in_one_piece_and_every_record_ends_in_one(counts, most):
    class Call:
        def __init__(self, record):
            self.record, self.size, self.unfilled = record, 10, None

    records = [Record("log", n % 2, n, b"x" * count) for n, count in enumerate(counts)]
    calls = {r.offset: [Call(r) for _ in r.value] for r in records}
    letters = {r.offset: DeadLetter(r, "invalid", "no") for r in records if len(r.value) % 3 == 0}

    def each(record):
        yield from calls[record.offset]
        yield from [letters[record.offset]] if record.offset in letters else []

    found = list(pieces(records, each, most=most))
    assert [r for piece in found for r in piece.records] == records
    assert [d for piece in found for d in piece.decoded] == [d for r in records for d in calls[r.offset]]
    for piece in found:
        assert len(piece.decoded) <= most
        assert [letter.record for letter in piece.letters] == [r for r in piece.records if r.offset in letters]
        here = {d.record.offset for d in piece.decoded}
        assert here >= {r.offset for r in piece.records if r.value}


@pytest.mark.parametrize("at", range(1, 15))
def test_a_crash_before_or_after_any_piece_loses_and_doubles_nothing(rig, pipeline, decoder, at):
    for n in range(2):
        rig.broker.append("log", upload(*range(10 * n, 10 * n + 10)))
    points = []

    def crash(point: str) -> None:
        points.append(point)
        if len(points) == at:
            raise Killed

    with pytest.raises(Killed):
        rig.read(rig.worker(pipeline(), crash_points=crash, most=MOST), rig.drained)
    rig.read(rig.worker(pipeline(), store=rig.open(), most=MOST), rig.drained)
    assert sorted(rig.findings(), key=lambda name: int(name[3:])) == [f"s1-{n}" for n in range(3, 20, 3)]
    decisions = [d for record in rig.broker.records("log") for d in decoder.each(record)]
    assert rig.store.load(pipeline().wanted(decisions)).sessions[decisions[0].event.key].actions == 20


def test_a_member_evicted_between_two_pieces_leaves_what_is_stored_to_whoever_comes_next(rig, pipeline):
    rig.broker.append("log", upload(*range(9)))

    def steal(point: str) -> None:
        points.append(point)
        if points.count("before_commit") == 2 and point == "before_commit":
            rig.store.claim([PLACE], "somebody else", now=rig.clock())

    points: list[str] = []
    made = pipeline()
    rig.read(rig.worker(made, most=MOST, crash_points=steal), rig.drained)
    assert made.judged.count("d0") == 1
    assert rig.findings() == ["s1-3", "s1-6", "s1-9"]


def test_a_call_that_kills_the_process_in_a_later_piece_is_found_although_earlier_ones_are_stored(rig, pipeline):
    rig.broker.append("log", upload(*range(4)))
    known = json.loads(upload(*range(4, 12)))
    known[-1]["tool"] = "kill"
    rig.broker.append("log", json.dumps(known).encode())
    rig.broker.append("log", upload(*range(12, 14)))

    def explode(tool: str) -> None:
        if tool == "kill":
            raise Killed

    kills = 0
    for _ in range(15):
        try:
            rig.read(rig.worker(pipeline(explode), store=rig.open(), most=MOST), rig.drained)
            break
        except Killed:
            kills += 1
    (letter,) = rig.store.dead_letters.list()
    assert (letter.code, letter.offset) == ("poison", 1)
    assert kills <= 8
    assert {"s1-3", "s1-6", "s1-9", "s1-12"} <= set(rig.findings())


def test_a_call_that_crashes_a_room_costs_no_record_that_is_stored_already(rig, pipeline):
    for n in range(4):
        rig.broker.append("log", upload(*range(2 * n, 2 * n + 2), tool="boom" if n == 2 else "read"))

    def explode(tool: str) -> None:
        if tool == "boom":
            raise ValueError

    made = pipeline(explode)
    rig.read(rig.worker(made, most=2), rig.drained)
    assert set(made.judged) == {"d0", "d1", "d2", "d3", "d6", "d7"}
    assert rig.metrics.value("guardian_events_total", outcome="judged") == 6
    assert [letter.offset for letter in rig.store.dead_letters.list()] == [2]
    assert rig.metrics.value("guardian_events_total", outcome="redelivered") == 0


def test_a_store_that_is_away_between_two_pieces_is_waited_for(rig, pipeline):
    for n in range(3):
        rig.broker.append("log", upload(*range(2 * n, 2 * n + 2)))
    points: list[str] = []

    def away(point: str) -> None:
        points.append(point)
        if points.count("before_commit") == 2 and point == "before_commit":
            raise StoreError("locked")

    made = pipeline()
    rig.read(rig.worker(made, most=2, crash_points=away), rig.drained)
    assert made.batches == [["d0", "d1"], ["d2", "d3"], ["d2", "d3"], ["d4", "d5"]]
    assert rig.metrics.value("guardian_events_total", outcome="redelivered") == 0


def test_who_is_told_to_stop_finishes_the_piece_and_the_next_start_goes_on(rig, pipeline, capsys):
    rig.broker.append("log", upload(*range(9)))
    stop, made = threading.Event(), pipeline()
    rig.worker(made, most=MOST, on_commit=lambda _: stop.set()).run(stop)
    assert made.batches == [["d0", "d1", "d2"]]
    assert "store_away" not in capsys.readouterr().out
    assert rig.store.positions([PLACE]) == {}
    again = pipeline()
    rig.read(rig.worker(again, most=MOST), rig.drained)
    assert again.judged == ["d3", "d4", "d5", "d6", "d7", "d8"]


def test_a_record_of_which_more_comes_does_not_make_the_monitor_look_current(rig, pipeline):
    for calls in (range(2), range(2, 11)):
        rig.broker.append("log", upload(*calls), timestamp=rig.clock() - timedelta(hours=1))
    lateness, looked = Lateness(rig.clock), []
    on_commit = lambda _: looked.append(lateness.lag())  # noqa: E731
    rig.read(rig.worker(pipeline(), most=2, on_commit=on_commit, lateness=lateness), rig.drained)
    assert looked == [timedelta(hours=1)] * 6


def test_a_record_that_was_taken_apart_is_one_readable_record_to_the_fuse(rig, pipeline):
    for n in range(6):
        rig.broker.append("log", upload(*range(8 * n, 8 * n + 8))[:-1] + b',{"gateway":"gw"}]')
    rig.read(rig.worker(pipeline(), most=4, fuse=Fuse(window=6, minimum=3, ratio=0.5)), rig.drained)
    for _ in range(6):
        rig.broker.append("log", b'{"gateway":"gw"}')
    with pytest.raises(FuseBlown):
        rig.read(rig.worker(pipeline(), most=4, fuse=Fuse(window=6, minimum=3, ratio=0.5)), lambda: False)


def test_what_comes_late_behind_a_record_from_the_future_is_late_until_all_of_it_is_judged(rig, pipeline):
    for number, hours in enumerate((24, -1, -1)):
        at = rig.clock() + timedelta(hours=hours)
        rig.broker.append("log", upload(*range(MOST * number, MOST * (number + 1))), timestamp=at)
    lateness, shown = Lateness(rig.clock), []
    told = {"lateness": lateness, "on_commit": lambda _: shown.append(lateness.lag())}
    rig.read(rig.worker(pipeline(), most=MOST, **told), rig.drained)
    hour = timedelta(hours=1)
    assert (shown, lateness.lag()) == ([timedelta(0), hour, hour], timedelta(0))
