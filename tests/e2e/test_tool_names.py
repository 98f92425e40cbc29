"""A gateway's own names of tools, from its log through the archive into policies that decide by them."""

import json
from datetime import UTC, datetime, timedelta

import pytest
import yaml
from cedar_forbids import forbidden_by
from typer.testing import CliRunner

from guardian.cli import app
from guardian.commands.initialise import initialise
from guardian.tightening.cedar import POLICIES, SCHEMA
from guardian.tightening.folder import read_proposal
from guardian.tightening.rego import DATA_FILE, RULES_FILE, RegoEvaluator

BEGIN = datetime(2026, 2, 2, 9, tzinfo=UTC)
DAYS = 60
TEMPLATE = ["mcp__crm__read", "crm/read", "mcp__crm__export", "crm/list", "contracts.review"]
SPELT = ("mcp__crm__read", "crm/read", "crm/list", "contracts.review")


def line(session, call):
    """What OPA logs of one decision: read in one spelling and then in the other, listed, and a plain name."""
    at = BEGIN + timedelta(days=session // 2, minutes=10 * (session % 2) + call)
    envelope = {"delegator_id": "u", "purpose": "review contracts", "agent_id": "agent_review"}
    asked = {
        "tool": SPELT[call], "arguments": {"region": "eu"}, "session_id": f"s{session}", "tenant": "acme",
        "envelope": envelope | {"allowed_tools": TEMPLATE},
    }  # fmt: skip
    return json.dumps(
        {
            "decision_id": f"d{session}.{call}", "labels": {"app": "mcp-gw-demo-1"}, "path": "mcp/allow",
            "input": asked, "result": True, "timestamp": at.isoformat(),
        }
    )  # fmt: skip


@pytest.fixture(scope="module")
def proposed(tmp_path_factory):
    home = tmp_path_factory.mktemp("home")
    config = initialise(home / "guardian")
    told = yaml.safe_load(config.read_text(encoding="utf-8"))
    told |= {"model": {"engine": "lexical"}, "source": {"format": "opa"}}
    config.write_text(yaml.safe_dump(told), encoding="utf-8")
    log = home / "opa.jsonl"
    log.write_text("\n".join(line(session, call) for session in range(2 * DAYS) for call in range(len(SPELT))))

    def run(*words):
        outcome = CliRunner().invoke(app, [*map(str, words), "-c", str(config)])
        assert outcome.exit_code == 0, outcome.output

    run("archive", "import", log)
    run("archive", "compact")
    until = (BEGIN + timedelta(days=DAYS)).isoformat()
    run("propose", "--tenant", "acme", "--until", until, "--out", home / "p")
    return home / "p"


def asked(tool, **arguments):
    return {
        "tenant": "acme", "purpose": "review contracts", "role": "agent_review", "parent_role": "",
        "agent_id": "agent_review", "tool": tool, "hour": 9, "session_age_s": 60, "arguments": arguments,
        "envelope": {},
    }  # fmt: skip


def test_policy_engines_decide_on_the_names_that_the_gateway_uses(proposed):
    rego = RegoEvaluator({name: (proposed / name).read_text(encoding="utf-8") for name in (RULES_FILE, DATA_FILE)})
    policies, schema = ((proposed / name).read_text(encoding="utf-8") for name in (POLICIES, SCHEMA))
    rules = {each.id: each.rule for each in read_proposal(proposed).restrictions}
    for tool, region, refused in [
        ("mcp__crm__export", "eu", {("forbid_tool", "crm.export")}),
        ("mcp__crm__read", "eu", set()),
        ("mcp__crm__read", "us", {("argument_in", "crm.read:region")}),
        ("crm/read", "us", {("argument_in", "crm.read:region")}),
        ("crm.read", "us", set()),
        ("crm.export", "eu", set()),
    ]:
        told = asked(tool, region=region)
        for found in (rego.denied_by(told), forbidden_by(policies, told, schema)):
            assert {(rules[each].kind, rules[each].subject) for each in found} == refused


def test_a_patch_of_the_template_keeps_its_spelling_to_the_letter(proposed):
    [patch] = (proposed / "envelope").iterdir()
    told = json.loads(patch.read_text(encoding="utf-8"))
    assert told["allowed_tools"] == sorted(set(TEMPLATE) - {"mcp__crm__export"})


def test_the_report_says_which_names_are_whose_and_warns_of_nothing(proposed):
    text = (proposed / "REPORT.md").read_text(encoding="utf-8")
    assert "mcp\\_\\_crm" not in text
    assert "mcp__crm__export for crm.export" in text
    assert "One tool to guardian, several to the log**: crm.read (crm/read and mcp__crm__read)." in text
    assert "Not every name that the log uses" not in text
    assert read_proposal(proposed).renamed == ()
