"""The control database: one order for everything, and nothing taken back quietly."""

import json
import os
import shutil
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from sqlalchemy import event
from whole_store import first_bad

import guardian.store.engine as engine_module
from guardian.domain.envelope import Envelope
from guardian.domain.finding import Effect, Finding, Kind
from guardian.domain.identity import SessionKey
from guardian.domain.revocation import Revision
from guardian.domain.session import HumanWord
from guardian.errors import StoreError
from guardian.store.control import epoch
from guardian.store.control import scope as scope_module
from guardian.store.control import store as control_store
from guardian.store.control.alerts import UNNAMED
from guardian.store.control.audit import canonical, chain
from guardian.store.control.epoch import EpochFile, Mark, lost_mark, restored_mark
from guardian.store.control.store import ControlStore
from guardian.store.control.tables import metadata
from guardian.store.engine import open_engine, writing
from guardian.wire.approvals import ApprovalView
from guardian.wire.findings import FindingOutcome, PersonsVerdict
from guardian.wire.principal import Principal

NOW = datetime(2026, 5, 12, 12, 0, tzinfo=UTC)
DAY = timedelta(days=1)


def _open(folder: Path) -> ControlStore:
    return ControlStore.open(f"sqlite:///{folder}/control.db", now=NOW)


@pytest.fixture
def store(tmp_path):
    opened = _open(tmp_path)
    yield opened
    opened.close()


def _revoke(store, session, *, at=NOW, tenant="acme", **more):
    with store.write() as rows:
        return rows.ledger.append(
            tenant_id=tenant,
            subject_id=session,
            status=more.pop("status", "revoked"),
            reason_code="drift",
            reason="",
            actor="m",
            now=at,
            expires_at=at + DAY,
            **more,
        )


def _give_back(store, session):
    with store.write() as rows:
        rows.sessions.say(SessionKey("acme", session), HumanWord.REINSTATED, NOW, human=True)


@pytest.mark.filterwarnings("ignore:.*expression-based index")  # these are compared by themselves
def test_the_migrations_build_exactly_the_tables(store, tmp_path):
    engine, anew = (open_engine(f"sqlite:///{tmp_path}/{name}.db") for name in ("control", "anew"))
    with writing(engine) as connection, writing(anew) as other:
        known = MigrationContext.configure(
            connection, opts={"include_name": lambda name, kind, _: kind != "table" or "version" not in name}
        )
        assert compare_metadata(known, metadata) == []
        metadata.create_all(other)
        asked = "SELECT name, sql FROM sqlite_master WHERE sql GLOB 'CREATE INDEX *CASE*' ORDER BY name"
        built, wanted = (each.exec_driver_sql(asked).all() for each in (connection, other))
        assert built == wanted != []
    engine.dispose()
    anew.dispose()


def test_opening_again_changes_nothing(store, tmp_path):
    _revoke(store, "s1")
    again = _open(tmp_path)
    assert again.head() == store.head()
    again.close()


def test_a_long_writer_holds_up_no_start(store, tmp_path, monkeypatch):
    monkeypatch.setattr(engine_module, "_BUSY_MS", 20)
    with store.write():
        again = _open(tmp_path)
        assert again.head() == store.head()
        again.close()


def test_writers_in_many_threads_leave_no_gap_and_no_double(store):
    with ThreadPoolExecutor(8) as pool:
        entries = list(pool.map(lambda n: _revoke(store, f"s{n}"), range(40)))
    assert sorted(entry.revision.n for entry in entries) == list(range(1, 41))


def test_two_processes_worth_of_stores_share_one_order(store, tmp_path):
    other = _open(tmp_path)
    with ThreadPoolExecutor(4) as pool:
        entries = list(pool.map(lambda n: _revoke((store, other)[n % 2], f"s{n}"), range(20)))
    assert sorted(entry.revision.n for entry in entries) == list(range(1, 21))
    other.close()


def _half_done(rows):
    entry = {"tenant_id": "acme", "subject_id": "s", "reason_code": "x", "reason": "", "actor": "m"}
    rows.ledger.append(**entry, status="revoked", now=NOW, expires_at=NOW + DAY)
    rows.audit.append({"x": 1})
    rows.ledger.append(**entry, status="no such status", now=NOW, expires_at=NOW + DAY)


def test_a_transaction_that_fails_takes_its_revision_back(store):
    with pytest.raises(ValueError, match="status"), store.write() as rows:
        _half_done(rows)
    assert store.head().revision.n == 0
    assert _revoke(store, "s1").revision.n == 1
    with store.read() as rows:
        assert first_bad(rows) is None


def test_listeners_hear_of_what_moved_and_of_nothing_else(store):
    heard = []
    stop = store.subscribe(lambda: heard.append(1))
    with store.write() as rows:
        rows.audit.append({"x": 1})
    assert heard == []
    _revoke(store, "s1")
    stop()
    _revoke(store, "s2")
    assert heard == [1]


