import pytest
from cedar_forbids import forbidden_by

from guardian.policy.cedar_text import forbid_problems

SCHEMA = """entity Agent; entity Tool;
action call appliesTo {principal: [Agent], resource: [Tool], context: {tool: String, records?: Long}};"""
FORBID = '@id("r1") forbid (principal, action == Action::"call", resource) when { context.tool == "x" };'


def told(policies, schema=SCHEMA):
    return [(problem.policy_id, problem.text) for problem in forbid_problems(policies, schema)]


def test_forbids_that_fit_the_schema_have_no_problem():
    assert told(FORBID) == []


@pytest.mark.parametrize(
    ("policies", "schema", "policy_id", "says"),
    [
        ("forbid (", SCHEMA, "cedar", "do not parse"),
        ('@id("p") permit (principal, action == Action::"call", resource);', SCHEMA, "p", "could allow something"),
        ("permit (principal, action, resource);", SCHEMA, "policy0", "could allow something"),
        (FORBID, "entity", "schema", "error parsing schema"),
        (FORBID.replace("tool", "nope"), SCHEMA, "r1", "nope"),
    ],
)
def test_each_thing_that_is_wrong_is_named_by_the_policys_id(policies, schema, policy_id, says):
    found = told(policies, schema)
    assert any(name == policy_id and says in text for name, text in found), found


def test_who_refuses_is_named_and_an_error_is_no_permission():
    records = '@id("r2") forbid (principal, action, resource) when { context.records > 5 };'
    assert forbidden_by(FORBID + records, {"tool": "x", "records": 9}) == ["r1", "r2"]
    assert forbidden_by(FORBID + records, {"tool": "y", "records": 1}) == []
    with pytest.raises(ValueError, match="r2"):
        forbidden_by(FORBID + records, {"tool": "y"})
