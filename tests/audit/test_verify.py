"""Verification: whatever is done to the stored trail is found, and where it begins is named."""

import json
import os
import shutil
import sqlite3
import tempfile
from contextlib import ExitStack, closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from guardian.audit.checkpoint import Checkpoint, write
from guardian.audit.files import append_note
from guardian.audit.note import note_keys, sign
from guardian.audit.verify import verify_trail
from guardian.errors import ConfigurationError, StoreError
from guardian.keys.signing import SigningKeys
from guardian.store.control.store import ControlStore
from guardian.store.engine import open_engine

NOW = datetime(2026, 5, 12, 12, 0, tzinfo=UTC)
_EPOCH = '{"action":"beginEpoch","seq":4,"epoch":%s}'


def kinds(report):
    return [fault.kind for fault in report.faults]


def test_a_trail_that_nobody_touched_holds(signed):
    report = signed.verify(signed.exported)
    assert report.ok
    assert (report.entries, report.epoch, report.stored, report.given) == (11, 1, 2, 2)
    assert report.first_bad is None


@contextmanager
def as_somebody_else():
    """With few rights, also where root runs the tests."""
    me = os.getuid()
    other = me or 65534
    os.setresuid(other, other, me)
    try:
        yield
    finally:
        os.setresuid(me, me, me)


@pytest.mark.parametrize("live", [False, True])
def test_who_verifies_needs_no_right_to_write(signed, live):
    with tempfile.TemporaryDirectory() as folder, ExitStack() as left:
        there = signed.copy_to(Path(folder) / "a copy")
        if live:
            running = left.enter_context(closing(there.open()))
            with running.write() as rows:
                rows.audit.append({"action": "revoke"})
        held = sorted(there.folder.iterdir())
        for each in held:
            each.chmod(0o444)
        Path(folder).chmod(0o755)
        there.folder.chmod(0o555)
        with as_somebody_else():
            engine = open_engine(f"sqlite:///{there.database}", reads=True)
            with closing(ControlStore(engine, None, lambda: NOW)) as store, store.read() as rows:
                report = verify_trail(rows.audit.raw(), rows.audit.end())
        there.folder.chmod(0o755)
        assert (report.ok, report.entries, sorted(there.folder.iterdir())) == (True, 11 + live, held)


def test_a_copy_that_cannot_be_read_where_it_lies_is_told_with_the_way_out(signed):
    with tempfile.TemporaryDirectory() as folder, closing(signed.open()) as running:
        with running.write() as rows:
            rows.audit.append({"action": "revoke"})
        Path(folder).chmod(0o755)
        (there := Path(folder) / "a copy").mkdir()
        for end in ("", "-wal"):
            shutil.copy(f"{signed.database}{end}", there / f"control.db{end}")
            (there / f"control.db{end}").chmod(0o444)
        there.chmod(0o555)
        says = "there is no .*control.db-shm to its -wal, and it cannot be made; its folder must .* be writable"
        with as_somebody_else(), pytest.raises(StoreError, match=says):
            open_engine(f"sqlite:///{there}/control.db", reads=True)
        there.chmod(0o755)
        engine = open_engine(f"sqlite:///{there}/control.db", reads=True)
        with closing(ControlStore(engine, None, lambda: NOW)) as store, store.read() as rows:
            assert verify_trail(rows.audit.raw(), rows.audit.end()).entries == 12


def test_an_empty_trail_holds(trail):
    trail.open().close()
    assert trail.verify().ok


