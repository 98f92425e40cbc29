"""Setting Slack up: the manifest, the check, samples of each message, previews."""

import json
import time

import pytest
import yaml
from slack_server import CHANNEL, TOKEN, message_limits
from slack_server.people import SECRET

from guardian.alerting.plain_text import as_text
from guardian.alerting.slack import SlackOptions
from guardian.bootstrap.slack import people
from guardian.commands import doctor
from guardian.commands.alert_tests import preview_of, send_samples
from guardian.commands.manifest import manifest_text
from guardian.commands.samples import samples, shown
from guardian.commands.slack_check import NEEDED, check_slack
from guardian.config import Settings, load
from guardian.errors import AlertError, ConfigurationError


@pytest.fixture
def settings(slack, office):
    def make(**changes):
        told = {
            "alerts": {"slack": {"channel": CHANNEL, "base_url": slack.url}},
            "slack": {
                "token": TOKEN,
                "signing_secret": SECRET,
                "people": {"maya": {"slack": "U0MAYA", "role": "responder", "tenants": ["acme"]}},
            },
            "control": {"url": office.url},
        }
        return Settings(**{**told, **changes})

    return make


def test_a_good_set_up_passes_every_check_and_a_test_case_arrives(settings, slack, office) -> None:
    office.slack.wall = time.time
    checks = {check.name: check for check in check_slack(settings(), send=True)}
    assert [check.found for check in checks.values() if not check.ok] == []
    assert set(checks) == {"token", "scopes", "channels", "clicks", "people", "test case"}
    assert len(slack.roots()) == 1


def test_what_is_wrong_is_named_with_what_to_mend(settings, slack) -> None:
    slack.scopes.discard("channels:history")
    slack.members.clear()
    bad = settings(slack={"token": TOKEN}, alerts={"slack": {"channel": "CPUBLIC1", "base_url": slack.url}})
    found = {check.name: (check.ok, check.found + check.mend) for check in check_slack(bad, send=True)}
    assert found["token"][0]
    assert "channels:history" in found["scopes"][1]
    assert "/invite" in found["channels"][1]
    assert "no way in" in found["clicks"][1]
    assert "nobody may click" in found["people"][1]
    assert not found["test case"][0]


def test_a_slack_that_cannot_be_reached_is_told_once_with_the_cause_and_the_way_there(settings, caplog) -> None:
    away = settings(alerts={"slack": {"channel": CHANNEL, "base_url": "http://127.0.0.1:1/api/"}})
    [check] = check_slack(away, send=True)
    assert not check.ok
    assert "Connection refused" in check.found
    assert "HTTPS_PROXY" in check.mend
    assert caplog.records == []  # slack-sdk's own lines


def test_a_token_that_slack_does_not_take_is_told_once_and_where_it_stands(settings) -> None:
    [check] = check_slack(settings(slack={"token": "xoxb-withdrawn"}), send=True)
    assert ("invalid_auth" in check.found, "GUARDIAN_SLACK__TOKEN" in check.mend) == (True, True)


def test_a_control_without_the_signing_secret_is_noticed(settings, office) -> None:
    office.queue.door._signature = None
    found = {check.name: check for check in check_slack(settings(), send=False)}
    assert "404" in found["clicks"].found


@pytest.mark.parametrize(("app_token", "ok"), [("xapp-test-1", True), ("xapp-withdrawn", False), (TOKEN, False)])
def test_an_app_token_for_which_slack_opens_no_connection_is_no_way_in(settings, app_token, ok) -> None:
    given = settings(slack={"token": TOKEN, "app_token": app_token})
    found = {check.name: check for check in check_slack(given, send=False)}
    assert found["clicks"].ok is ok
    assert ok or "invalid_auth" in found["clicks"].found


def test_the_doctor_says_that_an_app_token_was_withdrawn(settings) -> None:
    assert "more: guardian slack check" in doctor._alerts(
        settings(slack={"token": TOKEN, "app_token": "xapp-test-1"})
    )
    with pytest.raises(AlertError, match=r"invalid_auth; make an app-level token with connections:write"):
        doctor._alerts(settings(slack={"token": TOKEN, "app_token": "xapp-withdrawn"}))


def test_the_doctor_says_that_slack_cannot_be_reached_and_goes_on(settings) -> None:
    no_broker = {"bootstrap_servers": "127.0.0.1:9", "options": {"bootstrap_timeout_ms": 200}}
    away = settings(alerts={"slack": {"channel": CHANNEL, "base_url": "http://127.0.0.1:9/api/"}}, kafka=no_broker)
    checks = {check.name: check for check in doctor.examine(away)}
    assert not checks["alerts"].ok
    assert "slack.com" in checks["alerts"].mend
    assert "refused" in checks


