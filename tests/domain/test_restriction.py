import json
from datetime import UTC, datetime

import pytest

from guardian.domain.past import PastCall
from guardian.domain.restriction import Restriction, Scope, Support
from guardian.domain.rules import (
    RULES,
    ArgumentAtMost,
    ArgumentIn,
    ArgumentLike,
    ForbidDataClass,
    ForbidTool,
    MaxLifetime,
    MaxRecords,
    OnlyHours,
    PinArgument,
    Placed,
    argument,
)
from guardian.domain.rules import _ArgumentRule as AnyArgumentRule
from guardian.domain.rules import _Rule as AnyRule

AT = datetime(2026, 2, 2, 9, 30, tzinfo=UTC)
SCOPE = Scope("acme", "review", "agent_review", "boss")
SUPPORT = Support(
    sessions=200, actions=1000, days=60, last_use=None, denied_at_most=0.015, held_out=70, held_out_broken=0
)
ALL = (
    ForbidTool("t"), ForbidTool("t", ("a-1",)), ForbidDataClass("terms"), MaxRecords(5), OnlyHours((9, 10)),
    MaxLifetime(60), PinArgument("t", "x", True, "ids"), ArgumentIn("t", "x", False, ("a", 1, True)),
    ArgumentAtMost("t", "x", True, 5), ArgumentLike("t", "x", False, "c_", "!"),
)  # fmt: skip


def placed(age_s=0, parent_role="boss", **told):
    base = {
        "tenant_id": "acme", "session_id": "s", "purpose": "review", "role": "agent_review", "at": AT, "tool": "t",
        "allowed": True, "arguments": {}, "bound": (), "resource_type": None, "resource_id": None,
        "data_classes": frozenset(), "records": 1, "allowed_tools": (), "constraints": {}, "expires_at": None,
        "agent_id": "a-1", "delegator_id": "u", "parent_session_id": "p", "gateway": "gw", "decision_id": "d",
        "wanted": "none", "one_in": 1.0,
    }  # fmt: skip
    return Placed(PastCall(**base | told), parent_role, age_s)


@pytest.mark.parametrize(
    ("rule", "told", "broken"),
    [
        (ForbidTool("t"), {}, True),
        (ForbidTool("t"), {"tool": "u"}, False),
        (ForbidTool("t", ("a-1",)), {}, False),
        (ForbidTool("t", ("a-1",)), {"agent_id": "a-2"}, True),
        (ForbidDataClass("terms"), {"data_classes": frozenset({"terms", "x"})}, True),
        (ForbidDataClass("terms"), {"data_classes": frozenset({"x"})}, False),
        (ForbidDataClass("terms"), {"data_classes": None}, None),
        (MaxRecords(5), {"records": 6}, True),
        (MaxRecords(5), {"records": 5}, False),
        (MaxRecords(5), {"records": None}, None),
        (OnlyHours((9,)), {}, False),
        (OnlyHours((10,)), {}, True),
        (MaxLifetime(60), {"age_s": 61}, True),
        (MaxLifetime(60), {"age_s": 60}, False),
        (PinArgument("t", "x", True, "ids"), {"arguments": {"x": "c"}, "bound": ("x=ids",)}, False),
        (PinArgument("t", "x", True, "ids"), {"arguments": {"x": "c"}, "bound": ("x=other",)}, True),
        (PinArgument("t", "x", True, "ids"), {"arguments": {"x": 7}, "bound": ("x=ids",)}, True),
        (PinArgument("t", "x", True, "ids"), {"arguments": {"y": "c"}}, True),
        (PinArgument("t", "x", False, "ids"), {"arguments": {"y": "c"}}, False),
        (PinArgument("t", "x", False, "ids"), {"arguments": None}, None),
        (PinArgument("t", "x", False, "ids"), {"arguments": None, "tool": "u"}, False),
        (ArgumentIn("t", "x", False, ("a", 1)), {"arguments": {"x": "a"}}, False),
        (ArgumentIn("t", "x", False, ("a", 1)), {"arguments": {"x": True}}, True),
        (ArgumentIn("t", "x", False, ("a", 1)), {"arguments": {"x": ["a"]}}, True),
        (ArgumentIn("t", "x", False, ("a", 1)), {"arguments": {"x": {"a": 1}}}, True),
        (ArgumentAtMost("t", "x", False, 5), {"arguments": {"x": 5}}, False),
        (ArgumentAtMost("t", "x", False, 5), {"arguments": {"x": 4.5}}, True),
        (ArgumentAtMost("t", "x", False, 5), {"arguments": {"x": 4.0}}, True),
        (ArgumentAtMost("t", "x", False, 5), {"arguments": {"x": "1"}}, True),
        (ArgumentAtMost("t", "x", False, 5), {"arguments": {"x": True}}, True),
        (ArgumentLike("t", "a.b", False, "c_", "!"), {"arguments": {"a": {"b": "c_1!"}}}, False),
        (ArgumentLike("t", "a.b", False, "c_", "!"), {"arguments": {"a.b": "c_1!", "a": {"b": "z"}}}, True),
        (ArgumentLike("t", "x", False, "aba", "ba"), {"arguments": {"x": "aba"}}, True),
        (ArgumentLike("t", "x", False, "c_", ""), {"arguments": {"x": 4}}, True),
    ],
)
def test_a_rule_answers_for_itself(rule, told, broken):
    assert rule.broken_by(placed(**told)) is broken


