"""What config/examples holds for operators names only what there is."""

import configparser
import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.main import get_command

from guardian.alerting.ocsf import to_ocsf
from guardian.bootstrap.checking import check_plugins
from guardian.bootstrap.sources import open_source
from guardian.cli import app
from guardian.commands.samples import samples
from guardian.config import load
from guardian.domain.record import Record
from guardian.sources.port import Told
from guardian.telemetry import METRICS, Metrics

EXAMPLES = Path(__file__).parents[2] / "config" / "examples"
RULES = [
    rule
    for group in yaml.safe_load((EXAMPLES / "prometheus" / "alerts.yml").read_text("utf-8"))["groups"]
    for rule in group["rules"]
]
SEEN = ("WorkingDirectory", "EnvironmentFile", "ReadWritePaths", "ProtectSystem", "PrivateTmp")
"""What of a unit decides whether a file is found, or may be written."""
COUNTING = [rule for rule in RULES if "increase(" in rule["expr"]]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_an_alert_rule_asks_for_metrics_and_labels_that_are_there(rule: dict[str, dict[str, str]]) -> None:
    named = set(re.findall(r"\bguardian_\w+", str(rule["expr"])))
    assert named <= set(METRICS)
    labels = {label for name in named for label in METRICS[name].labels}  # type: ignore[index]
    wanted = set(re.findall(r"(\w+)=~?\"", str(rule["expr"]))) | set(re.findall(r"\$labels\.(\w+)", str(rule)))
    assert wanted <= labels | {"job", "instance"}
    assert rule["labels"]["severity"] in {"warning", "critical"}
    assert rule["annotations"]["action"]


@pytest.mark.parametrize("rule", COUNTING, ids=lambda rule: rule["alert"])
def test_what_a_rule_counts_is_shown_before_it_happens(rule: dict[str, str]) -> None:
    """By a page at its start, or by the loops and alert channels, whose names are configured."""
    page = Metrics().render().decode()
    counted = re.findall(r"increase\((guardian_\w+)", rule["expr"])
    assert counted
    for counter in counted:
        assert f"\n{counter}" in page or METRICS[counter].labels in {("loop",), ("channel", "outcome")}


def test_the_alert_for_a_calibration_that_was_left_warns_where_the_finding_does() -> None:
    (rule,) = (each for each in RULES if each["alert"] == "GuardianLeftCalibration")
    one_in = load().monitor.departure_one_in
    assert rule["expr"] == f'guardian_departure_evidence{{direction="further out"}} >= {one_in:.0f}'


def test_an_adviser_that_was_given_up_wakes_nobody_while_nobody_asks_it() -> None:
    """The gauge turns back only with an answer, and without a question there is none."""
    (rule,) = (each for each in RULES if each["alert"] == "GuardianAdviserGivenUp")
    assert rule["expr"].endswith(' and on (job, instance) rate(guardian_advice_total{answer="fallback"}[2m]) > 0')


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_an_alert_names_commands_that_are_there(rule: dict[str, dict[str, str]]) -> None:
    for words in re.findall(r"`guardian ([^`]+)`", rule["annotations"]["action"]):
        _follow(words.split())


@pytest.mark.parametrize("unit", sorted(EXAMPLES.glob("systemd/*.service")), ids=lambda path: path.stem)
def test_a_unit_starts_a_command_that_is_there(unit: Path) -> None:
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string(unit.read_text("utf-8"))
    program, *words = parser["Service"]["ExecStart"].split()
    assert program.endswith("/guardian")
    _follow(words)
    assert "2" in parser["Service"]["RestartPreventExitStatus"].split()
    (line,) = re.findall(r"^#   (systemd-run (?:.*\\\n#)*.*)", unit.read_text("utf-8"), re.MULTILINE)
    options, asked = line.replace("\\\n#", " ").split(f" {program} ")
    _follow(asked.split())
    told = dict(each.split("=", 1) for each in re.findall(r" -p (\S+)", options))
    assert told == {name: parser["Service"][name] for name in SEEN}, "the doctor meets what the unit will"


def _follow(words: list[str]) -> None:
    """Walk down the commands and groups that `words` name; an option must be one of the last command's."""
    command = get_command(app)
    for word in words:
        if word.startswith("-"):
            assert any(word in parameter.opts for parameter in command.params), word
        elif hasattr(command, "commands"):
            assert word in command.commands, word
            command = command.commands[word]


@pytest.mark.parametrize("example", sorted(EXAMPLES.glob("gateways/*.yaml")), ids=lambda path: path.stem)
def test_a_gateways_example_holds_its_side_and_a_configuration_that_stands(example: Path, tmp_path: Path) -> None:
    *_, ours = yaml.safe_load_all(example.read_text("utf-8"))
    (tmp_path / "guardian.yaml").write_text(yaml.safe_dump(ours), "utf-8")
    settings = load(tmp_path / "guardian.yaml")
    check_plugins(settings)
    assert settings.gateways
    assert settings.source.format == ours["source"]["format"]


def test_a_line_of_envoys_ai_gateway_has_the_session_user_and_agent_of_its_example(tmp_path: Path) -> None:
    """As its documentation shows a call: there the MCP server had no session."""
    log, route, ours = yaml.safe_load_all((EXAMPLES / "gateways" / "envoy-ai-gateway.yaml").read_text("utf-8"))
    (tmp_path / "guardian.yaml").write_text(yaml.safe_dump(ours), "utf-8")
    settings = load(tmp_path / "guardian.yaml")
    claims = {each["header"]: each["claim"] for each in route["spec"]["securityPolicy"]["oauth"]["claimToHeaders"]}
    metadata = {"mcp_method": "tools/call", "mcp_tool_name": "resolve-library-id", "mcp_backend": "context7"}
    known = {f"%DYNAMIC_METADATA(io.envoy.ai_gateway:{name})%": value for name, value in metadata.items()}
    known |= {f"%REQ({header.upper()})%": f"the {claim}" for header, claim in claims.items()}
    known |= {"%START_TIME%": "2025-10-08T10:42:11.430Z", "%RESPONSE_CODE%": 200, "%REQ(X-REQUEST-ID)%": "cf2c"}
    line = json.dumps({key: known.get(value) for key, value in log["json"].items()}).encode()
    (told,) = open_source(settings).read(Record("envoy.access", 0, 0, line))
    assert isinstance(told, Told)
    envelope = told.event.envelope
    assert (told.event.action.tool, envelope.tenant_id) == ("context7.resolve-library-id", "tenant_acme")
    assert (envelope.session_id, envelope.delegator_id, envelope.agent_id) == (
        "the sid", "the sub", "the client_id",
    )  # fmt: skip


def test_the_pipeline_for_elastic_copies_what_an_event_holds() -> None:
    event = to_ocsf(
        samples(datetime(2026, 5, 12, tzinfo=UTC))["flagged"].model_copy(update={"link": "https://g.example/x"})
    )
    processors = json.loads((EXAMPLES / "elastic" / "ingest-pipeline.json").read_text("utf-8"))["processors"]
    read = [each["set"]["copy_from"] for each in processors if "copy_from" in each.get("set", {})]
    read += [each[kind]["field"] for each in processors for kind in ("date", "foreach") if kind in each]
    assert read
    for path in read:
        found: Any = event
        for step in path.split("."):
            found = found[int(step)] if step.isdigit() else found[step]
        assert found, path