def test_the_manifest_asks_for_what_is_needed_and_leads_where_it_should() -> None:
    over_http = yaml.safe_load(manifest_text("https://guardian.example.com/"))
    assert (
        over_http["settings"]["interactivity"]["request_url"] == "https://guardian.example.com/slack/interactions"
    )
    assert over_http["features"]["slash_commands"][0]["url"] == "https://guardian.example.com/slack/commands"
    assert set(NEEDED) <= set(over_http["oauth_config"]["scopes"]["bot"])
    socket = yaml.safe_load(manifest_text(None))
    assert socket["settings"]["socket_mode_enabled"] is True
    assert "request_url" not in socket["settings"]["interactivity"]


def test_a_sample_of_each_kind_is_sent_and_within_slacks_limits(settings, slack, office, monkeypatch) -> None:
    opened = SlackOptions.open
    monkeypatch.setattr(SlackOptions, "open", lambda self, _: opened(self, office.clock.given))
    sent = list(send_samples(settings()))
    assert [each for each in sent if not each.ok] == []
    assert {each.kind for each in sent} == set(samples(office.clock()))
    assert all(message_limits(message["blocks"]) == [] for message in slack.messages)


def test_every_sample_reads_as_plain_text(office) -> None:
    for name, alert in samples(office.clock()).items():
        text = as_text(shown(alert))
        assert "sample" in text or name == "digest"
        assert not {"*", "`", "<"} & set(text), text


def test_the_samples_are_the_ones_that_were_looked_at(office) -> None:
    """Change one, and look at it: `guardian alerts preview NAME`."""
    import os
    from pathlib import Path

    golden = Path(__file__).parent / "golden" / "samples.json"
    told = {name: shown(alert) for name, alert in samples(office.clock()).items()}
    if os.environ.get("WRITE_GOLDEN"):
        golden.parent.mkdir(exist_ok=True)
        golden.write_text(json.dumps(told, ensure_ascii=False, indent=1) + "\n", "utf-8")
    assert told == json.loads(golden.read_text("utf-8"))


def test_a_finding_is_previewed_though_its_case_shows_another(office, a_finding) -> None:
    """A bare alert names it: nowhere else is shown what a filter kept back."""
    first, second = (a_finding(n=n, tool=tool) for n, tool in enumerate(("crm.export", "email.send")))
    office.submit(first)
    office.submit(second)
    with office.client("maya", "responder") as maya:
        of_first, of_second = (as_text(preview_of(each.id, maya)) for each in (first, second))
    assert "crm.export" in of_first
    assert f"The message of its case shows another finding: {second.id}" in of_first
    assert "email.send" in of_second
    assert "another finding" not in of_second


@pytest.mark.parametrize(
    "told",
    [
        {"a": {"role": "responder", "tenants": ["acme"]}},
        {
            "a": {"slack": "U0A", "role": "responder", "tenants": ["acme"]},
            "b": {"slack": "U0A", "role": "approver", "tenants": ["acme"]},
        },
        {
            "a": {"email": "x@y.example", "role": "responder", "tenants": ["acme"]},
            "b": {"email": "X@Y.example", "role": "approver", "tenants": ["acme"]},
        },
        {"a": {"email": "te\u00df@y.example", "role": "responder", "tenants": ["acme"]}},
    ],
)
def test_people_who_cannot_be_told_apart_are_refused_at_the_start(told) -> None:
    with pytest.raises(ConfigurationError, match=r"slack\.people"):
        people(Settings(slack={"people": told}))


@pytest.mark.parametrize("role", ["monitor", "gateway", "delegation", "metrics"])
def test_nobody_clicks_as_a_machine(role) -> None:
    with pytest.raises(ValueError, match="role"):
        Settings(slack={"people": {"a": {"slack": "U0A", "role": role, "tenants": ["acme"]}}})


@pytest.mark.parametrize("name", ["operator", "guardian", "", "ma\x00ya"])
@pytest.mark.parametrize("section", ["slack", "console"])
def test_a_person_whom_no_token_can_name_is_refused_at_the_start(section, name) -> None:
    told = {"email": "maya@acme.example", "role": "responder", "tenants": ["acme"]}
    oidc = {"issuer": "https://idp.example.com", "client_id": "guardian"}
    body = {"people": {name: told}} | ({"oidc": oidc} if section == "console" else {})
    with pytest.raises(ConfigurationError, match=f"{section}.people"):
        load(overrides={section: body})