@pytest.mark.parametrize(
    ("damage", "kind", "first_bad"),
    [
        (["UPDATE control_audit SET record = replace(record, 'ann', 'bob') WHERE seq = 3"], "edited", 3),
        (["UPDATE control_audit SET hash = upper(hash) WHERE seq = 4"], "edited", 4),
        (["UPDATE control_audit SET hash = replace(hash, substr(hash, 1, 1), 'z') WHERE seq = 4"], "edited", 4),
        (["UPDATE control_audit SET record = CAST(record AS BLOB) WHERE seq = 4"], "unreadable", 4),
        (["UPDATE control_audit SET record = x'80' WHERE seq = 4"], "unreadable", 4),
        ([f"UPDATE control_audit SET record = '{_EPOCH % '1e999'}' WHERE seq = 4"], "edited", 4),
        ([f"UPDATE control_audit SET record = '{_EPOCH % ('[' * 100_000)}' WHERE seq = 4"], "edited", 4),
        (["UPDATE control_audit SET record = CAST(x'80' AS TEXT) WHERE seq = 4"], "moved", 4),
        (["DELETE FROM control_audit WHERE seq = 2"], "missing", 2),
        (["DELETE FROM control_audit WHERE seq BETWEEN 2 AND 5"], "missing", 2),
        (["DELETE FROM control_audit WHERE seq = 1"], "missing", 1),
        (["DELETE FROM control_audit WHERE seq = 11"], "truncated", 11),
        (["DELETE FROM control_audit"], "truncated", 1),
        (
            [
                "UPDATE control_audit SET seq = -6 WHERE seq = 6",
                "UPDATE control_audit SET seq = 6 WHERE seq = 7",
                "UPDATE control_audit SET seq = 7 WHERE seq = -6",
            ],
            "moved",
            6,
        ),
        (["INSERT INTO control_audit VALUES (0, '{\"seq\":0}', '00')"], "surplus", 1),
        (["INSERT INTO control_audit VALUES (12, '{\"seq\":12}', '00')"], "edited", 12),
        (
            ["INSERT INTO control_audit SELECT seq + 40, record, hash FROM control_audit WHERE seq = 2"],
            "missing",
            12,
        ),
        (["UPDATE control_audit SET seq = 112 - seq", "UPDATE control_audit SET seq = seq - 100"], "moved", 1),
        (["UPDATE control_head SET audit_seq = 10"], "head", 11),
        (["UPDATE control_head SET audit_seq = 12"], "truncated", 12),
        (["UPDATE control_head SET audit_seq = 'x'"], "head", 1),
        (["UPDATE control_head SET audit_hash = replace(audit_hash, 'a', 'b')"], "head", 11),
        (["UPDATE control_head SET audit_hash = CAST(x'80' AS TEXT)"], "head", 11),
    ],
)
def test_damage_is_named_with_the_first_bad_entry(signed, damage, kind, first_bad):
    signed.tamper(*damage)
    report = signed.verify(signed.exported)
    assert report.faults[0].kind == kind
    assert report.faults[0].entry == first_bad
    assert report.first_bad == first_bad


def copied(template, folder):
    return template.copy_to(Path(folder) / "copy")


CELLS = st.one_of(
    st.tuples(st.just("control_audit"), st.sampled_from(["seq", "record", "hash"]), st.integers(1, 11)),
    st.tuples(st.just("control_head"), st.sampled_from(["audit_seq", "audit_hash"]), st.just(1)),
    st.tuples(st.just("control_checkpoint"), st.sampled_from(["size", "note"]), st.sampled_from([4, 9])),
)


@settings(deadline=None, max_examples=60)
@given(CELLS, st.integers(0, 2**20), st.booleans())
def test_flipping_any_one_bit_of_the_trail_is_detected(template, cell, position, exported):
    table, column, key = cell
    name = {"control_audit": "seq", "control_head": "id", "control_checkpoint": "size"}[table]
    with tempfile.TemporaryDirectory() as folder:
        trail = copied(template, folder)
        with closing(sqlite3.connect(trail.database)) as connection:
            connection.execute("PRAGMA synchronous=OFF")
            (value,) = connection.execute(f"SELECT {column} FROM {table} WHERE {name} = ?", (key,)).fetchone()
            if isinstance(value, int):
                flipped, into = value ^ 1 << position % 40, "?"
                taken = connection.execute(f"SELECT count(*) FROM {table} WHERE {name} = ?", (flipped,)).fetchone()
                assume(table == "control_head" or taken == (0,))
            else:
                raw = bytearray(value.encode())
                raw[position % len(raw)] ^= 1 << position // len(raw) % 8
                flipped, into = bytes(raw), "CAST(? AS TEXT)"
            connection.execute(f"UPDATE {table} SET {column} = {into} WHERE {name} = ?", (flipped, key))
            connection.commit()
        report = trail.verify(*([trail.exported] if exported else []))
    # A key's id that is altered makes its checkpoint a stranger's; a later one that holds makes up for that.
    assert not report.ok or (column == "note" and key == 4 and report.superseded == 1)
    if table == "control_audit" and column != "seq":
        assert report.first_bad == key


