"""What a gateway makes of names is what guardian makes of them: else a merged policy would refuse nothing."""

import json
import re
from pathlib import Path

import pytest
from cost import cost
from hypothesis import given, settings
from hypothesis import strategies as st

from guardian.domain import envelope, past
from guardian.gateway import facts

VECTORS = json.loads((Path(__file__).parent / "facts" / "vectors.json").read_text(encoding="utf-8"))["vectors"]
UUID = "12345678-1234-1234-1234-123456789012"
UUIDS = [UUID, UUID.replace("1", "a"), UUID.replace("1", "A")]
NUMBERS = ["7", "v7", "v", "0123abcd", "0123ABCD", "cafe", "7f9c6d5b8-x2v4q", "٣", "²"]
pieces = st.sampled_from([*"-_.:/@#", "--", "agent", "x", "\n", *NUMBERS, *UUIDS])
names = st.lists(pieces, max_size=8).map("".join) | st.text(max_size=20)
words = st.sampled_from(
    ["Review", "review", "Acme", "7781", "Q3", "ÉTAT", "ⅷ", "ǅ", "ﬁ", "'Acme", "\u00a0", "\n", ""]
)
slugs = st.lists(st.sampled_from([*"-_/:.#", "refund", "PROJ", "注文", "decade", *NUMBERS, *UUIDS]), max_size=8)
purposes = st.lists(words | slugs.map("".join), max_size=6).map(" ".join) | st.text(max_size=20)


@pytest.mark.parametrize("vector", VECTORS, ids=range(len(VECTORS)))
def test_what_a_gateway_makes_of_names_is_what_the_vectors_say(vector):
    made = facts.scope_facts(vector["purpose"], vector["agent"], vector["parent_agent"])
    assert made == vector["facts"]


@settings(max_examples=500, deadline=None)
@given(purposes, names | st.none(), names | st.none())
def test_and_what_guardian_makes_of_them(purpose, agent, parent):
    assert facts.scope_facts(purpose, agent, parent) == {
        "purpose": envelope.purpose_family(purpose),
        "role": past.agent_role(agent),
        "parent_role": past.agent_role(parent),
    }


def test_a_name_of_separators_is_read_once():
    """Read anew from each of them, and each time with one less, it took half a minute."""

    def reading(separators: int) -> float:
        name = "agent" + "-" * separators + "x"
        assert facts.agent_role(name) == name
        return cost(lambda: facts.agent_role(name))

    assert reading(16_000) < 24 * reading(2_000), "eight times as long"


@pytest.mark.parametrize("end", ["", "x", "-"])
def test_a_name_that_can_be_read_in_many_ways_is_read_once(end):
    """Each UUID is five numbers, too: forty of them are read in 2^40 ways by a pattern that gives back."""
    name = "agent" + f"-{UUID}" * 40 + end
    assert facts.agent_role(name) == past.agent_role(name)


def test_the_pattern_is_one_that_python_3_10_reads():
    assert not re.search(r"[*+?}]\+|\(\?>", facts._INSTANCE.pattern), "possessive, or atomic: of Python 3.11"