def test_a_write_that_gets_no_turn_is_refused(store, monkeypatch):
    monkeypatch.setattr(control_store, "_TURN_S", 0.01)
    with store.write():
        with pytest.raises(StoreError, match="have not ended"), store.write():
            pass
        assert not store.takes_writes()
    assert store.takes_writes()


def test_a_restored_backup_begins_a_new_epoch(tmp_path):
    store = _open(tmp_path)
    _revoke(store, "s1")
    store.close()
    shutil.copy(tmp_path / "control.db", tmp_path / "backup.db")
    store = _open(tmp_path)
    _revoke(store, "s2")
    store.close()
    for leftover in ("control.db-wal", "control.db-shm"):
        (tmp_path / leftover).unlink(missing_ok=True)
    os.replace(tmp_path / "backup.db", tmp_path / "control.db")
    restored = _open(tmp_path)
    assert str(restored.head().revision) == "2.0"
    assert str(_revoke(restored, "s3").revision) == "2.1"
    with restored.read() as rows:
        assert {entry.subject_id for entry in rows.ledger.live(None)} == {"s1", "s3"}
        assert first_bad(rows) is None
    restored.close()
    again = _open(tmp_path)
    assert str(again.head().revision) == "2.1"
    again.close()


def test_a_backup_that_is_behind_only_in_what_was_signed_begins_a_new_epoch_too(tmp_path):
    store = _open(tmp_path)
    _revoke(store, "s1")
    store.close()
    shutil.copy(tmp_path / "control.db", tmp_path / "backup.db")
    store = _open(tmp_path)
    with store.write() as rows:
        rows.audit.append({"action": "revokeToken"})
    store.remember()  # as whoever signs the trail does
    store.close()
    for leftover in ("control.db-wal", "control.db-shm"):
        (tmp_path / leftover).unlink(missing_ok=True)
    os.replace(tmp_path / "backup.db", tmp_path / "control.db")
    restored = _open(tmp_path)
    assert str(restored.head().revision) == "2.0"
    restored.close()
    again = _open(tmp_path)
    assert str(again.head().revision) == "2.0"
    again.close()


def test_a_backup_that_is_put_back_beside_the_log_of_a_crash_begins_a_new_epoch_once(tmp_path):
    """SQLite plays the log over it: ledger and head row stand as at the crash, and the trail between is lost."""
    live, crashed = tmp_path / "live", tmp_path / "crashed"
    store = _open(live)

    def grow(count):
        with store.write() as rows:
            for n in range(count):
                rows.audit.append({"action": "revoke", "n": n, "reason": "x" * 300})
        _revoke(store, f"s{count}")
        store.tidy()  # the next write begins the log anew

    grow(20)
    crashed.mkdir()
    shutil.copy(live / "control.db", crashed)
    grow(10)
    with store.write() as rows:
        rows.audit.append({"action": "revoke"})
    for leftover in ("control.db-wal", "control.db.epoch"):
        shutil.copy(live / leftover, crashed)
    stands = store.head()
    store.close()
    for _ in range(2):
        mixed = _open(crashed)
        assert (str(mixed.head().revision), mixed.head().audit_seq) == ("2.0", stands.audit_seq + 1)
        with mixed.read() as rows:
            assert [record["found"] for record in rows.restores()] == ["1.2"]
        mixed.close()


def test_what_was_signed_is_remembered_whoever_writes_and_given_up_with_the_trail_alone(tmp_path):
    ours, others = (EpochFile(tmp_path / "epoch") for _ in range(2))
    ours.advance(Mark(1, 1, 1, signed=4, signed_as="d4"))
    for file, told, signed in (
        (others, Mark(1, 2, 2), 4),  # who has signed nothing
        (ours, Mark(1, 3, 3), 4),
        (ours, Mark(1, 2, 2, signed=7, signed_as="d7"), 7),  # by a thread that is late: no step back
        (others, Mark(1, 4, 4, signed=5, signed_as="d5"), 7),
    ):
        file.advance(told)
        assert (ours.read().signed, ours.read().signed_as) == (signed, f"d{signed}")
    assert ours.read().n == 4
    ours.advance(Mark(2, 0, 0), anew=True)
    assert ours.read() == Mark(2, 0, 0)


def test_what_another_trail_had_signed_is_given_up_too_where_the_disk_was_full_when_the_epoch_began(
    tmp_path, monkeypatch
):
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    file = EpochFile(tmp_path / "epoch")
    file.advance(Mark(1, 3, 3, signed=9, signed_as="d9"))
    with monkeypatch.context() as patched:
        patched.setattr(epoch, "write_atomically", full)
        with pytest.raises(OSError, match="space"):
            file.advance(Mark(2, 0, 4), anew=True)
    file.advance(Mark(2, 1, 5))
    assert file.read() == Mark(2, 1, 5)
    file.advance(Mark(2, 1, 5, signed=2, signed_as="d2"))
    file.advance(Mark(2, 2, 6))
    assert file.read() == Mark(2, 2, 6, signed=2, signed_as="d2")


