"""Findings for SIEMs."""

import json
import math
import os
from pathlib import Path

import jsonschema
import pytest

from guardian.alerting.delivered import message_id
from guardian.alerting.jsonl import JsonlOptions
from guardian.alerting.ocsf import to_ocsf
from guardian.alerting.port import RetryLater
from guardian.domain.finding import Effect, Evidence, Kind, NamedBreach, Reason, Subject
from guardian.errors import ConfigurationError
from guardian.wire.findings import AlertOutcome

SCHEMA = json.loads((Path(__file__).parent / "golden" / "ocsf_2004.schema.json").read_text("utf-8"))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "alerts.jsonl"


@pytest.fixture
def jsonl(file, time):
    return JsonlOptions(path=str(file)).open(time.given)


@pytest.mark.parametrize("kind", Kind)
def test_every_kind_of_finding_is_a_valid_detection_finding(kind: Kind, make_alert) -> None:
    jsonschema.validate(to_ocsf(make_alert(kind=kind)), SCHEMA)


@pytest.mark.parametrize(
    "changes",
    [
        {"subject": None, "act": None, "reasons": (), "breaches": (), "correlation_id": "", "title": ""},
        {"evidence": Evidence(score=math.nan, one_in=math.inf, p_value=-math.inf)},
        {"features_missing": ("x",) * 1000, "breaches": (NamedBreach(name="b", detail="", hard=True),) * 1000},
    ],
)
def test_bare_and_extreme_findings_are_valid_too_and_plain_json(changes, make_alert) -> None:
    event = to_ocsf(make_alert(**changes))
    jsonschema.validate(event, SCHEMA)
    assert json.loads(json.dumps(event, allow_nan=False)) == event


def test_the_figures_mean_what_ocsf_says(make_alert) -> None:
    event = to_ocsf(make_alert())
    assert (event["severity_id"], event["severity"]) == (5, "Critical")
    assert event["time"] == 1764003851000
    assert event["risk_score"] == 96
    assert event["type_uid"] == event["class_uid"] * 100 + event["activity_id"]


@pytest.mark.parametrize("kind", Kind)
def test_what_is_no_drift_has_no_figures_and_what_is_of_no_session_names_none(kind: Kind, make_alert) -> None:
    event = to_ocsf(make_alert(kind=kind, evidence=Evidence(score=0.4)))
    (evidence,) = event["evidences"]
    assert ("risk_score" in event, "promised" in evidence["data"]) == (kind is Kind.DRIFT, kind is Kind.DRIFT)
    assert evidence["data"]["act"]["tool"] == "email.send"
    assert ("resources" in event) == (kind not in (Kind.CONTROL, Kind.BUS, Kind.CALIBRATION))
    assert "evidences" not in to_ocsf(make_alert(kind=Kind.BUS, act=None))


def test_a_score_that_is_unknown_is_no_score_of_nought(make_alert) -> None:
    assert "risk_score" not in to_ocsf(make_alert(evidence=Evidence(score=math.nan)))


def test_where_no_signal_says_what_happened_the_broken_rule_does(make_alert) -> None:
    told = [to_ocsf(make_alert(**changes))["finding_info"].get("desc") for changes in (
        {"reasons": (Reason(signal="tool", share=1, value=1, text="never seen"),)},
        {"reasons": ()},
        {"reasons": (), "breaches": ()},
    )]  # fmt: skip
    assert told == ["never seen", "email.send is not delegated", None]


def test_a_playbook_gets_each_name_as_it_is(make_alert, jsonl, file) -> None:
    name = " =two  words\u00a0\u200b\u202e"
    jsonl.deliver(make_alert(tenant_id=name, session_id=name, subject=Subject(delegator_id=name, agent_id=name)))
    event = json.loads(file.read_text())
    agent, told = event["unmapped"]["ai_agent"], event["unmapped"]["delegator"]["uid"]
    uids = [
        event["metadata"]["tenant_uid"],
        event["resources"][0]["uid"],
        agent["uid"],
        agent["instance_uid"],
        told,
    ]
    assert uids == [name] * 5


def test_only_what_asks_for_an_effect_is_an_alert(make_alert) -> None:
    assert to_ocsf(make_alert())["is_alert"] is True
    assert to_ocsf(make_alert(wanted=Effect.NONE))["is_alert"] is False


