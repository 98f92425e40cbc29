"""Making checkpoints: each one is right, cheap, and never a contradiction of an earlier one."""

import json
import sqlite3
from contextlib import closing
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guardian.audit.checkpoint import origin_base, read, write
from guardian.audit.files import append_note
from guardian.audit.making import make_checkpoint
from guardian.audit.proofs import consistency_ranges, leaves_of, prove, verify_consistency
from guardian.audit.tree import MerkleTree
from guardian.errors import StoreError
from guardian.keys.signing import SigningKeys
from guardian.store.control.store import ControlStore

NOW = datetime(2026, 5, 12, 12, 0, tzinfo=UTC)
BASE = origin_base("guardian")


def append(store, count):
    with store.write() as rows:
        for n in range(count):
            rows.audit.append({"action": "revoke", "actor": "ann", "n": n})


def leaves(store):
    with store.read() as rows:
        return list(leaves_of(rows.audit.raw()))


def root(leaves):
    tree = MerkleTree()
    for leaf in leaves:
        tree.append(leaf)
    return tree.root()


def made(trail, store):
    return make_checkpoint(store, trail.keys.current(), base=BASE, now=NOW)


def test_an_empty_trail_and_one_without_news_are_not_signed(trail, store):
    assert made(trail, store) is None
    append(store, 3)
    assert made(trail, store).size == 3
    assert made(trail, store) is None


@settings(deadline=None, max_examples=15)
@given(steps=st.lists(st.integers(1, 9), min_size=1, max_size=5))
def test_every_checkpoint_has_the_root_of_the_whole_trail_and_extends_the_one_before(
    template, tmp_path_factory, steps
):
    trail = template.copy_to(tmp_path_factory.mktemp("grown") / "trail")
    store = trail.open()
    sizes, roots = [9], [root(leaves(store)[:9])]
    for count in steps:
        append(store, count)
        said = read(made(trail, store).note, keys=trail.public)
        assert (said.size, said.root) == (len(leaves(store)), root(leaves(store)))
        proof = prove(leaves(store), consistency_ranges(sizes[-1], said.size))
        assert verify_consistency(
            first=sizes[-1], second=said.size, first_root=roots[-1], second_root=said.root, proof=proof
        )
        sizes.append(said.size)
        roots.append(said.root)
    store.close()


def test_what_the_last_checkpoint_covers_is_not_read_again(trail, store):
    append(store, 5)
    made(trail, store)
    trail.tamper("UPDATE control_audit SET record = 'x' WHERE seq = 2")
    append(store, 1)
    assert made(trail, store).size == 6  # `verify` finds it; the writer's work does not grow with the trail
    assert trail.verify().first_bad == 2


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE control_checkpoint SET note = 'nonsense' WHERE size = 0",
        "UPDATE control_checkpoint SET note = x'80' WHERE size = 0",
        """UPDATE control_checkpoint SET note = '{"size":1e999,"frontier":[],"exported":{}}' WHERE size = 0""",
        "UPDATE control_checkpoint SET note = replace(hex(zeroblob(50000)), '0', '[') WHERE size = 0",
        "UPDATE control_checkpoint SET note = replace(note, '\"size\":9', '\"size\":8') WHERE size = 0",
        "UPDATE control_checkpoint SET note = replace(note, '[\"', '[\"00') WHERE size = 0",
        "DELETE FROM control_checkpoint WHERE size = 0",
    ],
)
def test_a_lost_or_altered_notebook_costs_a_reading_and_is_not_believed(signed, damage):
    signed.tamper(damage)
    signed.sign()
    assert signed.verify(signed.exported).ok


def test_a_rewritten_trail_is_not_signed(signed):
    signed.rewrite(lambda seq, record: record.replace("ann", "bob") if seq == 2 else record)
    with pytest.raises(StoreError, match="entry 10 is edited"):
        signed.sign()


def test_a_rewritten_trail_is_not_signed_when_the_notebook_is_gone_either(signed):
    signed.rewrite(lambda seq, record: record.replace("ann", "bob") if seq == 2 else record)
    signed.tamper("DELETE FROM control_checkpoint WHERE size = 0")
    with pytest.raises(StoreError, match="first 9 entries are not those that were signed"):
        signed.sign()


@pytest.mark.parametrize("restarted", [False, True])
def test_a_rewritten_trail_is_not_signed_when_its_checkpoints_are_gone_and_the_next_write_begins_another_log(
    signed, restarted
):
    running = signed.open()
    signed.rewrite(lambda seq, record: record.replace("ann", "bob") if seq == 2 else record)
    signed.tamper("DELETE FROM control_checkpoint")
    running.remember()  # that it was looked at does not make it the trail that was signed
    with pytest.raises(StoreError, match="signed up to entry 9 already"):
        made(signed, running)
    if not restarted:
        append(running, 1)
    running.close()
    assert "/audit/2\n" in signed.sign(), "its beginning calls people"
    assert not signed.verify(signed.exported).ok


def test_a_checkpoint_by_a_strange_key_has_no_rewritten_trail_signed(signed, tmp_path):
    running = signed.open()
    signed.rewrite(lambda seq, record: record.replace("ann", "bob") if seq == 2 else record)
    signed.tamper("DELETE FROM control_checkpoint")
    stranger = SigningKeys.create(tmp_path / "stranger.jwks.json").current()
    forged = write(stranger, base=BASE, epoch=1, size=10, root=bytes(32), chain=bytes(32), now=NOW)
    with closing(signed.behind()) as theirs, theirs.write() as rows:
        rows.checkpoints.add(10, forged, frontier=(), now=NOW)
    with pytest.raises(StoreError, match="signed up to entry 9 already"):
        made(signed, running)
    running.close()


