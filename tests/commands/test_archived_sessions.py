"""Archive → labelled sessions, with what guardian found and what people said."""

import runpy
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
from structlog.testing import capture_logs
from typer.testing import CliRunner

from guardian.archive.redaction import ArgumentRule, Redaction
from guardian.archive.rows import Rows, labels
from guardian.archive.writer import write_events, write_labels
from guardian.cli import app
from guardian.commands import archived_sessions
from guardian.commands.archived_sessions import LeftOut, archive_sessions
from guardian.commands.evaluating import BY_FEEDBACK, Wanted, evaluate_files
from guardian.commands.labelling import labelled_sessions, training_files
from guardian.config import load
from guardian.domain.batch import Change
from guardian.domain.breach import Breach
from guardian.domain.finding import Act, Effect, Finding, Kind
from guardian.domain.identity import SessionKey
from guardian.domain.session import HumanWord
from guardian.domain.signal import Signal
from guardian.evaluation.labels import Labels
from guardian.evaluation.sessions import read_sessions

AT = datetime(2026, 5, 20, tzinfo=UTC)
NOTHING = Labels({})
made = runpy.run_path(str(Path(__file__).parents[1] / "archive" / "conftest.py"))["make_verdict"]
verdict = partial(made, fit=0.75)  # each breaks a rule, too


@pytest.fixture
def archive(tmp_path):
    """Five sessions of two calls each; guardian found drift in the second call of all but `quiet`."""
    root = tmp_path / "archive"
    rows = Rows(Redaction((ArgumentRule("*", "*", "keep"),), str), {}, "live")
    made, found = [], []
    for number, name in enumerate(("confirmed", "dismissed", "flagged", "quiet", "undone")):
        pair = [
            verdict(10 * number, session=name, arguments={"contract_id": "contract_7781"}, act=0),
            verdict(10 * number + 1, session=name, tool="mail.send", arguments={"to": "mallory"}, act=1),
        ]
        made += pair
        event = pair[1].decoded.event
        act = Act(decision_id=event.id, gateway="gw", tool="mail.send", time=event.time)
        if name != "quiet":
            found.append(
                Finding(
                    id=f"fnd_{name}",
                    kind=Kind.DRIFT,
                    tenant_id="acme",
                    session_id=name,
                    wanted=Effect.FLAG,
                    severity="high",
                    title="t",
                    time=event.time,
                    act=act,
                )
            )
    write_events(root, "g", [rows.events(made, found)])
    words = [
        ("confirmed", HumanWord.CONFIRMED),
        ("confirmed", HumanWord.REINSTATED),
        ("dismissed", HumanWord.FALSE_POSITIVE),
        ("undone", HumanWord.CONFIRMED),
        ("undone", HumanWord.FALSE_POSITIVE),
    ]
    changes = [Change(seq, SessionKey("acme", name), word, AT) for seq, (name, word) in enumerate(words, 1)]
    write_labels(root, "l", [labels(changes)])
    return root


def read(root, said=NOTHING):
    return {
        session.session_id: [action.label for action in session.actions]
        for session in archive_sessions(load(None), root, said)
    }


def test_a_session_that_was_revoked_and_never_flagged_is_learnt_of_once_it_is_given_back_or_judged(archive):
    def say(seq, word):
        change = Change(seq, SessionKey("acme", "quiet"), word, AT + timedelta(minutes=seq))
        write_labels(archive, f"more_{seq}", [labels([change])])

    say(1, HumanWord.REVOKED)
    say(2, HumanWord.LAPSED)
    left_out = LeftOut()
    assert "acme/quiet" not in {
        s.session_id for s in archive_sessions(load(None), archive, NOTHING, None, left_out)
    }
    assert left_out.unjudged == 2
    assert read(archive, Labels({"acme/quiet": "benign"}))["acme/quiet"] == ["benign", "benign"]
    say(3, HumanWord.REINSTATED)
    assert read(archive)["acme/quiet"] == ["benign", "benign"]
    say(4, HumanWord.REVOKED)
    say(5, HumanWord.CONFIRMED)
    assert "acme/quiet" not in read(archive), "it drifted, and nobody said where"


