"""What a finding says of itself: whether a gateway ignores the list, whether the session drifted."""

from datetime import UTC, datetime

import pytest

from guardian.domain.breach import NOTED
from guardian.domain.finding import Effect, Finding, Kind, NamedBreach


def told(kind: Kind, *breaches: NamedBreach) -> Finding:
    return Finding(
        id="fnd_1",
        kind=kind,
        tenant_id="acme",
        session_id="s1",
        wanted=Effect.FLAG,
        severity="medium",
        title="",
        breaches=breaches,
        time=datetime(2026, 1, 1, tzinfo=UTC),
    )


RULE = NamedBreach(name="tool_not_allowed", detail="", hard=True)


@pytest.mark.parametrize(
    ("kind", "breaches", "ignores"),
    [
        (Kind.GATEWAY, (), True),
        (Kind.GATEWAY, (RULE,), False),
        (Kind.DRIFT, (), False),
        (Kind.BUS, (), False),
    ],
)
def test_a_gateway_that_broke_no_rule_of_the_envelope_ignores_the_revocation(
    kind: Kind, breaches: tuple[NamedBreach, ...], ignores: bool
) -> None:
    assert told(kind, *breaches).ignores_revocation is ignores


@pytest.mark.parametrize(
    ("kind", "breaches", "confirmed", "dismissed"),
    [
        (Kind.DRIFT, (), 1, 0),
        (Kind.GATEWAY, (RULE,), 1, None),
        (Kind.GATEWAY, (), None, None),
        (Kind.HYGIENE, (RULE,), None, None),
    ],
)
def test_whether_the_session_drifted_is_said_only_of_what_it_did(
    kind: Kind, breaches: tuple[NamedBreach, ...], confirmed: int | None, dismissed: int | None
) -> None:
    finding = told(kind, *breaches)
    assert (finding.drifted(confirmed=True), finding.drifted(confirmed=False)) == (confirmed, dismissed)


def test_what_is_only_noted_asks_for_nothing_unless_it_is_a_fact() -> None:
    name = min(NOTED)
    breach = NamedBreach(name=name, detail="", hard=False)
    assert (breach.asks, breach.model_copy(update={"hard": True}).asks, RULE.asks) == (False, True, True)