@pytest.mark.parametrize("known", [True, False], ids=["with it", "by an older version"])
def test_checkpoints_that_are_gone_by_themselves_cost_a_reading(signed, known):
    file = signed.folder / "control.db.epoch"
    told = json.loads(file.read_text())
    assert told["signed"] == 9
    if not known:
        file.write_text(json.dumps({name: told[name] for name in told if not name.startswith("signed")}))
    signed.tamper("DELETE FROM control_checkpoint")
    assert "/audit/1\n11\n" in signed.sign()
    assert signed.verify(signed.exported).ok
    assert json.loads(file.read_text())["signed"] == 11


def test_each_of_two_makers_remembers_what_the_other_one_signed(trail, store):
    files = [trail.folder / name for name in ("one.epoch", "two.epoch")]
    url = f"sqlite:///{trail.database}"
    one, two = (ControlStore.open(url, now=NOW, epoch_file=file) for file in files)
    append(store, 2)
    assert made(trail, one).size == 2
    two.remember()
    append(store, 1)
    assert made(trail, two).size == 3
    one.remember()
    assert [json.loads(file.read_text())["signed"] for file in files] == [2, 3]
    trail.rewrite(lambda seq, record: record.replace("ann", "bob"))
    trail.tamper("DELETE FROM control_checkpoint")
    for each in (one, two):
        with pytest.raises(StoreError, match="another trail"):
            made(trail, each)
        each.close()


@pytest.mark.parametrize(
    ("damage", "why"),
    [
        ("UPDATE control_audit SET record = replace(record, 'ann', 'bob') WHERE seq = 10", "entry 10 is edited"),
        ("DELETE FROM control_audit WHERE seq = 10", "entry 10 is missing"),
        ("DELETE FROM control_audit WHERE seq = 11", "entry 11 is missing"),
        ("DELETE FROM control_audit WHERE seq > 5", "entry 10 is missing"),
        ("UPDATE control_checkpoint SET note = replace(note, 'time 2026', 'time 2025') WHERE size = 9", "false"),
    ],
)
def test_nothing_is_signed_over_a_trail_that_does_not_hold(signed, damage, why):
    signed.tamper(damage)
    with pytest.raises(StoreError, match=why):
        signed.sign()
    assert signed.exported.read_text(encoding="utf-8").count("chain ") == 2


def test_a_trail_that_loses_its_end_while_control_runs_is_not_signed(signed):
    running = signed.open()
    signed.tamper("DELETE FROM control_audit WHERE seq = 11")
    with pytest.raises(StoreError, match="ends at entry 10"):
        made(signed, running)
    running.close()


def test_after_a_cut_the_shorter_trail_is_not_signed(signed):
    signed.rewrite(lambda seq, record: record if seq <= 6 else None)
    with pytest.raises(StoreError, match="audit verify"):
        signed.sign()


def test_a_retired_key_does_not_stop_the_next_checkpoint(signed):
    old = signed.keys.current()
    signed.keys.rotate()
    signed.keys.retire(str(old.signing.kid))
    note = signed.sign()
    assert read(note, keys=signed.public).size == 11


def test_two_makers_put_down_one_checkpoint(trail, store):
    append(store, 2)
    other = trail.open()
    first = made(trail, store)
    assert made(trail, other) is None
    with other.read() as rows:
        assert rows.checkpoints.latest() == first
    other.close()


def test_a_failover_while_the_trail_is_read_ends_no_signing(trail, store, monkeypatch):
    append(store, 3)
    made(trail, store)
    append(store, 5)
    replica = trail.folder / "replica.db"
    with closing(sqlite3.connect(trail.database)) as there, closing(sqlite3.connect(replica)) as copy:
        there.backup(copy)
    append(store, 2)
    write_ = store.write

    def fails_over():
        monkeypatch.setattr(store, "write", write_)
        with closing(sqlite3.connect(trail.database)) as there, closing(sqlite3.connect(replica)) as copy:
            copy.backup(there)
        return write_()

    monkeypatch.setattr(store, "write", fails_over)
    with pytest.raises(StoreError, match="it changed while it was read"):
        made(trail, store)
    with store.read() as rows:
        assert rows.checkpoints.latest().size == 3
    assert store.head().revision.epoch == 2
    said = read(made(trail, store).note, keys=trail.public)
    assert (said.origin, said.size) == (f"{BASE}/2", 9), "its beginning is an entry"


@pytest.mark.parametrize("rotated", [False, True])
def test_under_another_issuer_the_same_trail_is_signed_on(signed, rotated):
    if rotated:
        signed.keys.rotate()
    with closing(signed.open()) as store:
        note = make_checkpoint(store, signed.keys.current(), base=origin_base("https://g.example"), now=NOW).note
    append_note(signed.exported, note)
    said = read(note, keys=signed.public)
    assert (said.origin, said.size) == ("g.example/audit/1", 11)
    report = signed.verify(signed.exported)
    assert (report.ok, report.stored, report.given) == (True, 3, 3)


def test_a_checkpoint_of_nothing_cannot_be_kept(store):
    with pytest.raises(ValueError, match="at least one entry"), store.write() as rows:
        rows.checkpoints.add(0, "", frontier=(), now=NOW)


def test_checkpoints_are_read_page_by_page_in_the_order_of_their_sizes(store):
    with store.write() as rows:
        for size in range(1, 1203):
            rows.checkpoints.add(size, f"note {size}", frontier=(), now=NOW)
    with store.read() as rows:
        kept = rows.checkpoints
        assert [row.size for row in kept.raw()] == list(range(1, 1203))
        assert [row.size for row in kept.after(1199, 2)] == [1200, 1201]
