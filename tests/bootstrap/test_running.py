"""What only a process does that is guardian and nothing else."""

import gc
import os
import sys
from pathlib import Path

from guardian.bootstrap import running
from guardian.config import load


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
        running.serve(load(None), lambda _: None)
    finally:
        gc.unfreeze()
    assert frozen[0] == 0  # nobody who opens a control API inside something else has this done to them
    assert frozen[1] > 1000


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