def test_nothing_is_learnt_of_a_verdict_that_was_taken_back(archive):
    for seq, name in enumerate(("confirmed", "dismissed")):
        for n, word in enumerate(((HumanWord.FALSE_POSITIVE, HumanWord.CONFIRMED)[seq], HumanWord.WITHDRAWN)):
            told = Change(n, SessionKey("acme", name), word, AT + timedelta(minutes=n), f"fnd_{name} -")
            write_labels(archive, f"{name}_{n}", [labels([told])])
    left_out = LeftOut()
    found = archive_sessions(load(None), archive, NOTHING, None, left_out)
    assert [each.session_id for each in found] == ["acme/quiet", "acme/undone"]
    assert left_out.unjudged == 3, "they are flagged, and nobody has said what they are"


def test_people_settle_what_a_session_was_and_a_flag_nobody_answered_settles_nothing(archive):
    assert read(archive) == {
        "acme/confirmed": ["unknown", "drift"],
        "acme/dismissed": ["benign", "benign"],
        "acme/quiet": ["benign", "benign"],
        "acme/undone": ["benign", "benign"],
    }


def test_a_session_drifts_where_a_finding_was_confirmed_whichever_other_was_dismissed_since(archive):
    rows = Rows(Redaction((ArgumentRule("*", "*", "keep"),), str), {}, "live")
    made = [verdict(50 + n, session="two", tool=tool) for n, tool in enumerate(("a.read", "mail.send", "b.read"))]
    found = [
        Finding(
            id=f"fnd_{n}", kind=Kind.DRIFT, tenant_id="acme", session_id="two", wanted=Effect.FLAG,
            severity="high", title="t", time=event.time,
            act=Act(decision_id=event.id, gateway="gw", tool="x", time=event.time),
        )
        for n, event in enumerate(each.decoded.event for each in made[:2])
    ]  # fmt: skip
    write_events(archive, "two", [rows.events(made, found)])
    key = SessionKey("acme", "two")
    for dismissed, labelled in (
        ([], ["unknown", "drift"]),  # of the first nobody has said what it was
        (["fnd_0"], ["benign", "drift"]),
        (["fnd_1"], None),  # of the other one nobody has said what it was
        (["fnd_1", "fnd_0"], ["benign", "benign", "benign"]),
        ([""], ["benign", "benign", "benign"]),
    ):
        said = [(HumanWord.CONFIRMED, "fnd_1"), *((HumanWord.FALSE_POSITIVE, name) for name in dismissed)]
        changes = [Change(9 + n, key, word, AT, finding) for n, (word, finding) in enumerate(said)]
        write_labels(archive, "two", [labels(changes)])
        assert read(archive).get("acme/two") == labelled


