"""What people said of sessions, and what a log becomes with it."""

import gzip
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from guardian.bootstrap import plugins
from guardian.bootstrap.judgement import open_reading
from guardian.commands.archived_sessions import LeftOut
from guardian.commands.calibrating import calibrate
from guardian.commands.labelling import is_log, labelled_sessions, log_sessions, told_apart, training_files
from guardian.config import load
from guardian.domain.identity import SessionKey
from guardian.errors import ConfigurationError
from guardian.evaluation.labels import _OF_THE_PURPOSE, Labels, label_session, read_labels
from guardian.evaluation.sessions import Label, read_sessions, session_json, session_of

KEY = SessionKey("acme", "s1")
CALLS = [(n, "a.read", {"id": n}) for n in range(5)]


def labels(tmp_path: Path, text: str) -> Labels:
    path = tmp_path / "labels.txt"
    path.write_text(text, encoding="utf-8", newline="")
    return read_labels(path)


def test_lines_name_sessions_or_actions_and_the_label_may_be_left_out(tmp_path: Path) -> None:
    said = labels(tmp_path, "# may\nacme/s1\n\n globex/a/b  confirmed \nacme/s2/3 drift\nacme/s3 false_positive\n")
    assert said.of_session(KEY) == "drift"
    assert said.of_session(SessionKey("globex", "a/b")) == "drift"
    assert said.of_action(SessionKey("acme", "s2"), 3) == "drift"
    assert said.of_session(SessionKey("acme", "s3")) == "benign"
    assert said.of_session(SessionKey("acme", "s2")) is None
    assert read_labels(None) == Labels({})


def test_a_name_ends_where_its_line_ends_and_nowhere_else(tmp_path: Path) -> None:
    said = labels(tmp_path, "\ufeffacme/s\u2028globex/s1 drift\r\nacme/s\x85x benign\n")
    assert said.words == {"acme/s\u2028globex/s1": "drift", "acme/s\x85x": "benign"}
    (tmp_path / "labels.txt").write_text("acme/s drift", encoding="utf-16")
    with pytest.raises(ConfigurationError, match="not UTF-8"):
        read_labels(tmp_path / "labels.txt")


def test_a_blank_first_line_makes_no_log_of_session_lines(tmp_path: Path) -> None:
    lines = tmp_path / "lines.jsonl"
    lines.write_text('\n \n{"session_id": "s", "purpose": "p", "actions": []}\n')
    assert not is_log(lines)
    lines.write_text("\n")
    assert not is_log(lines)
    lines.write_text('\n{"schema": "guardian.decision/v1"}\n')
    assert is_log(lines)


def test_names_may_hold_spaces_where_the_label_is_written(tmp_path: Path) -> None:
    said = labels(
        tmp_path, "acme/window:Research Agent|ann/3 drift\nour org/s 1 benign\nacme/by drift confirmed\n"
    )
    assert said.of_action(SessionKey("acme", "window:Research Agent|ann"), 3) == "drift"
    assert said.of_session(SessionKey("our org", "s 1")) == "benign"
    assert said.of_session(SessionKey("acme", "by drift")) == "drift"


def test_a_session_counts_as_confirmed_by_itself_or_by_one_of_its_acts(tmp_path: Path) -> None:
    said = labels(tmp_path, "acme/s1/2 drift\nacme/s2 benign\nacme/s3\n")
    assert said.drifts_in(KEY)
    assert not said.drifts_in(SessionKey("acme", "s2"))
    assert said.drifts_in(SessionKey("acme", "s3"))


@pytest.mark.parametrize("line", ["nonsense", "acme/", "/s1", "acme/s1 maybe", "acme/ drift", "acme/a b"])
def test_a_line_that_is_none_is_refused_by_its_number(tmp_path: Path, line: str) -> None:
    with pytest.raises(ConfigurationError, match=r"labels\.txt: line 2 is no TENANT/SESSION"):
        labels(tmp_path, f"acme/s1\n{line}\n")


def test_unlabelled_traffic_is_taken_for_honest() -> None:
    found = label_session(KEY, "p", CALLS, Labels({}), dataset="log")
    assert found is not None
    assert [a.label for a in found.actions] == ["benign"] * 5
    assert (found.dataset, found.session_id, found.domain) == ("log", "acme/s1", "acme")


