"""Text of others: nothing in it hides, and it is told as it was written."""

import doctest
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guardian.domain import text as module
from guardian.domain.text import plain, visible

settings.register_profile("unhurried", deadline=None)  # a busy machine is no finding
settings.load_profile("unhurried")
HOSTILE = st.text(
    alphabet=st.one_of(
        st.characters(),
        st.sampled_from(
            "<>&*_~`@#:!|/=?+-\n\t\r\x00\x1b\u202e\u200b\u2066\ufeff\u00ad\ud800\U000e0041\u0301\u2028"
        ),
    ),
    max_size=300,
)


def test_the_examples_in_the_docstrings_hold() -> None:
    assert doctest.testmod(module).failed == 0


# Default_Ignorable_Code_Point of Unicode's DerivedCoreProperties.txt: what is drawn as nothing at all.
IGNORABLE = (
    *(0x00AD, 0x034F, 0x061C, 0x115F, 0x1160, 0x17B4, 0x17B5, *range(0x180B, 0x1810), *range(0x200B, 0x2010)),
    *(*range(0x202A, 0x202F), *range(0x2060, 0x2070), 0x3164, *range(0xFE00, 0xFE10), 0xFEFF, 0xFFA0),
    *(*range(0xFFF0, 0xFFF9), *range(0x1BCA0, 0x1BCA4), *range(0x1D173, 0x1D17B), *range(0xE0000, 0xE1000)),
)


def test_every_character_that_is_drawn_as_nothing_is_shown() -> None:
    assert [f"{each:04X}" for each in IGNORABLE if plain(f"a{chr(each)}b", 50) != f"a‹U+{each:04X}›b"] == []


@given(HOSTILE)
def test_neutralising_twice_changes_nothing_more(text: str) -> None:
    once = plain(text, 5000)
    assert plain(once, 5000) == once


@given(HOSTILE)
def test_a_visible_line_keeps_its_spaces_and_is_one_line(text: str) -> None:
    assert visible("  a   b ") == "  a   b "
    line = visible(text)
    assert {unicodedata.category(char) for char in line} & {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"} == set()
    assert visible(line) == line


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\u202eb", "a‹U+202E›b"),
        ("\u200b" * 40 + "x", "‹U+200B×40›x"),
        ("\x1b[31mred", "‹U+001B›[31mred"),
        ("one\r\n\ttwo", "one two"),
        ("e" + "\u0301" * 50 + "!", "e" + "\u0301" * 3 + "!"),
        ("x" * 60, "x" * 49 + "…"),
        ("", ""),
    ],
)
def test_what_was_hidden_is_shown_by_its_code_point(text: str, shown: str) -> None:
    assert plain(text, 50) == shown
