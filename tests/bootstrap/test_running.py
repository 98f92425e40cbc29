"""What only a process does that is guardian and nothing else."""

import gc
import os
import signal
import sys
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from guardian.bootstrap import running
from guardian.bus.pipe import PipeConsumer
from guardian.commands.initialise import initialise
from guardian.commands.letters import dead_letters
from guardian.config import load
from guardian.errors import ControlError


def test_what_was_loaded_is_left_out_of_collection_by_the_process_that_serves(monkeypatch):
    frozen = []

    class Control:
        url = "http://127.0.0.1:1"

        def __init__(self, *_, **__):
            self.before = gc.get_freeze_count()

        def reload_policies(self):
            """None here."""

        def start(self):
            frozen.append(gc.get_freeze_count() - self.before)

        def alive(self):
            return True

        def stop(self):
            """It never ran."""

    monkeypatch.setattr(running, "Control", Control)
    monkeypatch.setattr(running, "_until", lambda *_: frozen.append(gc.get_freeze_count()))
    try:
        running.serve(load(None))
    finally:
        gc.unfreeze()
    assert frozen[0] == 0  # nobody who opens a control API inside something else has this done to them
    assert frozen[1] > 1000


def test_what_was_loaded_is_left_out_of_collection_by_the_process_that_watches(monkeypatch, tmp_path):
    class Monitor:
        def __init__(self, *_, **__):
            gc.unfreeze()  # what the tests froze before
            frozen.append(gc.get_freeze_count())

        def run(self, _stop):
            frozen.append(gc.get_freeze_count())

    frozen = []
    monkeypatch.setattr(running, "Monitor", Monitor)
    (tmp_path / "log.jsonl").write_text("{}\n")
    try:
        running.watch(load(None), tmp_path / "log.jsonl")
    finally:
        gc.unfreeze()
    assert frozen[1] - frozen[0] > 1000


@pytest.fixture
def hung_up(monkeypatch, capfd):
    """Hang up on one of the ways to run, while it opens `part`; what its log says of that."""

    class Enough(Exception):
        """It lived on."""

    def go(run, part):
        def hang_up(*_, **__):
            signal.raise_signal(signal.SIGHUP)
            raise Enough

        monkeypatch.setattr(running, part, hang_up)
        with pytest.raises(Enough):
            run(load(None))
        return [line for line in capfd.readouterr().err.splitlines() if "hung_up" in line]

    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # else it would end the tests
    yield go
    signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize(("run", "part"), [("watch", "Monitor"), ("serve", "Control"), ("run", "check_plugins")])
def test_what_is_hung_up_on_before_it_has_policies_to_read_anew_lives_on_and_says_so(hung_up, run, part):
    assert len(hung_up(getattr(running, run), part)) == 1


def test_control_reads_its_policies_anew_where_it_is_hung_up_on(monkeypatch, hung_up):
    reloads = []
    control = SimpleNamespace(
        reload_policies=lambda: reloads.append(True), start=lambda: None, stop=lambda: None, alive=lambda: True
    )
    monkeypatch.setattr(running, "Control", lambda *_, **__: control)
    assert (hung_up(running.serve, "_until"), reloads) == ([], [True])
    gc.unfreeze()


@pytest.mark.parametrize("kept_at", ["beside", "in a folder of its own", "nowhere"])
def test_dead_letters_of_a_file_stay_in_the_store_where_nothing_may_be_written_beside_it(
    monkeypatch, tmp_path, kept_at
):
    settings = load(initialise(tmp_path / "home"), overrides={"archive": {}, "model": {"engine": "lexical"}})
    folder = tmp_path / "logs"
    (folder / "log.jsonl.dlq" if kept_at == "in a folder of its own" else folder).mkdir(parents=True)
    (folder / "log.jsonl").write_text("not json\n")
    writable = {"beside": folder, "in a folder of its own": folder / "log.jsonl.dlq", "nowhere": None}[kept_at]
    look = os.access  # root may write everywhere
    monkeypatch.setattr(
        os,
        "access",
        lambda path, *how: Path(path) == writable if folder in (path, *Path(path).parents) else look(path, *how),
    )
    watched = running.watch(settings, folder / "log.jsonl")
    gc.unfreeze()
    there = sorted(path.name for path in folder.rglob("*.jsonl"))
    assert (watched.refused, watched.ended) == (1, True)
    assert (watched.letters is None) is (kept_at == "nowhere")
    assert len(there) == (1 if kept_at == "nowhere" else 2)
    assert [letter["code"] for letter in dead_letters(settings, 9)] == ["not_json"]


