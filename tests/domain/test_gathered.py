"""What a session has gathered is stored as one flat mapping, the same in every version."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from guardian.domain.gathered import Gathered
from guardian.domain.session import SessionState

FIGURES = st.floats(allow_nan=False, allow_infinity=False)
STORED = st.builds(
    lambda figures, bets, marks: figures | {f"best:{kind}": won for kind, won in bets.items()} | marks,
    st.just({})
    | st.builds(
        lambda m, n, top, act: {"m": m, "n": float(n), "top": top, "act": act},
        FIGURES,
        st.integers(1, 10**6),
        FIGURES,
        FIGURES,
    ),
    st.dictionaries(st.text(), FIGURES, max_size=5),
    st.sampled_from([{}, {"broke": 1.0}, {"learnt": 1.0}, {"broke": 1.0, "learnt": 1.0}]),
)


def stored_by(state: SessionState) -> str:
    return json.dumps(json.loads(state.model_dump_json())["evidence"])


@given(STORED)
def test_what_any_version_stored_is_stored_again_as_it_was(stored: dict[str, float]) -> None:
    state = SessionState.model_validate_json(json.dumps({"evidence": stored}))
    assert stored_by(state) == json.dumps(stored)
    assert SessionState.model_validate_json(state.model_dump_json()) == state


@pytest.mark.parametrize(
    ("stored", "read"),
    [
        ("{}", Gathered()),
        ('{"broke": 1.0}', Gathered(broke=True)),
        (
            '{"m": 3.0, "n": 4.0, "top": 2.5, "act": 0.0, "best:mail.send": 40.0, "best:": 2.0, "broke": 1.0}',
            Gathered(m=3.0, n=4, top=2.5, best={"mail.send": 40.0, "": 2.0}, broke=True),
        ),
    ],
)
def test_each_figure_is_stored_under_its_old_name(stored: str, read: Gathered) -> None:
    state = SessionState.model_validate_json(f'{{"evidence": {stored}}}')
    assert (state.evidence, stored_by(SessionState(evidence=read))) == (read, stored)


@pytest.mark.parametrize("wrong", [None, 1, [], {"m": "much"}, {"best:mail.send": None}])
def test_what_is_no_evidence_is_refused(wrong: Any) -> None:
    with pytest.raises(ValidationError):
        SessionState.model_validate({"evidence": wrong})


@pytest.mark.parametrize(
    ("evidence", "peak", "highest"),
    [
        (Gathered(), None, None),
        (Gathered(broke=True), 2.0, 2.0),
        (Gathered(n=1, m=-1.0, top=-0.5), None, -0.5),
        (Gathered(n=1, m=-1.0, top=-0.5), -2.0, -0.5),
        (Gathered(n=1, m=-1.0, top=-0.5), 0.0, 0.0),
    ],
)
def test_the_most_evidence_is_that_of_every_epoch(evidence: Gathered, peak: float, highest: float) -> None:
    assert SessionState(evidence=evidence, peak=peak).highest == highest


def test_of_evidence_that_starts_afresh_a_broken_rule_stays() -> None:
    gathered = Gathered(m=3.0, n=4, top=2.5, act=3.0, best={"mail.send": 40.0}, learnt=True)
    assert gathered.afresh() == Gathered()
    assert gathered.model_copy(update={"broke": True}).afresh() == Gathered(broke=True)