def test_what_was_confirmed_for_a_rule_alone_is_neither_learnt_nor_judged_and_that_is_told(archive, tmp_path):
    rows = Rows(Redaction((ArgumentRule("*", "*", "keep"),), str), {}, "live")
    fits = [("ruled", 0.25), ("ruled", 0.25), ("ruled", 0.25), ("both", 0.25), ("both", 0.75)]
    calls = [verdict(60 + n, session=name, fit=fit) for n, (name, fit) in enumerate(fits)]
    found = [
        Finding(
            id=f"fnd_{event.envelope.session_id}_{event.id}", kind=Kind.DRIFT, tenant_id="acme",
            session_id=event.envelope.session_id, wanted=Effect.FLAG, severity="high", title="t", time=event.time,
            act=Act(decision_id=event.id, gateway="gw", tool="x", time=event.time),
        )
        for event in (each.decoded.event for each in calls[1:])
    ]  # fmt: skip
    write_events(archive, "r", [rows.events(calls, found)])
    said = [Change(9 + n, f.key, HumanWord.CONFIRMED, AT, f.id) for n, f in enumerate(found)]
    write_labels(archive, "r", [labels(said)])
    told = read(archive)
    assert "acme/ruled" not in told, "an act of it may fit its purpose"
    assert told["acme/both"] == ["unknown", "drift"]
    lexical = load(None, overrides={"model": {"engine": "lexical"}})
    notes = evaluate_files(lexical, [archive], lambda *_: None, Wanted(resamples=1)).notes
    assert BY_FEEDBACK in notes
    assert any(note.startswith("Confirmed for a broken rule alone: 3 acts.") for note in notes)
    with capture_logs() as lines:
        training_files(load(None), [archive], NOTHING, tmp_path / "work")
    assert [line["acts"] for line in lines if line["event"] == "confirmed_for_a_rule_alone"] == [3]


@pytest.mark.parametrize(("value", "told"), [(1.0, None), (0.2, ["drift"])])
def test_a_credential_that_was_known_by_its_own_shape_is_a_broken_rule_here_too(archive, value, told):
    call = verdict(60, session="secret", fit=0.25)
    fit, *_ = call.drift.signals
    secret = Signal("credential_exposure", value, breaches=(Breach("credential_in_arguments", "d", value == 1.0),))
    event = call.decoded.event
    act = Act(decision_id=event.id, gateway="gw", tool="x", time=event.time)
    found = Finding(
        id="fnd_secret", kind=Kind.DRIFT, tenant_id="acme", session_id="secret", wanted=Effect.FLAG,
        severity="high", title="t", time=event.time, act=act,
    )  # fmt: skip
    rows = Rows(Redaction((ArgumentRule("*", "*", "keep"),), str), {}, "live")
    write_events(
        archive, "c", [rows.events([replace(call, drift=replace(call.drift, signals=(fit, secret)))], [found])]
    )
    write_labels(archive, "c", [labels([Change(9, found.key, HumanWord.CONFIRMED, AT, found.id)])])
    assert read(archive).get("acme/secret") == told


def test_what_was_dismissed_and_is_flagged_anew_is_no_honest_session(archive):
    for path in archive.glob("labels/*.parquet"):
        path.unlink()
    before = AT - timedelta(days=3000)
    words = [("dismissed", HumanWord.FALSE_POSITIVE), ("confirmed", HumanWord.CONFIRMED)]
    changes = [Change(seq, SessionKey("acme", name), word, before) for seq, (name, word) in enumerate(words, 1)]
    write_labels(archive, "l", [labels(changes)])
    assert set(read(archive)) == {"acme/confirmed", "acme/quiet"}


def test_a_file_of_labels_counts_before_what_the_archive_knows(archive):
    said = Labels({"acme/confirmed": "benign", "acme/flagged/0": "drift", "acme/quiet": "drift"})
    found = read(archive, said)
    assert found["acme/confirmed"] == ["benign", "benign"]
    assert found["acme/flagged"] == ["drift"]
    assert "acme/quiet" not in found  # which act drifted was not said


def test_a_session_whose_drift_is_in_an_act_that_the_archive_has_not_is_left_out(archive):
    assert "acme/quiet" not in read(archive, Labels({"acme/quiet/2": "drift"}))


