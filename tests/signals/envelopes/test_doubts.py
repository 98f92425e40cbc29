"""What an action names that is not what its envelope's lists are about, or is that under a longer name."""

from collections.abc import Callable
from typing import Any

import pytest

from guardian.domain.signal import Observation
from guardian.signals.envelope_breach import EnvelopeBreach

Observe = Callable[..., Observation]
Breaches = Callable[..., dict[str, bool]]
UNCHECKED = {"arguments_unchecked": False}

LEFT_OUT = [
    {"contract_id": "c_1", "exclude": {"contract_ids": ["c_8", "c_9"]}},
    {"contract_id": "c_1", "not": {"contract_id": "c_9"}},
    {"contract_id": "c_1", "must_not": [{"contract_id": "c_9"}]},
]


@pytest.mark.parametrize("arguments", LEFT_OUT)
def test_what_a_query_leaves_out_is_not_touched(
    observe: Observe, breaches: Breaches, arguments: dict[str, Any]
) -> None:
    for constraints in ({"contract_ids": ["c_1"]}, {"contract_ids": ["c_1"], "denied_contract_ids": ["c_9"]}):
        seen = observe(
            envelope__resource_constraints=constraints, action__arguments=arguments, action__resource=None
        )
        assert breaches(EnvelopeBreach(), seen) == UNCHECKED


@pytest.mark.parametrize(
    ("constraints", "arguments"),
    [
        ({"contract_ids": ["c_1"]}, {"not": {"not": {"contract_id": "c_9"}}}),
        ({"contract_ids": ["c_1"]}, {"blocked": {"contractid": "c_9"}}),
        ({"denied_contract_ids": ["c_9"]}, {"must_not": {"must_not": {"contract_id": "c_9"}}}),
        ({"denied_contract_ids": ["c_9"]}, {"lte": {"contract_id": "c_9"}}),
        ({"denied_contract_ids": ["c_9"]}, {"blocked": [{"contract_id": "c_9"}]}),
        ({"denied_paths": ["/etc/*"]}, {"ignored": {"path": "/etc/passwd"}}),
        ({"skip": ["a"]}, {"skip": "b"}),
    ],
)
def test_what_only_looks_left_out_is_touched(
    observe: Observe, breaches: Breaches, constraints: dict[str, Any], arguments: dict[str, Any]
) -> None:
    seen = observe(envelope__resource_constraints=constraints, action__arguments=arguments, action__resource=None)
    assert breaches(EnvelopeBreach(), seen)["resource_outside_constraints"]


def test_what_is_left_out_under_another_spelling_of_its_name_is_a_doubt(
    observe: Observe, breaches: Breaches
) -> None:
    seen = observe(
        envelope__resource_constraints={"contract_ids": ["c_1"]},
        action__arguments={"not": {"contractid": "c_9"}},
        action__resource=None,
    )
    assert breaches(EnvelopeBreach(), seen) == UNCHECKED


@pytest.mark.parametrize(
    ("constraints", "found"),
    [
        ({"denied_paths": ["/etc"]}, {}),
        ({"denied_paths": ["/etc", "/srv/keys"]}, UNCHECKED),
        ({"data_classes": ["renewal_terms"]}, UNCHECKED),
    ],
)
def test_what_is_denied_may_be_left_out(
    observe: Observe, breaches: Breaches, constraints: dict[str, Any], found: dict[str, bool]
) -> None:
    arguments = {"path": "/srv", "exclude": {"paths": ["/etc"], "data_classes": ["payroll"]}}
    seen = observe(envelope__resource_constraints=constraints, action__arguments=arguments, action__resource=None)
    assert breaches(EnvelopeBreach(), seen) == found


MAIL = {"allowed_recipients": ["*@acme.example"]}
EVE, ANN = "eve@evil.example", "ann@acme.example"


def graph(address: str) -> dict[str, Any]:
    """As Microsoft Graph takes a message."""
    whom = {"emailAddress": {"address": address, "name": "Somebody"}}
    return {"message": {"subject": "Hello", "toRecipients": [whom]}}


@pytest.mark.parametrize(
    ("constraints", "arguments", "value", "reason"),
    [
        *(
            (MAIL, {name: [EVE]}, 0.1, f"arguments.{name} is {EVE}, which allowed_recipients may not allow")
            for name in ("toRecipients", "to_recipients", "emailRecipients")
        ),
        *((MAIL, {name: [ANN]}, 0.0, "inside its envelope") for name in ("toRecipients", "emailRecipients")),
        (
            MAIL,
            graph(EVE),
            0.1,
            f"arguments.message.toRecipients.emailAddress.address is {EVE}, "
            "which allowed_recipients may not allow",
        ),
        (MAIL, graph(ANN), 0.0, "inside its envelope"),
        (
            MAIL,
            {"toRecipients": [{"id": "7"}]},
            0.0,
            "nothing in the call answers to allowed_recipients, so that was not compared",
        ),
        *(
            (
                {constraint: ["acme"]},
                {name: told},
                0.1,
                f"arguments.{name} is {told}, which {constraint} may not allow",
            )
            for constraint, name, told in (
                ("repos", "target_repo", "evil"),
                ("buckets", "destination_bucket", "evil-bucket"),
                ("tables", "source_table", "hr.payroll"),
                ("projects", "projectKey", "HR"),
            )
        ),
        ({"projects": ["acme"]}, {"projectName": "All of it"}, 0.0, "inside its envelope"),
        ({"projects": ["acme"]}, {"is_project": True, "no_project": "acme"}, 0.0, "inside its envelope"),
    ],
)
def test_what_answers_to_a_list_under_a_longer_name_is_compared_with_it(
    observe: Observe,
    folded: Any,
    constraints: dict[str, Any],
    arguments: dict[str, Any],
    value: float,
    reason: str,
) -> None:
    seen = observe(envelope__resource_constraints=constraints, action__arguments=arguments, action__resource=None)
    _, (signal,) = folded(EnvelopeBreach(), [seen])
    assert (signal.value, signal.reason) == (value, reason)
