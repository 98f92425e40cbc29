"""A case in a terminal: taking it, notes, a snooze; and who sees that. The control API is real."""

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from served_control import served_control

from guardian.bootstrap.clock import utc_now
from guardian.commands.tokens import issue
from guardian.domain.finding import Effect, Finding, Kind, finding_id
from guardian.telemetry import configure_logging
from guardian.wire.cases import NoteRequest
from guardian.wire.client import ControlClient

HIDES = "sess_\u202e9"
WHY = ("--reason", "looked at\x1b[2J it")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A control API that knows a finding of each of four sessions, one of which two tenants have."""
    configure_logging(level="warning", json=False)  # of the server, whose lines are none of a command's
    folder = tmp_path_factory.mktemp("control")
    with served_control(folder) as (control, settings, _):
        for name, role in (("monitor", "monitor"), ("admin", "admin"), ("ben", "analyst"), ("eve", "analyst")):
            whose = {"elsewhere"} if name == "eve" else {"*"}
            token = issue(settings, name, role=role, tenants=whose, ttl=timedelta(hours=1)).text
            (folder / "keys" / f"{name}.token").touch(0o600)
            (folder / "keys" / f"{name}.token").write_text(token)
        with ControlClient(control.url, (folder / "keys" / "monitor.token").read_text) as client:
            for tenant, session in (("acme", "s1"), ("acme", "s2"), ("globex", "s2"), ("acme", HIDES)):
                client.submit(_finding(tenant, session))
        yield folder


def _finding(tenant: str, session: str) -> Finding:
    return Finding(
        id=finding_id(Kind.DRIFT, tenant, session, 1), kind=Kind.DRIFT, tenant_id=tenant, session_id=session,
        wanted=Effect.FLAG, severity="high", title="Actions no longer fit the declared purpose", time=utc_now(),
    )  # fmt: skip


def asked(guardian, home: Path, *args: str, who: str = "admin") -> Any:
    token = (home / "keys" / f"{who}.token").read_text()
    return guardian(*args, "-c", str(home / "guardian.yaml"), env={"GUARDIAN_TOKEN": token})


def test_a_case_is_taken_and_taken_over_and_whoever_looks_at_it_sees_by_whom(guardian, home: Path) -> None:
    assert asked(guardian, home, "take", "acme", "s1").stdout == "s1 is taken by admin\n"
    assert asked(guardian, home, "take", "acme", "s1").stdout == "s1 is taken by admin\n"
    over = asked(guardian, home, "take", "acme", "s1", "--reason", "my shift", who="ben")
    assert over.stdout == "s1 is taken by ben, over from admin\n"
    shown = asked(guardian, home, "sessions", "s1").stdout
    assert "\ntaken by ben\n" in shown
    assert finding_id(Kind.DRIFT, "acme", "s1", 1) in shown
    finding = asked(guardian, home, "findings", finding_id(Kind.DRIFT, "acme", "s1", 1))
    assert (finding.returncode, finding.stdout.splitlines()[-1], finding.stderr) == (0, "Case: taken by ben", "")


def test_notes_and_a_snooze_are_shown_with_the_session_and_nothing_in_them_steers_a_terminal(
    guardian, home: Path
) -> None:
    assert asked(guardian, home, "note", "acme", HIDES, *WHY).stdout == "sess_‹U+202E›9 has your note\n"
    quiet = asked(guardian, home, "snooze", "acme", HIDES, "--hours", "4", "--reason", "a migration")
    assert quiet.stdout.startswith("sess_‹U+202E›9 is snoozed until 20")
    shown = asked(guardian, home, "sessions", HIDES).stdout
    assert " by admin\n" in shown.partition("\nsnoozed until ")[2]
    assert "looked at‹U+001B›[2J it\n" in shown.partition("\nnote by admin on ")[2]
    assert "\x1b" not in shown
    told = json.loads(asked(guardian, home, "sessions", HIDES, "--json").stdout)
    assert (told["session"]["session_id"], told["case"]["snoozed_by"]) == (HIDES, "admin")
    assert [each["reason"] for each in told["notes"]] == [WHY[1]]


def test_a_case_that_cannot_be_read_hides_no_session_and_passes_for_none_with_no_program(
    guardian, home: Path, monkeypatch
) -> None:
    monkeypatch.setattr("guardian.control.routes.cases.case_view", lambda *_: NoteRequest.model_validate({}))
    shown = asked(guardian, home, "sessions", "s1")
    assert shown.returncode == 0
    assert finding_id(Kind.DRIFT, "acme", "s1", 1) in shown.stdout
    assert "its case cannot be read: " in shown.stderr
    assert asked(guardian, home, "sessions", "s1", "--json").returncode == 1


@pytest.mark.parametrize(
    "act", [("take",), ("note", *WHY), ("snooze", "--hours", "1", *WHY)], ids=lambda act: act[0]
)
def test_what_is_done_to_a_case_is_json_for_programs_and_one_line_where_there_is_no_case(
    guardian, home: Path, act: tuple[str, ...]
) -> None:
    done = asked(guardian, home, act[0], "acme", "s2", *act[1:], "--json")
    assert json.loads(done.stdout)["session_id"] == "s2"
    for session, who in (("none such", "admin"), ("s2", "eve")):
        refused = asked(guardian, home, act[0], "acme", session, *act[1:], who=who)
        assert (refused.returncode, refused.stdout, refused.stderr.count("\n")) == (1, "", 1)
        assert refused.stderr.startswith("guardian: ")


def test_a_note_without_words_or_a_snooze_of_no_hours_is_wrong_usage(guardian, home: Path) -> None:
    for words in (("note",), ("note", "--reason", " "), ("snooze", "--hours", "25", *WHY), ("snooze", *WHY)):
        done = asked(guardian, home, words[0], "acme", "s2", *words[1:])
        assert (done.returncode, done.stdout, "Traceback" in done.stderr) == (2, "", False), words


def test_one_session_is_asked_for_by_its_name_and_where_several_tenants_have_it_by_theirs(
    guardian, home: Path
) -> None:
    both = asked(guardian, home, "sessions", "s2")
    assert (both.returncode, "--tenant" in both.stderr) == (2, True)
    one = asked(guardian, home, "sessions", "s2", "--tenant", "globex", "--json")
    assert json.loads(one.stdout)["session"]["tenant_id"] == "globex"
    none = asked(guardian, home, "sessions", "none such")
    assert (none.returncode, none.stderr) == (1, "guardian: no session within reach is called so\n")
    assert asked(guardian, home, "sessions", "s2", "--status", "flagged").returncode == 2


def test_sessions_are_listed_by_when_they_were_met(guardian, home: Path) -> None:
    def names(*times: str) -> set[str]:
        return {
            each["session_id"]
            for each in json.loads(asked(guardian, home, "sessions", *times, "--json").stdout)["items"]
        }

    later = (utc_now() + timedelta(days=1)).isoformat()
    assert names("--until", later) == names("--since", "2026-01-01") == {"s1", "s2", HIDES}
    assert names("--since", later) == names("--until", "2026-01-01") == set()
    for told in (("--since", "yesterday"), ("s1", "--since", later)):
        assert asked(guardian, home, "sessions", *told).returncode == 2
