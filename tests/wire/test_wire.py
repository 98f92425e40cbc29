"""The wire models: what may be asked, and what must be said."""

import json

import pytest
from pydantic import ValidationError

from guardian.wire.approvals import ApprovalDecision, BreakerReset, BreakGlassRequest
from guardian.wire.client import segment as quoted
from guardian.wire.envelopes import EnvelopeRegistration
from guardian.wire.peers import Acknowledgement
from guardian.wire.sessions import ActRequest, ModeRequest, ProtectionRequest


@pytest.mark.parametrize(
    ("model", "body"),
    [
        (ActRequest, {"reason": ""}),
        (ActRequest, {"reason": "   "}),
        (ActRequest, {"reason": "x" * 1001}),
        (ActRequest, {"reason": "x", "force": True}),
        (ActRequest, {}),
        (ModeRequest, {"mode": "off", "reason": "x"}),
        (ModeRequest, {"mode": "canary", "reason": "x"}),
        (ModeRequest, {"mode": "canary", "canary_percent": 0, "reason": "x"}),
        (ModeRequest, {"mode": "canary", "canary_percent": 100, "reason": "x"}),
        (ModeRequest, {"mode": "enforce", "canary_percent": 5, "reason": "x"}),
        (ProtectionRequest, {"reason": "x"}),
        (ApprovalDecision, {"decision": "approve"}),
        (ApprovalDecision, {"decision": "apply", "reason": "x"}),
        (ApprovalDecision, {"decision": "deny", "reason": "x", "by": "somebody else"}),
        (BreakGlassRequest, {"tenant_id": "acme", "reason": " "}),
        (BreakGlassRequest, {"tenant_id": "acme", "reason": "x", "minutes": 0}),
        (BreakGlassRequest, {"tenant_id": "a\nb", "reason": "x"}),
        (BreakerReset, {}),
        (Acknowledgement, {"revision": "1.9999999999999999999"}),
        (Acknowledgement, {"revision": "9999999999999999999.1"}),
    ],
)
def test_a_request_without_a_reason_or_with_something_unknown_is_refused(model, body):
    with pytest.raises(ValidationError):
        model.model_validate(body)


def test_a_registered_envelope_may_name_nobody_by_an_empty_name_and_its_session_by_none():
    names = {"delegator_id": "u", "tenant_id": "acme", "session_id": "s1", "agent_id": "", "parent_session_id": ""}
    told = EnvelopeRegistration.model_validate_json(json.dumps({"envelope": names}))
    assert (told.envelope.agent_id, told.envelope.parent_key) == (None, None)
    with pytest.raises(ValidationError):
        EnvelopeRegistration.model_validate_json(json.dumps({"envelope": names | {"session_id": ""}}))


@pytest.mark.parametrize(
    ("name", "segment"),
    [
        ("a", "a"),
        ("a/b", "a%2Fb"),
        (".", "%2E"),
        ("..", "%2E%2E"),
        ("...", "..."),
        ("%2F", "%252F"),
        ("?#", "%3F%23"),
    ],
)
def test_a_name_is_one_segment_of_a_path(name, segment):
    assert quoted(name) == segment
