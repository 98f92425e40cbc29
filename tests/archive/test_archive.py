import errno
import json
import os
import random
import resource
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tidied import tidy

from guardian.archive import compaction, words
from guardian.archive.compaction import count_files, tidying
from guardian.archive.files import Partition, partitions, tenant_folder
from guardian.archive.merging import Run, in_time
from guardian.archive.reader import Archive, Window
from guardian.archive.rows import labels, pack
from guardian.archive.schema import EVENTS, LABELS
from guardian.archive.writer import write_events, write_labels
from guardian.disk import UNFINISHED
from guardian.domain.batch import Change
from guardian.domain.event import Origin
from guardian.domain.finding import Act, Effect, Finding, Kind
from guardian.domain.identity import SessionKey
from guardian.domain.past import Vectors
from guardian.domain.rules import ArgumentAtMost, PinArgument, Placed
from guardian.domain.session import HumanWord
from guardian.errors import ArchiveError

NOW = datetime(2026, 5, 20, tzinfo=UTC)
THE_DAY = datetime(2026, 5, 12, 18, tzinfo=UTC)
"""On which the decisions were made, and which goes on."""


def calls(root, **window):
    return [(call.session_id, call.decision_id) for call in Archive(root).past_calls(Window(**window))]


def write_files(root, rows, verdict, numbers, **more):
    """A file for each decision."""
    for n in numbers:
        write_events(root, f"g{n}", [rows().events([verdict(n, **more)], [])])


@pytest.mark.parametrize("bound", ["since", "until"])
def test_a_window_whose_zone_nobody_tells_is_refused_with_the_way_out(tmp_path, bound):
    with pytest.raises(ArchiveError, match=rf"{bound}: 2026-05-20 .* is in no time zone; .* 00:00:00\+00:00"):
        calls(tmp_path, **{bound: NOW.replace(tzinfo=None)})
    assert calls(tmp_path, **{bound: NOW.astimezone(timezone(timedelta(hours=9)))}) == []


@pytest.mark.parametrize("at", ["2026-05-20", "2026-05-20T00:00:00Z", NOW.date(), 1_779_235_200])
def test_what_is_no_time_is_no_end_of_a_window(tmp_path, at):
    for bound in ("since", "until"):
        with pytest.raises(ArchiveError, match=rf"{bound}: .* is no datetime; .*datetime\(2026"):
            calls(tmp_path, **{bound: at})


def test_a_decision_comes_back_with_its_verdict_and_its_finding(tmp_path, rows, verdict):
    made = verdict(
        1, arguments={"contract_id": "contract_7781", "note": "Dear Ms Miller"}, records=5,
        result={"records": 27, "data_classes": ("terms",)}, resource={"type": "contract", "id": "contract_7781"},
    )  # fmt: skip
    event = made.decoded.event
    finding = Finding(
        id="fnd_1", kind=Kind.DRIFT, tenant_id="acme", session_id="s1", wanted=Effect.REVOKE, severity="high",
        title="t", time=event.time, act=Act(decision_id="d1", gateway="gw", tool="x", time=event.time),
    )  # fmt: skip
    assert write_events(tmp_path, "g", [rows().events([made], [finding])]) == 1
    [row] = [row for batch in Archive(tmp_path).batches(EVENTS.names) for row in batch.to_pylist()]
    assert row["digest"] == made.decoded.digest
    assert row["at"] == event.time
    assert json.loads(row["arguments"]) == {"contract_id": "contract_7781", "note": "~Aa Aa Aa"}
    assert row["bound"] == ["contract_id=contract_ids", "resource.id=contract_ids"]
    assert (row["records"], row["data_classes"]) == (27, ["terms"])
    assert (row["score"], row["p_value"], row["one_in"]) == (0.5, 0.125, 4.0)
    assert (row["session_evidence"], row["step"]) == (0.25, 0.125)
    assert row["signals"] == [("purpose_fit", 0.25), ("envelope_breach", 1.0)]
    assert row["breaches"] == ["records_over_limit"]
    assert (row["finding_id"], row["wanted"], row["model"], row["calibration"]) == ("fnd_1", "revoke", "m1", "c1")
    [call] = Archive(tmp_path).past_calls()
    assert (call.role, call.purpose, call.allowed, call.wanted) == (
        "agent_review",
        "review contract",
        True,
        "revoke",
    )
    assert call.constraints == {"contract_ids": ["contract_7781"]}


def test_what_the_log_did_not_say_stays_unknown(tmp_path, rows, verdict):
    write_events(tmp_path, "g", [rows().events([verdict()], [])])
    [call] = Archive(tmp_path).past_calls()
    assert (call.arguments, call.records, call.data_classes, call.resource_id) == (None, None, None, None)
    assert call.wanted == "none"


def test_the_family_is_the_purposes_of_today_whatever_an_older_version_stored(
    tmp_path, rows, verdict, monkeypatch
):
    monkeypatch.setattr("guardian.archive.rows.purpose_family", lambda _: "send")
    write_events(tmp_path, "g", [rows().events([verdict(purpose="Send Monthly Newsletter 12")], [])])
    [call] = Archive(tmp_path).past_calls()
    assert call.purpose == "send monthly newsletter"


BULKY = {f"k{n}": "A" * 120 for n in range(2000)}
MANY = {"n" * 120: {"n" * 120: {"n" * 120: {"n" * 120: {f"b{n}": "eu" for n in range(100)}}}}}
"""Short, but each of them is named with its path where it carries a value of the envelope."""


@pytest.mark.parametrize("arguments", [BULKY, MANY])
def test_of_arguments_that_are_too_long_only_a_shape_is_kept_and_they_count_as_not_known(
    tmp_path, rows, verdict, arguments
):
    made = verdict(arguments=arguments, constraints={"region": "eu"})
    write_events(tmp_path, "g", [rows().events([made, verdict(1, arguments={"to": "ann"})], [])])
    [batch] = Archive(tmp_path).batches(["arguments", "bound"])
    [cut, whole] = batch.to_pylist()
    told = json.loads(cut["arguments"])
    assert told.startswith("~cut, ")
    assert len(told) < 200
    assert cut["bound"] is None
    assert json.loads(whole["arguments"]) == {"to": "ann"}
    [past, other] = Archive(tmp_path).past_calls()
    assert (past.arguments, past.bound, other.arguments) == (None, (), {"to": "ann"})
    for rule in (ArgumentAtMost(past.tool, "limit", True, 5), PinArgument(past.tool, "to", True, "region")):
        assert rule.broken_by(Placed(past, "", 0)) is None


