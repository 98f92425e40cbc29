"""Every signal has a session that must fire and one that must not; none is exempt.

A trace is `guardian.decision/v1` lines. Facts that the log does not carry stand in `facts.json` beside it:
per trace, `fit` per line, `parent`, `baseline` and `other_purposes` for all lines.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from guardian.domain.envelope import Envelope
from guardian.domain.event import DecisionEvent
from guardian.domain.signal import BaselineFact, Observation, ParentFact, ParentStatus
from guardian.signals.credentials.scanner import CredentialScanner

TRACES = Path(__file__).parent.parent / "traces"
FIRES_FROM = 0.5
QUIET_BELOW = 0.25


def observations(folder: Path, trace: str) -> list[Observation]:
    facts_file = folder / "facts.json"
    facts: dict[str, Any] = json.loads(facts_file.read_text()).get(trace, {}) if facts_file.exists() else {}
    parent, baseline = ParentFact(), None
    if found := facts.get("parent"):
        envelope = Envelope.model_validate_json(json.dumps(found["envelope"]))
        parent = ParentFact(ParentStatus(found["status"]), envelope, tuple(found["chain"]))
    if found := facts.get("baseline"):
        sizes, hours = tuple(found["record_sizes"]), tuple(found["hours"])
        baseline = BaselineFact(**{**found, "record_sizes": sizes, "hours": hours})
    seen = []
    for at, line in enumerate((folder / f"{trace}.jsonl").read_text().splitlines()):
        event, hits = CredentialScanner().redact(DecisionEvent.model_validate_json(line))
        seen.append(
            Observation(
                event,
                event.time,
                fit=facts["fit"][at] if "fit" in facts else None,
                parent=parent,
                baseline=baseline,
                credentials=hits,
                other_purposes=facts.get("other_purposes", 0),
            )
        )
    return seen


def test_the_trace_that_must_fire_fires(signal_name: str, fold_of: Any, folded: Any) -> None:
    seen = observations(TRACES / signal_name, "must_fire")
    signals = folded(fold_of(signal_name), seen)[1]
    assert any(signal.breaches or signal.value >= FIRES_FROM for signal in signals), signals
    assert all(signal.reason for signal in signals)


def test_the_trace_that_must_not_fire_stays_quiet(signal_name: str, fold_of: Any, folded: Any) -> None:
    seen = observations(TRACES / signal_name, "must_not_fire")
    signals = folded(fold_of(signal_name), seen)[1]
    assert signals
    assert not any(signal.breaches or signal.value >= QUIET_BELOW for signal in signals), signals
    assert not any(signal.silent for signal in signals), "a trace proves nothing about a silent signal"


def test_no_trace_folder_is_left_without_its_signal(request: pytest.FixtureRequest) -> None:
    for folder in TRACES.iterdir():
        assert (Path(__file__).parents[2] / "guardian" / "signals" / f"{folder.name}.py").exists(), folder.name


def test_a_clause_classifier_with_its_parents_crm_and_ticket_rights_is_named(fold_of: Any, folded: Any) -> None:
    seen = observations(TRACES / "delegation_widening", "must_fire")
    _, (first, *_) = folded(fold_of("delegation_widening"), seen)
    assert [breach.name for breach in first.breaches] == ["copied_authority"]
    assert first.value >= FIRES_FROM
    assert "crm.read" in first.reason
    assert "tickets.create" in first.reason


def test_no_secret_of_the_credential_trace_is_left_in_what_the_signal_says(fold_of: Any, folded: Any) -> None:
    seen = observations(TRACES / "credential_exposure", "must_fire")
    signals = folded(fold_of("credential_exposure"), seen)[1]
    told = repr(seen) + repr(signals)
    assert "AKIA" not in told
    assert "s3cr3tPa55" not in told
