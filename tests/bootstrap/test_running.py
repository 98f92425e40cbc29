"""What only a process does that is guardian and nothing else."""

import gc

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
