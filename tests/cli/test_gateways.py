"""`guardian gateways` and revoking more than sessions, as people type them."""

import json
from datetime import UTC, datetime

import httpx
import pytest
from typer.testing import CliRunner

from guardian.cli import app
from guardian.wire.client import ControlClient
from guardian.wire.peers import Watch

NOW = datetime(2026, 5, 12, 12, tzinfo=UTC)
GATEWAY = {
    "principal_id": "gw", "instance": "gw-a\x1b[31m", "tenants": ["acme"], "state": "lagging",
    "revision": {"epoch": 1, "n": 4}, "behind": 2, "lag_s": 17.0, "transport": "push",
    "last_seen": NOW.isoformat(),
}  # fmt: skip
TEST = {
    "id": "tst_1", "kind": "planted_drift", "tenant_id": "acme", "place": "3", "started_at": NOW.isoformat(),
    "deadline_at": NOW.isoformat(), "result": "failed", "missing": "no finding: the monitor did not see it",
}  # fmt: skip
MONITOR = {"principal_id": "m", "instance": "m-1", "state": "behind", "lag_s": 130, "last_seen": NOW.isoformat()}
WATCH = {
    "revision": {"epoch": 1, "n": 6}, "unprotected_s": 130.0, "gateways": [GATEWAY], "monitors": [MONITOR],
    "self_tests": [TEST],
}  # fmt: skip


@pytest.fixture
def control(monkeypatch, tmp_path):
    """Control answers from a script and remembers what was asked."""
    asked = []
    answers = {"/v1/watch": WATCH}

    def answer(request):
        asked.append((request.method, request.url.path, request.content))
        return httpx.Response(200, json=answers[request.url.path])

    before = ControlClient.__init__

    def scripted(self, base_url, token, **more):
        before(self, base_url, token, transport=httpx.MockTransport(answer))

    monkeypatch.setattr(ControlClient, "__init__", scripted)
    monkeypatch.setenv("GUARDIAN_TOKEN", "t")
    (tmp_path / "guardian.yaml").write_text("{}")
    monkeypatch.chdir(tmp_path)
    return asked, answers


def run(*args):
    done = CliRunner().invoke(app, list(args), env={"COLUMNS": "250"})
    assert done.exit_code == 0, done.output
    return done.stdout


def test_gateways_are_listed_with_what_they_enforce_and_hostile_names_are_harmless(control):
    shown = run("gateways")
    for told in ("gw-a", "lagging", "1.4 of 1.6", "2 (17 s)", "UNPROTECTED for 2 minutes", "130 s behind"):
        assert told in shown
    assert "self-test planted_drift on partition 3" in shown
    assert "\x1b[31m" not in shown


def test_for_programs_it_is_the_answer_itself(control):
    assert Watch.model_validate(json.loads(run("gateways", "--json"))) == Watch.model_validate(WATCH)


def test_nobody_following_and_nobody_watching_is_said_so(control):
    control[1]["/v1/watch"] = {**WATCH, "gateways": [], "monitors": [], "self_tests": [], "unprotected_s": None}
    assert run("gateways") == "No gateway follows the list now.\nNo monitor is known: nobody watches.\n"


def test_an_agent_is_revoked_for_some_minutes_and_given_back(control):
    asked, answers = control
    done = {"tenant_id": "acme", "subject_type": "agent", "subject_id": "a7", "revoked": True, "changed": True,
            "revision": {"epoch": 1, "n": 7}, "expires_at": NOW.isoformat()}  # fmt: skip
    answers["/v1/subjects/acme/agent/a7/revoke"] = done
    answers["/v1/subjects/acme/agent/a7/reinstate"] = {
        **done,
        "revoked": False,
        "changed": False,
        "expires_at": None,
    }
    asking = ["revoke", "acme", "a7", "--subject", "agent", "--minutes", "5", "--reason", "altered"]
    assert "agent a7 is revoked until 2026-05-12T12:00:00+00:00, revision 1.7" in run(*asking)
    assert CliRunner().invoke(app, asking).stderr == ""
    answers["/v1/watch"] = {**WATCH, "gateways": [{**GATEWAY, "state": "silent"}]}
    assert "no gateway is known to follow that list now" in CliRunner().invoke(app, asking).stderr
    assert json.loads(asked[0][2]) == {"reason": "altered", "seconds": 300}
    assert "agent a7 is not revoked, as it was" in run(
        "reinstate", "acme", "a7", "--subject", "agent", "--reason", "x"
    )


def test_who_gives_a_session_back_hears_what_else_is_revoked(control):
    at = NOW.isoformat()
    session = {"tenant_id": "acme", "session_id": "s-1", "status": "active", "first_seen": at, "last_seen": at}
    task = {
        "revision": {"epoch": 1, "n": 6}, "tenant_id": "acme", "subject_type": "task", "subject_id": "t\x9b9",
        "status": "revoked", "reason_code": "comes_back", "actor": "m", "at": at, "expires_at": at,
    }  # fmt: skip
    done = {"session": session, "changed": True, "revision": {"epoch": 1, "n": 7}, "also_revoked": [task]}
    control[1]["/v1/sessions/acme/s-1/reinstate"] = done
    told = CliRunner().invoke(app, ["reinstate", "acme", "s-1", "--reason", "ours"])
    assert told.stdout == "s-1 is active, revision 1.7\n"
    assert "but its task t‹U+009B›9 is revoked until 2026-05-12 12:00 UTC; --subject task" in told.stderr


def test_minutes_for_a_session_are_wrong_usage_and_revoke_nothing(control):
    done = CliRunner().invoke(app, ["revoke", "acme", "s-1", "--minutes", "5", "--reason", "x"])
    assert "--minutes goes with --subject" in str(done.exception)
    assert not control[0]


def test_each_monitor_and_self_test_is_one_line_however_narrow_where_it_is_piped(control):
    shown = CliRunner().invoke(app, ["gateways"], env={"COLUMNS": "40"}).stdout.splitlines()
    assert any(line.startswith("monitor m m-1: behind") and "last heard of" in line for line in shown)
    assert any(line.startswith("self-test") and line.endswith("did not see it") for line in shown)


def test_a_monitor_that_has_read_nothing_yet_is_not_shown_as_current(control):
    unread = {**MONITOR, "state": "unread", "lag_s": None}
    control[1]["/v1/watch"] = {**WATCH, "monitors": [unread]}
    assert "monitor m m-1: unread, has read nothing yet, last heard of" in run("gateways")


def test_while_nobody_watches_it_is_said_whether_that_was_meant(control):
    stopped = {**MONITOR, "state": "stopped", "lag_s": 0.0}
    meant = "UNPROTECTED for 2 minutes: the monitor was stopped, and no other one watches in its place"
    control[1]["/v1/watch"] = {**WATCH, "monitors": [stopped, stopped]}
    assert meant in run("gateways")
    control[1]["/v1/watch"] = {**WATCH, "monitors": [stopped, {**MONITOR, "state": "silent"}]}
    assert "UNPROTECTED for 2 minutes: the monitor is behind or gone" in run("gateways")


def test_how_late_a_stopped_monitor_was_is_not_said(control):
    control[1]["/v1/watch"] = {**WATCH, "monitors": [{**MONITOR, "state": "stopped", "lag_s": 0.0}]}
    assert "monitor m m-1: stopped, last heard of" in run("gateways")


def test_a_kind_of_subject_that_does_not_exist_is_wrong_usage(control):
    done = CliRunner().invoke(app, ["revoke", "acme", "a", "--subject", "robot", "--reason", "x"])
    assert (done.exit_code, "'robot' is not one of" in done.stderr) == (2, True)
