"""A policy set that is not sound does not start."""

from pathlib import Path

import pytest

from guardian.errors import PolicyError
from guardian.policy.cases import read_cases
from guardian.policy.cedar import CedarPolicies
from guardian.policy.files import PolicyFiles
from guardian.policy.port import PolicyDecision

SCHEMA = """
entity Actor; entity Session;
action read appliesTo { principal: [Actor], resource: [Session], context: { mode: String } };
"""
GOOD = '@id("readers") permit (principal, action == Action::"read", resource);'


@pytest.mark.parametrize(
    ("policies", "message"),
    [
        ("permit (", "cannot parse"),
        ('permit (principal, action == Action::"read", resource);', "has no @id"),
        (GOOD + GOOD, "unique"),
        ('@id("typo") permit (principal, action == Action::"raed", resource);', "'typo' does not fit"),
        ('@id("opt") permit (principal, action, resource) when { context.oops };', "'opt' does not fit"),
        ('@id("t") permit (principal == ?principal, action, resource);', "templates"),
    ],
)
def test_a_broken_set_is_refused_by_name(policies, message):
    with pytest.raises(PolicyError, match=message):
        CedarPolicies(policies, SCHEMA)


def test_a_broken_schema_is_refused():
    with pytest.raises(PolicyError, match="schema"):
        CedarPolicies(GOOD, "entity {")


def test_a_folder_needs_policies_and_one_schema(tmp_path):
    with pytest.raises(PolicyError, match=r"exactly one \*\.cedarschema"):
        CedarPolicies.from_files(PolicyFiles.read(tmp_path))
    (tmp_path / "a.cedar").write_text(GOOD)
    (tmp_path / "a.cedarschema").write_text(SCHEMA)
    assert CedarPolicies.from_files(PolicyFiles.read(tmp_path)).policy_ids == {"readers"}


def test_the_version_names_the_content():
    one, same = CedarPolicies(GOOD, SCHEMA), CedarPolicies(GOOD, SCHEMA)
    other = CedarPolicies(GOOD + "\n// a word", SCHEMA)
    assert one.version == same.version != other.version


def test_a_decision_with_errors_cannot_be_an_allow():
    with pytest.raises(ValueError, match="denial"):
        PolicyDecision(True, errors=("x",))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "list of cases"),
        ("a: [", "is not YAML"),
        ("- {name: x, expect: allow, role: admin,\n  expect: deny}", "'expect' is there twice, in line 2"),
        ("- x", "case 1: a case is written as names and values"),
        ("- {name: x, expect: maybe, role: admin, action: read}", "case 1, expect"),
        ("- {name: x, expect: deny, role: admin, action: read, sesion: y}", "case 1, sesion"),
        ("- {name: x, expect: deny, role: admin, action: read, act: {aproved: true}}", "case 1, act.aproved"),
        ("- {name: x, expect: deny, role: admin, action: read, hour: 24}", "case 1, hour"),
        ("- &x {name: x, expect: deny, role: admin, action: read}\n- *x", "case 2: another case is called 'x'"),
    ],
)
def test_a_broken_cases_file_is_refused_with_its_place(text, message):
    with pytest.raises(PolicyError, match=message):
        read_cases(text, Path("cases.yaml"))