@pytest.mark.parametrize(
    ("words", "labelled"),
    [
        ({"acme/s1/2": "drift"}, "u u drift"),
        ({"acme/s1/1": "drift", "acme/s1/4": "drift", "acme/s1/3": "benign"}, "u drift u benign drift"),
        ({"acme/s1/1": "benign", "acme/s1/2": "drift", "acme/s1/3": "benign"}, "u benign drift benign"),
        ({"acme/s1": "drift", "acme/s1/2": "drift"}, "u u drift"),
        ({"acme/s1": "benign", "acme/s1/1": "drift"}, "benign drift benign benign benign"),
        ({"acme/s1": "benign", "acme/s1/1": "unknown", "acme/s1/2": "drift"}, "benign u drift benign benign"),
    ],
)
def test_beside_an_act_that_people_called_drift_none_is_honest_but_by_their_word(
    words: dict[str, Label], labelled: str
) -> None:
    found = label_session(KEY, "p", CALLS, Labels(words), dataset="log")
    assert found is not None
    assert [a.label for a in found.actions] == labelled.replace("u", "unknown").split()
    assert [a.counted for a in found.actions] == [a.label != "unknown" for a in found.actions]
    assert [a.arguments["id"] for a in found.actions] == list(range(len(found.actions)))


@pytest.mark.parametrize(
    "line", ["acme/s1 drift", "acme/s1/2 rule", "acme/s1/0 benign\nacme/s1/2 rule", "acme/s1 rule"]
)
def test_of_a_session_that_is_only_known_to_have_drifted_somewhere_or_for_a_rule_nothing_is_learnt(
    tmp_path: Path, line: str
) -> None:
    assert label_session(KEY, "p", CALLS, labels(tmp_path, line), dataset="log") is None


def test_the_signals_about_the_purpose_are_there_and_know_no_rules() -> None:
    assert {name for name in plugins.names("signals") if not plugins.find("signals", name).breaches} == {
        *_OF_THE_PURPOSE,
        "denial_pressure",
    }


def decision(number: int, session: str, tool: str, tenant: str = "acme", **arguments: Any) -> str:
    return json.dumps(
        {
            "schema": "guardian.decision/v1", "id": f"d{number}", "time": "2026-05-12T17:00:00Z", "gateway": "gw",
            "envelope": {"delegator_id": "u", "tenant_id": tenant, "session_id": session, "purpose": "leases"},
            "action": {"tool": tool, "arguments": arguments}, "decision": {"effect": "allow"},
        }
    )  # fmt: skip


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "may.jsonl.gz"
    rows = [
        decision(1, "s1", "leases.read", id="l1"),
        decision(2, "s2", "leases.read", id="l2"),
        "{broken",
        decision(3, "s1", "mail.send", to="mallory", body="AIza" + "b" * 35),
        decision(4, "s1", "leases.read", tenant="globex", id="l3"),
    ]
    with gzip.open(path, "wt") as out:
        out.write("\n".join(rows))
    return path


def test_a_log_with_labels_is_a_labelled_file_without_its_secrets(log: Path) -> None:
    found = labelled_sessions(load(None), [log], Labels({"acme/s1/1": "drift"}))
    assert [(s.session_id, [a.label for a in s.actions]) for s in found] == [
        ("acme/s1", ["unknown", "drift"]),
        ("acme/s2", ["benign"]),
        ("globex/s1", ["benign"]),
    ]
    assert found[0].dataset == "may"
    assert "AIza" not in repr(found)


def test_of_a_log_too_it_is_told_how_many_acts_were_confirmed_for_a_rule_alone(log: Path, tmp_path: Path) -> None:
    said, left_out = labels(tmp_path, "acme/s1/1 rule\n"), LeftOut()
    found = labelled_sessions(load(None), [log], said, left_out=left_out)
    assert [s.session_id for s in found] == ["acme/s2", "globex/s1"]
    assert left_out == LeftOut(for_rules=1)
    with capture_logs() as told:
        training_files(load(None), [log], said, tmp_path / "work")
    assert [line["acts"] for line in told if line["event"] == "confirmed_for_a_rule_alone"] == [1]


