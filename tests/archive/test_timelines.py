"""One session out of an archive: the same behaviour from files as from memory."""

import re
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from tidied import tidy

from guardian.archive import timelines
from guardian.archive.files import parquet_files
from guardian.archive.rows import pack
from guardian.archive.schema import EVENTS
from guardian.archive.timelines import ArchivedTimelines
from guardian.archive.writer import write_events
from guardian.domain.timeline import Granted, Step, Timelines
from guardian.errors import ArchiveError

NOON = datetime(2026, 5, 12, 12, tzinfo=UTC)
DAY = date(2026, 5, 12)
ENVELOPE = Granted("user_1", "agent_1", "task_1", "review", "sess_0", ("crm.read",), {"max_records": 25}, NOON)
Make = Callable[[Sequence[Step]], Timelines]


def step(n: int, at: datetime | None = None, **more: Any) -> Step:
    told = {"tool": f"tool_{n}", "effect": "allow", "gateway": "gw", "decision_id": f"dec_{n}"} | more
    return Step(at=at or NOON + timedelta(seconds=n), **told)


def row(each: Step, *, session: str = "sess_1", tenant: str = "acme") -> dict[str, Any]:
    kind, _, name = (each.resource or "").partition("/")
    return dict.fromkeys(EVENTS.names) | {
        "tenant_id": tenant, "session_id": session, "digest": each.decision_id, "event_time": each.at,
        "origin": "live", "delegator_id": "user_1", "agent_id": "agent_1", "task_id": "task_1",
        "purpose": "review",
        "parent_session_id": "sess_0", "allowed_tools": ["crm.read"], "constraints": '{"max_records":25}',
        "expires_at": NOON, "at": each.at, "tool": each.tool, "effect": each.effect, "gateway": each.gateway,
        "decision_id": each.decision_id, "arguments": each.arguments, "resource_type": kind or None,
        "resource_id": name or None, "data_classes": each.data_classes, "records": each.records,
        "reason": each.reason, "score": each.score, "one_in": each.one_in, "promised": each.promised,
        "signals": None if each.signals is None else list(each.signals.items()), "breaches": list(each.breaches),
        "features_missing": list(each.features_missing), "finding_id": each.finding_id, "wanted": each.wanted,
    }  # fmt: skip


@pytest.fixture
def make(tmp_path: Path) -> Make:
    def archived(steps: Sequence[Step]) -> Timelines:
        others = [row(step(n + 1000), session=f"s{n}") for n in range(50)]
        theirs = [row(step(n + 2000), tenant="globex") for n in range(5)]
        for n in range(0, len(steps), 7):  # as it comes: many small files
            write_events(tmp_path, f"group-{n:04}", [pack([row(each) for each in steps[n : n + 7]], EVENTS)])
        write_events(tmp_path, "others", [pack(others + theirs, EVENTS)])
        return ArchivedTimelines(tmp_path)

    return archived


def test_the_actions_come_in_the_order_of_time_with_everything_that_is_known(make: Make) -> None:
    full = step(
        3, arguments='{"to":"x"}', resource="contract/c_1", data_classes=("terms",), records=7, reason="why",
        score=0.5, one_in=1234.5, promised=False, signals={"purpose_fit": 0.5}, breaches=("expired",),
        features_missing=("records",), finding_id="fnd_1", wanted="flag",
    )  # fmt: skip
    told = make([full, step(1), step(2)]).of("acme", "sess_1", since=DAY, until=DAY)
    assert [each.tool for each in told.steps(0, 9)] == ["tool_1", "tool_2", "tool_3"]
    assert list(told.steps(2, 3)) == [full]
    assert [point[1:] for point in told.points] == [(1, True, "none"), (1, True, "none"), (1234.5, False, "flag")]
    assert told.granted == ENVELOPE
    assert told.first <= DAY <= told.last


def test_a_page_of_them_is_cut_out(make: Make) -> None:
    told = make([step(n) for n in range(40)]).of("acme", "sess_1", since=DAY, until=DAY)
    assert len(told.points) == 40
    assert [each.decision_id for each in told.steps(38, 50)] == ["dec_38", "dec_39"]
    assert list(told.steps(40, 50)) == list(told.steps(9, 3)) == []


