"""However much of a value is wrong, that is said in a few words."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from guardian.domain import envelope, event
from guardian.domain.finding import Finding, NamedBreach

MANY, FEW = 1_000, 10
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


EVENT = [
    model
    for part in (envelope, event)
    for model in vars(part).values()
    if isinstance(model, type) and issubclass(model, BaseModel) and model.__module__ == part.__name__
]
FIELDS = [(model, field.alias or name) for model in EVENT for name, field in model.model_fields.items()]


def wrongs(model: type[BaseModel], name: str, value: Any) -> int:
    """In how many places a field is wrong with this value."""
    try:
        model.model_validate_json(json.dumps({name: value}))
    except ValidationError as refused:
        return sum(mistake["loc"][0] == name for mistake in refused.errors())
    return 0


@pytest.mark.parametrize(("model", "name"), FIELDS, ids=[f"{model.__name__}.{name}" for model, name in FIELDS])
def test_a_thousand_wrong_items_of_a_record_are_few_mistakes_in_whatever_field_they_stand(
    model: type[BaseModel], name: str
) -> None:
    for item in (None, 0, "x" * 600, [0], {"a": 0}):
        assert wrongs(model, name, [item] * MANY) < FEW, item
        assert wrongs(model, name, {f"k{place}": item for place in range(MANY)}) < FEW, item


def test_the_lists_of_a_record_are_among_those_fields() -> None:
    lists = {f"{model.__name__}.{name}" for model, name in FIELDS if not wrongs(model, name, [])}
    assert {"Action.data_classes", "Result.data_classes", "Decision.policy_ids", "Envelope.allowed_tools"} <= lists
