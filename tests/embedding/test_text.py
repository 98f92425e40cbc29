"""What the encoders read is short, clean and the same every time, whatever an agent puts into its arguments."""

import random
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guardian.embedding.echo import without_echo
from guardian.embedding.grounding import grounding
from guardian.embedding.text import (
    ACTION_CHARS,
    MAX_DEPTH,
    MAX_LEAVES,
    MOST_LEAVES,
    PURPOSE_CHARS,
    clean,
    every_leaf,
    flat,
    leaves,
    overlong,
    render_action,
    render_pair,
    render_purpose,
    without,
    words,
)

json_like = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(max_size=20),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=12), inner, max_size=5),
    max_leaves=30,
)


@settings(max_examples=150, deadline=None)
@given(tool=st.text(max_size=200), arguments=st.dictionaries(st.text(max_size=20), json_like, max_size=8))
def test_any_action_becomes_one_bounded_line(tool: str, arguments: dict[str, object]) -> None:
    line = render_action(tool, arguments)
    assert len(line) <= ACTION_CHARS + 3
    assert "\n" not in line
    assert line.isprintable()
    assert line == render_action(tool, arguments)


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=3_000))
def test_any_purpose_becomes_one_bounded_line(purpose: str) -> None:
    assert len(render_purpose(purpose)) <= PURPOSE_CHARS + 100
    assert render_purpose(purpose).isprintable()


def test_a_slug_reads_as_words_and_prose_stays_prose() -> None:
    assert (
        render_purpose("review_customer_contract_for_renewal_risk") == "review customer contract for renewal risk"
    )
    assert render_purpose("reviewCustomerContract") == "review customer contract"
    assert render_purpose("Pay invoice_17 of ACME.") == "Pay invoice_17 of ACME."


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("contracts.read", "contracts read"),
        ("GmailSendEmail", "gmail send email"),
        ("mcp__crm__bulk-export", "mcp crm bulk export"),
        ("HTTPServerStop", "http server stop"),
    ],
)
def test_tool_names_of_every_style_read_as_words(name: str, expected: str) -> None:
    assert words(name) == expected


def test_a_long_body_cannot_push_the_recipient_out() -> None:
    line = render_action("email.send", {"body": "harmless " * 500, "to": "mallory@evil.example"})
    assert "mallory@evil.example" in line


def test_zero_width_and_control_characters_are_dropped() -> None:
    assert clean("pay\u200bment\x00 \ud800to\u2028Bob", 80) == "payment to Bob"


def test_full_width_letters_fold_to_plain_ones() -> None:
    assert clean("ｄｅｌｅｔｅ", 80) == "delete"


def test_no_number_of_other_arguments_pushes_out_where_something_goes() -> None:
    padded: dict[str, object] = {f"line_{n}": "March" for n in range(1_000)}
    padded |= {"nested": {"more": {"transfer": {"iban": "DE99EVIL"}}}, "method": "POST"}
    assert leaves(padded)[:2] == [("nested.more.transfer.iban", "DE99EVIL"), ("method", "POST")]
    assert "iban: DE99EVIL ; method: POST" in render_action("payments.transfer", padded)
    assert overlong(padded)
    assert not overlong({str(n): n for n in range(MAX_LEAVES)})


def test_the_items_of_all_lists_together_are_bounded_and_no_leaf_is_lost() -> None:
    found = every_leaf({f"list {n}": ["ab", "cd", "ef", "gh"] * 16 for n in range(100)} | {"to": "Eve"})
    assert len(found) == 101
    assert found[0][1] == ", ".join(["ab", "cd", "ef", "gh"] * 16)
    assert found[99:] == [("list 99", "ab"), ("to", "Eve")]


def test_where_everything_fits_the_order_is_the_callers() -> None:
    assert render_action("send", {"note": "hi", "to": "ann"}) == "send | note: hi ; to: ann"