def test_a_session_that_is_not_there_has_no_actions(make: Make) -> None:
    told = make([]).of("acme", "sess_1", since=DAY, until=DAY)
    assert (list(told.points), told.granted, list(told.steps(0, 5))) == ([], None, [])
    assert (told.first, told.last) == (DAY, DAY)


def test_an_archive_is_empty_while_nobodys_actions_are_in_it(make: Make, tmp_path: Path) -> None:
    assert not make([step(1)]).empty()
    assert ArchivedTimelines(tmp_path / "new").empty()


def test_another_tenants_session_of_the_same_name_is_another(make: Make) -> None:
    told = make([step(1)]).of("acme", "sess_1", since=DAY, until=DAY)
    assert [each.decision_id for each in told.steps(0, 99)] == ["dec_1"]
    assert make([]).of("nobody", "sess_1", since=DAY, until=DAY).granted is None


@pytest.mark.parametrize("away", [-1, 1])
def test_a_session_that_ran_over_midnight_is_whole(make: Make, away: int) -> None:
    steps = [step(n, NOON + away * timedelta(days=n)) for n in range(4)] + [
        step(9, NOON + away * timedelta(days=6))
    ]
    told = make(steps).of("acme", "sess_1", since=DAY, until=DAY)
    assert sorted(each.decision_id for each in told.steps(0, 99)) == ["dec_0", "dec_1", "dec_2", "dec_3"]
    near, far = DAY - away * timedelta(days=1), DAY + away * timedelta(days=4)
    assert {told.first, told.last} == {near, far}, "each up to a day without anything"


def test_a_decision_that_lies_in_two_files_counts_once(tmp_path: Path) -> None:
    for name in ("live", "again"):
        write_events(tmp_path, name, [pack([row(step(n)) for n in range(5)], EVENTS)])
    assert len(ArchivedTimelines(tmp_path).of("acme", "sess_1", since=DAY, until=DAY).points) == 5


def test_a_decision_that_was_archived_on_two_days_has_on_each_what_was_archived_then(tmp_path: Path) -> None:
    first, again = step(1, reason="first"), step(1, at=NOON + timedelta(days=1), reason="again")
    for n, each in enumerate((first, again)):
        write_events(tmp_path, f"g{n}", [pack([row(each)], EVENTS)])
    told = ArchivedTimelines(tmp_path).of("acme", "sess_1", since=DAY, until=DAY)
    assert list(told.steps(0, 9)) == [first, again]


@pytest.mark.parametrize("names", [("a", "b"), ("b", "a")])
def test_a_back_filled_verdict_does_not_hide_the_live_one(tmp_path: Path, names: tuple[str, str]) -> None:
    live = step(1, wanted="revoke", finding_id="fnd_1")
    write_events(tmp_path, names[0], [pack([row(live)], EVENTS)])
    write_events(tmp_path, names[1], [pack([row(step(1)) | {"origin": "import"}], EVENTS)])
    told = ArchivedTimelines(tmp_path).of("acme", "sess_1", since=DAY, until=DAY)
    assert list(told.steps(0, 9)) == [live]


def test_a_merged_day_tells_the_same(tmp_path: Path) -> None:
    for n in range(6):
        write_events(tmp_path, f"g{n}", [pack([row(step(n)), row(step(n + 50), session="other")], EVENTS)])
    before = ArchivedTimelines(tmp_path).of("acme", "sess_1", since=DAY, until=DAY).steps(0, 9)
    assert tidy(tmp_path, now=NOON + timedelta(days=3), keep=timedelta(days=400))
    assert len(list(tmp_path.glob("events/*/*/merged-*.parquet"))) == 1
    assert ArchivedTimelines(tmp_path).of("acme", "sess_1", since=DAY, until=DAY).steps(0, 9) == before


def test_of_a_row_group_without_the_session_only_is_read_whose_it_is(tmp_path: Path, monkeypatch: Any) -> None:
    import pyarrow.parquet as pq

    for name in ("a", "b", "z"):
        write_events(tmp_path, name, [pack([row(step(ord(name)), session=f"{name}_1")], EVENTS)])
    read: list[str] = []
    for name in ("read_row_group", "iter_batches"):
        whole = getattr(pq.ParquetFile, name)
        monkeypatch.setattr(
            pq.ParquetFile, name, lambda *told, whole=whole, **more: read.append("") or whole(*told, **more)
        )
    told = ArchivedTimelines(tmp_path).of("acme", "b_1", since=DAY, until=DAY)
    assert len(told.points) == 1
    assert len(read) == 4, "of each file: whose rows; of one then what is in them"