def reading(trail):
    with closing(trail.behind()) as store, store.read() as rows:
        return list(rows.audit.raw()), rows.audit.end()


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 2**32))
def test_whatever_bit_of_the_database_file_flips_the_trail_is_unharmed_or_the_damage_is_told(template, position):
    with tempfile.TemporaryDirectory() as folder:
        trail = copied(template, folder)
        raw = bytearray(trail.database.read_bytes())
        raw[position // 8 % len(raw)] ^= 1 << position % 8
        trail.database.write_bytes(raw)
        try:
            ok = trail.verify(trail.exported).ok
        except StoreError:
            return
        if ok:
            assert reading(trail) == reading(template)


def test_a_whole_rewrite_is_found_from_an_exported_checkpoint_and_from_nothing_else(signed):
    signed.rewrite(lambda seq, record: record.replace("ann", "bob") if seq == 6 else record)
    signed.tamper("DELETE FROM control_checkpoint")
    assert signed.verify().ok  # everything in the database agrees with everything else
    report = signed.verify(signed.exported)
    assert kinds(report) == ["rewritten"]
    (fault,) = report.faults
    assert (fault.entry, fault.upto) == (5, 9)  # the checkpoint of 4 holds, that of 9 does not
    assert report.given == 1


@settings(deadline=None, max_examples=20)
@given(st.integers(1, 9), st.sampled_from(["edit", "drop"]))
def test_every_rewrite_of_what_an_exported_checkpoint_covers_is_found(template, target, how):
    with tempfile.TemporaryDirectory() as folder:
        trail = copied(template, folder)

        def edit(seq, record):
            return record if seq != target else None if how == "drop" else record.replace("ann", "bob")

        trail.rewrite(edit)
        trail.tamper("DELETE FROM control_checkpoint")
        report = trail.verify(trail.exported)
    assert not report.ok
    fault = report.faults[0]
    assert fault.entry <= target <= fault.upto


def test_the_stored_checkpoints_find_a_rewrite_too_as_long_as_they_are_there(signed):
    signed.rewrite(lambda seq, record: record.replace("ann", "bob") if seq == 2 else record)
    report = signed.verify()
    assert kinds(report) == ["rewritten"]
    assert (report.faults[0].entry, report.faults[0].upto, report.faults[0].more) == (1, 4, 1)


def test_checkpoints_signed_anew_by_the_attacker_are_not_believed(signed, tmp_path):
    signed.rewrite(lambda seq, record: record.replace("ann", "bob") if seq == 2 else record)
    signed.tamper("DELETE FROM control_checkpoint")
    exported = tmp_path / "exported.txt"
    shutil.copy(signed.exported, exported)
    signed.sign(SigningKeys.create(tmp_path / "theirs.json"))
    report = signed.verify(exported)
    assert set(kinds(report)) == {"unknown_key", "rewritten"}


def test_an_altered_stored_checkpoint_is_told_as_such(signed):
    signed.tamper("UPDATE control_checkpoint SET note = replace(note, 'time 2026', 'time 2025') WHERE size = 4")
    assert kinds(signed.verify()) == ["signature"]


def test_stored_checkpoints_that_changed_places_are_noticed(signed):
    signed.tamper(
        "UPDATE control_checkpoint SET note = (SELECT note FROM control_checkpoint WHERE size = 4) WHERE size = 9"
    )
    assert kinds(signed.verify()) == ["moved"]


def test_a_trail_cut_off_behind_a_matching_head_is_shorter_than_its_checkpoint(signed):
    signed.rewrite(lambda seq, record: record if seq <= 6 else None)
    signed.tamper("DELETE FROM control_checkpoint WHERE size > 6")
    report = signed.verify(signed.exported)
    assert kinds(report) == ["ahead"]
    assert (report.first_bad, report.faults[0].upto) == (7, 9)
    assert "cut off" in report.faults[0].says


def test_two_signed_checkpoints_of_one_size_that_differ_are_a_fork(signed, tmp_path):
    other = signed.copy_to(tmp_path / "twin")
    for each, actor in ((signed, "ann"), (other, "eve")):
        each.grow(1, actor)
        each.sign()
    report = signed.verify(signed.exported, other.exported)
    assert set(kinds(report)) == {"fork", "rewritten"}
    assert {fault.entry for fault in report.faults} == {10}


def test_the_wrong_key_and_the_wrong_origin_are_said_so(signed, tmp_path):
    stranger = note_keys(SigningKeys.create(tmp_path / "other.json").current().jwks())
    wrong_key = signed.verify(signed.exported, keys=stranger)
    assert set(kinds(wrong_key)) == {"unknown_key"}
    assert "no known key" in wrong_key.faults[0].says
    other = Checkpoint("guardian/elsewhere/1", 9, bytes(32)).text()
    append_note(signed.exported, sign(other, "guardian/elsewhere/1", signed.keys.current()))
    wrong_origin = signed.verify(signed.exported)
    assert set(kinds(wrong_origin)) == {"origin"}
    assert "guardian/elsewhere/1" in wrong_origin.faults[0].says


def test_a_strangers_checkpoint_under_another_issuer_stays_a_fault(signed, tmp_path):
    stranger = SigningKeys.create(tmp_path / "other.json").current()
    theirs = write(stranger, base="else/audit", epoch=1, size=9, root=bytes(32), chain=bytes(32), now=NOW)
    append_note(tmp_path / "theirs.txt", theirs)
    report = signed.verify(signed.exported, tmp_path / "theirs.txt")
    assert kinds(report) == ["unknown_key"]
    assert "'else/audit/1'" in report.faults[0].says


def test_checkpoints_outlive_the_rotation_of_their_key(signed):
    signed.keys.rotate()
    signed.sign()
    report = signed.verify(signed.exported)
    assert (report.ok, report.given) == (True, 3)


def test_what_a_retired_key_signed_proves_nothing_until_a_known_key_signs_after_it(signed):
    before, old = signed.public, str(signed.keys.current().signing.kid)
    signed.keys.rotate()
    signed.keys.retire(old)
    report = signed.verify(signed.exported)
    assert set(kinds(report)) == {"unknown_key"}
    assert {fault.more for fault in report.faults} == {1}
    signed.sign()
    report = signed.verify(signed.exported)
    assert (report.ok, report.stored, report.given, report.superseded) == (True, 1, 1, 4)
    report = signed.verify(signed.exported, keys=(*signed.public, *before))
    assert (report.ok, report.stored, report.given, report.superseded) == (True, 3, 3, 0)


def test_a_strangers_checkpoint_after_ours_is_not_made_up_for(signed, tmp_path):
    signed.tamper("DELETE FROM control_checkpoint WHERE size <> 4")
    signed.sign(SigningKeys.create(tmp_path / "theirs.json"))
    assert set(kinds(signed.verify())) == {"unknown_key"}


def revoke(store):
    from datetime import UTC, datetime, timedelta

    now = datetime(2026, 5, 12, tzinfo=UTC)
    with store.write() as rows:
        rows.ledger.append(
            tenant_id="acme", subject_id="s", status="revoked", reason_code="drift", reason="", actor="m",
            now=now, expires_at=now + timedelta(days=1),
        )  # fmt: skip
        rows.audit.append({"action": "revoke"})


def with_restored_backup(trail):
    """Backup at 11 entries; two more, signed and exported as 13; then the backup comes back."""
    trail.tamper("PRAGMA wal_checkpoint(TRUNCATE)")
    backup = trail.database.with_suffix(".backup")
    shutil.copy(trail.database, backup)
    store = trail.open()
    revoke(store)
    revoke(store)
    store.close()
    trail.sign()
    for leftover in ("control.db-wal", "control.db-shm"):
        (trail.folder / leftover).unlink(missing_ok=True)
    os.replace(backup, trail.database)


def test_after_a_restored_backup_what_was_exported_ahead_of_it_is_reported(signed):
    with_restored_backup(signed)
    before = signed.verify(signed.exported)  # the epoch has not begun: looking does not begin it
    assert kinds(before) == ["ahead"]
    assert "older backup" in before.faults[0].says
    signed.open().close()  # guardian starts: entry 12 begins epoch 2
    report = signed.verify(signed.exported)
    assert (kinds(report), report.first_bad, report.epoch) == (["restored"], 12, 2)


def test_after_a_restored_backup_the_new_epoch_signs_as_another_log_and_the_lost_part_stays_reported(signed):
    with_restored_backup(signed)
    signed.grow(5)
    note = signed.sign()
    assert note.startswith("guardian/audit/2\n17\n")
    report = signed.verify(signed.exported)
    assert (kinds(report), report.first_bad) == (["restored"], 12)
    assert (report.given, report.stored) == (3, 3)
    fresh = signed.folder / "fresh.txt"
    append_note(fresh, note)
    assert signed.verify(fresh).ok


def test_what_a_known_restore_lost_hides_nothing_else(signed):
    with_restored_backup(signed)
    signed.grow(5)
    signed.sign()
    report = signed.verify(signed.exported, restored=(2,))
    assert (report.ok, report.lost, report.given) == (True, 1, 3)
    assert kinds(signed.verify(signed.exported, restored=(3,))) == ["restored"]
    with_restored_backup(signed)
    signed.open().close()
    assert kinds(signed.verify(signed.exported, restored=(2,))) == ["restored"]
    assert signed.verify(signed.exported, restored=(2, 3)).ok
    signed.rewrite(lambda seq, record: record.replace("ann", "bob"))
    assert "rewritten" in kinds(signed.verify(signed.exported, restored=(2, 3)))


def test_a_checkpoint_file_that_is_empty_or_absent_is_no_proof(signed, tmp_path):
    (tmp_path / "empty.txt").touch()
    assert kinds(signed.verify(tmp_path / "empty.txt")) == ["malformed"]
    with pytest.raises(ConfigurationError, match="cannot be read"):
        signed.verify(tmp_path / "absent.txt")


def test_faults_are_counted_not_collected(signed):
    signed.tamper("UPDATE control_audit SET record = replace(record, 'ann', 'bob')")
    report = signed.verify()
    assert report.faults[0].kind == "edited"
    assert report.faults[0].more == 10
    assert json.loads(json.dumps(report.to_json()))["first_bad"] == 1
