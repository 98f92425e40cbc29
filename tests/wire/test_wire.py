"""The wire models: what may be asked, and what must be said."""

import pytest
from pydantic import ValidationError

from guardian.wire.client import _segment
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
        (ProtectionRequest, {"reason": "x"}),
    ],
)
def test_a_request_without_a_reason_or_with_something_unknown_is_refused(model, body):
    with pytest.raises(ValidationError):
        model.model_validate(body)


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
    assert _segment(name) == segment
