"""Which values of an act are known, whatever its agent does to hide them."""

from functools import reduce

import pytest

from guardian.embedding.grounding import argument_values, grounding

PURPOSE = "send the nested list to ann@acme.com"
EVE = "eve@evil.io"


@pytest.mark.parametrize(
    "arguments",
    [
        {"to": EVE},
        {"to": f"{' ' * 1_600}{EVE}"},
        {"to": reduce(lambda held, _: {"to": held}, range(12), EVE)},
        {"rows": [{"n": n} for n in range(2_000)], "to": EVE},
    ],
    ids=["plain", "padded", "deep", "behind"],
)
def test_a_stranger_is_one_wherever_it_is_put(arguments):
    found = grounding(PURPOSE, arguments, argument_values({"x": reduce(lambda held, _: [[held]], range(9), EVE)}))
    assert found.fresh == found.fresh_destination == 1.0
