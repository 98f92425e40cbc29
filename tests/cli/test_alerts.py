"""guardian alerts, against a real `guardian serve`."""

import json
from datetime import timedelta
from pathlib import Path

import pytest
import typer
from receivers import Mailbox
from served_control import served_control
from typer.testing import CliRunner

from guardian.cli import app
from guardian.commands.tokens import issue
from guardian.telemetry import logger
from guardian.wire.client import ControlClient


def test_where_no_channel_is_configured_there_is_none_to_try(tmp_path: Path) -> None:
    file = tmp_path / "guardian.yaml"
    file.write_text("alerts: {}\n")
    done = CliRunner().invoke(app, ["alerts", "test", "-c", str(file)])
    assert "no channel is configured" in str(done.exception)


def test_a_siem_and_a_mailbox_get_a_sample_of_what_becomes_of_a_finding(tmp_path: Path) -> None:
    file = tmp_path / "guardian.yaml"
    with Mailbox() as mailbox:
        email = {"host": "127.0.0.1", "port": mailbox.port, "tls": "none", "sender": "g@acme.example"}
        alerts = {"jsonl": {"path": "a.jsonl"}, "email": {**email, "recipients": ["soc@acme.example"]}}
        file.write_text(json.dumps({"alerts": alerts}))
        done = CliRunner().invoke(app, ["alerts", "test", "-c", str(file)])
        mails = [str(each["Subject"]).split(" - ")[0] for each in mailbox.mails]
    assert (done.exit_code, done.exception) == (0, None)
    events = [json.loads(line) for line in (tmp_path / "a.jsonl").read_text().splitlines()]
    assert [each["activity_name"] for each in events] == ["Create", "Create", "Update", "Close"]
    assert len({each["finding_info"]["uid"] for each in events}) == 1
    assert mails[2:] == ["[guardian] Revoked", "[guardian] Dismissed"]
    assert [line.split()[2] for line in done.stdout.splitlines()] == ["flagged", "revoked", "update", "close"] * 2


def test_the_log_is_tried_as_the_configuration_has_it_written(tmp_path: Path) -> None:
    file = tmp_path / "guardian.yaml"
    for form, events in (("json", ["alert", "alert", "alert_outcome", "alert_outcome"]), ("text", [])):
        file.write_text(json.dumps({"alerts": {"log": {}}, "logging": {"format": form}}))
        done = CliRunner().invoke(app, ["alerts", "test", "-c", str(file)])
        assert (done.exit_code, done.exception) == (0, None)
        lines = done.stderr.splitlines()
        assert [json.loads(line)["event"] for line in lines if line.startswith("{")] == events
        assert len(lines) == 4


def test_news_of_guardian_are_previewed_by_their_id(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with served_control(tmp_path) as (control, settings, file):
        token = issue(settings, "root", role="admin", tenants={"*"}, ttl=timedelta(hours=1)).text
        monkeypatch.setenv("GUARDIAN_TOKEN", token)
        with ControlClient(control.url, lambda: token) as client:
            client.set_mode("acme", "enforce", reason="trusted")
            (news,) = client.findings(kind="control").items
        done = CliRunner().invoke(app, ["alerts", "preview", news.finding.id, "-c", str(file)])
    assert (done.exit_code, done.exception) == (0, None)
    assert "root asks for a second person" in done.stdout


def test_what_a_control_of_this_process_logs_meanwhile_is_no_part_of_what_a_command_says() -> None:
    command = typer.Typer()

    @command.command()
    def said() -> None:
        logger("control").info("session_revoked")
        typer.echo("said")

    assert CliRunner().invoke(command).stdout == "said\n"
