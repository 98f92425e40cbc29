"""Hostile text, made safe to show."""

import re
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guardian.alerting.neutralise import code, codes, csv_cell, header, prose
from guardian.domain.text import plain

HOSTILE = st.text(
    alphabet=st.one_of(
        st.characters(),
        st.sampled_from(
            "<>&*_~`@#:!|/=?+-\n\t\r\x00\x1b\u202e\u200b\u2066\ufeff\u00ad\ud800\U000e0041\u0301\u2028"
        ),
    ),
    max_size=300,
)
LIMIT = st.integers(min_value=8, max_value=200)
SHOWS = (plain, prose, code, header, csv_cell)
settings.register_profile("unhurried", deadline=None)  # a busy machine is no finding
settings.load_profile("unhurried")


@given(HOSTILE, LIMIT)
def test_every_place_of_display_keeps_to_its_bound(text: str, limit: int) -> None:
    for show in SHOWS:
        assert len(show(text, limit)) <= limit


@given(HOSTILE, LIMIT)
def test_no_control_bidi_or_invisible_character_reaches_anybody(text: str, limit: int) -> None:
    for show in SHOWS:
        shown = show(text, limit)
        assert {unicodedata.category(char) for char in shown} & {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"} == set()


@given(HOSTILE, LIMIT)
def test_slack_sees_no_bracket_and_no_broken_entity(text: str, limit: int) -> None:
    for show in (prose, code):
        shown = show(text, limit)
        assert "<" not in shown
        assert ">" not in shown
        assert re.sub(r"&(amp|lt|gt);", "", shown).count("&") == 0


@given(HOSTILE, LIMIT)
def test_a_code_span_cannot_be_left(text: str, limit: int) -> None:
    shown = code(text, limit)
    assert shown[0] == shown[-1] == "`"
    assert "`" not in shown[1:-1]
    assert len(shown) > 2


@given(HOSTILE, LIMIT)
def test_spans_of_code_hold_all_of_a_text_each_within_its_bound(text: str, limit: int) -> None:
    spans = codes(text, limit)
    assert max(map(len, spans)) <= limit
    whole = "".join(span[1:-1] for span in spans)
    assert whole == code(text, 100_000)[1:-1]
    assert "`" not in whole
    assert not any(re.search(r"&[a-z]*\Z", span[1:-1]) for span in spans), "no entity is cut in two"


TIME = re.compile(r"(?<![\d:])\d\d:\d\d:\d\d(?![\d:])")
"""What is read as a time of day, and as no emoji."""


@given(HOSTILE, LIMIT)
def test_prose_carries_no_markup_mention_link_or_emoji(text: str, limit: int) -> None:
    shown = prose(text, limit)
    assert not set(shown.replace("[:]", "").replace("[.]", "")) & set("*~`[]")
    assert not re.search(r"(?<!\w)[@#]\w", shown)
    assert "://" not in shown
    assert not re.search(r":[a-z0-9_+'-]+:", TIME.sub(" ", shown), re.IGNORECASE)
    assert not re.search(r"(?<!\w)_\w.*\w_(?!\w)", shown)


@given(HOSTILE, LIMIT)
def test_no_part_of_a_header_is_decoded_once_more(text: str, limit: int) -> None:
    assert "=?" not in header(text, limit)
    assert "://" not in header(f"https://{text}", limit)
    assert header(f"=?utf-8?q?{text}?=", 5000).startswith("＝?utf-8?q?")


@given(HOSTILE, LIMIT)
def test_a_cell_never_starts_a_formula(text: str, limit: int) -> None:
    assert not csv_cell(text, limit).startswith((*"=+-@|%＝＋－＠",))


@given(st.text(alphabet=st.characters(categories=["L", "Nd"], exclude_characters="\u115f\u1160\u3164\uffa0")))
def test_ordinary_words_are_left_as_they_are(text: str) -> None:
    for show in (plain, prose, csv_cell):
        assert show(text, 10_000) == text
    assert code(text or "x", 10_000) == f"`{text or 'x'}`"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("<!channel> hi", "&lt;!channel&gt; hi"),
        ("<https://evil.example|your bank>", "&lt;https[:]//evil.example|your bank&gt;"),
        ("@here and #general", "＠here and ＃general"),
        ("mail a@b.example", "mail a@b.example"),
        ("mailto:a@b.example", "mailto[:]a@b.example"),
        ("www.evil.example", "www[.]evil.example"),
        ("漢字www.evil.example", "漢字www[.]evil.example"),
        ("*bold* _slant_ ~gone~", "∗bold∗ ＿slant＿ ∼gone∼"),
        ("review_customer_contract", "review_customer_contract"),
        (":white_check_mark: approved", "∶white_check_mark: approved"),
        (":100: :39: 12:100:12", "∶100: ∶39: 12∶100:12"),
        ("expired at 2026-12-02T06:39:59.350000+00:00", "expired at 2026-12-02T06:39:59.350000+00:00"),
        ("> quoted", "› quoted"),
        ("[text](javascript:alert(1))", "［text］(javascript:alert(1))"),
        ("Tom & Jerry", "Tom &amp; Jerry"),
    ],
)
def test_prose_for_slack_reads_the_same_and_does_nothing(text: str, shown: str) -> None:
    assert prose(text, 200) == shown


def test_a_cut_never_falls_inside_an_entity() -> None:
    assert prose("&&&&", 12) == "&amp;&amp;…"


def test_an_empty_code_span_shows_a_dash() -> None:
    assert code("", 20) == "`–`"


def test_an_email_address_stays_readable_as_evidence() -> None:
    assert code('{"to": "broker@evil.example"}', 80) == '`{"to": "broker@evil.example"}`'


def test_a_formula_is_quoted() -> None:
    assert csv_cell("＝1+1", 10) == "'＝1+1"  # so some spreadsheets read it
    assert csv_cell('=HYPERLINK("x")', 50) == '\'=HYPERLINK("x")'
