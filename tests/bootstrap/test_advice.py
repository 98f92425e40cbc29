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