def test_an_epoch_file_of_an_older_version_is_read(tmp_path):
    (tmp_path / "control.db.epoch").write_text('{"epoch": 1, "n": 0, "change_seq": 0}')
    store = _open(tmp_path)
    assert str(store.head().revision) == "1.0"
    store.close()


def test_where_the_epoch_file_was_lost_too_no_monitor_has_read_further_than_the_feed_goes_on(tmp_path):
    store = _open(tmp_path)
    _give_back(store, "s1")
    store.close()
    (tmp_path / "control.db.epoch").write_text('{"epoch": 1000, "n": 0, "change_seq": 0}')  # as the README says
    restored = _open(tmp_path)
    _give_back(restored, "s2")
    with restored.read() as rows:
        heard = rows.sessions.changes(10_000_000, None, 10)  # by whom followed the feed until the disaster
    assert [change.session_id for change in heard] == ["s2"]
    restored.close()


def test_where_the_epoch_file_is_not_there_a_ledger_that_has_entries_begins_a_new_epoch_once(tmp_path):
    store = _open(tmp_path)
    _revoke(store, "s1")
    store.close()
    (tmp_path / "control.db.epoch").unlink()
    looking = _look(tmp_path)
    _sign(looking)  # who does not serve makes no file, for that would hide it
    _revoke(looking, "s2")
    with pytest.raises(StoreError, match=r"control\.db\.epoch is not there, .*start of `guardian serve`"):
        looking.check_epoch()
    looking.close()
    for _ in range(2):
        restored = _open(tmp_path)
        restored.check_epoch()
        assert str(restored.head().revision) == "2.0"
        with restored.read() as rows:
            assert [(record["found"], record["expected"]) for record in rows.restores()] == [("1.2", "")]
        restored.close()
    assert (tmp_path / "control.db.epoch").exists()


def test_where_the_epoch_file_is_not_there_and_nothing_was_revoked_yet_it_is_made(tmp_path):
    _open(tmp_path).close()
    (tmp_path / "control.db.epoch").unlink()
    looking = _look(tmp_path)
    looking.check_epoch()
    looking.close()
    store = _open(tmp_path)
    assert str(store.head().revision) == "1.0"
    assert (tmp_path / "control.db.epoch").exists()
    store.close()


def test_a_thousand_starts_without_the_epoch_file_do_not_use_up_the_feed():
    stands = Mark(1, 1, 1)
    for _ in range(1000):
        stands = restored_mark(stands, lost_mark(stands))
    assert (stands.ledger, stands.change_seq < 2**31) == ((1001, 0), True)


def test_a_thousand_failovers_that_lose_an_entry_of_the_trail_do_not_use_up_the_feed():
    stands = Mark(1, 1, 1, audit_seq=5)
    for _ in range(1000):
        stands = restored_mark(stands, replace(stands, audit_seq=6, signed=6, signed_as="d6"))
    assert (stands.ledger, stands.change_seq < 2**31) == ((1001, 0), True)


def test_a_deleted_database_does_not_start_at_the_old_revisions(tmp_path):
    store = _open(tmp_path)
    _revoke(store, "s1")
    store.close()
    for file in tmp_path.glob("control.db*"):
        if file.suffix != ".epoch":
            file.unlink()
    fresh = _open(tmp_path)
    assert str(fresh.head().revision) == "2.0"
    fresh.close()


def _set_back(folder, backup):
    """Under whoever has it open, as a failover does to a server that lacks the last commits."""
    with closing(sqlite3.connect(backup)) as old, closing(sqlite3.connect(folder / "control.db")) as live:
        old.backup(live)


def _revoke_and_tell(store, session):
    with store.write() as rows:
        rows.audit.append({"action": "revoke", "session": session})
    return str(_revoke(store, session).revision)


@pytest.mark.parametrize("looks", [True, False])
def test_a_store_whose_database_goes_back_while_it_is_open_gives_no_revision_out_twice(tmp_path, looks):
    later = NOW + DAY
    store = ControlStore.open(f"sqlite:///{tmp_path}/control.db", now=NOW, clock=lambda: later)
    _revoke_and_tell(store, "s1")
    shutil.copytree(tmp_path, tmp_path / "backup")
    assert [_revoke_and_tell(store, name) for name in ("s2", "s3")] == ["1.2", "1.3"]
    _set_back(tmp_path, tmp_path / "backup" / "control.db")
    if looks:
        assert (str(store.look().revision), store.look().epoch_at) == ("2.0", later)
    assert [_revoke_and_tell(store, name) for name in ("s4", "s5")] == ["2.1", "2.2"]
    with store.read() as rows:
        assert [(told["found"], told["expected"]) for told in rows.restores()] == [("1.1", "1.3")]
        assert first_bad(rows) is None
    store.close()
    again = _open(tmp_path)
    assert str(again.head().revision) == "2.2"
    again.close()


