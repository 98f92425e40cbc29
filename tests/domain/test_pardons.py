"""What people waved through, and what in a later call that covers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from guardian.domain.breach import Breach, broken_by, joined, marks, rule_of
from guardian.domain.finding import NamedBreach

VALUES = st.lists(st.text(st.characters(), max_size=5), min_size=1, max_size=12)


def outside(*values: str, hard: bool = True) -> Breach:
    return Breach("outside", ", ".join(values), hard, marks(values))


def over(quantity: float, limit: str = "max_amount", hard: bool = True, summed: bool = False) -> Breach:
    return Breach("over", str(quantity), hard, broken_by(limit, quantity, summed=summed))


STANDS = Breach("expired", "an hour ago")


@pytest.mark.parametrize(
    ("accepted", "later", "waved"),
    [
        (STANDS, Breach("expired", "two hours ago"), True),
        (STANDS, Breach("forged", ""), False),
        (outside("c_2"), outside("c_2"), True),
        (outside("c_2"), outside("c_3"), False),
        (outside("c_2"), outside("c_2", "c_3"), False),
        (outside("c_2", "c_3"), outside("c_3"), True),
        (outside("c_2", "c_3"), outside("c_3", "c_2"), True),
        (outside("c_2"), outside("c_2", hard=False), True),
        (outside("c_2", hard=False), outside("c_2", hard=False), True),
        (outside("c_2", hard=False), outside("c_2"), False),
        (over(505), over(505), True),
        (over(505), over(505.0), True),
        (over(505), over(501), True),
        (over(505), over(505.01), False),
        (over(505), over(501, "max_bytes"), False),
        (over(-3), over(-5), True),
        (over(-5), over(-3), False),
        (over(505), over(501, hard=False), True),
        (over(505, hard=False), over(501, hard=False), True),
        (over(505, hard=False), over(501), False),
        (over(505, summed=True), over(1_010, summed=True), True),
        (over(505, summed=True), over(1_011, summed=True), False),
        (over(505, summed=True), over(505), False),
        (over(10**400), over(float("inf")), True),
        (joined(outside("c_2"), outside("c_3")), outside("c_3"), True),
        (joined(over(505), over(7, "max_bytes")), over(6, "max_bytes"), True),
        (outside(*map(str, range(9))), outside(*map(str, range(8, -1, -1))), True),
        (outside(*map(str, range(9))), outside("3"), False),
        (outside("c_2"), STANDS, False),
    ],
)
def test_what_people_accepted_covers_the_same_in_any_order_and_less_of_it(
    accepted: Breach, later: Breach, waved: bool
) -> None:
    assert later.waved(accepted.remembered) is waved
    assert later.waved(("other", "other#1", *accepted.remembered, "over#=", "over")) is (
        waved or later.name == "over"
    )


@pytest.mark.parametrize(("pardoned", "covers"), [("outside", (True, True)), ("outside?", (False, True))])
def test_a_rule_that_was_pardoned_before_marks_were_known_is_pardoned_whatever_breaks_it(
    pardoned: str, covers: tuple[bool, bool]
) -> None:
    assert (outside("c_3").waved({pardoned}), outside("c_3", hard=False).waved({pardoned})) == covers


@given(VALUES, VALUES)
def test_few_values_are_known_one_by_one_and_many_as_one_thing(one: list[str], other: list[str]) -> None:
    mine, theirs = set(one), set(other)
    assert len(marks(one)) == (len(mine) if len(mine) <= 8 else 1)
    covered = theirs <= mine if len(mine) <= 8 and len(theirs) <= 8 else theirs == mine
    assert outside(*other).waved(outside(*one).remembered) is covered


def test_control_knows_a_breach_as_the_session_does() -> None:
    for breach in (STANDS, outside("c_2", "c_3"), over(505, hard=False)):
        named = NamedBreach(name=breach.name, detail=breach.detail, hard=breach.hard, about=breach.about)
        assert NamedBreach.model_validate_json(named.model_dump_json()).told == breach
        assert {rule_of(entry) for entry in named.told.remembered} == {breach.rule}


def test_a_finding_that_does_not_say_what_broke_a_rule_names_the_rule() -> None:
    named = NamedBreach.model_validate_json('{"name": "outside", "detail": "", "hard": true}')
    assert named.told.remembered == ("outside",)


@pytest.mark.parametrize("about", [["c_2"], ["f" * 32 + "=abc"], ["f" * 32 + " tenant_mismatch"], ["f" * 32] * 9])
def test_what_broke_a_rule_is_told_by_marks_and_by_nothing_else(about: list[str]) -> None:
    said = {"name": "outside", "detail": "", "hard": True}
    with pytest.raises(ValidationError):
        NamedBreach.model_validate({**said, "about": about})
    for quantity in (505, -3, 1e-7, 2**60, 10**400, float("-inf")):
        NamedBreach.model_validate(
            {**said, "about": [*marks(["c_2"]), *broken_by("max_amount", quantity, summed=True)]}
        )