def test_what_kind_of_attack_it_is_goes_by_atlas_and_owasp_ids(make_alert) -> None:
    reasons = (
        Reason(signal="delegation_widening", share=0.6, value=1.0),
        Reason(signal="credential_exposure", share=0.4, value=1.0),
    )
    breaches = (NamedBreach(name="data_class_outside", detail="", hard=True),)
    info = to_ocsf(make_alert(reasons=reasons, breaches=breaches))["finding_info"]
    assert [attack["technique"]["uid"] for attack in info["attacks"]] == ["AML.T0053", "AML.T0098", "AML.T0086"]
    assert info["types"] == [
        "ASI01 Agent Goal Hijack",
        "ASI02 Tool Misuse & Exploitation",
        "ASI03 Identity & Privilege Abuse",
    ]


def test_what_policy_made_of_it_is_there(make_alert) -> None:
    unmapped = to_ocsf(make_alert())["unmapped"]
    assert (unmapped["wanted"], unmapped["granted"], unmapped["mode"]) == ("revoke", "revoke", "enforce")
    assert unmapped["policy_ids"] == ["guardian-may-revoke-on-strong-evidence"]
    assert unmapped["ai_agent"]["uid"] == "agent_renewal_review"


def test_each_alert_is_one_ascii_line(jsonl, file, make_alert) -> None:
    for n in range(3):
        jsonl.deliver(make_alert(n, title="été\n\x1b[2J"))
    raw = file.read_bytes()
    assert raw.isascii()
    assert raw.count(b"\x1b") == 0
    lines = raw.decode().splitlines()
    assert len(lines) == 3
    for line in lines:
        jsonschema.validate(json.loads(line), SCHEMA)


def test_free_text_is_no_formula_and_ids_stay_as_they_are(jsonl, file, make_alert) -> None:
    jsonl.deliver(make_alert(title='=HYPERLINK("http://evil")', session_id="-sess"))
    event = json.loads(file.read_text())
    assert event["message"] == '\'=HYPERLINK("http://evil")'
    assert event["resources"][0]["uid"] == "-sess"


def test_a_siem_that_drops_repeats_keeps_the_revocation_of_what_was_flagged(make_alert) -> None:
    flagged = make_alert(outcome=AlertOutcome(effect=Effect.FLAG, allowed=False))
    events = [to_ocsf(flagged), to_ocsf(make_alert()), to_ocsf(make_alert().model_copy(update={"attempt": 3}))]
    flag, revoke, again = (event["metadata"]["uid"] for event in events)
    assert flag != revoke == again
    assert {event["finding_info"]["uid"] for event in events} == {make_alert().finding.id}


def test_the_file_is_for_its_owner_alone(jsonl, file, make_alert) -> None:
    jsonl.deliver(make_alert())
    assert file.stat().st_mode & 0o077 == 0


def test_a_delivered_alert_is_found_again_also_by_another_process(jsonl, file, make_alert, time) -> None:
    for n in range(300):  # more than one block of the file
        jsonl.deliver(make_alert(n))
    again = JsonlOptions(path=str(file)).open(time.given)
    assert again.find(make_alert(0)) == f"jsonl:{message_id(make_alert(0))}"
    assert again.find(make_alert(299)) is not None
    assert again.find(make_alert(300)) is None


def test_nothing_is_found_where_there_is_no_file(jsonl, make_alert) -> None:
    assert jsonl.find(make_alert()) is None


def test_an_id_that_is_only_mentioned_is_not_taken_for_a_delivery(jsonl, make_alert) -> None:
    other = message_id(make_alert(2))
    jsonl.deliver(make_alert(1, title=f"see {other}", correlation_id=other))
    assert jsonl.find(make_alert(2)) is None


def test_a_line_that_a_crash_cut_is_neither_a_delivery_nor_joined_to_the_next(jsonl, file, make_alert) -> None:
    jsonl.deliver(make_alert(1))
    os.truncate(file, file.stat().st_size - 5)
    assert jsonl.find(make_alert(1)) is None
    jsonl.deliver(make_alert(1))
    jsonl.deliver(make_alert(2))
    assert jsonl.find(make_alert(1)) is not None
    assert len(file.read_text().splitlines()) == 3


def test_a_file_that_cannot_be_written_is_tried_later(tmp_path, make_alert, time) -> None:
    channel = JsonlOptions(path=str(tmp_path / "taken")).open(time.given)
    (tmp_path / "taken").mkdir()
    with pytest.raises(RetryLater, match="taken"):
        channel.deliver(make_alert())


@pytest.mark.parametrize("path", ["", "/no/such/folder/alerts.jsonl"])
def test_a_path_without_a_folder_is_refused_at_the_start(path: str) -> None:
    with pytest.raises(ConfigurationError, match="folder that exists"):
        JsonlOptions(path=path)