def test_a_session_whose_drift_is_in_an_act_that_it_has_not_is_never_taken_as_honest(log: Path) -> None:
    said = Labels({"acme/s1/3": "drift", "acme/s2/1": "benign", "globex/s1/0": "benign", "acme/gone/9": "drift"})
    with capture_logs() as told:
        found = labelled_sessions(load(None), [log], said)
        kept = told_apart(log_sessions([log], open_reading(load(None)), timedelta.max), said)
    assert [s.session_id for s in found] == ["acme/s2", "globex/s1"]
    assert [s.key and s.key.session_id for s in kept] == ["s2", "s1"]
    warned = [line for line in told if line["event"] == "labels_meet_no_act"]
    assert [(line["labels"], line["first"], line["sessions_left_out"]) for line in warned] == [
        (2, "acme/s1/3, acme/s2/1", 1)
    ] * 2


def test_a_word_on_a_name_that_several_sessions_have_judges_none_of_them(tmp_path: Path) -> None:
    """Nobody said which of them was dismissed."""
    log = tmp_path / "log.jsonl"
    rows = [
        {
            "labels": {"app": "gw"}, "decision_id": f"d{n}", "path": "a/b", "result": True,
            "timestamp": f"2026-05-12T{17 + n % 3}:00:00Z",
            "input": {
                "user": "ann" if n < 3 else "bob", "agent": "agent", "tool": "notes.read", "purpose": "leases",
            },
        }
        for n in range(4)
    ]  # fmt: skip
    log.write_text("\n".join(map(json.dumps, rows)))
    settings = load(None, overrides={"source": {"format": "opa", "tenant": "acme"}})
    said = Labels(
        {"acme/window:agent|ann": "benign", "acme/window:agent|ann/0": "benign", "acme/window:agent|bob": "benign"}
    )
    kept = told_apart(log_sessions([log], open_reading(settings), timedelta(minutes=30)), said)
    assert [s.unjudged for s in kept] == [True, True, True, False]
    assert [s.unjudged for s in labelled_sessions(settings, [log], said)] == [True, True, True, False]


def test_labels_that_meet_no_session_are_told_and_loudly_where_none_does(log: Path, tmp_path: Path) -> None:
    settings = load(None, overrides={"model": {"engine": "lexical"}})
    said = tmp_path / "labels.txt"

    def told(text: str) -> list[tuple[str, str, str]]:
        said.write_text(text)
        with capture_logs() as lines:
            labelled_sessions(settings, [log], read_labels(said))
            training_files(settings, [log], read_labels(said), tmp_path / "work")
            with pytest.raises(ConfigurationError, match="at least 40 honest sessions"):
                calibrate(settings, [log], lambda *_: None, labels=said)
        found = [line for line in lines if line["event"] == "labels_meet_no_session"]
        return [(line["log_level"], line["labels"], line["first"]) for line in found]

    assert (
        told("acme/s1/1 drift\nAcme/s2 drift\nacme/gone/0 benign\nglobex/s1\n")
        == [("warning", "2 of 4", "Acme/s2, acme/gone/0")] * 3
    )
    assert told("Acme/s1/1 drift\n") == [("error", "1 of 1", "Acme/s1/1")] * 3
    assert told("acme/s2\nglobex/s1 benign\n") == []


def test_a_name_that_is_a_sessions_own_and_may_be_an_act_of_another_says_where_nothing_is_to_be_learnt() -> None:
    other = SessionKey("acme", "s1/7")
    acts = {KEY: range(2), other: range(1)}
    names = ["acme/s1", "acme/s1/1", "acme/s1/7", "acme/s1/01", "acme/s1/2", f"acme/s1/{'1' * 5000}"]
    assert set(Labels(dict.fromkeys(names, "drift")).astray(acts)) == set(names[3:])
    said = Labels({"acme/s1/7": "drift"})
    alone, both = said.among([KEY]), said.among([KEY, other])
    own = said.among([other])
    assert [each.of_action(KEY, 7) for each in (alone, own, both)] == ["drift", None, "unknown"]
    assert [each.of_session(other) for each in (alone, own, both)] == ["drift", "drift", "unknown"]
    assert [each.drifts_in(KEY) for each in (alone, own, both)] == [True, False, True]
    assert [each.speaks_of(KEY) for each in (alone, own, both)] == [True, False, True]
    assert both.drifts_in(other)
    assert both.for_rules(KEY, range(9)) == 0
    assert both.among([KEY, other]) == both
    dismissed = Labels({"acme/s1/7": "benign"}).among([KEY, other])
    assert not any(dismissed.speaks_of(key) for key in (KEY, other)), "which of them was dismissed nobody knows"