def old_file(root, rows, verdict, name, *numbers):
    """As an earlier version wrote it: with all that a call carried."""
    text = json.dumps(BULKY)
    table = pa.Table.from_pylist(
        [rows().row(verdict(n), None) | {"arguments": text} for n in numbers], schema=EVENTS
    )
    path = Partition.of(date(2026, 5, 12), "acme").folder(root) / f"{name}.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path)
    return table


def test_arguments_that_an_earlier_version_kept_whole_are_cut_when_they_are_read_merged_or_written(
    tmp_path, rows, verdict
):
    old_file(tmp_path, rows, verdict, "a", 1, 3)
    waiting = old_file(tmp_path, rows, verdict, "b", 2).to_pylist()
    write_events(tmp_path, "c", [pack(waiting, EVENTS)])

    def lengths():
        batches = Archive(tmp_path).batches(["arguments"])
        return [len(text) < 200 for batch in batches for text in batch.column(0).to_pylist()]

    assert lengths() == [True] * 3
    assert tidy(tmp_path, now=NOW, keep=timedelta(days=400)).merged == 3
    assert lengths() == [True] * 3
    [path] = tmp_path.rglob("*.parquet")
    assert pq.ParquetFile(path).read(["arguments"]).nbytes < 1000


def test_vectors_lie_beside_the_score_as_float16(tmp_path, rows, verdict):
    vector = np.array([0.5, -1.25, 3.0], dtype="<f2")
    made = verdict(vectors=Vectors("minilm-7", vector.tobytes(), (vector * 2).tobytes()))
    write_events(tmp_path, "g", [rows().events([made, verdict(2)], [])])
    [batch] = Archive(tmp_path).batches(["vector_model", "purpose_vector", "action_vector"])
    with_vectors, without = batch.to_pylist()
    assert with_vectors["vector_model"] == "minilm-7"
    assert np.frombuffer(with_vectors["action_vector"], "<f2").tolist() == [1.0, -2.5, 6.0]
    assert without["purpose_vector"] is None


def test_files_lie_by_day_and_tenant_and_a_window_reads_only_its_part(tmp_path, rows, verdict):
    made = [verdict(0), verdict(1, days=1), verdict(2, days=1, tenant="globex"), verdict(3, days=2)]
    write_events(tmp_path, "g", [rows().events(made, [])])
    assert [(p.day.day, p.tenant_folder) for p in partitions(tmp_path)] == [
        (12, "tenant=acme"), (13, "tenant=acme"), (13, "tenant=globex"), (14, "tenant=acme"),
    ]  # fmt: skip
    assert calls(tmp_path, tenant_id="acme") == [("s1", "d0"), ("s1", "d1"), ("s1", "d3")]
    assert calls(tmp_path, since=made[1].decoded.now, until=made[3].decoded.now) == [("s1", "d1"), ("s1", "d2")]
    assert Archive(tmp_path).rows(Window(tenant_id="globex")) == 1
    assert calls(tmp_path, tenant_id="nobody") == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root writes for others")
def test_what_root_writes_with_its_folders_belongs_to_whose_archive_it_is(tmp_path, rows, verdict):
    os.chown(tmp_path, 65534, 65534)
    write_events(tmp_path, "g", [rows().events([verdict(0)], [])])
    assert {each.stat().st_uid for each in tmp_path.rglob("*")} == {65534}


def test_the_same_group_written_again_changes_nothing(tmp_path, rows, verdict):
    packed = rows().events([verdict(n) for n in range(5)], [])
    for _ in range(3):
        write_events(tmp_path, "g", [packed])
    assert count_files(tmp_path)["rows"] == 5


def origins(root, **window):
    read = Archive(root).batches(["decision_id", "origin"], Window(**window))
    return {row["decision_id"]: row["origin"] for batch in read for row in batch.to_pylist()}


def test_a_group_that_is_too_much_for_memory_is_written_piece_by_piece_in_order_of_time_and_lands_on_itself(
    tmp_path, rows, verdict, monkeypatch
):
    """As where tenants mix, logs overlap, and what was back-filled is read live as well."""
    told = [[0, 6, 3], [9, 1, 7], [4, 10, 2], [8, 5, 11]]
    packed = [rows().events([verdict(n, tenant=("acme", "globex")[n % 2]) for n in part], []) for part in told]
    again = [rows(origin=origin).events([verdict(n) for n in (2, 4)], []) for origin in ("import", "live")]
    monkeypatch.setattr("guardian.archive.writer._IN_MEMORY", 1)
    for _ in range(2):
        assert write_events(tmp_path, "g", [again[0], *packed, again[1]]) == 12
    paths = {path.parent.name: pq.ParquetFile(path) for path in tmp_path.rglob("*.parquet")}
    for name, numbers in {"tenant=acme": range(0, 12, 2), "tenant=globex": range(1, 12, 2)}.items():
        file = paths.pop(name)
        assert file.metadata.num_row_groups == 6
        found = file.read(["decision_id", "origin"]).to_pylist()
        assert [(row["decision_id"], row["origin"]) for row in found] == [(f"d{n}", "live") for n in numbers]
    assert paths == {}


def test_memory_for_writing_a_group_does_not_grow_with_the_group(tmp_path, rows, verdict):
    row = rows().row(verdict(), None) | {"arguments": json.dumps("x" * 10_000)}
    made = [row | {"decision_id": str(n), "session_id": f"s{n * 7 % 11}"} for n in range(8000)]
    packed = [pack(made[n : n + 200], EVENTS) for n in range(0, len(made), 200)]
    before, counting = pa.default_memory_pool(), pa.proxy_memory_pool(pa.system_memory_pool())
    pa.set_memory_pool(counting)
    try:
        assert write_events(tmp_path, "g", packed) == 8000
    finally:
        pa.set_memory_pool(before)
    assert counting.max_memory() < 32 * 1024 * 1024, "unpacked, the group takes 80 MB"


def test_a_merge_holds_one_row_group_in_memory(tmp_path, rows, verdict, monkeypatch):
    for group, numbers in {"a": range(0, 40, 2), "b": range(1, 40, 2)}.items():
        write_events(tmp_path, group, [rows().events([verdict(n) for n in numbers], [])])
    monkeypatch.setattr("guardian.archive.files.IN_MEMORY", 1)
    monkeypatch.setattr("guardian.archive.reader._LEAST_ROWS", 4)
    monkeypatch.setattr("guardian.archive.compaction._AT_ONCE", 8)
    assert tidy(tmp_path, now=NOW, keep=timedelta(days=400)).merged == 2
    [path] = tmp_path.rglob("*.parquet")
    groups = pq.ParquetFile(path).metadata
    assert max(groups.row_group(n).num_rows for n in range(groups.num_row_groups)) <= 8
    assert calls(tmp_path) == [("s1", f"d{n}") for n in range(40)]