def test_what_another_process_gives_out_anew_after_it_went_back_does_not_hide_that(tmp_path):
    ours, others, third = _open(tmp_path), _open(tmp_path), _open(tmp_path)
    _revoke_and_tell(ours, "s1")
    assert _revoke_and_tell(others, "s2") == "1.2"
    shutil.copytree(tmp_path, tmp_path / "backup")
    assert _revoke_and_tell(ours, "s3") == "1.3"
    third.look()
    _set_back(tmp_path, tmp_path / "backup" / "control.db")
    assert _revoke_and_tell(others, "s4") == "1.3", "which it cannot know"
    assert _revoke_and_tell(ours, "s5") == "2.1"
    assert _revoke_and_tell(others, "s6") == "2.2"
    assert _revoke_and_tell(third, "s7") == "2.3", "of what it knew to be lost the epoch has begun already"
    assert ours.look() == others.look() == third.look()
    with ours.read() as rows:
        assert len(rows.restores()) == 1
    for store in (ours, others, third):
        store.close()


def test_an_epoch_file_that_is_not_ours_is_refused(tmp_path):
    (tmp_path / "control.db.epoch").write_text("nonsense")
    with pytest.raises(StoreError, match="epoch file"):
        _open(tmp_path)


def test_one_that_cannot_be_read_is_not_to_be_written_anew(tmp_path):
    (tmp_path / "control.db.epoch").mkdir()
    with pytest.raises(StoreError, match="cannot be read") as refused:
        _open(tmp_path)
    assert "1000" not in str(refused.value)


def _look(folder):
    """As everybody does who does not serve."""
    return ControlStore.open(f"sqlite:///{folder}/control.db", now=NOW, migrates=False)


@pytest.fixture
def restored(tmp_path):
    """A backup put back beside the file that knows more: of the ledger, or of the signed trail alone."""

    def put_back(lost):
        store = _open(tmp_path)
        with store.write() as rows:
            rows.audit.append({"x": 1})
        store.close()
        shutil.copy(tmp_path / "control.db", tmp_path / "backup.db")
        store = _open(tmp_path)
        lost(store)
        store.remember()
        store.close()
        for leftover in ("control.db-wal", "control.db-shm"):
            (tmp_path / leftover).unlink(missing_ok=True)
        os.replace(tmp_path / "backup.db", tmp_path / "control.db")
        return tmp_path

    return put_back


def _sign_more(store):
    with store.write() as rows:
        rows.audit.append({"action": "revokeToken"})


def _sign(store):
    _sign_more(store)
    stands = store.head()
    store.remember(signed=stands.audit_seq, signed_as=stands.audit_hash)


@pytest.mark.parametrize(
    "lost", [lambda store: _revoke(store, "s1"), _sign_more, _sign], ids=["ledger", "trail", "signed trail"]
)
def test_who_looks_at_a_backup_begins_no_epoch_and_who_writes_into_it_does(restored, lost):
    folder = restored(lost)
    before = (folder / "control.db.epoch").read_bytes()
    looking = _look(folder)
    assert str(looking.head().revision) == "1.0"
    with pytest.raises(StoreError, match=r"control\.db\.epoch is ahead of .*start `guardian serve`"):
        looking.check_epoch()
    assert (folder / "control.db.epoch").read_bytes() == before
    _sign_more(looking)  # without the new epoch it would hide that the trail was longer
    assert str(looking.head().revision) == "2.0"
    looking.check_epoch()
    with looking.read() as rows:
        assert [record["expected"] for record in rows.restores()] == [f"1.{json.loads(before)['n']}"]
    looking.close()
    serving = _open(folder)
    assert str(serving.head().revision) == "2.0"
    serving.close()


@pytest.mark.parametrize("lost", [lambda store: _revoke(store, "s1"), _sign_more], ids=["ledger", "trail"])
def test_where_nothing_tells_whose_the_file_is_who_writes_waits_for_who_serves(restored, lost):
    folder = restored(lost)
    file = folder / "control.db.epoch"
    file.write_text(json.dumps({**json.loads(file.read_text()), "trail": ""}))  # as an older version wrote it
    before, looking = file.read_bytes(), _look(folder)
    stands = looking.head()
    with pytest.raises(StoreError, match="is ahead of"):
        _sign_more(looking)
    assert (looking.head(), file.read_bytes()) == (stands, before)
    serving = _open(folder)
    assert str(serving.head().revision) == "2.0"
    _sign_more(looking)
    looking.close()
    serving.close()


