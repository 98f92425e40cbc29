"""Frames have the documented columns and dtypes, whatever lies in the archive."""

import json
from datetime import UTC, datetime, timedelta

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from guardian import analysis
from guardian.analysis import (
    explain,
    feedback,
    findings,
    hunting,
    open_archive,
    overview,
    proposing,
    schema,
    thresholds,
    trust,
)
from guardian.analysis.controlled import ControlView
from guardian.analysis.plots import plot_blurred, plot_counts, plot_moves, plot_precision
from guardian.analysis.sessions import sessions_of
from guardian.archive.reader import Archive
from guardian.archive.rows import labels
from guardian.archive.writer import write_labels
from guardian.domain.batch import Change
from guardian.domain.finding import Effect, Finding, Kind
from guardian.domain.identity import SessionKey
from guardian.domain.session import HumanWord
from guardian.errors import ArchiveError, ConfigurationError
from guardian.wire.findings import FindingOutcome, FindingView, PersonsVerdict

FRAMES = {"EVENTS", "SESSIONS", "FINDINGS", "FEEDBACK", "PROPOSALS"}


@pytest.fixture(scope="module")
def frames(archive, control, events, sessions):
    return {
        "EVENTS": events,
        "SESSIONS": sessions,
        "FINDINGS": findings(archive, control),
        "FEEDBACK": feedback(archive, control),
        "PROPOSALS": proposing.restrictions(proposing.propose(archive, "tenant_acme")),
    }


def conforms(frame, columns):
    assert list(frame.columns) == [column.name for column in columns]
    assert {name: str(dtype) for name, dtype in frame.dtypes.items()} == {c.name: c.dtype for c in columns}


@pytest.mark.parametrize("name", sorted(FRAMES))
def test_a_frame_has_exactly_the_documented_columns(frames, name):
    assert len(frames[name])
    conforms(frames[name], getattr(schema, name))


@pytest.mark.parametrize("name", sorted(FRAMES))
def test_a_frame_without_rows_has_them_too(name):
    conforms(schema.frame([], getattr(schema, name)), getattr(schema, name))


def test_of_events_only_the_columns_that_are_asked_for_are_read(archive, events, monkeypatch):
    read, batches = [], Archive.batches
    monkeypatch.setattr(Archive, "batches", lambda *these: read.extend(these[1]) or batches(*these))
    for columns in (["score", "act"], ["tool", "begin"], ["signals", "at"]):
        found = archive.events(columns=columns)
        pd.testing.assert_frame_equal(found, events[[name for name in events if name in columns]])
    assert set(read) == {"tenant_id", "session_id", "at", "score", "tool", "signals"}
    with pytest.raises(ConfigurationError, match="scores: no column"):
        archive.events(columns=["at", "scores"])


def test_the_archive_alone_gives_the_same_columns(archive):
    conforms(findings(archive), schema.FINDINGS)
    conforms(feedback(archive), schema.FEEDBACK)


def test_every_frame_is_in_the_package_docstring():
    assert all(f"`schema.{name}`" in analysis.__doc__ for name in FRAMES)


def test_every_column_says_what_it_means_once():
    for name in FRAMES:
        columns = getattr(schema, name)
        assert all(column.meaning for column in columns)
        assert len({column.name for column in columns}) == len(columns)


def test_times_are_utc_and_calls_are_counted_within_their_session(events):
    assert str(events["at"].dt.tz) == "UTC"
    assert events["at"].is_monotonic_increasing
    for _, calls in events.groupby(["tenant_id", "session_id"]):
        assert list(calls["act"]) == list(range(1, len(calls) + 1))


def test_what_the_archive_does_not_know_is_missing_and_not_zero(lay):
    root = lay(records=None, data_classes=None, arguments=None, agent_id=None, one_in=None)
    row = open_archive(root, tenant="acme").events().iloc[0]
    assert pd.isna(row["records"])
    session = open_archive(root, tenant="acme").sessions().iloc[0]
    assert pd.isna(session["records"])
    assert pd.isna(session["one_in"])
    assert pd.isna(row["arguments"])
    assert pd.isna(row["agent_id"])
    assert row["data_classes"] is None


