"""The same scenario in each format leads to the same findings, as far as it carries what they need."""

import json
from datetime import timedelta

import pytest

from guardian.bootstrap import plugins
from guardian.bootstrap.clock import utc_now
from guardian.bootstrap.judgement import open_judge
from guardian.commands.offline import replay_file
from guardian.config import load
from guardian.demo.jobs import TENANTS
from guardian.demo.log import GATEWAY, log_lines
from guardian.demo.scenario import Scenario
from guardian.demo.writing import Writing, gateway_of
from guardian.domain.finding import Kind
from guardian.embedding.lexical import plugin as lexical

SEED = 5
ACTION = {"arguments": "arguments", "resource": "resource", "records": "records", "data_classes": "data_classes"}


def lines_for(name):
    """The scenario under the names that this format knows its sessions by."""
    plan = Writing(name).known_as(Scenario(seed=SEED, sessions=6).plan())
    return [json.loads(line) for line in log_lines(plan, begin=utc_now() - timedelta(hours=3), seed=SEED)]


def stripped(line, carries):
    """The canonical line without what the format does not carry."""
    kept = json.loads(json.dumps(line))
    for fact, field in ACTION.items():
        if fact not in carries:
            kept["action"].pop(field, None)
    if "result" not in carries:
        kept.pop("result", None)
    elif kept.get("result") and "records" not in carries:
        kept["result"] = {"status": kept["result"].get("status", "")}
    if "trace" not in carries:
        kept.pop("trace_id", None)
    return kept


def findings(tmp_path, format, values, envelopes, judge):
    log, file = tmp_path / f"{format}.log", tmp_path / "envelopes.jsonl"
    log.write_bytes(b"\n".join(values) + b"\n")
    file.write_text("\n".join(json.dumps(each) for each in envelopes) + "\n")
    settings = load(
        None,
        overrides={
            "base": str(tmp_path),
            "source": {"format": format},
            "envelopes": {"file": "envelopes.jsonl"},
            "gateways": {GATEWAY: ["*"], **{gateway_of(tenant): [tenant] for tenant in TENANTS}},
        },
    )
    outcome = replay_file(settings, log, lambda _done, _total: None, judge=judge)
    assert not outcome.dead_letters
    told = {
        (f.kind, f.session_id, f.wanted, f.epoch, f.transition, tuple(b.name for b in f.breaches))
        for f in outcome.findings
        if f.kind is not Kind.HYGIENE  # told once per grant, whichever session shows it first
    }
    return told, outcome.decisions


@pytest.fixture(scope="module")
def judge():
    return open_judge(load(None), fingerprint_key=b"k" * 32, fit=lexical().purpose_fit())


@pytest.mark.parametrize("name", [name for name in plugins.names("sources") if name != "guardian"])
def test_a_format_leads_to_the_findings_of_guardians_own_log_less_what_it_does_not_carry(name, tmp_path, judge):
    carries = plugins.find("sources", name).carries
    lines, writing = lines_for(name), Writing(name)
    envelopes = [{k: v for k, v in line["envelope"].items() if v is not None} for line in lines]
    canonical = [json.dumps(stripped(line, carries)).encode() for line in lines]
    expected, decisions = findings(tmp_path, "guardian", canonical, envelopes, judge)
    found, count = findings(tmp_path, name, [writing.of(line) for line in lines], envelopes, judge)
    assert count == decisions == len(lines)
    assert found == expected
    assert {breach for *_, breaches in found for breach in breaches} >= {"envelope_expired", "copied_authority"}