def test_an_act_is_that_which_the_monitor_counted_whatever_its_time_and_id(tmp_path):
    rows = Rows(Redaction((ArgumentRule("*", "*", "keep"),), str), {}, "live")
    made = [  # 8 and 10 of one second, a call without a purpose between them, one that came late
        verdict(8, session="s", tool="a", act=0, at=AT),
        verdict(9, session="s", tool="b", act=1, at=AT, purpose=" "),
        verdict(10, session="s", tool="c", act=2, at=AT),
        verdict(11, session="s", tool="d", act=3, at=AT - timedelta(seconds=5)),
    ]
    write_events(tmp_path, "g", [rows.events(made, [])])

    def told(said):
        found = archive_sessions(load(None), tmp_path, Labels(said))
        return [[(action.tool, action.label) for action in session.actions] for session in found]

    assert told({"acme/s/2": "drift"}) == [[("a", "unknown"), ("c", "drift")]]
    assert told({"acme/s/3": "drift"}) == [[("a", "unknown"), ("c", "unknown"), ("d", "drift")]]
    assert told({"acme/s/1": "drift"}) == [], "of a call without a purpose nothing can be learnt"


@pytest.mark.parametrize("numbers", [(None, None), (0, 0)], ids=["of before", "counted anew"])
def test_where_acts_have_no_numbers_labels_by_index_do_not_serve_and_that_is_told(tmp_path, numbers):
    rows = Rows(Redaction((), str), {}, "live")
    made = [verdict(n, session=name, act=act) for name in ("s", "t") for n, act in enumerate(numbers)]
    write_events(tmp_path, "g", [rows.events(made, [])])
    said = Labels({"acme/s/1": "drift", "acme/t/1": "benign"})
    with capture_logs() as lines:
        found = archive_sessions(load(None), tmp_path, said)
    assert [(s.session_id, [action.label for action in s.actions]) for s in found] == [("acme/t", ["benign"] * 2)]
    assert [line["sessions"] for line in lines if line["event"] == "acts_without_a_number"] == [2]


def test_one_purpose_brings_a_bounded_number_of_unlabelled_sessions(archive, monkeypatch):
    monkeypatch.setattr(archived_sessions, "PER_PURPOSE", 1)
    assert set(read(archive)) == {"acme/confirmed", "acme/dismissed", "acme/undone"}  # `flagged` took the place


def test_an_evaluation_says_how_many_sessions_an_archive_keeps_back(archive, monkeypatch):
    lexical = load(None, overrides={"model": {"engine": "lexical"}})

    def notes():
        return [
            note
            for note in evaluate_files(lexical, [archive], lambda *_: None, Wanted(resamples=1)).notes
            if note.startswith("Archives")
        ]

    rows = Rows(Redaction((), str), {}, "live")
    write_events(archive, "w", [rows.events([verdict(n * 4000, session="window:a|u") for n in (1, 2, 3)], [])])
    [note] = notes()
    assert "1 flagged or revoked sessions that nobody judged are not here, nor are 0 beyond the first 40" in note
    for most, beyond in ((2, 1), (3, 2)):  # what is not read is one of a name
        monkeypatch.setattr(archived_sessions, "PER_PURPOSE", most)
        [note] = notes()
        assert f"1 flagged or revoked sessions that nobody judged are not here, nor are {beyond} beyond" in note
    said = Change(9, SessionKey("acme", "flagged"), HumanWord.FALSE_POSITIVE, AT)
    write_labels(archive, "more", [labels([said])])
    monkeypatch.setattr(archived_sessions, "PER_PURPOSE", 40)
    assert notes() == []


def test_what_guardian_planted_to_test_the_switch_and_confirmed_by_itself_is_nothing_to_learn_from(archive):
    live = Rows(Redaction((), str), {}, "live")
    plant = verdict(100, session="planted")
    event = plant.decoded.event.model_copy(update={"gateway": "gw-probe"})
    plant = replace(plant, decoded=replace(plant.decoded, event=event))
    act = Act(decision_id=event.id, gateway="gw-probe", tool=event.action.tool, time=event.time)
    about = {"tenant_id": "acme", "session_id": "planted", "time": event.time, "act": act}
    found = Finding(id="f", kind=Kind.DRIFT, wanted=Effect.FLAG, severity="high", title="t", **about)
    write_events(archive, "p", [live.events([plant], [found])])
    write_labels(archive, "p", [labels([Change(9, SessionKey("acme", "planted"), HumanWord.CONFIRMED, AT)])])
    probing = load(None, overrides={"revocation": {"self_test": {"gateway": "gw-probe"}}})
    sessions = archive_sessions(probing, archive, NOTHING)
    assert "acme/planted" in read(archive)
    assert {session.session_id for session in sessions} == set(read(archive)) - {"acme/planted"}