def test_what_waits_damaged_in_the_store_is_named(tmp_path, rows, verdict):
    packed = rows().events([verdict(n) for n in range(9)], [])
    for damaged in (packed[:-200], b"PAR1"):
        with pytest.raises(ArchiveError, match=r"group g cannot be written .* waits in the store"):
            write_events(tmp_path, "g", [damaged])


def test_a_day_that_cannot_be_merged_keeps_no_other_from_being_merged_and_no_old_one_from_going(
    tmp_path, rows, verdict, monkeypatch
):
    for day in (0, 4, 6):
        for n in (1, 2):
            write_events(tmp_path, f"g{n}", [rows().events([verdict(10 * day + n, days=day)], [])])
    each_once = compaction.each_once

    def overflow(paths, *told):
        if "2026-05-16" in str(paths[0]):
            raise pa.ArrowInvalid("offset overflow while concatenating arrays")
        return each_once(paths, *told)

    monkeypatch.setattr(compaction, "each_once", overflow)
    with pytest.raises(ArchiveError, match=r"date=2026-05-16/tenant=acme is left unmerged \(offset overflow"):
        tidy(tmp_path, now=NOW, keep=timedelta(days=5))
    assert [len(list(each.folder(tmp_path).iterdir())) for each in partitions(tmp_path)] == [2, 1]
    assert len(calls(tmp_path)) == 4


def test_files_that_another_process_merges_meanwhile_are_left_to_it(tmp_path, rows, verdict, monkeypatch):
    for n in (1, 2):
        write_events(tmp_path, f"g{n}", [rows().events([verdict(n)], [])])
    each_once = compaction.each_once

    def merged_first(paths, *told):
        monkeypatch.setattr(compaction, "each_once", each_once)
        assert tidy(tmp_path, now=NOW, keep=timedelta(days=400)).merged == 2
        return each_once(paths, *told)

    monkeypatch.setattr(compaction, "each_once", merged_first)
    assert tidy(tmp_path, now=NOW, keep=timedelta(days=400)).merged == 0
    assert calls(tmp_path) == [("s1", "d1"), ("s1", "d2")]


@pytest.mark.parametrize("names", [("a", "b"), ("b", "a")])
def test_a_decision_in_two_files_counts_once_and_the_live_verdict_wins(tmp_path, rows, verdict, names):
    past, live = rows(origin="import"), rows()
    write_events(tmp_path, names[0], [past.events([verdict(n) for n in range(6)], [])])
    write_events(tmp_path, names[1], [live.events([verdict(n) for n in range(4, 9)], [])])
    told = {f"d{n}": "import" if n < 4 else "live" for n in range(9)}
    assert sorted(calls(tmp_path)) == [("s1", f"d{n}") for n in range(9)]
    assert origins(tmp_path) == told
    done = tidy(tmp_path, now=NOW, keep=timedelta(days=400))
    assert (done.merged, done.into) == (2, 1)
    assert sorted(calls(tmp_path)) == [("s1", f"d{n}") for n in range(9)]
    assert origins(tmp_path) == told
    assert tidy(tmp_path, now=NOW, keep=timedelta(days=400)).merged == 0


@pytest.mark.parametrize("away", [-3600, 3600])
def test_a_back_filled_verdict_hides_no_live_one_however_their_times_differ(tmp_path, rows, verdict, away):
    """The live clock was doubted: `at` is then the arrival, which a back-fill does not know."""
    made = verdict(1)
    late = replace(made, decoded=replace(made.decoded, now=made.decoded.now + timedelta(seconds=away)))
    write_events(tmp_path, "a", [rows(origin="import").events([made], [])])
    write_events(tmp_path, "b", [rows().events([late], [])])
    assert origins(tmp_path) == {"d1": "live"}
    read = Archive(tmp_path).batches(["origin"], batch_rows=1)
    assert [name for batch in read for name in batch.column(0).to_pylist()] == ["live"]
    near = timedelta(minutes=5)
    assert origins(tmp_path, since=made.decoded.now - near, until=made.decoded.now + near) == {}


def test_the_same_id_with_other_content_is_another_decision(tmp_path, rows, verdict):
    write_events(tmp_path, "a", [rows().events([verdict(1)], [])])
    write_events(tmp_path, "b", [rows().events([verdict(1, tool="mail.send")], [])])
    assert len(calls(tmp_path)) == 2


@pytest.mark.parametrize("now", [NOW, THE_DAY])
@pytest.mark.parametrize("removed", [0, 3])
def test_a_crash_between_merging_and_removing_loses_and_doubles_nothing(
    tmp_path, rows, verdict, monkeypatch, now, removed
):
    write_files(tmp_path, rows, verdict, range(40))
    remove, gone = compaction.remove, []

    def crash(path):
        if len(gone) == removed:
            raise KeyboardInterrupt
        remove(path)
        gone.append(path)

    monkeypatch.setattr(compaction, "remove", crash)
    with pytest.raises(KeyboardInterrupt):
        tidy(tmp_path, now=now, keep=timedelta(days=400))
    assert len(calls(tmp_path)) == 40
    assert count_files(tmp_path)["files"] == 41 - removed
    monkeypatch.undo()
    for again in (now, NOW):
        tidy(tmp_path, now=again, keep=timedelta(days=400))
        assert len(calls(tmp_path)) == 40
    assert count_files(tmp_path)["files"] == 1


@pytest.mark.parametrize("now", [NOW, THE_DAY])
def test_a_merge_while_somebody_reads_shows_every_decision_once(tmp_path, rows, verdict, now):
    write_files(tmp_path, rows, verdict, range(40))
    reading = Archive(tmp_path).past_calls(Window("acme"))
    first = next(reading)
    assert tidy(tmp_path, now=now, keep=timedelta(days=400)).merged == 40
    write_files(tmp_path, rows, verdict, range(40, 80))
    assert tidy(tmp_path, now=now, keep=timedelta(days=400)).merged == 41
    assert [call.decision_id for call in (first, *reading)][:40] == [f"d{n}" for n in range(40)]
    assert calls(tmp_path) == [("s1", f"d{n}") for n in range(80)]


def test_a_day_that_goes_on_is_merged_once_it_has_many_files(tmp_path, rows, verdict):
    write_files(tmp_path, rows, verdict, range(31))
    assert tidy(tmp_path, now=THE_DAY, keep=timedelta(days=400)).merged == 0
    write_files(tmp_path, rows, verdict, range(31, 33))
    done = tidy(tmp_path, now=THE_DAY, keep=timedelta(days=400))
    assert (done.merged, done.into) == (33, 1)
    assert calls(tmp_path) == [("s1", f"d{n}") for n in range(33)]


