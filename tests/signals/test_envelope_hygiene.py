from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from guardian.domain.signal import Observation, ParentFact, ParentStatus
from guardian.errors import ConfigurationError
from guardian.signals.envelope_hygiene import EnvelopeHygiene

Observe = Callable[..., Observation]
Breaches = Callable[..., dict[str, bool]]


def test_a_tidy_envelope_has_nothing_to_tell(observe: Observe, folded: Any) -> None:
    _, (signal,) = folded(EnvelopeHygiene(), [observe(facts={"other_purposes": 4})])
    assert (signal.value, signal.breaches, signal.reason) == (0.0, (), "a tidy envelope")


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("no_expiry", {"envelope__expires_at": None}),
        ("expiry_far", {"envelope__expires_at": "2026-05-14T00:00:00Z"}),
        ("expiry_far", {"envelope__expires_at": "9999-12-31T00:00:00Z"}),
        ("wildcard_tools", {"envelope__allowed_tools": ["crm.*"]}),
        ("broad_tools", {"envelope__allowed_tools": [f"t{n}" for n in range(21)]}),
        ("tools_unlisted", {"envelope__allowed_tools": []}),
        ("purpose_missing", {"envelope__purpose": "  "}),
        ("purpose_open_ended", {"envelope__purpose": "do whatever the user asks"}),
        ("purpose_open_ended", {"envelope__purpose": "general_assistance"}),
        ("service_account_delegator", {"envelope__delegator_id": "svc-crm"}),
        ("service_account_delegator", {"envelope__delegator_id": "ai-agent-prod"}),
        ("service_account_delegator", {"envelope__delegator_id": "x@p.iam.gserviceaccount.com"}),
        ("service_account_delegator", {"envelope__delegator_id": "CRM service account"}),
        *(
            ("service_account_delegator", {"envelope__delegator_id": machine})
            for machine in (
                *("renovate[bot]", "49699333+dependabot[bot]@users.noreply.github.com", "ci@acme.example"),
                *("deploy-bot@acme.example", "ai-agent-prod@acme.example", "svc.crm@acme.example"),
                *("system:serviceaccount:crm:reader", "pipeline", "crm.agent"),
            )
        ),
        ("blurred_agent", {"facts": {"other_purposes": 5}}),
    ],
)
def test_a_careless_grant_is_named_softly(
    observe: Observe, breaches: Breaches, name: str, changes: dict[str, Any]
) -> None:
    assert breaches(EnvelopeHygiene(), observe(**changes)) == {name: False}
    assert name in EnvelopeHygiene.breaches


@pytest.mark.parametrize(
    "delegator",
    [
        *("user_7f3a91", "anna.svensson@acme.example", "talbot", "ciara", "reagent", "koffi@orange.ci"),
        *("jan.bot@acme.nl", "agent.smith@acme.com", "pipeline_lead@acme.example", "ann@automation.acme.com"),
        *("ann@system.example", "bo@svc.acme.example", "ci.ara@acme.example"),
    ],
)
def test_people_are_not_taken_for_service_accounts(observe: Observe, breaches: Breaches, delegator: str) -> None:
    assert breaches(EnvelopeHygiene(), observe(envelope__delegator_id=delegator)) == {}


def test_a_parents_agent_may_delegate_and_another_machine_is_told(observe: Observe, breaches: Breaches) -> None:
    above = observe(envelope__agent_id="planner-agent").event.envelope
    for agent, told in (("planner-agent", {}), ("other-agent", {"service_account_delegator": False})):
        child = observe(
            envelope__parent_session_id="up",
            envelope__delegator_id=agent,
            facts={"parent": ParentFact(ParentStatus.ACTIVE, above, ("up",))},
        )
        assert breaches(EnvelopeHygiene(), child) == told
        assert breaches(EnvelopeHygiene(), replace(child, redacted={"envelope.agent_id": "hash"})) == {}


def test_however_careless_the_value_stays_small(observe: Observe, folded: Any) -> None:
    worst = observe(
        envelope__delegator_id="svc-all",
        envelope__purpose="*",
        envelope__expires_at=None,
        envelope__allowed_tools=["*"] * 40,
        facts={"other_purposes": 99},
    )
    _, (signal,) = folded(EnvelopeHygiene(), [worst])
    assert signal.value == 0.3
    assert len(signal.breaches) == 6
    assert not any(breach.hard for breach in signal.breaches)


def test_a_lifetime_counts_from_when_its_expiry_was_first_seen(observe: Observe, folded: Any) -> None:
    day_two = {"time": "2026-05-13T18:00:00Z", "envelope__expires_at": "2026-05-14T17:00:00Z"}
    _, signals = folded(EnvelopeHygiene(), [observe(), observe(**day_two)])
    assert [signal.breaches for signal in signals] == [(), ()], "a renewed envelope starts afresh"
    far = {"envelope__expires_at": "2026-05-14T00:00:00Z"}
    _, signals = folded(EnvelopeHygiene(), [observe(**far), observe(**far, time="2026-05-13T23:00:00Z")])
    assert all(signal.breaches for signal in signals), "a far expiry stays far while it comes nearer"
    elsewhere = {"envelope__expires_at": "2026-05-14T02:00:00.000+02:00", "time": "2026-05-13T23:00:00Z"}
    _, signals = folded(EnvelopeHygiene(), [observe(**far), observe(**elsewhere)])
    assert all(signal.breaches for signal in signals), "however its end is spelt"


def test_the_same_shape_is_told_in_the_same_words(observe: Observe, folded: Any) -> None:
    far = {"envelope__expires_at": "2026-05-20T00:00:00Z"}
    _, signals = folded(EnvelopeHygiene(), [observe(**far), observe(**far, time="2026-05-12T17:44:00Z")])
    assert signals[0] == signals[1]


def test_no_patterns_means_nobody_is_a_service_account(observe: Observe, breaches: Breaches) -> None:
    assert breaches(EnvelopeHygiene(service_accounts=()), observe(envelope__delegator_id="svc-crm")) == {}


@pytest.mark.parametrize("options", [{"service_accounts": ("(",)}, {"max_tools": 0}, {"max_lifetime_hours": True}])
def test_impossible_options_are_refused_by_name(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=f"envelope_hygiene.{next(iter(options))}"):
        EnvelopeHygiene(**options)
