"""Which argument a verdict names."""

import pytest

from guardian.domain.drift import PURPOSE_FIT, Drift
from guardian.domain.signal import Signal

FIT = Signal(PURPOSE_FIT, 0.9, "unlike the purpose")
OBJECT = Signal("object_mismatch", 1.0, "another order", argument="order_id")
EXPIRED = Signal("envelope_breach", 1.0, "the envelope has expired")


def verdict(*signals: Signal) -> Drift:
    shares = {signal.name: 1.0 / (2 + place) for place, signal in enumerate(signals)}
    return Drift(0.9, 0.01, 10.0, 1.0, 100.0, True, shares, signals)


@pytest.mark.parametrize(
    ("signals", "named"),
    [
        ((FIT, EXPIRED), "note"),
        ((EXPIRED, FIT), None),
        ((OBJECT, FIT), "order_id"),
        ((FIT, OBJECT), "note"),
        ((), None),
    ],
)
def test_the_drift_model_names_an_argument_only_where_its_own_signal_leads(
    signals: tuple[Signal, ...], named: str | None
) -> None:
    assert verdict(*signals).argument(lambda: [("note", 0.2), ("to", 0.1)]) == named


def test_an_argument_without_which_the_score_does_not_fall_is_not_named() -> None:
    assert verdict(FIT).argument(lambda: [("note", 0.0)]) is None