def test_sessions_known_by_agent_and_user_only_are_told_apart_as_the_monitor_does(archive, monkeypatch):
    live, name = Rows(Redaction((), str), {}, "live"), "window:agent_7|u"
    calls = [verdict(n, session=name) for n in (1000, 1001, 5000)]
    calls += [verdict(n, session=name, purpose="answer tickets") for n in (9000, 9001, 9002)]
    event = calls[2].decoded.event
    act = Act(decision_id=event.id, gateway="gw", tool=event.action.tool, time=event.time)
    about = {"tenant_id": "acme", "session_id": name, "time": event.time, "act": act}
    found = Finding(id="f", kind=Kind.DRIFT, wanted=Effect.FLAG, severity="high", title="t", **about)
    write_events(archive, "w", [live.events(calls, [found])])

    def told(said=NOTHING):
        sessions = archive_sessions(load(None), archive, said)
        return [(each.purpose, len(each.actions)) for each in sessions if each.session_id == f"acme/{name}"]

    first, third = ("review contract 7781", 2), ("answer tickets", 3)
    assert told() == [first, third]  # nobody answered what was found in the one between
    assert told(Labels({f"acme/{name}/0": "drift"})) == []  # of which one that was said nobody knows
    assert told(Labels({f"acme/{name}": "benign"})) == [first, third], "nor was what was found in the one answered"
    monkeypatch.setattr(archived_sessions, "PER_PURPOSE", 4)
    assert told() == [first]


def test_training_is_given_the_archive_as_session_lines_by_tenant(archive, tmp_path):
    [path], count = training_files(load(None), [archive], NOTHING, tmp_path / "work")
    assert count == 4
    [first, *_] = read_sessions([path])
    assert (first.dataset, first.purpose) == ("archive/acme", "review contract 7781")
    assert first.actions[1].arguments == {"to": "mallory"}


def test_a_training_that_was_begun_reads_what_it_began_with_whatever_came_since(archive, tmp_path):
    work = tmp_path / "work"
    made, [path] = training_files(load(None), [archive], NOTHING, work), work.iterdir()
    before = path.read_bytes()
    rows = Rows(Redaction((), str), {}, "live")
    write_events(archive, "later", [rows.events([verdict(90, session="later")], [])])
    assert training_files(load(None), [archive], NOTHING, work, begun=True) == made
    assert path.read_bytes() == before
    path.unlink()
    assert training_files(load(None), [archive], NOTHING, work, begun=True) == ([path], 5)


def test_a_folder_that_is_no_archive_is_named(tmp_path):
    outcome = CliRunner().invoke(app, ["evaluate", str(tmp_path)])
    assert "is a folder, not a file" in str(outcome.exception)


def test_arguments_that_were_too_long_to_be_kept_are_as_if_not_logged(tmp_path):
    rows = Rows(Redaction((), str), {}, "live")
    bulky = verdict(1, arguments={f"k{n}": "A" * 120 for n in range(200)})
    write_events(tmp_path, "g", [rows.events([bulky], [])])
    [session] = archive_sessions(load(None), tmp_path, NOTHING)
    assert [action.arguments for action in session.actions] == [None]


def test_labels_that_meet_no_session_of_an_archive_are_told(archive):
    said = Labels({"acme/confirmed": "drift", "acme/quiet/1": "drift", "acme/Quiet": "drift"})
    with capture_logs() as told:
        labelled_sessions(load(None), [archive], said)
    assert [(line["labels"], line["first"]) for line in told] == [("1 of 3", "acme/Quiet")]