def test_the_file_of_another_database_is_left_alone_by_all_who_do_not_serve(tmp_path):
    for name in ("live", "leftover"):
        store = ControlStore.open(f"sqlite:///{tmp_path}/{name}.db", now=NOW, epoch_file=tmp_path / "epoch")
        with store.write() as rows:
            rows.audit.append({"of": name})
        store.remember()
        store.close()
    before = (tmp_path / "epoch").read_bytes()
    with pytest.raises(StoreError, match=r"epoch belongs to another database than sqlite:.*live\.db; ask with"):
        ControlStore.open(f"sqlite:///{tmp_path}/live.db", now=NOW, epoch_file=tmp_path / "epoch", migrates=False)
    assert (tmp_path / "epoch").read_bytes() == before
    told = json.loads(before)
    del told["trail"]  # as older versions wrote it
    (tmp_path / "epoch").write_text(json.dumps(told))
    ControlStore.open(
        f"sqlite:///{tmp_path}/live.db", now=NOW, epoch_file=tmp_path / "epoch", migrates=False
    ).close()


MARKS = st.builds(Mark, st.integers(1, 5), st.integers(0, 9), st.integers(0, 9), st.integers(0, 9))


@given(MARKS, MARKS)
def test_after_a_restore_nothing_runs_backwards(stored, remembered):
    onward = restored_mark(stored, remembered)
    if onward is None:
        assert stored.ledger >= remembered.ledger
        assert stored.change_seq >= remembered.change_seq
        assert stored.audit_seq >= remembered.audit_seq
    else:
        assert onward.ledger > max(stored.ledger, remembered.ledger)
        assert onward.change_seq > max(stored.change_seq, remembered.change_seq)


def test_no_monitor_has_read_further_than_the_feed_goes_on_although_the_file_trailed_it():
    onward = restored_mark(Mark(1, 2, 2), Mark(1, 3, 3))
    assert 22 < onward.change_seq < 2**31 / 1000


def test_budget_counts_automatic_entries_of_the_window_only(store):
    _revoke(store, "old", at=NOW - timedelta(hours=2), automatic=True)
    _revoke(store, "soft", automatic=True)
    _revoke(store, "hard", automatic=True, hard=True)
    _revoke(store, "manual")
    _revoke(store, "foreign", tenant="globex", automatic=True)
    _revoke(store, "taken along", automatic=True, cause="hard")
    _revoke(store, "found below", automatic=True, hard=True, cause="hard")
    with store.read() as rows:
        spent = rows.ledger.spent("acme", NOW - timedelta(hours=1), NOW)
    assert (spent.used, spent.general, spent.followers) == (3, 1, 1)


def test_what_a_clock_that_was_ahead_wrote_spends_no_budget_and_waits_for_nothing(store):
    ahead = NOW + 30 * DAY
    for n in range(20):
        _revoke(store, f"s{n}", at=ahead, automatic=True)
    told = {"kind": "finding", "case_key": "c", "payload": ""}
    with store.write() as rows:
        assert rows.ledger.spent("acme", NOW - timedelta(hours=1), NOW).used == 0
        assert rows.ledger.spent("acme", ahead - timedelta(hours=1), ahead).used == 20
        rows.alerts.add(**told, idempotency_key="1", now=ahead)
        assert rows.alerts.claim(UNNAMED, NOW) is not None
        rows.alerts.postponed(UNNAMED, 1, 1, NOW + timedelta(hours=1), "")
        assert rows.alerts.claim(UNNAMED, NOW) is None
        for name, more in {"new": {}, "written": {"place": "p", "step": "{}"}, "shown": {"place": "p"}}.items():
            rows.cases.open(name, kind="session", tenant_id="acme", session_id=name, now=ahead)
            rows.cases.change(name, rank=1, **more)
        rows.cases.open("quiet", kind="session", tenant_id="acme", session_id="quiet", now=NOW + DAY)
        assert {each.key for each in rows.cases.due(NOW, 9)} == {"new", "written"}


# --- audit --------------------------------------------------------------------------------------------------


def _trail(store, count=6):
    with store.write() as rows:
        for n in range(count):
            rows.audit.append({"actor": "ann", "n": n})


def test_the_chain_is_what_its_description_says(store):
    _trail(store, 2)
    with store.read() as rows:
        one, two = rows.audit.entries()
    assert one.record == '{"actor":"ann","n":0,"seq":1}'
    assert two.hash == chain(one.hash, two.record)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(JSON)
def test_canonical_text_reads_back_and_does_not_depend_on_order(value):
    written = canonical(value)
    assert json.loads(written) == value
    assert canonical(json.loads(written)) == written
    if isinstance(value, dict):
        assert canonical(dict(reversed(value.items()))) == written


def test_canonical_text_follows_the_standards_example():
    assert canonical({"\u20ac": 1, "\r": 2, "1": 3, "\U0001f600": 4, "\ufb33": 5}) == (
        '{"\\r":2,"1":3,"€":1,"\U0001f600":4,"\ufb33":5}'
    )


@pytest.mark.parametrize("value", [1.5, 2**53, "\ud800", b"x", {1, 2}])
def test_what_has_no_canonical_form_is_refused(value):
    with pytest.raises((TypeError, ValueError)):
        canonical([value])


# --- tokens, modes ------------------------------------------------------------------------------------------