def test_a_session_is_the_sum_of_its_calls(lay):
    lay(records=2, one_in=3.0, promised=True, tool="a", breaches=["x"])
    lay(records=5, one_in=40.0, promised=False, tool="b", effect="deny", finding_id="fnd_1", wanted="flag")
    root = lay(records=None, one_in=30.0, tool="a", breaches=["x", "y"], finding_id="fnd_2", wanted="none")
    (session,) = open_archive(root, tenant="acme").sessions().to_dict("records")
    assert (session["actions"], session["denied"], session["records"], session["findings"]) == (3, 1, 7, 2)
    assert (session["one_in"], session["promised"], session["wanted"]) == (40.0, False, "flag")
    assert session["tools"] == ("a", "b")
    assert session["breaches"] == ("x", "y")
    assert session["flagged_at"].tzinfo is not None
    assert session["flagged_at"].astimezone(UTC).minute == 1


def test_sessions_are_folded_without_reading_what_calls_were_made_with(archive, events, monkeypatch):
    read, batches = set(), Archive.batches
    monkeypatch.setattr(
        Archive, "batches", lambda self, columns, *more: read.update(columns) or batches(self, columns, *more)
    )
    found = archive.sessions()
    assert not read & {"arguments", "signals", "reason", "constraints", "allowed_tools", "action_vector"}
    pd.testing.assert_frame_equal(found, sessions_of(events, archive.words()))


def test_records_of_a_session_never_add_up_to_less(lay):
    for n in range(3):
        root = lay(records=2**62, session_id="much")
        lay(records=2**53 + 1, session_id=f"one{n % 2}")
    found = open_archive(root, tenant="acme").sessions().set_index("session_id")["records"]
    assert found.to_dict() == {"much": 2**62, "one0": 2**54 + 2, "one1": 2**53 + 1}


def test_sessions_whose_agent_or_purpose_nobody_logged_are_counted_and_hunted_too(lay):
    unknown = {"agent_id": None, "purpose": None, "purpose_family": None}
    vectors = {name: np.array([1, 2], dtype="<f2").tobytes() for name in ("purpose_vector", "action_vector")}
    for n in range(5):
        lay(session_id=f"named{n}", vector_model="m", **vectors)
        root = lay(session_id=f"nameless{n}", tool=f"t{n // 4}", vector_model="m", **unknown, **vectors)
    view = open_archive(root, tenant="acme")
    events, sessions = view.events(), view.sessions()
    for column in ("agent_id", "purpose_family"):
        counts = overview.counted(sessions, column)
        assert list(counts["sessions"]) == [5, 5]
        assert "(not logged)" in [
            tick.get_text() for tick in plot_counts(counts, title="t").axes[0].get_yticklabels()
        ]
    table = hunting.blurred(view)
    assert table["agent_id"].isna().sum() == 1
    assert plot_blurred(table)._repr_png_()
    half = events["at"].iloc[6]
    moves = hunting.moving_tools(events, at=half)
    assert list(moves[moves["purpose_family"].isna()]["tool"]) == ["t0", "t1"]
    assert moves["change"].abs().max() == 0.5
    assert plot_moves(moves)._repr_png_()
    uses = hunting.first_uses(events, since=half)
    assert uses[["session_id", "tool"]].to_numpy().tolist() == [["nameless4", "t1"]]
    judged = sessions.assign(drift=sessions["session_id"].str.endswith("4"))
    parted = trust.precision(judged, "purpose_family")
    assert list(parted["confirmed"]) == [2, 1, 1]
    assert plot_precision(parted, title="t")._repr_png_()
    named = trust.precision(judged.fillna({"purpose_family": "all"}), "purpose_family")
    assert list(named["confirmed"]) == [2, 1, 1], "whoever calls a purpose all replaces no total"
    assert sorted(named["group"])[:2] == ["all", "all"]


def test_a_decision_that_lies_in_two_files_counts_once(lay):
    lay(group="one", decision_id="d", digest="x")
    root = lay(group="two", decision_id="d", digest="x")
    assert len(open_archive(root, tenant="acme").events()) == 1


