import threading
from datetime import timedelta

import pytest

from guardian.domain.backoff import Backoff
from guardian.domain.batch import Judgement
from guardian.errors import ArchiveError, StoreError
from guardian.stream.archiving import Archiving, ArchivingOptions


class Files:
    """Files in memory by name; `trouble` is raised first, once for each. Tidying takes two steps; `in_a_step` is
    called in the first."""

    def __init__(self):
        self.written, self.trouble, self.tidied, self.in_a_step = {}, [], 0, lambda: None
        self.tidying, self.done = threading.Event(), []

    def write(self, group):
        if self.trouble:
            raise self.trouble.pop(0)
        self.written[group.name] = b"".join(group.bodies)
        self.done.append("written")
        return len(group.bodies)

    def tidy(self, now):
        self.tidied += 1
        self.tidying.set()
        self.in_a_step()
        for step in ("a step", "another"):
            self.done.append(step)
            yield step

    @property
    def decisions(self):
        return b"".join(self.written.values()).split()


@pytest.fixture
def files():
    return Files()


@pytest.fixture
def archiving(rig, files):
    def made(**more):
        options = ArchivingOptions(rows=more.pop("rows", 4), pace=Backoff(0.001, 60.0), **more.pop("options", {}))
        pack = more.pop(
            "pack", lambda judgement: b"".join(b"%s " % v.decoded.event.id.encode() for v in judgement.scored)
        )
        return Archiving(
            spool=rig.store.spool, pack=pack, write=files.write, tidy=files.tidy, clock=rig.clock,
            metrics=rig.metrics, options=options, **more,
        )  # fmt: skip

    return made


def feed(rig, make_event, count, **more):
    for n in range(count):
        rig.broker.append("log", make_event(n))
    rig.read(rig.worker(max_records=2, **more), rig.drained)


def test_every_judged_decision_reaches_a_file_once(rig, files, archiving, make_event):
    one = archiving()
    feed(rig, make_event, 7, archived=one.packed)
    assert rig.metrics.value("guardian_archive_skipped_total") == 0
    one.write_due()
    assert len(files.decisions) == 4
    one.write_due(everything=True)
    assert sorted(files.decisions) == sorted(b"d%d" % n for n in range(7))
    assert rig.metrics.value("guardian_archive_waiting") == 0


def test_after_a_crash_between_file_and_store_the_same_file_is_written_again(rig, files, archiving, make_event):
    def crash(point):
        if point == "after_archive":
            raise KeyboardInterrupt

    feed(rig, make_event, 6, archived=archiving().packed)
    with pytest.raises(KeyboardInterrupt):
        archiving(crash_points=crash).write_due(everything=True)
    rig.clock.forward(600)
    archiving().write_due(everything=True)
    assert sorted(files.decisions) == sorted(b"d%d" % n for n in range(6))


def test_a_full_disk_holds_up_nothing_and_loses_nothing(rig, files, archiving, make_event):
    one = archiving()
    files.trouble = [ArchiveError("disk full")]
    feed(rig, make_event, 4, archived=one.packed)
    with pytest.raises(ArchiveError):
        one.write_due()
    rig.clock.forward(600)
    one.write_due()
    assert len(files.decisions) == 4


def test_what_this_monitor_may_not_write_it_leaves_to_those_that_may(rig, files, archiving, make_event):
    """Nothing of it is leased, and no clock goes on."""

    def another():
        raise ArchiveError("another archive")

    one, other = archiving(check=another), archiving()
    feed(rig, make_event, 4, archived=one.packed)
    one.run(Stop(2, lambda: None))
    assert (one.failing, files.decisions) == (True, [])
    assert rig.metrics.value("guardian_loop_failures_total", loop="archive") == 2
    other.write_due()
    assert len(files.decisions) == 4


class Stop:
    """Set after `rounds`; between two of them it calls `meanwhile`."""

    def __init__(self, rounds, meanwhile):
        self.left, self.meanwhile = rounds, meanwhile

    def is_set(self):
        return self.left == 0

    def wait(self, seconds):
        self.left -= 1
        self.meanwhile()