def test_tokens_are_recorded_and_revoked_once(store):
    with store.write() as rows:
        rows.tokens.add(
            jti="j1",
            principal_id="ann",
            role="admin",
            tenants=["b", "a"],
            kid="k",
            issued_at=NOW,
            expires_at=NOW + DAY,
        )
        ann = Principal("ann", "admin", frozenset({"a", "b"}), "j1", NOW + DAY)
        assert rows.tokens.vouches_for(ann)
        assert rows.tokens.revoke("j1", by="bob", now=NOW)
        assert not rows.tokens.revoke("j1", by="bob", now=NOW)
        assert rows.tokens.revoke("never-recorded", by="bob", now=NOW)
        assert not rows.tokens.vouches_for(ann)
        assert not rows.tokens.vouches_for(replace(ann, jti="never-recorded"))
        assert [each.tenants for each in rows.tokens.all() if each.jti == "j1"] == [("a", "b")]


def test_tokens_that_expired_are_forgotten_and_those_that_somebody_withdrew_are_not(store):
    with store.write() as rows:
        for jti, expires in [("over", NOW), ("ended", NOW), ("withdrawn", NOW), ("alive", NOW + DAY)]:
            told = {"principal_id": "ann", "role": "admin", "tenants": ["a"], "kid": "k"}
            rows.tokens.add(jti=jti, **told, issued_at=NOW - DAY, expires_at=expires)
        rows.tokens.end("ended", NOW)
        rows.tokens.revoke("withdrawn", by="bob", now=NOW)
        rows.tokens.revoke("never-recorded", by="bob", now=NOW)
        rows.tokens.forget(NOW)
        assert len(rows.tokens.all()) == 5
        rows.tokens.forget(NOW + DAY)
        assert {each.jti for each in rows.tokens.all()} == {"withdrawn", "alive", "never-recorded"}
        assert rows.tokens.withdrawn_since("ann", NOW)


def test_tokens_that_are_over_are_left_out_but_for_those_lately_withdrawn(store):
    with store.write() as rows:
        for n, (jti, expires) in enumerate(
            [("past", -1), ("alive", 1), ("long ago", 90), ("lately", -1), ("click", 1), ("others", 1)]
        ):
            told = {
                "principal_id": jti if jti == "others" else "ann",
                "role": "admin",
                "tenants": ["a"],
                "kid": "k",
            }
            at = NOW - 30 * DAY + timedelta(minutes=n)
            rows.tokens.add(jti=jti, **told, issued_at=at, expires_at=NOW + expires * DAY)
        rows.tokens.revoke("long ago", by="bob", now=NOW - 8 * DAY)
        rows.tokens.revoke("lately", by="bob", now=NOW - 6 * DAY)
        rows.tokens.end("click", NOW)
        assert [each.jti for each in rows.tokens.all(alive=NOW)] == ["alive", "lately", "others"]
        assert [each.jti for each in rows.tokens.all(alive=NOW, principal_id="ann")] == ["alive", "lately"]
        assert [each.jti for each in rows.tokens.all(limit=2)] == ["click", "others"]
        assert len(rows.tokens.all()) == 6


def _planned(rows):
    """Fills up with the steps of what is read from now on."""
    plans = []

    def explain(connection, cursor, statement, parameters, *_):
        found = connection.connection.cursor().execute(f"EXPLAIN QUERY PLAN {statement}", parameters)
        plans.extend(step[-1] for step in found)

    event.listen(rows.connection, "before_cursor_execute", explain)
    return plans


def test_what_follows_from_one_session_is_found_without_reading_the_tenants_other_revocations(store):
    _revoke(store, "root")
    for n in range(3):
        _revoke(store, f"c{n}", cause="root")
        _revoke(store, f"other{n}")
    back = _revoke(store, "root", status="reinstated")
    with store.read() as rows:
        plans = _planned(rows)
        assert [each.subject_id for each in rows.ledger.following(back, 2)] == ["c0", "c1"]
    assert any("ix_control_ledger_tenant_id_cause_epoch_n (tenant_id=? AND cause=?" in step for step in plans)
    assert [step for step in plans if step.startswith("SCAN")] == []
    assert [step for step in plans if "control_live" in step and "subject_id=?" not in step] == []


def test_whose_tokens_were_withdrawn_and_what_a_digest_listed_lately_is_found_among_any_number(store):
    with store.read() as rows:
        plans = _planned(rows)
        assert not rows.tokens.withdrawn_since("ann", NOW)
        assert rows.cases.crowd("a", 0, NOW - DAY, waits=NOW) == 0
    assert [step for step in plans if step.startswith("SCAN")] == []
    for index in ("token_principal_id_revoked_at (principal_id=?", "case_tenant_id_replied_at (tenant_id=?"):
        assert any(f"ix_control_{index} AND" in step for step in plans), plans