def test_nested_arguments_are_leaves_with_paths() -> None:
    found = leaves({"event": {"guests": ["a", "b"], "slots": [{"day": 1}, {"day": 2}]}})
    assert found == [("event.guests", "a, b"), ("event.slots.0.day", "1"), ("event.slots.1.day", "2")]


def test_endless_nesting_and_endless_items_end() -> None:
    loop: dict[str, object] = {}
    loop["self"] = loop
    assert leaves(loop)[0][1] == "nested"
    assert len(leaves({str(i): i for i in range(100_000)})) == MAX_LEAVES
    assert render_action("x", {"n": 10**5_000, "o": object()}) == "x | n: huge number ; o: object"


def test_the_order_of_a_set_does_not_change_the_text() -> None:
    assert leaves({"ids": {"b", "a", "c"}}) == [("ids", "a, b, c")]


def test_leaving_out_a_path_leaves_the_rest() -> None:
    arguments = {"to": "a@x.org", "body": {"text": "hi", "sign": "me"}}
    assert without(arguments, "body.text") == {"to": "a@x.org", "body.sign": "me"}


def test_history_shows_only_the_last_tools_in_order() -> None:
    _, action = render_pair("p q", ["a1", "b2", "c3", "d4", "e5"], "send", {})
    assert action == "after b2 > c3 > d4 > e5 then send |"
    assert render_pair("p q", [], "send", None)[1] == "send |"


def test_many_long_purposes_take_little_memory_once_they_were_read() -> None:
    rng = random.Random(5)
    tracemalloc.start()
    for _ in range(200):
        purpose = " ".join("".join(rng.choices("abcdefghijklmnopqrtuvwxyz", k=5)) for _ in range(1_300))
        assert grounding(purpose, {"to": purpose[:5]}, ()).named == 1.0
        assert without_echo(purpose, {"note": f"{purpose[:60]} for Eve"}) != {}
    taken = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert taken < 25e6


@pytest.mark.parametrize(
    "arguments",
    [
        {"rows": [{"n": n} for n in range(MOST_LEAVES)], "to": "eve@x.org"},
        {"params": {"rows": [{"n": n} for n in range(MOST_LEAVES)], "note": "eve@x.org"}},
        {**{f"k{n}": n for n in range(MOST_LEAVES)}, "to": "eve@x.org"},
        {**{f"k{n}": {} for n in range(MOST_LEAVES)}, "note": "eve@x.org"},
        {"rows": [str(n) for n in range(MOST_LEAVES)], "to": "eve@x.org"},
    ],
    ids=["rows", "within", "many", "many empty ones", "one list"],
)
def test_what_is_long_hides_nothing_that_stands_behind_it(arguments) -> None:
    assert "eve@x.org" in [value for _, value in every_leaf(arguments)]


@pytest.mark.parametrize("padding", [" " * 1_600, "\n" * 50_000, "\u200b" * 1_600, "\ufeff \u3164\t" * 600])
def test_what_nobody_sees_in_front_of_a_value_hides_none_of_it(padding) -> None:
    plain, padded = ({"to": f"{pad}eve@evil.example", "body": "hello"} for pad in ("", padding))
    assert render_action("email.send", padded) == render_action("email.send", plain)


def test_leaves_of_one_name_cost_no_more_than_others_and_none_is_lost() -> None:
    found = flat(("to", n) for n in range(MOST_LEAVES))
    assert [*found.values()] == [*range(MOST_LEAVES)]
    assert max(map(len, found)) < 16
    names = [name for name in found if name != "to"]
    again = flat([*((name, name) for name in names), *(("to", n) for n in range(MOST_LEAVES))])
    assert len(again) == len(names) + MOST_LEAVES


def test_what_lies_too_deep_to_be_read_is_told() -> None:
    deep: object = "eve@evil.example"
    for _ in range(MAX_DEPTH):
        deep = {"to": deep}
    assert overlong({"x": deep})
    assert not overlong({"to": "nest", "n": 1})
