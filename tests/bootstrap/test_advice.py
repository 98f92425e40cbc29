"""The rule of advice as it is configured."""

import json
from contextlib import closing
from unittest.mock import Mock

import pytest
from joserfc.jwk import OKPKey

from guardian.bootstrap import running
from guardian.bootstrap.advice import advice_rule, local_adviser
from guardian.bootstrap.monitor_store import open_monitor_store
from guardian.bootstrap.secrets import SecretFiles
from guardian.config import load
from guardian.errors import AdviserError, ConfigurationError


@pytest.mark.parametrize(("format", "risk"), [("mcp", "high"), ("auto", "high"), ("guardian", "low")])
def test_a_tools_risk_goes_by_the_name_that_the_log_gives_it(format, risk):
    advice = {"risks": {"payments.*": "high"}, "default_risk": "low", "fallback": {"low": "permit"}}
    rule = advice_rule(load(None, overrides={"source": {"format": format}, "advice": advice}))
    assert rule.risk_of("payments.transfer") == "high"
    assert [rule.risk_of(tool) for tool in ("mcp__payments__transfer", "payments/transfer")] == [risk] * 2


@pytest.mark.parametrize(("format", "tool"), [("authzen", "crm.read"), ("auto", "crm.read"), ("guardian", "read")])
def test_a_server_that_is_named_beside_a_tool_is_part_of_its_name_where_the_logs_adapter_makes_it_so(format, tool):
    rule = advice_rule(load(None, overrides={"source": {"format": format}}))
    assert (rule.tool_of("read", "crm"), rule.tool_of("read", None)) == (tool, "read")


def test_a_call_that_is_asked_about_breaks_no_rule_for_want_of_a_signature(tmp_path):
    """A gateway has none to show: what it asks has no place for one."""
    key = OKPKey.generate_key("Ed25519", auto_kid=True).as_dict(private=False)
    (tmp_path / "jwks.json").write_text(json.dumps({"keys": [key]}))
    keys = {"directory": str(tmp_path / "keys"), "envelope_jwks": str(tmp_path / "jwks.json")}
    store = {"monitor": f"sqlite:///{tmp_path}/monitor.db"}
    settings = load(None, overrides={"model": {"engine": "lexical"}, "keys": keys, "store": store})
    SecretFiles.of(settings).create()
    call = {
        "schema": "guardian.decision/v1", "id": "proposed_1", "time": "2026-05-12T17:04:11Z", "gateway": "gw",
        "envelope": {"delegator_id": "u", "tenant_id": "t", "session_id": "s", "allowed_tools": ["a.b"]},
        "action": {"tool": "a.b"}, "decision": {"effect": "allow"},
    }  # fmt: skip
    adviser, line = local_adviser(settings), json.dumps(call).encode()
    with pytest.raises(AdviserError, match="has not opened its store yet"):
        adviser.weigh(line, 60)
    with closing(open_monitor_store(settings, makes=True)) as monitors:
        adviser.reads(monitors)
        assert adviser.weigh(line, 60).hard_breaches == ()


@pytest.mark.parametrize("run", [running.watch, running.run])
def test_a_monitor_that_does_not_start_has_not_brought_its_database_up_to_date_for_its_adviser(
    run, tmp_path, monkeypatch
):
    def refused(*_args, **_options):
        raise ConfigurationError("no token")

    monkeypatch.setattr(running, "AdviceServer", Mock())
    monkeypatch.setattr(running, "Monitor", refused)
    monkeypatch.setattr(running, "Control", refused)  # for `run` it comes first
    settings = load(
        None,
        overrides={
            "model": {"engine": "lexical"},
            "keys": {"directory": str(tmp_path / "keys")},
            "store": {"monitor": f"sqlite:///{tmp_path}/monitor.db"},
            "monitor": {"advise_port": 1},
            "advice": {"enabled": True},
        },
    )
    SecretFiles.of(settings).create()
    with pytest.raises(ConfigurationError, match="no token"):
        run(settings)
    assert not (tmp_path / "monitor.db").exists()