def test_what_is_merged_already_is_written_anew_only_with_as_much_again(tmp_path, rows, verdict):
    written = []
    for hour in range(8):
        write_files(tmp_path, rows, verdict, range(32 * hour, 32 * (hour + 1)))
        before = {path.name for path in tmp_path.rglob("*.parquet")}
        assert tidy(tmp_path, now=THE_DAY, keep=timedelta(days=400)).into == 1
        [made] = (path for path in tmp_path.rglob("*.parquet") if path.name not in before)
        written.append(pq.ParquetFile(made).metadata.num_rows // 32)
    assert written == [1, 2, 1, 4, 1, 2, 1, 8]
    assert count_files(tmp_path)["files"] == 1
    assert calls(tmp_path) == [("s1", f"d{n}") for n in range(256)]


def test_others_have_their_turn_between_two_merges(tmp_path, rows, verdict):
    """What they write then is there, and merged the next time."""
    for tenant in ("a", "b", "c"):
        write_files(tmp_path, rows, verdict, range(2), tenant=tenant)
    told = []
    for done in tidying(tmp_path, now=NOW, keep=timedelta(days=400)):
        told.append(done.merged)
        write_files(tmp_path, rows, verdict, [10 + len(told)], tenant="a")
    assert told == [2, 4, 6, 6]
    assert tidy(tmp_path, now=NOW, keep=timedelta(days=400)).merged == 5
    assert len(calls(tmp_path)) == 10


def test_a_group_that_is_written_again_after_it_was_merged_is_counted_once(tmp_path, rows, verdict):
    """As by a monitor that died between the file and the end of its group in the store."""
    write_files(tmp_path, rows, verdict, range(40))
    tidy(tmp_path, now=THE_DAY, keep=timedelta(days=400))
    for now, files in ((THE_DAY, 11), (NOW, 1)):
        write_files(tmp_path, rows, verdict, range(10))
        assert calls(tmp_path) == [("s1", f"d{n}") for n in range(40)]
        tidy(tmp_path, now=now, keep=timedelta(days=400))
        assert count_files(tmp_path)["files"] == files
    assert count_files(tmp_path)["rows"] == 40


def test_files_of_a_day_are_read_in_time_whatever_they_are_called(tmp_path, rows, verdict):
    groups = {"f": (1, 2, 9), "a": (3, 4, 5, 10), "c": (0, 6), "b": (20, 21), "d": (7, 8, 9)}
    for group, numbers in groups.items():
        write_events(tmp_path, group, [rows().events([verdict(n) for n in numbers], [])])
    expected = [("s1", f"d{n}") for n in (*range(11), 20, 21)]
    assert calls(tmp_path) == expected
    small = Archive(tmp_path).batches(["decision_id"], batch_rows=1)
    assert [name for batch in small for name in batch.column(0).to_pylist()] == [name for _, name in expected]
    tidy(tmp_path, now=NOW, keep=timedelta(days=400))
    assert calls(tmp_path) == expected


def test_files_that_all_overlap_are_read_and_merged_without_being_open_together(tmp_path, rows, verdict):
    """As where one gateway is hours behind the others: each file holds a call of then and one of now."""
    for n in range(60):
        write_events(tmp_path, f"g{n:02}", [rows().events([verdict(n), verdict(1000 + n)], [])])
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (len(os.listdir("/proc/self/fd")) + 30, before[1]))
    try:
        assert calls(tmp_path) == [("s1", f"d{n}") for n in (*range(60), *range(1000, 1060))]
        assert tidy(tmp_path, now=NOW, keep=timedelta(days=400)).merged == 60
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_what_was_read_before_a_merge_is_not_read_again_from_the_one_file_that_is_left(tmp_path, rows, verdict):
    for group, numbers in {"a": (5, 6), "b": (1, 2)}.items():
        write_events(tmp_path, group, [rows().events([verdict(n) for n in numbers], [])])
    reading = Archive(tmp_path).past_calls()
    first = next(reading)
    tidy(tmp_path, now=NOW, keep=timedelta(days=400))
    assert [call.decision_id for call in (first, *reading)] == ["d1", "d2", "d5", "d6"]


def test_a_link_that_leads_nowhere_is_named(tmp_path, rows, verdict):
    write_events(tmp_path, "a", [rows().events([verdict(1)], [])])
    (Partition.of(date(2026, 5, 12), "acme").folder(tmp_path) / "b.parquet").symlink_to("gone")
    with pytest.raises(ArchiveError, match="not there"):
        calls(tmp_path)


@given(
    st.lists(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 2)), min_size=1, max_size=6), max_size=5),
    st.integers(1, 3),
)
def test_sorted_runs_give_one_sorted_run(runs, size):
    def run(rows):
        table = pa.table({"at": [NOW + timedelta(seconds=n) for n, _ in rows], "session_id": [s for _, s in rows]})
        return Run(NOW + timedelta(seconds=rows[0][0]), iter(table.to_batches(max_chunksize=size)))

    found = [row for batch in in_time([run(sorted(rows)) for rows in runs]) for row in batch.to_pylist()]
    told = [((row["at"] - NOW).seconds, row["session_id"]) for row in found]
    assert sorted(told) == sorted(row for rows in runs for row in rows)
    assert [second for second, _ in told] == sorted(second for second, _ in told)


def test_an_unfinished_file_of_a_crash_is_not_read(tmp_path, rows, verdict):
    write_events(tmp_path, "a", [rows().events([verdict(1)], [])])
    folder = Partition.of(date(2026, 5, 12), "acme").folder(tmp_path)
    for name in ("b.parquet-1", "1-b.parquet"):  # as older versions named it, too
        (folder / f"{UNFINISHED}{name}").write_bytes(b"PAR1 half a file")
    assert len(calls(tmp_path)) == 1


def test_what_a_crash_left_unfinished_goes_a_day_later(tmp_path, rows, verdict):
    write_events(tmp_path, "a", [rows().events([verdict(1)], [])])
    folder = next(partitions(tmp_path)).folder(tmp_path)
    names = ("1-merged-1.parquet", "merged-1.parquet-1", "merged-1.parquet-2")  # the first by an older version
    older, old, young = (folder / f"{UNFINISHED}{name}" for name in names)
    for path, hours in ((older, 25), (old, 25), (young, 1)):
        path.write_bytes(b"PAR1")
        written = (NOW - timedelta(hours=hours)).timestamp()
        os.utime(path, (written, written))
    tidy(tmp_path, now=NOW, keep=timedelta(days=400))
    assert sorted(path.name for path in folder.iterdir()) == [young.name, "a.parquet"]


