"""From values to HTML, and the curve."""

import doctest
import math
import re
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guardian.console import curve, showing
from guardian.console.curve import Span, of_points, of_trend, together
from guardian.console.notices import notice_of
from guardian.console.ports import Thresholds
from guardian.domain.finding import Act
from guardian.domain.timeline import Point
from guardian.wire.cases import TrendPoint

AT = datetime(2026, 5, 12, tzinfo=UTC)
THRESHOLDS = Thresholds(1000, 20_000)
EVIDENCE = st.one_of(st.floats(min_value=0, allow_nan=False), st.just(math.inf), st.just(1.0))


@pytest.mark.parametrize("module", [showing, curve])
def test_the_examples_in_the_docstrings_hold(module):
    assert doctest.testmod(module).failed == 0


@given(st.text(max_size=400), st.integers(min_value=1, max_value=200))
def test_no_text_gets_out_of_its_place(text, limit):
    for html in (showing.value(text, limit), showing.line(text, limit)):
        bare = html
        for ours in ("<bdi>", "</bdi>", "<details class=\"more\">", "</details>", "<summary>", "</summary>",
                     showing._CUT, '<span class="all">', '<span class="nothing">', "</span>"):  # fmt: skip
            bare = bare.replace(ours, "")
        assert not set("<>\"'") & set(bare)
        assert not any(c in bare for c in "\x00\x07\x1b\u202e\u2066\u200b\ud800")


def test_what_is_cut_is_at_hand():
    html = showing.value("word " * 100, 20)
    assert "show all" in html
    assert html.count("word") > 100
    assert "show all" not in showing.value("short", 20)
    assert showing.value("", 20) == showing.value(None, 20) == '<span class="nothing">none</span>'


def test_what_hides_cannot_push_the_rest_out_of_sight():
    html = showing.value("\u200b\u200c" * 70 + "rival@example.net", 160)
    assert "show all" in html
    assert "rival@example.net" in html


def test_what_is_too_long_to_show_says_that_it_is_cut():
    assert "cut here" in showing.value("x" * 30_000)
    assert "cut here" in showing.value("x" + " " * 90_000 + "rival@example.net")
    assert "cut here" not in showing.value("x" * 10_000)


def test_no_paragraph_holds_what_can_be_opened():
    pages = list((Path(showing.__file__).parent / "templates").glob("*.html"))
    assert pages
    for page in pages:
        assert not re.findall(r"<p[ >](?:(?!</p>).)*\|val", page.read_text()), page.name


def test_names_that_differ_in_white_space_differ_on_every_page():
    names = r"\b(?:session|agent|delegator|task|tenant|subject)_id(?: or '[a-z ]+'\))?\|(?:text|val)\b"
    for page in (Path(showing.__file__).parent / "templates").glob("*.html"):
        assert not re.findall(names, page.read_text()), page.name
    link = showing._environment().from_string(
        "{% import 'parts.html' as parts with context %}{{ parts.session_link('t', id) }}"
    )
    shown = {link.render(id=id, link=lambda *_, **__: "") for id in ("a b", " a b", "a b ", "a  b", "a\u00a0b")}
    assert len(shown) == 5


def test_an_ellipsis_of_the_agents_own_is_nothing_cut():
    assert "show all" not in showing.value("wait…", 20)


@given(st.lists(EVIDENCE, min_size=1, max_size=2000))
def test_a_curve_is_within_its_picture_and_loses_no_peak(told):
    made = of_points(
        [Point(AT, one_in, n % 3 == 0, "flag" if n % 7 == 0 else "none") for n, one_in in enumerate(told)],
        THRESHOLDS,
    )
    floor = float(made.area.split()[0].partition(",")[2])
    assert floor < made.height
    for corner in made.line.split() + made.area.split():
        x, y = map(float, corner.split(","))
        assert made.left - 0.1 <= x <= made.right + 0.1
        assert 0 <= y <= floor
    assert len(made.line.split()) <= 1300
    assert len(made.table) <= 41
    assert max(span.one_in for span in made.table) == max(told)
    assert made.highest.one_in == max(told)
    assert made.count == len(told)
    assert made.revoke.y < made.flag.y


def test_where_only_findings_are_known_the_curve_has_their_places():
    made = of_trend(
        [TrendPoint(weight=3.2, actions=4), TrendPoint(weight=5.0, actions=9, promised=False)], THRESHOLDS
    )
    assert made.count == 9
    assert [mark.position for mark in made.marks] == [4, 9]
    assert made.table == (Span(4, 4, pytest.approx(10**3.2), True), Span(9, 9, 1e5, False))


@given(st.lists(st.floats(min_value=0, max_value=1e9), min_size=1, max_size=300), st.integers(1, 50))
def test_neighbours_become_one_with_the_highest_of_them(told, most):
    spans = [Span(n, n, one_in, True) for n, one_in in enumerate(told, 1)]
    found = together(spans, most)
    assert len(found) <= most
    assert [found[0].first, found[-1].last] == [1, len(told)]
    assert all(a.last + 1 == b.first for a, b in pairwise(found))
    assert max(span.one_in for span in found) == max(told)


@pytest.mark.parametrize(
    ("arguments", "argument", "told"),
    [
        ('{"to": "x@y"}', "to", "to: x@y"),
        ('{"a": {"b": [1, 2]}}', "a.b[]", "a.b[]: 2"),
        ('{"to": "x"}', "cc", "cc"),
        ('{"to": "cut…', "to", "to"),
        ("[1]", "to", "to"),
        ("[" * 99_999, "to", "to"),
        ("", None, ""),
    ],
)
def test_the_argument_that_mattered_comes_with_its_value(arguments, argument, told):
    act = Act.model_construct(arguments=arguments, argument=argument)
    assert showing.mattered(act) == told


def test_only_known_words_are_notices():
    assert notice_of("signed_out") is not None
    assert notice_of("revoked") is None, "who is not signed in has done nothing"
    assert notice_of("<b>") is notice_of(None) is notice_of("") is None
