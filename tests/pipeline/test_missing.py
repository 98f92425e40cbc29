"""What a log does not say is named in the verdict and never speaks for the session."""

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guardian.domain.finding import Kind

OPTIONAL: dict[str, dict[str, Any]] = {
    "purpose": {"envelope__purpose": ...},
    "agent_id": {"envelope__agent_id": ...},
    "arguments": {"action__arguments": ...},
    "resource": {"action__resource": ...},
    "data_classes": {"action__data_classes": ...},
    "records": {"action__records": ..., "result__records": ...},
    "result": {"result": ...},
    "trace_id": {"trace_id": ...},
}
BARE: dict[str, Any] = {
    "envelope__purpose": ...,
    "envelope__agent_id": ...,
    "envelope__allowed_tools": ...,
    "envelope__resource_constraints": ...,
    "envelope__expires_at": ...,
    "envelope__task_id": ...,
    "action": {"tool": "x"},
    "result": ...,
    "trace_id": ...,
}


@pytest.mark.parametrize("name", OPTIONAL)
def test_a_missing_field_is_named_in_verdict_and_finding(world, body, name: str) -> None:
    world.feed(body(1, **OPTIONAL[name], envelope__expires_at="2026-05-12T16:00:00Z"))
    assert world.scored[0].drift.features_missing == (name,)
    assert {f.features_missing for f in world.findings.values()} == {(name,)}


def test_a_record_that_carries_next_to_nothing_is_still_judged(world, body) -> None:
    world.feed(body(1, **BARE))
    drift = world.scored[0].drift
    assert set(drift.features_missing) == {
        "purpose", "agent_id", "arguments", "resource", "data_classes", "records", "result", "trace_id",
    }  # fmt: skip
    assert next(s for s in drift.signals if s.name == "purpose_fit").silent
    assert {b.name for f in world.told(Kind.HYGIENE) for b in f.breaches} >= {"purpose_missing", "no_expiry"}


@given(st.lists(st.sets(st.sampled_from(sorted(OPTIONAL)), max_size=4), min_size=1, max_size=8))
@settings(max_examples=50, deadline=None)
def test_whatever_is_missing_a_session_never_comes_down(new_world, body, drifting, gaps: list[set[str]]) -> None:
    world = new_world()
    world.feed(*[drifting(n) for n in range(4)])
    reached = (-math.inf, -math.inf, 1.0)
    for n, missing in enumerate(gaps):
        gone = {field: value for name in sorted(missing) for field, value in OPTIONAL[name].items()}
        world.feed(drifting(10 + n, **gone))
        evidence, drift = world.state().evidence, world.scored[-1].drift
        now_at = (evidence.top, evidence.act, drift.one_in)
        assert all(after >= before for after, before in zip(now_at, reached, strict=True))
        reached = now_at


@pytest.mark.parametrize("gone", ["purpose_fit", "purpose_baseline"])
def test_a_signal_with_nothing_to_go_by_has_no_share(world, body, gone: str) -> None:
    world.feed(body(1, envelope__purpose=...))
    drift = world.scored[0].drift
    assert next(s for s in drift.signals if s.name == gone).silent
    assert gone not in drift.shares


def test_an_action_that_no_signal_can_judge_neither_accuses_nor_vouches(new_world, body) -> None:
    world = new_world(signals=["purpose_fit", "purpose_baseline", "envelope_breach"])
    world.feed(body(1, **BARE))
    drift = world.scored[0].drift
    assert (drift.e_value, drift.p_value, drift.score) == (1.0, 1.0, 0.0)


def test_a_record_that_tells_nothing_does_not_vouch(world, body) -> None:
    world.feed(body(1, **BARE))
    assert world.scored[0].drift.e_value >= 1.0
