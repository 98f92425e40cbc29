"""The rule of advice as it is configured."""

import pytest

from guardian.bootstrap.advice import advice_rule
from guardian.config import load


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
