from dataclasses import replace
from typing import Any

import pytest

from guardian.domain.event import Origin
from guardian.errors import ConfigurationError
from guardian.signals.denial_pressure import DenialPressure


@pytest.fixture
def pressure(observe: Any, folded: Any) -> Any:
    """Values over a session written as one letter a call: "." allowed, a letter the name of a denied tool."""

    def values(calls: str, **options: Any) -> list[float]:
        seen = [
            observe() if call == "." else observe(action__tool=call, decision__effect="deny") for call in calls
        ]
        return [signal.value for signal in folded(DenialPressure(**options), seen)[1]]

    return values


def test_without_denials_there_is_no_pressure(pressure: Any) -> None:
    assert pressure("....") == [0.0] * 4


@pytest.mark.parametrize(
    ("absent", "reason"), [(("decision",), "missing: what the gateway decided"), ((), "nothing denied lately")]
)
def test_a_log_that_tells_no_decisions_does_not_say_that_nothing_was_denied(
    observe: Any, folded: Any, absent: tuple[str, ...], reason: str
) -> None:
    seen = observe()
    origin = Origin(format="otel", absent=absent)
    seen = replace(seen, event=seen.event.model_copy(update={"origin": origin}))
    _, (signal,) = folded(DenialPressure(), [seen])
    assert (signal.value, signal.reason) == (0.0, reason)


def test_one_denial_is_no_pattern(pressure: Any) -> None:
    assert pressure("a")[-1] < 0.1
    assert pressure("...a")[-1] < 0.1


def test_pressure_rises_with_every_denial(pressure: Any) -> None:
    values = pressure("a" * 20)
    assert values == sorted(values)
    assert len(set(values)) == 20
    assert values[-1] > 0.85


def test_probing_different_tools_weighs_more(pressure: Any) -> None:
    assert pressure("abcd")[-1] > pressure("aaaa")[-1]
    assert pressure("abcd", distinct_weight=0)[-1] == pressure("aaaa", distinct_weight=0)[-1]


def test_pressure_falls_as_calls_are_allowed_again(pressure: Any) -> None:
    values = pressure("aaaaa" + "." * 20)[4:]
    assert values == sorted(values, reverse=True)
    assert values[-1] == 0.0


def test_a_share_of_denials_counts_not_their_number_alone(pressure: Any) -> None:
    assert pressure("a.a.a.a.")[-1] < pressure("aaaa")[-1]


def test_the_reason_counts_and_names_the_tool(observe: Any, folded: Any) -> None:
    denied = [observe(action__tool=tool, decision__effect="deny") for tool in ("payments.read", "pay <b>")]
    _, signals = folded(DenialPressure(), [*denied, observe()])
    assert signals[1].reason == "2 of the last 2 calls were denied, for 2 tools; now pay ‹b›"
    assert signals[2].reason == "2 of the last 3 calls were denied, for 2 tools"


def test_impossible_options_are_refused_by_name() -> None:
    with pytest.raises(ConfigurationError, match=r"denial_pressure\.window"):
        DenialPressure(window=1)