def test_a_restriction_is_about_its_scope_only():
    one = Restriction(SCOPE, ForbidTool("t"), "why", SUPPORT)
    assert one.denies(placed()) is True
    assert placed().call.key == ("acme", "s")
    for other in ({"purpose": "pay"}, {"role": "r"}, {"tenant_id": "globex"}, {"parent_role": ""}):
        assert one.denies(placed(**other)) is False


def test_the_id_stays_while_numbers_move_and_differs_with_scope_kind_and_subject():
    ids = {Restriction(SCOPE, rule, "why", SUPPORT).id for rule in ALL}
    assert len(ids) == len(ALL) - 1  # who is exempt is a number of the same restriction
    assert Restriction(SCOPE, MaxRecords(5), "a", SUPPORT).id == Restriction(SCOPE, MaxRecords(9), "b", SUPPORT).id
    other = Scope("globex", "review", "agent_review", "boss")
    assert Restriction(other, MaxRecords(5), "a", SUPPORT).id not in ids


@pytest.mark.parametrize("rule", ALL, ids=lambda rule: f"{rule.kind}-{rule.subject}")
def test_a_restriction_survives_json(rule):
    one = Restriction(SCOPE, rule, "why", SUPPORT)
    assert Restriction.from_json(json.loads(json.dumps(one.as_json()))) == one


def test_a_restriction_that_was_edited_into_another_is_refused():
    told = Restriction(SCOPE, ForbidTool("t"), "why", SUPPORT).as_json()
    told["rule"]["tool"] = "u"
    with pytest.raises(ValueError, match="was edited"):
        Restriction.from_json(told)
    told["rule"]["tool"] = 7
    with pytest.raises(ValueError, match="tool: "):
        Restriction.from_json(told)
    told["rule"]["kind"] = "allow_tool"
    with pytest.raises(ValueError, match=r"rule\.kind: 'allow_tool' is none of forbid_tool, "):
        Restriction.from_json(told)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda told: told.pop("why"), "why is missing"),
        (lambda told: told.update(until="2027"), "until is not known here"),
        (lambda told: told["rule"].update(unless="x"), "unless is not known here"),
        (lambda told: told["rule"].pop("kind"), "rule.kind: None is none of"),
        (lambda told: told["rule"].update(kind=[]), r"rule.kind: \[\] is none of"),
        (lambda told: told["support"].update(sure=True), "support.sure is not known here"),
    ],
)
def test_a_restriction_that_says_more_or_less_than_is_known_is_refused(change, says):
    told = Restriction(SCOPE, ForbidTool("t"), "why", SUPPORT).as_json()
    change(told)
    with pytest.raises(ValueError, match=f"^{says}"):
        Restriction.from_json(told)
    with pytest.raises(ValueError, match="valid dictionary"):
        Restriction.from_json(3)


def test_every_kind_of_rule_is_in_the_table_and_here():
    assert {rule.kind for rule in ALL} == set(RULES)


def test_an_argument_that_is_a_list_is_there_and_equals_nothing():
    assert argument({"a": [1]}, "a") == "[list]"
    assert argument({"a": None}, "a") is None


def test_a_kind_without_an_answer_of_its_own_cannot_be_made():
    with pytest.raises(TypeError, match="abstract"):
        AnyRule()
    with pytest.raises(TypeError, match="abstract"):
        AnyArgumentRule("t", "x", False)
