"""However much of a value is wrong, that is said in a few words."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from guardian.domain.event import Envelope
from guardian.domain.finding import Finding, NamedBreach

MANY = 1_000
WRONG = {f"k{place}": 1 for place in range(MANY)}


def mistakes(model: type[BaseModel], told: dict[str, Any]) -> int:
    with pytest.raises(ValidationError) as refused:
        model.model_validate_json(json.dumps(told))
    return refused.value.error_count()


LISTS, OBJECTS = ("reasons", "breaches", "features_missing"), ("versions", "subject", "act", "evidence")


@pytest.mark.parametrize("name", LISTS + OBJECTS)
def test_a_thousand_wrong_parts_of_a_finding_are_one_mistake(name: str) -> None:
    told = {"id": "f", "kind": "drift", "tenant_id": "t", "session_id": "s", "wanted": "flag", "severity": "low"}
    told |= {"title": "", "time": datetime(2026, 1, 1, tzinfo=UTC).isoformat()}
    parts: Any = [1] * MANY if name in LISTS else WRONG
    assert mistakes(Finding, told | {name: parts}) == 1
    assert mistakes(Finding, told | WRONG) == 1


def test_a_thousand_wrong_marks_of_a_breach_are_one_mistake() -> None:
    breach = {"name": "n", "detail": "", "hard": True, "about": [1] * MANY}
    assert mistakes(NamedBreach, breach) == 1


def test_a_thousand_wrong_tools_of_an_envelope_are_one_mistake() -> None:
    told = {"delegator_id": "u", "tenant_id": "t", "session_id": "s", "allowed_tools": [1] * MANY}
    assert mistakes(Envelope, told) == 1
