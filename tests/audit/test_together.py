"""Concurrent writers and crashes: the chain never forks, on SQLite and on PostgreSQL."""

import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest
from postgres import open_postgres

from guardian.audit.checkpoint import origin_base
from guardian.audit.claims import stored_claims
from guardian.audit.making import make_checkpoint
from guardian.audit.verify import verify_trail
from guardian.store.control.store import ControlStore
from guardian.store.engine import open_engine, writing

NOW = datetime(2026, 5, 12, 12, 0, tzinfo=UTC)
BASE = origin_base("guardian")


def append(store, worker):
    with store.write() as rows:
        rows.audit.append({"action": "revoke", "worker": worker})


def verified(store, trail):
    with store.read() as rows:
        stored = stored_claims(rows.checkpoints.raw(), trail.public)
        return verify_trail(rows.audit.raw(), rows.audit.end(), stored=stored)


def crowd(stores, trail, each):
    """Writers of every store at once, while checkpoints are made and the trail is verified."""
    done = threading.Event()

    def sign():
        while not done.is_set():
            make_checkpoint(stores[0], trail.keys.current(), base=BASE, now=NOW)
            assert verified(stores[-1], trail).ok

    with ThreadPoolExecutor(len(stores) * 2 + 1) as pool:
        signing = pool.submit(sign)
        writers = [pool.submit(append, store, n) for n in range(each) for store in stores]
        for writer in writers:
            writer.result()
        done.set()
        signing.result()


def test_two_stores_on_one_file_keep_one_chain_while_it_is_signed(trail, store):
    other = trail.open()
    crowd((store, other), trail, 12)
    make_checkpoint(store, trail.keys.current(), base=BASE, now=NOW)
    report = verified(store, trail)
    assert (report.ok, report.entries) == (True, 24)
    assert report.stored >= 1
    other.close()


KILLED = """
import os, signal, sys
from datetime import UTC, datetime
from guardian.store.control.store import ControlStore

store = ControlStore.open(sys.argv[1], now=datetime(2026, 5, 12, 12, tzinfo=UTC))
with store.write() as rows:
    rows.audit.append({"action": "committed"})
with store.write() as rows:
    for n in range(3):
        rows.audit.append({"action": "never", "n": n})
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_process_that_is_killed_in_the_middle_of_a_transaction_leaves_whole_entries_only(trail):
    trail.grow(2)
    died = subprocess.run(
        [sys.executable, "-c", KILLED, f"sqlite:///{trail.database}"], capture_output=True, timeout=60, check=False
    )
    assert died.returncode == -signal.SIGKILL, died.stderr
    assert trail.verify().entries == 3
    trail.grow(1)
    trail.sign()
    report = trail.verify(trail.exported)
    assert (report.ok, report.entries) == (True, 4)


@pytest.fixture(scope="module")
def postgres(tmp_path_factory):
    server = open_postgres(tmp_path_factory.mktemp("postgres"))
    yield server.get_uri().replace("postgresql://", "postgresql+psycopg://")
    server.cleanup()


@pytest.mark.slow
def test_on_postgresql_the_chain_holds_and_damage_is_named(postgres, trail):
    store = ControlStore.open(postgres, now=NOW, epoch_file=trail.folder / "epoch")
    other = ControlStore.open(postgres, now=NOW, epoch_file=trail.folder / "epoch")
    crowd((store, other), trail, 12)
    make_checkpoint(store, trail.keys.current(), base=BASE, now=NOW)
    assert verified(store, trail).entries == 24
    engine = open_engine(postgres)
    with writing(engine) as connection:
        connection.exec_driver_sql(
            "UPDATE control_audit SET record = replace(record, 'revoke', 'réinstate') WHERE seq = 5"
        )
    report = verified(store, trail)
    assert (report.faults[0].kind, report.first_bad) == ("edited", 5)
    for each in (engine, store, other):
        (each.dispose if each is engine else each.close)()