def test_a_window_begins_at_since_and_ends_before_until(archive):
    day = archive.days[-1]
    within = archive.events(since=day, until=day + pd.Timedelta(hours=12))
    assert within["at"].min() >= day
    assert within["at"].max() < day + pd.Timedelta(hours=12)


@pytest.mark.parametrize("naive", [datetime(2026, 5, 12), pd.Timestamp("2026-05-12 22:00")])
def test_a_window_without_a_zone_is_refused(archive, control, naive):
    for ask in (archive.events, archive.sessions, archive.vectors, lambda **w: findings(archive, control, **w)):
        with pytest.raises(ArchiveError, match="no time zone"):
            ask(since=naive)


def test_one_session_is_read_without_holding_the_others(lay):
    for n in range(40):
        lay(session_id=f"other{n}", arguments=json.dumps({"note": "x" * 16_000}))
    lay(session_id="mine", parent_session_id="other3")
    root = lay(session_id="mine", at=datetime(2026, 5, 14, tzinfo=UTC), arguments='{"note":"y"}')
    view, before = open_archive(root, tenant="acme"), pa.default_memory_pool()
    measured = pa.proxy_memory_pool(before)
    pa.set_memory_pool(measured)
    try:
        assert len(view.events(session="mine")) == 2
        one = measured.max_memory()
        assert len(view.events()) == 42
        assert one < measured.max_memory() / 2
    finally:
        pa.set_memory_pool(before)


def test_arrow_gives_the_archives_own_columns_for_other_tools(archive, events):
    table = archive.arrow(["tool", "score", "purpose_vector"])
    assert table.column_names == ["tool", "score", "purpose_vector"]
    assert table.num_rows == len(events)
    with duckdb.connect() as database:
        database.register("calls", table)
        (most,) = database.execute(
            "SELECT tool FROM calls GROUP BY tool ORDER BY count(*) DESC LIMIT 1"
        ).fetchall()
    assert most[0] == events["tool"].value_counts().index[0]


def test_an_hour_without_calls_counts_none_and_counts_stay_whole_numbers():
    at = pd.to_datetime(["2026-05-04T09:10Z", "2026-05-04T11:50Z"], utc=True)
    calls = pd.DataFrame(
        {"at": at, "effect": ["allow", "deny"], "tenant_id": "acme", "session_id": "s", "one_in": 5.0}
    )
    hours = overview.hours(calls)
    assert list(hours["calls"]) == [1, 0, 1]
    assert {str(hours[name].dtype) for name in ("calls", "denied", "sessions")} == {"int64"}


