from typing import Any

import pytest

from guardian.errors import ConfigurationError
from guardian.signals.purpose_fit import PurposeFit


def test_the_value_is_the_models_reading(observe: Any, folded: Any) -> None:
    _, signals = folded(PurposeFit(), [observe(facts={"fit": fit}) for fit in (0.0, 0.45, 0.93, 1.0000001)])
    assert [signal.value for signal in signals] == [0.0, 0.45, 0.93, 1.0]
    said = [signal.reason.split(" the declared")[0] for signal in signals]
    assert said == [
        f"contracts.read {word}" for word in ("is 0.00 away from", "fits poorly", "does not fit", "does not fit")
    ]


@pytest.mark.parametrize(
    ("facts", "purpose", "missing"),
    [
        ({"fit": None}, "", "purpose"),
        ({"fit": None}, "review", "drift model"),
        ({"fit": float("nan")}, "review", "drift model"),
    ],
)
def test_without_a_reading_it_is_silent_and_says_what_is_missing(
    observe: Any, folded: Any, facts: Any, purpose: str, missing: str
) -> None:
    _, (signal,) = folded(PurposeFit(), [observe(facts=facts, envelope__purpose=purpose)])
    assert signal.silent
    assert missing in signal.reason


def test_missing_arguments_are_told(observe: Any, folded: Any) -> None:
    _, (signal,) = folded(PurposeFit(), [observe(action__arguments=None, facts={"fit": 0.9})])
    assert signal.reason.endswith("its arguments are missing")


def test_what_is_quoted_is_bounded_and_neutralised(observe: Any, folded: Any) -> None:
    seen = observe(
        envelope__purpose="review <!channel>\u202e`rm`\n" + "p" * 5_000,
        facts={"fit": 0.9},
    )
    _, (signal,) = folded(PurposeFit(), [seen])
    assert len(signal.reason) < 200
    assert signal.reason.isprintable()
    assert not set("<`\u202e\n") & set(signal.reason)


def test_impossible_options_are_refused_by_name() -> None:
    with pytest.raises(ConfigurationError, match=r"purpose_fit\.purpose_chars"):
        PurposeFit(purpose_chars=0)