def test_an_altered_file_is_named_with_the_way_out(tmp_path, rows, verdict):
    write_events(tmp_path, "a", [rows().events([verdict(1)], [])])
    [path] = tmp_path.rglob("*.parquet")
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(ArchiveError, match=r"a\.parquet cannot be read .* archive import"):
        calls(tmp_path)


def flipped(path, place, bit):
    damaged = bytearray(path.read_bytes())
    damaged[place] ^= 1 << bit
    path.write_bytes(damaged)


def named_at(path, column):
    """Where the footer's schema names a column."""
    data = path.read_bytes()
    return data.index(column.encode(), len(data) - 8 - int.from_bytes(data[-8:-4], "little"))


def test_of_a_file_with_a_name_in_it_that_is_no_text_the_path_is_told(tmp_path, rows, verdict):
    write_events(tmp_path, "a", [rows().events([verdict(1)], [])])
    [path] = tmp_path.rglob("*.parquet")
    flipped(path, named_at(path, "tool_spelt"), 7)
    with pytest.raises(ArchiveError, match=r"a\.parquet cannot be read .* archive import"):
        calls(tmp_path)


def test_whatever_bit_of_a_file_flips_it_says_the_same_or_nothing(tmp_path, rows, verdict):
    write_events(tmp_path, "a", [rows().events([verdict(n) for n in range(20)], [])])
    [path] = tmp_path.rglob("*.parquet")
    whole, told = path.read_bytes(), list(Archive(tmp_path).batches(EVENTS.names))
    chance, refused = random.Random(1), 0
    for _ in range(120):
        path.write_bytes(whole)
        flipped(path, chance.randrange(len(whole)), chance.randrange(8))
        try:
            assert list(Archive(tmp_path).batches(EVENTS.names)) == told
        except ArchiveError:
            refused += 1
    assert refused > 60


def test_no_merge_makes_damage_last(tmp_path, rows, verdict):
    for n in (1, 2):
        write_events(tmp_path, f"g{n}", [rows().events([verdict(n, tool="invoices.pay")], [])])
    first, second = sorted(tmp_path.rglob("*.parquet"))
    flipped(first, first.read_bytes().index(b"invoices.pay"), 0)
    with pytest.raises(ArchiveError, match=r"g1\.parquet cannot be read .*CRC"):
        tidy(tmp_path, now=NOW, keep=timedelta(days=400))
    assert sorted(tmp_path.rglob("*.parquet")) == [first, second]


def test_a_column_whose_name_was_altered_is_not_taken_for_one_that_is_not_there(tmp_path, rows, verdict):
    write_events(tmp_path, "a", [rows().events([verdict(1)], [])])
    [path] = tmp_path.rglob("*.parquet")
    flipped(path, named_at(path, "tool_spelt"), 0)
    with pytest.raises(ArchiveError, match=r"a\.parquet cannot be read \(no version has such columns\)"):
        calls(tmp_path)


def test_no_memory_for_a_file_is_no_damage_to_it(tmp_path, rows, verdict, monkeypatch):
    def exhausted(*_, **__):
        raise pa.lib.ArrowMemoryError("malloc of size 64 failed")

    write_events(tmp_path, "a", [rows().events([verdict(1)], [])])
    monkeypatch.setattr(pq, "ParquetFile", exhausted)
    with pytest.raises(ArchiveError, match=r"a\.parquet .* \(Cannot allocate memory\); check .* limits"):
        calls(tmp_path)


class Troubled:
    """Opens a file only after it has failed so often; `merged`: and it was merged meanwhile."""

    def __init__(self, number, times, *, merged=False):
        self.number, self.times, self.merged, self.opens = number, times, merged, pq.ParquetFile

    def __call__(self, path, **options):
        self.times -= 1
        if self.times < 0:
            return self.opens(path, **options)
        if self.merged:
            path.rename(path.with_name(f"merged-{path.name}"))
        raise OSError(self.number, os.strerror(self.number), str(path))


@pytest.mark.parametrize("look", [calls, lambda root: Archive(root).labels()])
def test_a_file_whose_handle_went_stale_is_looked_for_anew(tmp_path, rows, verdict, monkeypatch, look):
    write_events(tmp_path, "a", [rows().events([verdict(1)], [])])
    write_labels(tmp_path, "a", [said(1, 12)])
    whole = look(tmp_path)
    with monkeypatch.context() as patched:
        patched.setattr(pq, "ParquetFile", Troubled(errno.ESTALE, 1, merged=True))
        assert look(tmp_path) == whole != []
    monkeypatch.setattr(pq, "ParquetFile", Troubled(errno.ESTALE, 9))
    with pytest.raises(ArchiveError, match=r"lists a file that is not there; check its disk or mount$"):
        look(tmp_path)


@pytest.mark.parametrize("number", [errno.EIO, errno.ETIMEDOUT, errno.ENOTCONN, errno.EHOSTDOWN, errno.EREMOTEIO])
def test_a_mount_that_is_away_is_no_damage_to_a_file(tmp_path, rows, verdict, monkeypatch, number):
    write_events(tmp_path, "a", [rows().events([verdict(1)], [])])
    monkeypatch.setattr(pq, "ParquetFile", Troubled(number, 1))
    with pytest.raises(ArchiveError, match=r"a\.parquet cannot be read .*; check its disk or mount") as told:
        calls(tmp_path)
    assert "remove" not in str(told.value)
    assert calls(tmp_path)


@contextmanager
def as_somebody_else(folder):
    """With no rights on what lies in the folder but to reach it, also where root runs the tests."""
    folder.chmod(0o755)
    root = os.geteuid() == 0
    os.seteuid(65534 if root else os.geteuid())
    try:
        yield
    finally:
        os.seteuid(0 if root else os.geteuid())


@pytest.mark.parametrize(
    ("kept", "look"),
    [
        ("events", count_files),
        ("events", calls),
        ("events/date=2026-05-12", calls),
        ("events/date=2026-05-12/tenant=acme", calls),
        ("events/date=2026-05-12/tenant=acme/g.parquet", calls),
        ("events/date=2026-05-12/tenant=acme", lambda root: Archive(root).rows()),
        ("labels", lambda root: Archive(root).labels()),
    ],
)
def test_what_may_not_be_read_is_not_taken_for_empty_nor_for_damaged(rows, verdict, kept, look):
    with TemporaryDirectory() as folder:
        root = Path(folder)
        write_events(root, "g", [rows().events([verdict(1)], [])])
        write_labels(root, "g", [said(1, 12)])
        for path in root.rglob("*"):
            path.chmod(0o755)
        (root / kept).chmod(0)
        with as_somebody_else(root), pytest.raises(ArchiveError) as told:
            look(root)
        (root / kept).chmod(0o755)
    why = "cannot be read (Permission denied); check its disk or mount, and the reader's permissions and limits"
    assert str(told.value) == f"archive: {root / kept} {why}"


