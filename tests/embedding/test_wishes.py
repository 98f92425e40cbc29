"""Long purposes: cut into parts that lose nothing, and read so that an act may fit any one wish."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from guardian.embedding.fit import FitRequest, PurposeFit
from guardian.embedding.fusion import FEATURES, Fusion
from guardian.embedding.ports import DIMENSIONS
from guardian.embedding.text import clean
from guardian.embedding.wishes import LONG_CHARS, PART_CHARS, PARTS, parts, wishes

LONG = " ".join(f"Read the report of month {n} and compare it with the plan for that month." for n in range(1, 12))
LATE = f"{LONG} At last, post the summary to the finance channel."
SENTENCES = st.lists(st.text("abc .!?é\n", max_size=90), max_size=60).map(". ".join)


def test_a_short_purpose_is_read_whole() -> None:
    assert parts("review_customer_contract_for_renewal_risk") == ()
    assert parts("a b " * (LONG_CHARS // 4)) == ()
    assert wishes(["pay the invoice"], _embed(["pay"]), _no_embed) == ["pay the invoice"]


def test_sentences_stay_whole() -> None:
    assert all(part.endswith(".") for part in parts(LONG))
    assert " ".join(parts(LONG)) == LONG


@given(SENTENCES)
def test_parts_lose_nothing_and_are_bounded(purpose: str) -> None:
    found = parts(purpose)
    assert len(found) <= PARTS
    assert all(0 < len(part) <= PART_CHARS for part in found)
    text = clean(purpose, PART_CHARS * PARTS)
    said = "".join("".join(found).split())
    whole = "".join(text.split())
    assert not found or (said == whole if len(found) < PARTS else whole.startswith(said))


@given(st.text(max_size=4_000), st.integers(0, 5), st.text(max_size=50))
def test_what_is_read_of_a_hostile_purpose_is_a_part_of_it(purpose: str, times: int, act: str) -> None:
    (read,) = wishes([purpose * times], _embed([act]), _embed)
    assert read in (parts(purpose * times) or (purpose * times,))


def test_the_part_that_is_nearest_to_each_act_is_read() -> None:
    post, look = wishes([LATE, LATE], _embed(["summary finance channel", "report month 1"]), _embed)
    assert "finance channel" in post
    assert "month 1 " in look


def test_what_a_purpose_says_at_its_end_is_read() -> None:
    encoder = Finance()
    fit = PurposeFit(encoder, _logit_alone(), "test")
    rows = fit.features(
        [
            FitRequest("read the plan", "chat.post"),
            FitRequest(LATE, "finance.channel"),
            FitRequest(LATE, "read.report"),
        ]
    )
    assert [row[0] for row in rows] == [4.0, -4.0, 4.0]
    assert encoder.pairs == 3  # one reading an act, however long its purpose


def _embed(texts: object) -> NDArray[np.float32]:
    """Words, hashed: texts that share words are near."""
    out = np.zeros((len(list(texts)), DIMENSIONS), dtype=np.float32)  # type: ignore[call-overload]
    for row, text in zip(out, texts, strict=True):  # type: ignore[call-overload]
        for word in text.lower().replace("|", " ").replace(".", " ").split():
            row[sum(map(ord, word)) * 31 % DIMENSIONS] += 1.0
        row /= max(float(np.linalg.norm(row)), 1e-9)
    return out


def _no_embed(texts: object) -> NDArray[np.float32]:
    raise AssertionError(f"nothing is to be embedded, yet {texts} is")


def _logit_alone() -> Fusion:
    size = len(FEATURES)
    return Fusion(0.0, (1.0,) + (0.0,) * (size - 1), (-8.0,) * size, (8.0,) * size)


class Finance:
    """An encoder that finds every act near where finance stands, and counts what it reads."""

    def __init__(self) -> None:
        self.pairs = 0

    def logits(self, pairs: object) -> NDArray[np.float32]:
        rows = list(pairs)  # type: ignore[call-overload]
        self.pairs += len(rows)
        return np.array([-4.0 if "finance" in purpose else 4.0 for purpose, _ in rows], dtype=np.float32)

    def embed(self, texts: object) -> NDArray[np.float32]:
        return _embed(texts)