def test_what_a_call_acts_under_is_found_without_reading_the_tenants_other_revocations(store):
    for name, kind in (("s1", "session"), ("a1", "agent"), ("s2", "session"), ("a2", "agent")):
        _revoke(store, name, subject_type=kind)
    with store.read() as rows:
        plans = _planned(rows)
        named = [("session", "s1"), ("agent", "a1"), ("session", "a2"), ("task", "t1")]
        assert [each.subject_id for each in rows.ledger.live_among("acme", named, NOW)] == ["s1", "a1"]
    assert [step for step in plans if "control_live" in step and "subject_id=?" not in step] == []


def test_what_was_said_of_a_held_call_is_found_without_reading_the_tenants_other_approvals(store):
    with store.read() as rows:
        plans = _planned(rows)
        rows.approvals.decided("acme", "s1", "permitCall", {}, NOW)
        rows.approvals.pending("acme", "s1", "permitCall", NOW, {})
    assert any("(tenant_id=? AND session_id=? AND expires_at>?)" in step for step in plans), plans
    assert {step for step in plans if "tenant_id=? AND s" not in step} <= {"USE TEMP B-TREE FOR ORDER BY"}


def test_of_what_was_decided_long_ago_about_a_sessions_calls_nothing_is_read(store):
    asked = {"tenant_id": "acme", "session_id": "s1", "action": "permitCall", "proposer": "gw", "reason": "r"}
    with store.write() as rows:
        for n in range(3):
            view = ApprovalView(**asked, id=f"a{n}", created_at=NOW, expires_at=NOW + timedelta(minutes=n))
            rows.approvals.add(view, proposer_role="gateway", act={"act": {"call": n % 2}}, policy_ids=[])
            rows.approvals.decide(view.id, "denied", by="ann", reason="", result="", now=NOW)
        rows.connection.exec_driver_sql("UPDATE control_approval SET act = 'not JSON' WHERE id < 'a2'")
        found = rows.approvals.decided("acme", "s1", "permitCall", {"call": 0}, NOW + timedelta(minutes=1))
        assert found.view.id == "a2"
        assert rows.approvals.decided("acme", "s1", "permitCall", {"call": 0}, NOW + timedelta(minutes=2)) is None


def test_who_acts_under_a_name_is_found_without_reading_all_that_the_tenant_registered(store):
    told = {"delegator_id": "u1", "tenant_id": "acme", "purpose": "p", "agent_id": "a1", "task_id": "t1"}
    with store.write() as rows:
        for name, more in (("s1", {}), ("s2", {"agent_id": "a2"}), ("s3", {"tenant_id": "globex"})):
            rows.envelopes.add(Envelope(**{**told, "session_id": name, **more}), by="gw", now=NOW)
    with store.read() as rows:
        plans = _planned(rows)
        assert rows.session_names.registered_under("acme", "task_id", "t1") == ["s1", "s2"]
        assert rows.session_names.registered_under("acme", "delegator_id", "u1") == ["s1", "s2"]
        asked = [
            ("agent_id", "a1", "u1"),
            ("task_id", "t1", "u1"),
            ("agent_id", "a1", "u2"),
            ("task_id", "u1", "u1"),
        ]
        assert [rows.session_names.delegated("acme", *each) for each in asked] == [True, True, False, False]
        assert rows.session_names.perhaps_protected("acme", "task_id", "t1", {"a2"}) == {"s2"}
    for step in (each for each in plans if "control_envelope" in each):
        assert "_id=? AND" in step, plans


def test_an_approval_whose_proposer_has_a_role_that_does_not_exist_is_not_read(store):
    asked = {"id": "a1", "tenant_id": "acme", "action": "setMode", "proposer": "ann", "reason": "r"}
    view = ApprovalView(**asked, created_at=NOW, expires_at=NOW + timedelta(days=1))
    with store.write() as rows:
        rows.approvals.add(view, proposer_role="owner", act={}, policy_ids=[])
    with store.read() as rows, pytest.raises(ValidationError, match="'auditor' or 'metrics'"):
        rows.approvals.get("a1", None)


def _find(rows, name, tenant):
    said = {"tenant_id": tenant, "session_id": name, "wanted": Effect.FLAG}
    found = Finding(id=name, kind=Kind.DRIFT, severity="high", title="t", time=NOW, **said)
    rows.findings.add(found, FindingOutcome(finding_id=name, effect="flag", mode="shadow", at=NOW, **said), NOW)


@pytest.mark.parametrize("much", [2, 100])
def test_the_newest_few_of_many_are_found_without_sorting_all_that_the_tenant_has(store, monkeypatch, much):
    monkeypatch.setattr(scope_module, "_MUCH", much)
    with store.write() as rows:
        for n in range(6):
            rows.sessions.meet(SessionKey(("acme", "globex")[n % 2], f"s{n}"), NOW)
            _find(rows, f"s{n}", ("acme", "globex")[n % 2])
    with store.read() as rows:
        plans = _planned(rows)
        pages = [
            rows.session_lists.page({"acme"}, limit=2),
            rows.session_lists.page({"acme"}, limit=2, status="active"),
            [each.view.finding for each in rows.findings.page({"acme"}, limit=2, kind="drift")],
        ]
    assert [[getattr(each, "view", each).session_id for each in page] for page in pages] == [["s4", "s2"]] * 3
    assert any("TEMP B-TREE" in step for step in plans) == (much == 100)


