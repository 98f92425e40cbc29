"""What is remembered of an envelope is stored: another guardian must find the same."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from guardian.domain.envelope import Envelope
from guardian.domain.signal import Observation
from guardian.signals.delegation_widening import DelegationWidening
from guardian.signals.envelopes.reissue import essence


@pytest.mark.parametrize(
    ("constraints", "kept"),
    [
        (
            {"z": 25.0, "a": {"ids": ["é", 2.5, None, True], "y": 1e300, "x": -0.0}, "€": "\n\x7f😀"},
            r'{"a":{"ids":["\u00e9",2.5,null,true],"x":-0.0,"y":1e+300},"z":25.0,"\u20ac":"\n\u007f\ud83d\ude00"}',
        ),
        (
            {"ids": [f"{'Ö' if n % 2 else 'c'}-{n % 97}" for n in range(3_000)]},
            "#900fbf7edaf0868264950109a4dd4bc9",
        ),
    ],
    ids=["short", "long"],
)
def test_what_was_remembered_before_is_remembered_so(
    observe: Callable[..., Observation], constraints: dict[str, Any], kept: str
) -> None:
    envelope = Envelope(
        delegator_id="Maya Ö",
        tenant_id="acme",
        session_id="s",
        purpose="Prüfe den Vertrag 7",
        allowed_tools=("Mail.sénd", "crm.read", "t" * 129),
        resource_constraints=constraints,
        expires_at=datetime(2026, 5, 12, 9, 5, tzinfo=UTC),
        parent_session_id="root😀",
    )
    seen = observe(facts={"redacted": {"delegator_id": "hash", "z.é": "drop"}})
    event = seen.event.model_copy(update={"envelope": envelope})
    assert essence(replace(seen, event=event)) == {
        "tools": ["#274a580b94e9633dadb44e9968b89069", "Mail.sénd", "crm.read"],
        "count": 3,
        "purpose": "ca713164b1cf56a3b47d5af8ccb244f6",
        "expires": "2026-05-12T09:05:00+00:00",
        "constraints": kept,
        "delegator": "29f1c4a952f91c605110ec0335f24647",
        "parent": "ab659e22e8faec91eb87e93427ad9c9d",
        "rules": "32fbc0b5b02bd3840a590b1312db4717",
    }


COMPOSED, APART = "Pr\u00fcfe die Gr\u00f6\u00dfe", "Pru\u0308fe die Gro\u0308\u00dfe"


@pytest.mark.parametrize(("first", "then"), [(COMPOSED, APART), (APART, COMPOSED)])
def test_a_purpose_whose_accents_are_written_apart_is_the_same(
    observe: Callable[..., Observation], breaches: Callable[..., dict[str, bool]], first: str, then: str
) -> None:
    seen = observe(envelope__purpose=first), observe(envelope__purpose=then)
    assert breaches(DelegationWidening(), *seen) == {}
    other = observe(envelope__purpose="Prufe die Grosse")
    assert breaches(DelegationWidening(), seen[0], other) == {"reissued_purpose": True}
