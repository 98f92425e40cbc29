"""Judged decisions without a judge: events as gateways log them, with verdicts as the scorer gives them."""

import hashlib
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from guardian.archive.redaction import ArgumentRule, Redaction
from guardian.archive.rows import Rows
from guardian.domain.batch import Decoded, ScoredDecision
from guardian.domain.breach import Breach
from guardian.domain.drift import Drift
from guardian.domain.event import DecisionEvent
from guardian.domain.record import Record
from guardian.domain.signal import Signal

START = datetime(2026, 5, 12, 17, tzinfo=UTC)


def make_verdict(
    n: int = 0, *, tenant: str = "acme", session: str = "s1", days: float = 0, **more: Any
) -> ScoredDecision:
    """`more` may hold act, agent, arguments, at, constraints, expires_at, fit, purpose, resource, result, tool,
    vectors and effect."""
    at = more.get("at", START + timedelta(days=days, seconds=n))
    event = DecisionEvent.model_validate(
        {
            "schema": "guardian.decision/v1", "id": f"d{n}", "time": at, "gateway": "gw",
            "envelope": {
                "delegator_id": "u", "tenant_id": tenant, "session_id": session,
                "purpose": more.get("purpose", "review contract 7781"),
                "allowed_tools": ("contracts.read", "mail.send"),
                "resource_constraints": more.get("constraints", {"contract_ids": ["contract_7781"]}),
                "expires_at": more.get("expires_at"),
                "agent_id": more.get("agent", "agent_review-3"),
            },
            "action": {
                "tool": more.get("tool", "contracts.read"), "arguments": more.get("arguments"),
                "resource": more.get("resource"), "records": more.get("records"),
            },
            "decision": {"effect": more.get("effect", "allow")},
            "result": more.get("result"),
        }
    )  # fmt: skip
    signals = (
        Signal("purpose_fit", more.get("fit", 0.25)),
        Signal("purpose_baseline", 0.0, silent=True),
        Signal("envelope_breach", 1.0, breaches=(Breach("records_over_limit", "27 of 25"),)),
    )
    drift = Drift(0.5, 0.125, 1.5, 0.25, 4.0, True, {"purpose_fit": 1.0}, signals, ("trace_id",), 0.125)
    digest = hashlib.sha256(event.model_dump_json().encode()).hexdigest()
    decoded = Decoded(Record("log", 0, n, b""), event, digest, at, False)
    return ScoredDecision(decoded, drift, more.get("vectors"), more.get("act"))


@pytest.fixture
def verdict():
    return make_verdict


@pytest.fixture
def rows():
    """Rows under the given rules; the keyed hash is recognisable."""

    def made(*rules: ArgumentRule, origin: str = "live") -> Rows:
        return Rows(Redaction(rules, lambda text: f"<{len(text)}>"), {"model": "m1", "calibration": "c1"}, origin)

    return made
