"""Events, observations and every signal there is, for the tests of this folder."""

import copy
import importlib
import json
import pkgutil
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any

import pytest

import guardian.signals
from guardian.domain.event import DecisionEvent
from guardian.domain.signal import Observation, Signal
from guardian.signals.port import SignalFold, State

NOW = datetime(2026, 5, 12, 17, 4, 11, tzinfo=UTC)

RECORD: dict[str, Any] = {
    "schema": "guardian.decision/v1",
    "id": "dec_1",
    "time": NOW.isoformat(),
    "gateway": "mcp-gw-eu-1",
    "envelope": {
        "delegator_id": "user_7f3a91",
        "tenant_id": "tenant_acme",
        "session_id": "sess_2026_05_12_001",
        "task_id": "task_contract_renewal_review_8842",
        "purpose": "review_customer_contract_for_renewal_risk",
        "allowed_tools": ["contracts.read", "crm.read", "tickets.create"],
        "resource_constraints": {
            "customer_id": "cust_acme_1042",
            "contract_ids": ["contract_7781"],
            "max_records": 25,
            "data_classes": ["contract_metadata", "renewal_terms", "support_summary"],
        },
        "expires_at": "2026-05-12T18:30:00Z",
        "agent_id": "agent_renewal_review",
        "parent_session_id": None,
    },
    "action": {
        "tool": "contracts.read",
        "arguments": {"contract_id": "contract_7781"},
        "resource": {"type": "contract", "id": "contract_7781"},
        "data_classes": ["renewal_terms"],
        "records": 1,
    },
    "decision": {"effect": "allow", "policy_ids": ["renewal-readers"], "reason": ""},
    "result": {"status": "ok", "records": 1, "data_classes": ["renewal_terms"]},
    "trace_id": "4bf92f",
}


def make_event(**changes: Any) -> DecisionEvent:
    """The renewal review's first call, with fields replaced: envelope__purpose="...", action__records=None."""
    record = copy.deepcopy(RECORD)
    for path, value in changes.items():
        at = record
        *above, last = path.split("__")
        for step in above:
            at = at[step]
        at[last] = value
    return DecisionEvent.model_validate_json(json.dumps(record))


def run_fold(signal: SignalFold, observations: Iterable[Observation]) -> tuple[State, list[Signal]]:
    """Fold a session; returns the last state and every signal."""
    state, found = signal.start(), []
    for seen in observations:
        state, one = signal.fold(state, seen)
        found.append(one)
    return state, found


def signal_modules() -> list[str]:
    """Every module of the folder that is a signal; helpers of signals export no `plugin`."""
    names = [found.name for found in pkgutil.iter_modules(guardian.signals.__path__)]
    return [name for name in names if hasattr(importlib.import_module(f"guardian.signals.{name}"), "plugin")]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "signal_name" in metafunc.fixturenames:
        metafunc.parametrize("signal_name", signal_modules())


@pytest.fixture(scope="session")
def every_signal() -> list[str]:
    return signal_modules()


@pytest.fixture(scope="session")
def event() -> Callable[..., DecisionEvent]:
    return make_event


@pytest.fixture(scope="session")
def observe() -> Callable[..., Observation]:
    """An observation of a changed event; facts=... are the observation's own fields."""

    def build(*, facts: dict[str, Any] | None = None, **changes: Any) -> Observation:
        made = make_event(**changes)
        return Observation(made, **{"now": made.time, **(facts or {})})

    return build


@pytest.fixture(scope="session")
def folded() -> Callable[..., tuple[State, list[Signal]]]:
    return run_fold


@pytest.fixture(scope="session")
def breaches() -> Callable[..., dict[str, bool]]:
    """Names of the breaches of the last observation, with their hardness."""

    def names(signal: SignalFold, *observations: Observation) -> dict[str, bool]:
        return {breach.name: breach.hard for breach in run_fold(signal, observations)[1][-1].breaches}

    return names


@pytest.fixture
def fold_of() -> Callable[..., SignalFold]:
    """A signal by its module's name."""

    def build(name: str, **options: Any) -> SignalFold:
        made: SignalFold = importlib.import_module(f"guardian.signals.{name}").plugin(**options)
        return made

    return build