def test_what_goes_while_it_is_counted_is_not_counted(tmp_path, rows, verdict, monkeypatch):
    for n in (1, 2):
        write_events(tmp_path, f"g{n}", [rows().events([verdict(n)], [])])
    counted = compaction._rows

    def merged(path):
        monkeypatch.setattr(compaction, "_rows", counted)
        tidy(tmp_path, now=NOW, keep=timedelta(days=400))
        return counted(path)

    monkeypatch.setattr(compaction, "_rows", merged)
    assert count_files(tmp_path)["files"] == 0
    assert count_files(tmp_path) | {"bytes": 0} == {
        "files": 1, "bytes": 0, "rows": 2, "days": 1, "tenants": 1, "labels": 0,
    }  # fmt: skip


def test_a_disk_that_refuses_is_named_with_the_way_out(tmp_path, rows, verdict):
    (tmp_path / "events").write_text("not a folder")
    with pytest.raises(ArchiveError, match=r"cannot write .* free the disk or move `archive\.path`"):
        write_events(tmp_path, "a", [rows().events([verdict(1)], [])])


def test_old_days_go_and_so_does_what_people_said_of_them(tmp_path, rows, verdict):
    write_events(tmp_path, "a", [rows().events([verdict(1), verdict(2, days=5)], [])])
    key = SessionKey("acme", "s1")
    for seq, day in ((1, 12), (2, 18)):
        word = Change(seq, key, HumanWord.CONFIRMED, datetime(2026, 5, day, tzinfo=UTC))
        write_labels(tmp_path, f"l{seq}", [labels([word])])
    assert tidy(tmp_path, now=NOW, keep=timedelta(days=5)).forgotten == 1
    assert [call for _, call in calls(tmp_path)] == ["d2"]
    assert [label.seq for label in Archive(tmp_path).labels()] == [2]


def test_days_are_too_old_by_time_that_surely_came_and_finished_by_the_clock(tmp_path, rows, verdict):
    write_events(tmp_path, "a", [rows().events([verdict(1), verdict(2, days=5)], [])])
    write_events(tmp_path, "b", [rows().events([verdict(3)], [])])
    ahead, keep = NOW + timedelta(days=402), timedelta(days=400)
    *_, done = tidying(tmp_path, now=ahead, keep=keep, sure=NOW)
    assert (done.forgotten, done.merged) == (0, 2)
    *_, done = tidying(tmp_path, now=ahead, keep=keep)
    assert done.forgotten == 2


@pytest.mark.parametrize("meanwhile", ["another tidies too", "a late decision is written"])
def test_what_others_do_to_an_old_day_in_the_same_moment_stops_nothing(
    tmp_path, rows, verdict, monkeypatch, meanwhile
):
    write_events(tmp_path, "a", [rows().events([verdict(1), verdict(2, days=5)], [])])
    remove, old = compaction.remove, date(2026, 5, 15)

    def removed(path):
        monkeypatch.setattr(compaction, "remove", remove)
        remove(path)
        if meanwhile == "another tidies too":
            assert compaction.forget(tmp_path, older_than=old) == 1
        else:
            write_events(tmp_path, "late", [rows().events([verdict(3)], [])])

    monkeypatch.setattr(compaction, "remove", removed)
    compaction.forget(tmp_path, older_than=old)
    compaction.forget(tmp_path, older_than=old)
    assert [call for _, call in calls(tmp_path)] == ["d2"]


def test_what_will_not_go_is_named_once_everything_else_is_gone(tmp_path, rows, verdict):
    write_events(tmp_path, "a", [rows().events([verdict(1), verdict(2, days=1)], [])])
    first = next(partitions(tmp_path)).folder(tmp_path)
    (first / "_temporary").mkdir()
    with pytest.raises(ArchiveError, match=r"_temporary is past its retention and stays .*; remove it by hand"):
        compaction.forget(tmp_path, older_than=date(2026, 5, 20))
    assert calls(tmp_path) in ([], [("s1", "d1")])
    (first / "_temporary").rmdir()
    compaction.forget(tmp_path, older_than=date(2026, 5, 20))
    assert list(partitions(tmp_path)) == []


def test_a_damaged_file_keeps_no_other_day_from_being_merged_and_no_old_one_from_going(tmp_path, rows, verdict):
    for day in (0, 4, 6):
        for n in (1, 2):
            write_events(tmp_path, f"g{n}", [rows().events([verdict(10 * day + n, days=day)], [])])
    gone, damaged, whole = (each.folder(tmp_path) for each in partitions(tmp_path))
    for folder in (gone, damaged):
        (folder / "g1.parquet").write_bytes(b"PAR1")
    for seq, day in ((1, 12), (2, 13)):
        word = Change(seq, SessionKey("acme", "s1"), HumanWord.CONFIRMED, datetime(2026, 5, day, tzinfo=UTC))
        write_labels(tmp_path, f"l{seq}", [labels([word])])
    (tmp_path / "labels" / "l0.parquet").write_bytes(b"PAR1")
    for named in ("l0", "g1"):
        with pytest.raises(ArchiveError, match=rf"{named}\.parquet cannot be read"):
            tidy(tmp_path, now=NOW, keep=timedelta(days=5))
        (tmp_path / "labels" / "l0.parquet").unlink(missing_ok=True)
    assert not gone.exists()
    assert sorted(path.name for path in damaged.iterdir()) == ["g1.parquet", "g2.parquet"]
    assert [path.name.startswith("merged-") for path in whole.iterdir()] == [True]
    assert Archive(tmp_path).labels() == []


