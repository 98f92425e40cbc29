"""Past calls by the few facts that a test is about."""

from datetime import UTC, datetime
from typing import Any

import pytest

from guardian.archive.redaction import bound
from guardian.domain.past import PastCall
from guardian.domain.restriction import Restriction, Scope, Support
from guardian.domain.rules import Placed, Rule

START = datetime(2026, 2, 2, 9, tzinfo=UTC)
SCOPE = Scope("acme", "review contracts", "agent_review", "")
SUPPORT = Support(
    sessions=200, actions=1000, days=60, last_use=None, denied_at_most=0.015, held_out=70, held_out_broken=0
)


def make_call(**facts: Any) -> PastCall:
    """The defaults are an honest call of `SCOPE`; `bound` follows from arguments and constraints."""
    told: dict[str, Any] = {
        "tenant_id": SCOPE.tenant_id, "session_id": "s1", "purpose": SCOPE.purpose, "role": SCOPE.role,
        "at": START, "tool": "contracts.read", "allowed": True, "arguments": {}, "resource_type": None,
        "resource_id": None, "data_classes": frozenset(), "records": 1,
        "allowed_tools": ("contracts.read", "mail.send"), "constraints": {},
        "expires_at": None, "agent_id": "agent_review-1",
        "delegator_id": "u", "parent_session_id": None, "gateway": "gw", "decision_id": "d1",
        "wanted": "none", "one_in": 1.0,
    } | facts  # fmt: skip
    told.setdefault("bound", tuple(bound(told["arguments"], told["resource_id"], told["constraints"])))
    return PastCall(**told)


def make_placed(age_s: int = 0, parent_role: str = "", **facts: Any) -> Placed:
    return Placed(make_call(**facts), parent_role, age_s)


def restrict(rule: Rule, scope: Scope = SCOPE) -> Restriction:
    return Restriction(scope, rule, "granted, and never used", SUPPORT)


@pytest.fixture(scope="session")
def call():
    return make_call


@pytest.fixture(scope="session")
def placed():
    return make_placed


@pytest.fixture(scope="session")
def restricted():
    return restrict
