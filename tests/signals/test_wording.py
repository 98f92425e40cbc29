import doctest
import importlib
import pkgutil
import random
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

import guardian.signals
from guardian.domain.purposes import open_ended
from guardian.signals.wording import canonical, content, shown, singular


@pytest.mark.parametrize("name", [found.name for found in pkgutil.iter_modules(guardian.signals.__path__)])
def test_the_examples_in_the_docstrings_hold(name: str) -> None:
    assert doctest.testmod(importlib.import_module(f"guardian.signals.{name}")).failed == 0


@given(text=st.text(), limit=st.integers(1, 40))
def test_whatever_is_shown_is_one_short_line_without_markup(text: str, limit: int) -> None:
    said = shown(text, limit)
    assert len(said) <= limit
    assert said.isprintable()
    assert not set('<>`"&|\n') & set(said)
    assert shown(said, limit) == said


@given(name=st.text("abcAB_.- s", max_size=12))
def test_a_canonical_name_is_its_own_canonical_name(name: str) -> None:
    assert canonical(canonical(name)) == canonical(name) or canonical(name).endswith("s")


@pytest.mark.parametrize(
    "purpose",
    [
        "review_customer_contract",
        "classify clauses",
        "general ledger review",
        "help Anna plan her trip",
        "",
        "Review **contract 7781** for *renewal* risk",
        "Tasks:\n* review the contract\n* summarise its risks\n",
        "**Note:** review contract 7781 (*only* its terms)",
        "Tasks:\n  * **Review** the *whole contract*.\n",
    ],
)
def test_a_purpose_that_names_a_task_is_not_open_ended(purpose: str) -> None:
    assert not open_ended(purpose)


@pytest.mark.parametrize(
    "purpose",
    [
        *("use crm.*.", "use crm:*, and erp", "use `crm.*`", "access **", "access: **, all of it", "scope (*)"),
        *("tools=* now", "read */*", "full rights (*)", "crm* and erp* freely", "use *.read and *.write"),
        *("use *read, crm.*", "tools:\n* *.read\n* crm.read"),
    ],
)
def test_a_star_that_marks_up_nothing_is_a_wildcard(purpose: str) -> None:
    assert open_ended(purpose)


def test_plurals_that_are_none_stay() -> None:
    assert [singular(word) for word in ("analysis", "ties", "gas", "dishes")] == ["analysis", "tie", "ga", "dish"]


def test_many_long_purposes_take_little_memory_once_they_were_read() -> None:
    rng = random.Random(5)
    letters = ["".join(rng.choices("abcdefghijklmnopqrtuvwxyz", k=6_500)) for _ in range(200)]
    purposes = [" ".join(each[at : at + 5] for at in range(0, len(each), 5)) for each in letters]
    tracemalloc.start()
    for purpose in purposes:
        assert not open_ended(purpose)
        assert len(content(purpose)) > 1_000
    taken = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert taken < 25e6