def test_whatever_happens_to_a_merge_old_days_go(tmp_path, rows, verdict, monkeypatch):
    for n, day in enumerate((0, 4, 4)):
        write_events(tmp_path, f"g{n}", [rows().events([verdict(n, days=day)], [])])
    monkeypatch.setattr(compaction, "compact", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        tidy(tmp_path, now=NOW, keep=timedelta(days=5))
    assert [each.day for each in partitions(tmp_path)] == [date(2026, 5, 16)]


def test_a_day_that_will_not_go_keeps_no_other_from_being_merged(tmp_path, rows, verdict):
    for n in (1, 2):
        write_events(tmp_path, f"g{n}", [rows().events([verdict(n), verdict(10 + n, days=4)], [])])
    old, young = (each.folder(tmp_path) for each in partitions(tmp_path))
    (old / "_temporary").mkdir()
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels" / "damaged.parquet").write_bytes(b"no parquet")
    with pytest.raises(ArchiveError, match="_temporary is past its retention and stays"):
        tidy(tmp_path, now=NOW, keep=timedelta(days=5))
    assert [path.name.startswith("merged-") for path in young.iterdir()] == [True]


def test_labels_come_back_once_in_controls_order(tmp_path):
    key = SessionKey("acme", "s1")
    at = datetime(2026, 5, 12, tzinfo=UTC)
    words = [
        Change(n, key, word, at) for n, word in enumerate((HumanWord.REGISTERED, HumanWord.FALSE_POSITIVE), 1)
    ]
    packed = labels(words)
    write_labels(tmp_path, "x", [packed])
    write_labels(tmp_path, "y", [packed, labels([Change(0, key, HumanWord.CONFIRMED, at)])])
    assert [(label.seq, label.word.value) for label in Archive(tmp_path).labels()] == [
        (0, "confirmed"), (2, "false_positive"),
    ]  # fmt: skip


def test_of_a_session_that_was_given_back_with_its_parent_it_is_told(tmp_path):
    key, at = SessionKey("acme", "child"), datetime(2026, 5, 12, tzinfo=UTC)
    ends = [Change(n, key, HumanWord.LAPSED, at, detail) for n, detail in enumerate(("parent_reinstated", ""))]
    write_labels(tmp_path, "x", [labels(ends)])
    assert [label.word.value for label in Archive(tmp_path).labels()] == ["reinstated", "lapsed"]


def test_a_label_says_which_finding_it_judges_and_one_of_before_does_not(tmp_path):
    key, at = SessionKey("acme", "s1"), datetime(2026, 5, 12, tzinfo=UTC)
    words = [(HumanWord.CONFIRMED, "fnd_1"), (HumanWord.FALSE_POSITIVE, "fnd_2"), (HumanWord.LAPSED, "by itself")]
    write_labels(
        tmp_path, "x", [labels([Change(n, key, word, at, detail) for n, (word, detail) in enumerate(words)])]
    )
    folder = tmp_path / "labels"
    before = pq.ParquetFile(folder / "x.parquet").read().drop_columns(["finding_id"]).slice(0, 1)
    pq.write_table(before.set_column(1, "session_id", pa.array(["s0"])), folder / "y.parquet")
    for _ in range(2):
        found = [(label.key.session_id, label.finding_id) for label in Archive(tmp_path).labels()]
        assert found == [("s0", ""), ("s1", "fnd_1"), ("s1", "fnd_2"), ("s1", "")]
        tidy(tmp_path, now=NOW, keep=timedelta(days=50))


def test_that_a_verdict_was_taken_back_is_archived_in_a_word_that_older_readers_know(tmp_path):
    key, at = SessionKey("acme", "s1"), datetime(2026, 5, 12, tzinfo=UTC)
    words = [(HumanWord.FALSE_POSITIVE, "fnd_1 outside"), (HumanWord.WITHDRAWN, "fnd_1 outside")]
    told = [Change(n, key, word, at, detail) for n, (word, detail) in enumerate(words)]
    write_labels(tmp_path, "x", [labels(told)])
    raw = pq.ParquetFile(tmp_path / "labels" / "x.parquet").read().to_pylist()
    known = {"revoked", "reinstated", "false_positive", "confirmed", "lapsed", "registered"}
    assert {each["word"] for each in raw} <= known
    for _ in range(2):
        found = [(label.word, label.finding_id) for label in Archive(tmp_path).labels()]
        assert found == [(HumanWord.FALSE_POSITIVE, "fnd_1"), (HumanWord.WITHDRAWN, "fnd_1")]
        tidy(tmp_path, now=NOW, keep=timedelta(days=50))


@pytest.mark.parametrize("names", [("old", "young"), ("young", "old")])
def test_what_people_told_a_control_that_counts_anew_replaces_nothing_that_they_said_before(tmp_path, names):
    at = datetime(2026, 5, 12, tzinfo=UTC)
    before = [Change(n, SessionKey("acme", f"s{n}"), HumanWord.CONFIRMED, at) for n in (1, 2)]
    after = Change(1, SessionKey("acme", "s2"), HumanWord.FALSE_POSITIVE, at + timedelta(days=3))
    write_labels(tmp_path, names[0], [labels(before)])
    write_labels(tmp_path, names[1], [labels([after])])
    assert [(label.key.session_id, label.word.value) for label in Archive(tmp_path).labels()] == [
        ("s1", "confirmed"), ("s2", "confirmed"), ("s2", "false_positive"),
    ]  # fmt: skip


def said(seq, day, word=HumanWord.CONFIRMED):
    return labels([Change(seq, SessionKey("acme", f"s{seq}"), word, datetime(2026, 5, day, 12, tzinfo=UTC))])


def test_what_people_said_becomes_one_file_in_which_nothing_is_lost_and_nothing_too_old(tmp_path):
    for seq, day in ((1, 14), (2, 15), (3, 18), (4, 18)):
        write_labels(tmp_path, f"l{seq}", [said(seq, day)])
    write_labels(tmp_path, "again", [said(3, 18), said(4, 18, HumanWord.LAPSED)])
    for kept in ([2, 3, 4, 4], [2, 3, 4, 4, 5], [2, 3, 4, 4, 5]):
        tidy(tmp_path, now=NOW, keep=timedelta(days=5))
        assert [label.seq for label in Archive(tmp_path).labels()] == kept
        [file] = (tmp_path / "labels").iterdir()
        with pq.ParquetFile(file) as whole:
            assert whole.schema_arrow.equals(LABELS, check_metadata=True)
            assert whole.metadata.num_rows == len(kept)
        if len(kept) == 4:
            write_labels(tmp_path, "l5", [said(5, 19)])
    tidy(tmp_path, now=NOW + timedelta(days=30), keep=timedelta(days=5))
    assert list((tmp_path / "labels").iterdir()) == []


def test_of_very_many_files_of_what_people_said_a_part_is_merged_at_a_time(tmp_path, monkeypatch):
    monkeypatch.setattr(words, "_AT_ONCE", 3)
    for seq in range(1, 8):
        write_labels(tmp_path, f"l{seq}", [said(seq, 18)])
    for left in (5, 3, 1, 1):
        tidy(tmp_path, now=NOW, keep=timedelta(days=5))
        assert len(list((tmp_path / "labels").iterdir())) == left
        assert [label.seq for label in Archive(tmp_path).labels()] == list(range(1, 8))


def test_what_people_said_is_read_whole_while_it_is_merged(tmp_path, monkeypatch):
    for seq in (1, 2):
        write_labels(tmp_path, f"l{seq}", [said(seq, 18)])
    files = words.parquet_files

    def merged_since(folder):
        listed = files(folder)
        monkeypatch.setattr(words, "parquet_files", files)
        tidy(tmp_path, now=NOW, keep=timedelta(days=5))
        return listed

    monkeypatch.setattr(words, "parquet_files", merged_since)
    assert [label.seq for label in Archive(tmp_path).labels()] == [1, 2]
    link = tmp_path / "labels" / "l1.parquet"
    link.symlink_to(tmp_path / "nowhere")
    with pytest.raises(ArchiveError, match=r"labels lists a file that is not there"):
        Archive(tmp_path).labels()


def test_an_older_file_without_a_column_reads_as_null(tmp_path, rows, verdict):
    folder = Partition.of(date(2026, 5, 12), "acme").folder(tmp_path)
    folder.mkdir(parents=True)
    with pa.ipc.open_stream(rows().events([verdict(1)], [])) as stream:
        table = stream.read_all()
    pq.write_table(table.drop_columns(["action_vector", "bound"]), folder / "old.parquet")
    assert [call.bound for call in Archive(tmp_path).past_calls()] == [()]


def test_an_unknown_column_is_refused_with_the_known_ones(tmp_path):
    with pytest.raises(ArchiveError, match="no column 'nope'; known ones: tenant_id"):
        list(Archive(tmp_path).batches(["nope"]))


def test_duckdb_reads_it_as_it_lies(tmp_path, rows, verdict):
    write_events(tmp_path, "a", [rows().events([verdict(1), verdict(2, tenant="ten ant/=ü")], [])])
    found = duckdb.sql(
        f"SELECT tenant, tenant_id, date, tool, signals['purpose_fit'] FROM "
        f"read_parquet('{tmp_path}/events/*/*/*.parquet', hive_partitioning=true) ORDER BY decision_id"
    ).fetchall()
    assert found[0] == ("acme", "acme", date(2026, 5, 12), "contracts.read", 0.25)
    assert found[1][1] == "ten ant/=ü"


@given(st.text(min_size=1, max_size=512))
def test_any_tenant_id_has_a_folder_of_its_own_inside_the_archive(tenant):
    name = tenant_folder(tenant)
    assert "/" not in name
    assert name.startswith("tenant=")
    assert len(name.encode()) <= 255
    assert name != tenant_folder(tenant + "x")


def test_no_rows_make_no_bytes():
    assert pack([], EVENTS) == b""


def test_only_as_much_is_merged_as_fits_into_memory(tmp_path, rows, verdict, monkeypatch):
    for group in "abcd":
        write_events(tmp_path, group, [rows().events([verdict(ord(group) * 10 + n) for n in range(3)], [])])
    monkeypatch.setattr("guardian.archive.compaction.MOST_ROWS", 7)
    done = tidy(tmp_path, now=NOW, keep=timedelta(days=400))
    assert (done.merged, done.into) == (4, 2)
    assert len(calls(tmp_path)) == 12


def test_of_a_day_that_goes_on_less_is_merged_at_once(tmp_path, rows, verdict, monkeypatch):
    monkeypatch.setattr("guardian.archive.compaction.MOST_ROWS", 80)
    write_files(tmp_path, rows, verdict, range(40))
    done = tidy(tmp_path, now=THE_DAY, keep=timedelta(days=400))
    assert (done.merged, done.into) == (10, 1), "31 files are left, which are few enough"
    done = tidy(tmp_path, now=NOW, keep=timedelta(days=400))
    assert (done.merged, done.into) == (31, 1)
    assert len(calls(tmp_path)) == 40


def adapted(verdict, tool, allowed_tools):
    """The decision as if it came from another format, with these spellings."""
    made = verdict()
    origin = Origin(format="opa", tool=tool, allowed_tools=allowed_tools)
    return replace(
        made, decoded=replace(made.decoded, event=made.decoded.event.model_copy(update={"origin": origin}))
    )


def test_the_logs_own_names_of_tools_lie_beside_guardians(tmp_path, rows, verdict):
    same, own = ("contracts.read", "mail.send"), ("mcp__contracts__read", "mail/send")
    for n, (made, told) in enumerate(
        [
            (verdict(), ("contracts.read", ())),
            (adapted(verdict, "mcp__contracts__read", own), ("mcp__contracts__read", own)),
            (adapted(verdict, "contracts.read", same), ("contracts.read", ())),
            (adapted(verdict, None, None), (None, None)),
        ]
    ):
        write_events(tmp_path / str(n), "g", [rows().events([made], [])])
        [call] = Archive(tmp_path / str(n)).past_calls()
        assert (call.tool_spelt, call.allowed_tools_spelt) == told


def test_a_file_from_before_the_logs_own_names_were_kept_is_read_and_merged(tmp_path, rows, verdict):
    older = pa.schema([field for field in EVENTS if not field.name.endswith("_spelt")])
    one, two = verdict(1), verdict(2)
    write_events(tmp_path, "a", [pack([rows().row(one, None)], older)])
    folder = Partition.of(date(2026, 5, 12), "acme").folder(tmp_path)
    table = pq.read_table(folder / "a.parquet", partitioning=None)
    pq.write_table(table.drop_columns(["tool_spelt", "allowed_tools_spelt"]), folder / "a.parquet")
    write_events(tmp_path, "b", [rows().events([two], [])])
    for _ in range(2):
        assert [call.tool_spelt for call in Archive(tmp_path).past_calls()] == [None, "contracts.read"]
        tidy(tmp_path, now=NOW, keep=timedelta(days=400))
    assert count_files(tmp_path)["files"] == 1


@pytest.mark.parametrize("write", [write_events, write_labels])
def test_a_group_that_cannot_be_read_back_waits_and_says_so(tmp_path, write):
    with pytest.raises(ArchiveError, match=r"group g cannot be written .* it waits in the store"):
        write(tmp_path, "g", [b"no arrow"])


def test_a_merged_file_that_cannot_be_removed_is_told_and_the_day_reads_the_same(
    tmp_path, rows, verdict, monkeypatch
):
    for number in (1, 2):
        write_events(tmp_path, f"g{number}", [rows().events([verdict(number)], [])])
    before = calls(tmp_path)

    def refuse(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(compaction, "remove", refuse)
    with pytest.raises(ArchiveError, match=r"is merged and stays \(Permission denied\); remove it by hand"):
        compaction.compact(tmp_path, next(partitions(tmp_path)))
    assert calls(tmp_path) == before
