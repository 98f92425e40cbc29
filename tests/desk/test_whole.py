"""The whole of it as an operator configures it: control with its queue, from a finding to a click and back."""

import json
import time
from pathlib import Path

import httpx
import pytest
import yaml
from slack_server import CHANNEL, TOKEN
from slack_server.people import SECRET, click, interaction, signed

from guardian.bootstrap.control import Control
from guardian.commands import auditing, tokens
from guardian.commands.initialise import initialise
from guardian.config import load
from guardian.telemetry import Metrics
from guardian.wire.desk import DeskClient


@pytest.mark.slow
def test_a_finding_becomes_a_case_and_a_click_a_revocation(tmp_path: Path, slack, a_finding, monkeypatch) -> None:
    path = initialise(tmp_path / "home")
    body = yaml.safe_load(path.read_text(encoding="utf-8"))
    body["alerts"] = {
        "slack": {"channel": CHANNEL, "base_url": slack.url},
        "jsonl": {"path": str(tmp_path / "findings.jsonl")},
    }
    body["slack"] = {"people": {"maya": {"slack": "U0MAYA", "role": "responder", "tenants": ["acme"]}}}
    path.write_text(yaml.safe_dump(body), encoding="utf-8")
    monkeypatch.setenv("GUARDIAN_SLACK__TOKEN", TOKEN)
    monkeypatch.setenv("GUARDIAN_SLACK__SIGNING_SECRET", SECRET)
    settings = load(path)
    slack.wall = time.time
    metrics = Metrics()
    control = Control(settings, metrics=metrics, port=0)
    try:
        control.start()
        monitor = tokens.issue(settings, "m", role="monitor", tenants={"*"}, ttl=tokens.timedelta(hours=1)).text
        with DeskClient(control.url, lambda: monitor) as client:
            client.submit(a_finding())
        root = slack.until(lambda: slack.roots())[0]
        slack.until(lambda: slack.thread(root["ts"]))
        sent = interaction(click(slack, root, "Revoke now", "U0MAYA"))
        got = httpx.post(f"{control.url}/slack/interactions", content=sent, headers=signed(sent), timeout=30)
        assert got.status_code == 200
        assert "Done" in slack.until(lambda: slack.ephemeral)[0]["text"]
        slack.until(lambda: "■ Revoked" in str(slack.roots()[0]["blocks"]))
        told = tmp_path / "findings.jsonl"
        slack.until(lambda: told.exists() and told.read_text().count("\n") == 2)
    finally:
        control.stop()
    of_finding = [json.loads(line) for line in told.read_text().splitlines()]
    assert [each["activity_name"] for each in of_finding] == ["Create", "Update"], (
        "other channels have their own outbox"
    )
    trail = [each["record"] for each in auditing.export(settings, 0)]
    (act,) = (each for each in trail if each["action"] == "revoke")
    (issued,) = (each for each in trail if each["action"] == "issueToken" and each["jti"] == act["jti"])
    assert (issued["principal"], issued["role"], issued["how"]) == ("maya", "responder", "slack")
