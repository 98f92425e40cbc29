"""What tools are for: honest calls do what was asked or look at it first; drift is something else, or more."""

import hashlib
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guardian.embedding.consequence import Consequence, consequence
from guardian.training.apis import Operation
from guardian.training.pairs import HONEST, Example
from guardian.training.tasks import NEAR, PREREQUISITE, WEIGHED, tool_examples
from guardian.training.tools import MOST_OF_A_SERVICE, Services, services

from .conftest import THINGS


@pytest.fixture(scope="module")
def known(made_operations: list[Operation]) -> Services:
    return services(made_operations, seed=1)


def _things(text: str) -> set[str]:
    return {thing for thing in THINGS if thing[:-1] in text.lower()}


def _asked(example: Example) -> set[str]:
    return _things(example.request.purpose)


def _touched(example: Example) -> set[str]:
    return _things(example.request.tool)


def test_examples_repeat_with_their_seed_and_change_with_another(known: Services) -> None:
    assert tool_examples(known, 50, seed=3) == tool_examples(known, 50, seed=3)
    assert tool_examples(known, 50, seed=3) != tool_examples(known, 50, seed=4)


def test_honest_calls_are_on_what_was_asked_for_and_drift_mostly_is_not(known: Services) -> None:
    found = tool_examples(known, 3_000, seed=5)
    kinds = Counter(example.kind for example in found)
    assert set(kinds) == {"honest", "prerequisite", "near", "service", "foreign", "further"}
    assert min(kinds.values()) > 100
    for example in found:
        if " " not in example.request.purpose:
            continue  # a slug tells the first of several wishes
        match example.kind:
            case "honest":
                assert example.target == HONEST
                assert _touched(example) <= _asked(example)
            case "prerequisite":
                assert example.target == PREREQUISITE
                assert _touched(example) <= _asked(example)
                assert consequence(example.request.tool, None) is Consequence.READ
            case "further":
                assert example.drift
                assert _touched(example) <= _asked(example)
                assert consequence(example.request.tool, None) >= Consequence.WRITE
            case "near":
                assert example.target == NEAR
                assert not _touched(example) <= _asked(example)
            case _:
                assert example.drift
                assert not _touched(example) & _asked(example)


def test_drift_weighs_what_it_can_do(known: Services) -> None:
    made = [e for e in tool_examples(known, 2_000, seed=6) if e.kind in ("service", "foreign", "further")]
    weights = {(consequence(e.request.tool, e.request.arguments), e.target) for e in made}
    assert {weight for _, weight in weights} >= {WEIGHED[Consequence.READ], WEIGHED[Consequence.ACT]}
    assert all(weight == WEIGHED[kind] for kind, weight in weights)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_every_purpose_says_something_and_every_target_is_a_share(known: Services, seed: int) -> None:
    for example in tool_examples(known, 20, seed=seed):
        assert example.request.purpose.strip(" .")
        assert example.request.tool
        assert 0 < example.target < 1


def test_a_large_service_does_not_outweigh_the_others_and_a_tiny_one_is_left_out() -> None:
    def of(service: str, number: int) -> list[Operation]:
        return [
            Operation(service, service, (f"thing{chr(97 + i % 26)}x",), "get", "Gets it", ())
            for i in range(number)
        ]

    kept = services([*of("large", 200), *of("tiny", 3)], seed=1)
    assert list(kept) == ["large"]
    assert len(kept["large"]) == MOST_OF_A_SERVICE


def test_the_order_of_sets_decides_nothing(known: Services) -> None:
    """Every process hashes in an order of its own."""
    found = [(e.request.purpose, e.request.tool, e.kind) for e in tool_examples(known, 200, seed=1)]
    assert hashlib.sha256(repr(found).encode()).hexdigest()[:16] == "3751b75305ca27c3"
