"""A deployment's own rules: drop, hash or keep the shape, before anything is stored, embedded or shown."""

import json

import pytest

from guardian.domain.event import DecisionEvent, Envelope
from guardian.errors import ConfigurationError
from guardian.pipeline.redaction import FieldRules, redact_envelope
from guardian.signals.credential_exposure import CredentialScanner


def rules(**ways):
    return FieldRules(
        CredentialScanner(key=b"k"), {path.replace("__", "."): way for path, way in ways.items()}, b"key"
    )


@pytest.fixture
def event(body):
    arguments = {
        "customer": {"email": "Maya.Li@acme.example", "phone": 4917012345},
        "list": [{"iban": "DE12 3456"}, 7],
    }
    return DecisionEvent.model_validate_json(
        json.dumps(body(action__arguments=arguments, decision__reason="because"))
    )


def test_a_dropped_field_is_gone_and_what_is_not_there_is_left_alone(event):
    clean, _ = rules(**{"action.arguments.customer": "drop", "action.arguments.absent.x": "drop"}).redact(event)
    assert clean.action.arguments == {"list": [{"iban": "DE12 3456"}, 7]}
    nothing, _ = rules(**{"action.arguments": "drop", "decision.reason": "drop"}).redact(event)
    assert nothing.action.arguments is None
    assert "arguments" in nothing.features_missing
    assert nothing.decision.reason == ""


def test_a_hash_keeps_equal_values_equal_and_depends_on_the_key(event):
    clean, _ = rules(**{"action.arguments.customer.*": "hash", "envelope.delegator_id": "hash"}).redact(event)
    hashed = clean.action.arguments["customer"]
    assert hashed["email"].startswith("hash:")
    assert hashed == rules(**{"action.arguments.customer.*": "hash"}).redact(event)[0].action.arguments["customer"]
    other = FieldRules(CredentialScanner(key=b"k"), {"action.arguments.customer.*": "hash"}, b"another key")
    assert other.redact(event)[0].action.arguments["customer"] != hashed
    assert clean.envelope.delegator_id.startswith("hash:")


def test_a_shape_says_what_kind_of_thing_it_was(event):
    clean, _ = rules(**{"action.arguments.customer": "shape", "action.arguments.list.*.iban": "shape"}).redact(
        event
    )
    assert clean.action.arguments["customer"] == {"email": "Xxxx.Xx@xxxx.xxxxxxx", "phone": 1000000000}
    assert clean.action.arguments["list"] == [{"iban": "XX99 9999"}, 7]


def test_a_credential_in_a_dropped_field_is_still_told(body):
    key = "AKIA" + "IOSFODNN7EXAMPLA"
    told = DecisionEvent.model_validate_json(json.dumps(body(action__arguments={"note": f"use {key}"})))
    clean, hits = rules(**{"action.arguments.note": "drop"}).redact(told)
    assert hits
    assert clean.action.arguments == {}


def test_a_registered_envelope_is_redacted_like_one_that_came_with_the_log():
    told = Envelope(delegator_id="maya", tenant_id="acme", session_id="s1", purpose="call 555")
    clean = redact_envelope(rules(**{"envelope.purpose": "shape", "envelope.delegator_id": "hash"}), told)
    assert (clean.purpose, clean.session_id) == ("xxxx 999", "s1")
    assert clean.delegator_id.startswith("hash:")


@pytest.mark.parametrize(
    ("path", "way", "reason"),
    [
        ("envelope.session_id", "hash", "not a field that can be redacted"),
        ("id", "drop", "not a field that can be redacted"),
        ("action.tool", "drop", "not a field that can be redacted"),
        ("envelope.agent_id", "drop", "a name can only be hashed"),
    ],
)
def test_what_guardian_needs_to_know_a_session_by_cannot_be_redacted(path, way, reason):
    with pytest.raises(ConfigurationError, match=reason):
        rules(**{path: way})


def test_marks_longer_than_what_they_hide_leave_every_field_within_its_bound(body):
    status = "://a:b@" * 18
    told = DecisionEvent.model_validate_json(json.dumps(body(result__status=status)))
    clean, hits = rules(**{"action.arguments.x": "drop"}).redact(told)
    assert "a:b" not in clean.result.status
    assert {hit.path for hit in hits} == {"result.status"}