@pytest.mark.parametrize("trouble", [[], [ArchiveError("disk full")]])
def test_what_is_due_is_written_before_the_next_step_of_tidying(rig, files, archiving, make_event, trouble):
    """And where it cannot be, tidying goes on: it may be what makes room."""
    one, files.trouble = archiving(), [*trouble]
    files.in_a_step = lambda: feed(rig, make_event, 4, archived=one.packed)
    one.run(Stop(2, lambda: rig.clock.forward(600)))
    assert files.done == (["a step", "another", "written"] if trouble else ["a step", "written", "another"])
    assert files.tidied == 1


def test_tidying_goes_on_although_the_disk_refuses_one_group_after_the_other(rig, files, archiving, make_event):
    one, files.trouble = archiving(), [ArchiveError("disk full")] * 9
    feed(rig, make_event, 12, archived=one.packed)
    one.run(Stop(3, lambda: None))
    assert files.done == ["a step", "another"]


def test_who_is_to_stop_waits_for_one_step_only(rig, files, archiving, make_event):
    one, stop = archiving(), threading.Event()
    feed(rig, make_event, 3, archived=one.packed)
    files.in_a_step = stop.set
    one.run(stop)
    assert files.done == ["a step", "written"]


def test_what_the_disk_refuses_is_counted_and_said_until_it_is_written(rig, files, archiving, make_event):
    """For as long as nobody else may try the same it is not due, and a round without it proves nothing."""
    one, said = archiving(), []
    files.trouble = [ArchiveError("disk full")] * 2
    feed(rig, make_event, 4, archived=one.packed)

    def meanwhile():
        said.append(one.failing)
        if len(said) % 2 == 0:
            rig.clock.forward(600)

    one.run(Stop(6, meanwhile))
    assert said == [True, True, True, True, False, False]
    assert len(files.decisions) == 4
    assert rig.metrics.value("guardian_loop_failures_total", loop="archive") == 2


def test_a_database_that_was_away_is_no_archive_that_cannot_be_written(rig, archiving, make_event, monkeypatch):
    """What waits then may not be due for a while, and until it is written nothing would take that back."""
    one, troubles, take = archiving(), [StoreError("its database is away")], rig.store.spool.take

    def taken(*due, **more):
        if troubles:
            raise troubles.pop()
        return take(*due, **more)

    monkeypatch.setattr(rig.store.spool, "take", taken)
    feed(rig, make_event, 2, archived=one.packed)
    said = []
    one.run(Stop(2, lambda: said.append(one.failing)))
    assert said == [False, False]
    assert rig.metrics.value("guardian_loop_failures_total", loop="archive") == 1


def test_beyond_its_bound_the_spool_takes_no_more_and_says_so(rig, files, archiving, make_event):
    one = archiving(options={"most_waiting": 3})
    feed(rig, make_event, 10, archived=one.packed)
    assert rig.metrics.value("guardian_archive_skipped_total") == 6
    assert rig.drained()


def test_a_record_that_cannot_be_packed_is_judged_all_the_same(rig, archiving, make_event, counting):
    def pack(judgement):
        raise TypeError("no such column")

    pipeline = counting()
    for n in range(3):
        rig.broker.append("log", make_event(n))
    rig.read(rig.worker(pipeline, archived=archiving(pack=pack).packed), rig.drained)
    assert pipeline.judged == ["d0", "d1", "d2"]
    assert rig.metrics.value("guardian_archive_skipped_total") == 3


def test_an_empty_batch_keeps_nothing(archiving):
    assert archiving().packed(Judgement()) == b""


def test_the_loop_writes_what_is_left_when_it_is_stopped_and_tidies_now_and_then(
    rig, files, archiving, make_event
):
    one = archiving(options={"tidy_every": timedelta(hours=1)})
    stop = threading.Event()
    thread = threading.Thread(target=one.run, args=(stop,), daemon=True)
    thread.start()
    feed(rig, make_event, 3, archived=one.packed)
    assert files.tidying.wait(10)
    stop.set()
    thread.join(10)
    assert not thread.is_alive()
    assert len(files.decisions) == 3
    assert files.tidied == 1


def test_a_clock_that_was_ahead_and_is_set_right_keeps_no_tidying_waiting(rig, files, archiving):
    one = archiving()
    rig.clock.forward(402 * 86_400)
    one.run(Stop(3, lambda: None))
    rig.clock.forward(-402 * 86_400)
    one.run(Stop(3, lambda: None))
    assert files.tidied == 2
    one.run(Stop(3, lambda: rig.clock.forward(60)))
    assert files.tidied == 2