def test_files_of_one_name_are_two_and_every_standard_input_is_another(tmp_path, monkeypatch):
    places = set()
    for day in ("monday", "tuesday"):
        (tmp_path / day).mkdir()
        (tmp_path / day / "log.jsonl").write_text("{}\n")
        monkeypatch.chdir(tmp_path / day)
        places |= running._reader_of(Path("log.jsonl")).assignment()
        places |= running._reader_of(Path("log.jsonl")).assignment()
    assert len(places) == 2
    with open(os.devnull) as nothing:
        monkeypatch.setattr(sys, "stdin", nothing)
        ones = [running._reader_of(Path("-")) for _ in range(2)]
    assert ones[0].assignment() != ones[1].assignment()


def test_a_pipe_given_by_its_path_is_read_once_and_whole():
    read, write = os.pipe()
    os.write(write, b"one\ntwo\n")
    consumer = running._reader_of(Path(f"/dev/fd/{read}"))
    os.close(write)
    consumer.start(lambda places: {})
    assert [record.value for record in consumer.poll(timeout_s=10, max_records=9)] == [b"one", b"two"]
    assert consumer.poll(timeout_s=10, max_records=9) == []
    assert consumer.exhausted()
    os.close(consumer._descriptor)
    os.close(read)
    assert running.letters_of(Path(f"/dev/fd/{read}")) == Path("stdin.dlq")  # nothing is kept beside a device
    assert running.letters_of(Path("/dev/shm/log.jsonl")) == Path("/dev/shm/log.jsonl.dlq")  # a folder as any


def test_a_named_pipe_is_waited_for_while_nobody_writes_to_it(tmp_path):
    os.mkfifo(tmp_path / "log")
    consumer = running._reader_of(tmp_path / "log")
    assert isinstance(consumer, PipeConsumer)
    consumer.start(lambda places: {})
    assert consumer.poll(timeout_s=0.01, max_records=9) == []
    assert not consumer.exhausted()
    with open(tmp_path / "log", "wb") as end:
        end.write(b"one\n")
    assert [record.value for record in consumer.poll(timeout_s=10, max_records=9)] == [b"one"]
    os.close(consumer._descriptor)


@pytest.mark.parametrize("asked", ["in time", "twice", "too slow"])
def test_who_stops_a_pipe_waits_for_what_was_taken_from_it_unless_asked_twice_or_too_long(
    monkeypatch, tmp_path, asked
):
    class Monitor:
        store = None

        def __init__(self, *_, consumer, **__):
            self.consumer = consumer

        def run(self, stop):
            self.consumer.start(lambda places: {})
            (record,) = self.consumer.poll(timeout_s=10, max_records=1)
            signal.raise_signal(signal.SIGTERM)
            assert not stop.is_set()
            if asked == "twice":
                signal.raise_signal(signal.SIGTERM)
            if asked != "in time":
                return None if stop.wait(30) else pytest.fail("it waits for ever")
            self.consumer.poll(timeout_s=0, max_records=9)
            self.consumer.commit({record.place: 3})
            return 0

    monkeypatch.setattr(running, "Monitor", Monitor)
    monkeypatch.setattr(running, "leave_what_is_loaded", lambda: None)
    monkeypatch.setattr(running, "_FINISHES_FOR_S", 1 if asked == "too slow" else 30)
    monkeypatch.chdir(tmp_path)
    read, write = os.pipe()
    os.write(write, b"one\ntwo\nthree\n")
    watched = running.watch(load(None), Path(f"/dev/fd/{read}"))
    os.close(write)
    os.close(read)
    assert (watched.lost, watched.ended, watched.unread) == (0 if asked == "in time" else 3, False, False)
    assert signal.getsignal(signal.SIGALRM) is signal.SIG_DFL


def test_a_last_line_that_is_not_whole_is_told(monkeypatch, tmp_path):
    class Monitor:
        def __init__(self, *_, consumer, **__):
            self.consumer = consumer

        def run(self, _stop):
            self.consumer.start(lambda places: {})
            while self.consumer.poll(timeout_s=0, max_records=9):
                """On."""
            return 0

    monkeypatch.setattr(running, "Monitor", Monitor)
    monkeypatch.setattr(running, "leave_what_is_loaded", lambda: None)
    for text, unfinished in (("{}\n{}", False), ("{}\n{", True)):
        (tmp_path / "log").write_text(text)
        watched = running.watch(load(None), tmp_path / "log")
        assert (watched.ended, watched.unfinished) == (True, unfinished)


def test_a_control_api_that_ends_by_itself_is_a_fault_and_no_configuration() -> None:
    control: Any = SimpleNamespace(alive=lambda: False)
    with pytest.raises(ControlError, match="ended by itself"):
        running._until(threading.Event(), control)