def test_a_session_known_by_agent_and_user_only_begins_anew_after_a_pause_as_for_the_monitor(lay):
    name, said = "window:agent_a|u", []
    for day, evidence in ((12, (0.5, 2.5)), (13, (0.25, 0.5)), (14, (1.0, 2.0))):
        for n, gathered in enumerate(evidence):
            at, found = datetime(2026, 5, day, 9, 29 * n, tzinfo=UTC), n == 1 and day != 13
            more = {"finding_id": f"fnd_{day}", "wanted": "flag"} if found else {}
            lay(session_id="own", at=at)
            root = lay(session_id=name, at=at, session_evidence=gathered, one_in=10**gathered, **more)
    for n, (day, word) in enumerate(((12, HumanWord.CONFIRMED), (14, HumanWord.FALSE_POSITIVE)), 1):
        said.append(Change(n, SessionKey("acme", name), word, datetime(2026, 5, 20 + n, tzinfo=UTC), f"fnd_{day}"))
    said.append(Change(9, SessionKey("acme", name), HumanWord.REVOKED, datetime(2026, 5, 13, 9, 40, tzinfo=UTC)))
    write_labels(root, "l", [labels(said)])
    view = open_archive(root, tenant="acme")
    sessions, judged = view.sessions(), feedback(view)
    assert list(sessions["session_id"]) == ["own", name, name, name]
    mine = sessions[sessions["session_id"] == name]
    assert list(mine["begin"].dt.day) == list(mine["end"].dt.day) == [12, 13, 14]
    assert list(mine["actions"]) == [2, 2, 2]
    assert list(mine["word"].fillna("")) == ["confirmed", "revoked", "false_positive"]
    assert list(mine["verdict"].fillna("")) == ["confirmed", "", "false_positive"]
    assert list(thresholds.known_drift(mine, judged).fillna(value=False)) == [True, False, False]
    honest = thresholds.taken_for_honest(sessions, judged)
    assert thresholds.promised_and_measured(honest, [10])[["flagged", "sessions"]].to_numpy().tolist() == [[1, 3]]
    assert list(view.events(session=name)["act"]) == [1, 2] * 3
    early = findings(view).iloc[0], view.events(session=name).iloc[1]
    rows = *((row, 12, 2) for row in early), (mine.iloc[1], 13, 2), (sessions.iloc[0], 12, 0)
    for asked, day, others in ((name, 14, 2), (early[0][["tenant_id", "session_id"]], 14, 2), *rows):
        found = explain(view, asked)
        assert (found.session["begin"].day, found.others) == (day, others)
        assert len(found.chain) == 1
        assert found.timeline["step"].sum() == found.events["session_evidence"].iloc[-1]
    found = explain(view, mine.iloc[0])
    assert "One of 3 sessions of that name" in str(found)
    assert list(found.words["word"]) == ["confirmed"]
    assert list(found.findings["finding_id"]) == ["fnd_12"]
    [day] = view.sessions(since=datetime(2026, 5, 13, 9, 10, tzinfo=UTC), until=datetime(2026, 5, 14, tzinfo=UTC))[
        lambda rows: rows["session_id"] == name
    ].itertuples()
    assert day.begin.minute == 29
    assert explain(view, pd.Series(day._asdict())).session["begin"].day == 13
    patient = open_archive(root, tenant="acme", idle=timedelta(days=2))
    assert list(patient.sessions()["session_id"]) == ["own", name]


@pytest.mark.parametrize("export", [False, True])
def test_a_verdict_that_was_taken_back_is_in_no_frame_but_that_of_what_people_said(lay, export):
    for n in range(2):
        root = lay(session_id=f"s{n}", finding_id=f"fnd_{n}", wanted="flag")
    said = [(0, HumanWord.FALSE_POSITIVE), (1, HumanWord.CONFIRMED), (0, HumanWord.WITHDRAWN)]
    told = [
        Change(n, SessionKey("acme", f"s{of}"), word, datetime(2026, 5, 20 + n, tzinfo=UTC), f"fnd_{of} -")
        for n, (of, word) in enumerate(said)
    ]
    write_labels(root, "l", [labels(told)])
    view = open_archive(root, tenant="acme")
    control = ControlView((_before(told[0]),) if export else ())
    assert feedback(view, control)["finding_id"].to_list() == ["fnd_1"], "also where control's export is older"
    judged = view.sessions()
    assert list(judged["verdict"].fillna("")) == ["", "confirmed"]
    assert list(judged["word"]) == ["withdrawn", "confirmed"]
    assert list(thresholds.known_drift(judged, feedback(view)).isna()) == [True, False]
    assert "people or policy said: withdrawn" in str(explain(view, judged.iloc[0]))
    assert list(view.words()["taken_back"]) == [True, False, True]


def _before(said: Change) -> FindingView:
    """What control told of the finding before that was taken back."""
    this = {"tenant_id": "acme", "session_id": said.key.session_id}
    found = Finding(
        id="fnd_0", kind=Kind.DRIFT, **this, wanted=Effect.FLAG, severity="high", title="t", time=said.at
    )
    outcome = FindingOutcome(
        finding_id="fnd_0", **this, wanted=Effect.FLAG, effect=Effect.FLAG, mode="shadow", at=said.at
    )
    verdict = PersonsVerdict(verdict="benign", reason="r", actor="ann", at=said.at)
    return FindingView(finding=found, outcome=outcome, verdict=verdict)