def test_no_damage_to_what_a_footer_tells_of_a_session_hides_its_actions(tmp_path: Path) -> None:
    write_events(tmp_path, "g", [pack([row(step(n)) for n in range(3)], EVENTS)])
    [path] = tmp_path.rglob("*.parquet")
    whole = path.read_bytes()
    footer = len(whole) - 8 - int.from_bytes(whole[-8:-4], "little")
    found = [place.start() for place in re.finditer(b"sess_1", whole) if place.start() >= footer]
    assert found
    for place in found:
        path.write_bytes(whole[:place] + b"t" + whole[place + 1 :])
        told = ArchivedTimelines(tmp_path).of("acme", "sess_1", since=DAY, until=DAY)
        assert len(told.points) == len(told.steps(0, 9)) == 3


def test_a_file_that_tells_of_fewer_rows_than_it_should_is_damaged(tmp_path: Path, monkeypatch: Any) -> None:
    import pyarrow.parquet as pq

    write_events(tmp_path, "g", [pack([row(step(1))], EVENTS)])
    monkeypatch.setattr(pq.ParquetFile, "iter_batches", lambda *_, **__: iter(()))
    with pytest.raises(ArchiveError, match=r"g\.parquet cannot be read \(0 of 1 rows are left\)"):
        ArchivedTimelines(tmp_path).of("acme", "sess_1", since=DAY, until=DAY)


def test_what_agents_wrote_at_length_is_held_of_the_actions_that_are_shown_only(tmp_path: Path) -> None:
    long = [row(step(n, arguments=f'{{"x":"{n}{"y" * 10_000}"}}')) for n in range(1000)]
    write_events(tmp_path, "g", [pack(long, EVENTS)])
    before = pa.total_allocated_bytes()
    told = ArchivedTimelines(tmp_path).of("acme", "sess_1", since=DAY, until=DAY)
    assert len(told.points) == 1000
    assert pa.total_allocated_bytes() - before < 1_000_000
    assert [each.arguments for each in told.steps(500, 502)] == [each["arguments"] for each in long[500:502]]


def test_actions_that_were_merged_since_are_found_where_they_lie_now(tmp_path: Path) -> None:
    for n in range(6):
        write_events(tmp_path, f"g{n}", [pack([row(step(n))], EVENTS)])
    told = ArchivedTimelines(tmp_path).of("acme", "sess_1", since=DAY, until=DAY)
    assert tidy(tmp_path, now=NOON + timedelta(days=3), keep=timedelta(days=400))
    assert [each.decision_id for each in told.steps(2, 4)] == ["dec_2", "dec_3"]


def test_actions_are_found_however_often_their_day_is_merged_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A busy day is merged in many rounds, one after the other."""

    def merged(folder: Path) -> list[Path]:
        listed = parquet_files(folder)
        if listed and rounds:
            listed[0].rename(folder / f"merged-{rounds.pop()}.parquet")
        return listed

    rounds = list(range(9))
    monkeypatch.setattr(timelines, "parquet_files", merged)
    write_events(tmp_path, "g", [pack([row(step(1))], EVENTS)])
    told = ArchivedTimelines(tmp_path).of("acme", "sess_1", since=DAY, until=DAY)
    assert [each.decision_id for each in told.steps(0, 9)] == ["dec_1"]
    assert not rounds


def test_an_altered_file_is_said_so(tmp_path: Path) -> None:
    write_events(tmp_path, "g", [pack([row(step(1))], EVENTS)])
    (path,) = tmp_path.glob("events/*/*/g.parquet")
    path.write_bytes(b"PAR1PAR1")
    with pytest.raises(ArchiveError, match="cannot be read"):
        ArchivedTimelines(tmp_path).of("acme", "sess_1", since=DAY, until=DAY)


def test_a_file_that_is_listed_and_not_there_is_no_session_without_actions(tmp_path: Path) -> None:
    write_events(tmp_path, "g", [pack([row(step(1))], EVENTS)])
    (path,) = tmp_path.glob("events/*/*/g.parquet")
    path.with_name("h.parquet").symlink_to("gone")
    with pytest.raises(ArchiveError, match="lists a file that is not there"):
        ArchivedTimelines(tmp_path).of("acme", "sess_1", since=DAY, until=DAY)