def test_what_was_confirmed_of_an_act_is_never_honest_where_a_session_is_named_like_it(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    names = [*["s1"] * 3, "s1/2", "s1/2"]
    log.write_text("\n".join(decision(n, name, f"tool_{n}") for n, name in enumerate(names)))
    said = Labels({"acme/s1/2": "drift", "acme/s1/2/1": "drift"})
    with capture_logs() as told:
        found = labelled_sessions(load(None), [log], said)
    assert [(s.session_id, [a.label for a in s.actions]) for s in found] == [("acme/s1/2", ["unknown", "drift"])]
    assert [line["first"] for line in told if line["event"] == "labels_mean_two"] == ["acme/s1/2"]
    alone = Labels({"acme/s1/2": "drift"})
    assert labelled_sessions(load(None), [log], alone) == []
    logged = log_sessions([log], open_reading(load(None)), timedelta.max)
    keys = [s.key for s in told_apart(logged, alone) if s.key]
    assert [alone.among(keys).drifts_in(key) for key in keys] == [True, True]


def test_an_act_is_the_same_in_whatever_order_rotated_files_are_named(tmp_path: Path) -> None:
    rows = [decision(n, "s1", f"tool_{n}").replace("17:00", f"17:0{n}") for n in range(4)]
    newer, older = tmp_path / "app.jsonl", tmp_path / "app.jsonl.1"
    older.write_text("\n".join(rows[:2]))
    newer.write_text("\n".join(rows[2:]))
    for order in ([older, newer], [newer, older]):
        [session] = labelled_sessions(load(None), order, Labels({"acme/s1/2": "drift"}))
        assert [(a.tool, a.label) for a in session.actions][2:] == [("tool_2", "drift")]
        [calls] = log_sessions(order, open_reading(load(None)), timedelta.max)
        assert [d.event.action.tool for d in calls.decisions] == [f"tool_{n}" for n in range(4)]


def test_the_acts_of_a_session_that_two_gateways_log_are_counted_in_time(tmp_path: Path) -> None:
    rows = [decision(n, "s1", f"tool_{n}").replace("17:00", f"17:0{n}") for n in range(6)]
    one, other = tmp_path / "one.jsonl", tmp_path / "other.jsonl"
    one.write_text("\n".join(rows[::2]))
    other.write_text("\n".join(rows[1::2]))
    for order in ([one, other], [other, one]):
        [session] = labelled_sessions(load(None), order, Labels({"acme/s1/1": "drift"}))
        assert [a.tool for a in session.actions if a.label == "drift"] == ["tool_1"]


def test_calls_without_a_purpose_are_counted_and_nothing_is_learnt_of_them(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    acts = [("s1", tool) for tool in ("bare", "begin", "read", "bare", "send")]
    acts += [("whole", "read"), ("whole", "bare"), ("aimless", "bare")]
    rows = [
        decision(n, *act).replace('"leases"', '" "' if "bare" in act else '"leases"') for n, act in enumerate(acts)
    ]
    log.write_text("\n".join(rows))
    with capture_logs() as told:
        found = labelled_sessions(load(None), [log], Labels({"acme/s1/4": "drift"}))
    assert [(s.session_id, s.purpose, [(a.tool, a.label) for a in s.actions]) for s in found] == [
        ("acme/s1", "leases", [("begin", "unknown"), ("read", "unknown"), ("send", "drift")]),
        ("acme/whole", "leases", [("read", "benign")]),
    ]
    assert [line["sessions"] for line in told if line["event"] == "sessions_without_a_purpose"] == [1]
    assert [s.session_id for s in labelled_sessions(load(None), [log], Labels({"acme/s1/3": "drift"}))] == [
        "acme/whole"
    ], "of what people confirmed nothing can be learnt, and where else it drifted nobody said"


def test_training_is_given_logs_as_session_lines_and_other_files_as_they_are(log: Path, tmp_path: Path) -> None:
    lines = tmp_path / "lines.jsonl"
    session = label_session(KEY, "p", CALLS, Labels({"acme/s1/4": "drift"}), dataset="made")
    assert session is not None
    assert session_of(session_json(session)) == session
    lines.write_text(json.dumps(session_json(session)) + "\n")
    files, count = training_files(load(None), [lines, log], Labels({"acme/s2": "drift"}), tmp_path / "work")
    assert files[0] == lines
    assert count == 2
    assert [(s.dataset, s.session_id) for s in read_sessions(files[1:])] == [
        ("may/acme", "acme/s1"),
        ("may/globex", "globex/s1"),
    ]
