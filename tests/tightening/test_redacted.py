"""What the rules of redaction left without a form of its own is marked where it lies, and nothing else."""

import json

import pytest

from guardian.domain.event import DecisionEvent
from guardian.domain.past import flat_arguments
from guardian.pipeline.redaction import FieldRules
from guardian.signals.credentials.scanner import CredentialScanner
from guardian.tightening.grants import Grant
from guardian.tightening.redacted import SHAPED, marked

ARGUMENTS = {"id": 77, "dry": True, "who": {"name": "Lee", "dotted.name": "Maya", "age": 41}, "to": ["Ann"]}


def redacted(rules, arguments):
    told = {
        "schema": "guardian.decision/v1", "id": "d", "time": "2026-01-05T09:00:00Z", "gateway": "g",
        "envelope": {"delegator_id": "u", "tenant_id": "acme", "session_id": "s", "purpose": "p"},
        "action": {"tool": "t", "arguments": arguments}, "decision": {"effect": "allow"},
    }  # fmt: skip
    event = DecisionEvent.model_validate_json(json.dumps(told))
    return FieldRules(CredentialScanner(key=b"k"), rules, b"key").redact(event)[0].action.arguments


@pytest.mark.parametrize(
    "path",
    ["", ".id", ".who", ".who.name", ".who.dotted", ".who.dotted.name", ".who.*", ".*", ".*.age", ".to", ".dry",
     ".absent", ".id.deeper"],
)  # fmt: skip
def test_what_is_marked_is_what_decoding_shapes(call, path):
    rules = {f"action.arguments{path}": "shape"}
    [found] = marked([call(arguments=ARGUMENTS)], rules)
    before, shaped, after = map(flat_arguments, (ARGUMENTS, redacted(rules, ARGUMENTS), found.arguments))
    assert {name for name in before if shaped[name] != before[name]} == {
        name for name, value in after.items() if value == SHAPED
    } - {"to"}
    assert all(value == before[name] for name, value in after.items() if value != SHAPED)


def test_what_tells_itself_by_its_form_is_left_as_it_is(call):
    one = call(arguments=ARGUMENTS)
    assert list(marked([one], {"action.arguments.id": "hash", "action.arguments.who": "drop"})) == [one]
    [unlogged] = marked([call(arguments=None)], {"action.arguments": "shape"})
    assert unlogged.arguments is None


@pytest.mark.parametrize("path", ["", ".*", ".data_classes", ".data_classes.0", ".data_classes.*"])
@pytest.mark.parametrize("way", ["shape", "hash", "drop"])
def test_a_limit_that_is_redacted_in_part_is_no_limit_to_reckon_with(call, path, way):
    constraints = {"data_classes": ["terms", "prices"], "max_records": 25}
    [found] = marked([call(constraints=constraints)], {f"envelope.resource_constraints{path}": way})
    grant = Grant.of(found)
    assert grant.data_classes is None
    assert grant.records_unread == (path in ("", ".*"))


def test_a_purpose_that_was_shaped_is_told_from_any_other(call):
    [found] = marked([call(purpose="xxxx xxx")], {"envelope.purpose": "shape"})
    assert found.purpose == SHAPED