@pytest.mark.parametrize("much", [2, 100])
@pytest.mark.parametrize("scope", [None, {"acme"}, {"acme", "other"}])
def test_few_findings_among_many_are_found_without_reading_the_others(store, monkeypatch, much, scope):
    monkeypatch.setattr(scope_module, "_MUCH", much)
    with store.write() as rows:
        for n in range(6):
            _find(rows, f"s{n}", ("acme", "globex")[n % 2])
        rows.findings.set_verdict(
            "acme", "s4", PersonsVerdict(verdict="confirmed", reason="", actor="ann", at=NOW)
        )
    with store.read() as rows:
        plans = _planned(rows)
        for asked in ({"kind": "control"}, {"effect": "revoke"}, {"kind": "drift", "effect": "revoke"}):
            assert rows.findings.page(scope, limit=2, before=9, **asked) == []
        found = rows.findings.page(scope, limit=2, session_id="s4", kind="drift", effect="flag")
        found += rows.findings.judged(scope, limit=2, before=9)[0]
    assert [each.view.finding.session_id for each in found] == ["s4", "s4"]
    read = [step for step in plans if "control_finding" in step]
    assert [step for step in read if "=?" not in step and "ix_control_finding_judged" not in step] == []
    others = scope is not None and much == 100  # then these may have many of that kind
    assert any("kind=?" in step or "effect=?" in step for step in read) != others


def test_what_came_since_of_some_tenants_is_found_without_reading_the_others_entries(store):
    for n in range(9):
        _revoke(store, f"s{n}", tenant=("acme", "globex", "other")[n % 3])
    with store.read() as rows:
        plans = _planned(rows)
        found = rows.ledger.since(Revision(epoch=1, n=1), {"acme", "globex"}, 3)
    assert [each.subject_id for each in found] == ["s1", "s3", "s4"]
    assert [step for step in plans if "tenant_id=? AND epoch=? AND n>?" not in step] == []


@pytest.mark.parametrize("scope", [{"acme"}, {"acme", "globex"}])
def test_the_newest_entry_of_a_tenant_is_found_without_sorting_all_of_its_entries(store, scope):
    last = [_revoke(store, f"s{n}", tenant=("acme", "globex")[n % 2]).revision for n in range(6)]
    with store.read() as rows:
        plans = _planned(rows)
        assert rows.ledger.newest(scope) == (last[5 if "globex" in scope else 4], NOW)
        assert rows.ledger.newest(scope, last[2]) == (last[2], NOW)
        assert rows.ledger.newest({"other", "third"}) is None
        newest = len(plans)
        assert [each.revision for each in rows.ledger.of_session(SessionKey("acme", "s4"))] == [last[4]]
    assert [step for step in plans if "TEMP B-TREE" in step or step.startswith("SCAN")] == []
    assert [step for step in plans[newest:] if "subject_id=?" not in step] == [], (
        "that index is for the newest only"
    )


def test_the_few_sessions_that_are_revoked_are_found_without_reading_the_others(store):
    with store.write() as rows:
        for n in range(3):
            rows.sessions.meet(SessionKey("acme", f"s{n}"), NOW)
    _revoke(store, "s1")
    with store.read() as rows:
        plans = _planned(rows)
        assert [each.view.session_id for each in rows.session_lists.page({"acme"}, limit=5, status="revoked")] == [
            "s1"
        ]
    assert any(step.startswith("SEARCH control_session") and "session_id=?" in step for step in plans)


def test_the_most_pressing_sessions_are_sorted_without_their_long_texts(store):
    with store.write() as rows:
        for n in range(3):
            rows.sessions.meet(SessionKey("acme", f"s{n}"), NOW + timedelta(minutes=n))
    said: list[str] = []
    with store.read() as rows:
        event.listen(rows.connection, "before_cursor_execute", lambda *told: said.append(told[2]))
        found = rows.session_lists.pressing({"acme"}, limit=2, after=1)
        assert rows.session_lists.pressing({"acme"}, limit=2, after=2**53) == []
    assert [each.view.session_id for each in found] == ["s1", "s0"]
    assert [("ORDER BY" in each, "purpose" in each) for each in said] == [(True, False), (False, True)] * 2


def test_the_next_alert_is_found_without_sorting_all_that_wait(store):
    with store.write() as rows:
        for n in range(3):
            told = {"kind": "finding", "case_key": "c", "idempotency_key": str(n), "payload": str(n)}
            rows.alerts.add(**told, now=NOW + timedelta(seconds=n // 2))
        plans = _planned(rows)
        taken = [rows.alerts.claim(UNNAMED, NOW + DAY).payload for _ in range(3)]
    assert taken == ["0", "1", "2"]
    assert [step for step in plans if "TEMP B-TREE" in step] == []
