"""The scorer answers in order, from its cache when it can, and explains itself; held on the weightless twin."""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from guardian.embedding import FitRequest, PurposeFit
from guardian.embedding.echo import REPEATED
from guardian.embedding.fit import EXPLAINED_LEAVES
from guardian.embedding.fusion import DOUBT, FEATURES, LEFT_OPEN, Fusion
from guardian.embedding.lexical import Lexical, LexicalEncoder
from guardian.embedding.text import flat, leaves
from guardian.errors import ModelError


class CountingEncoder(LexicalEncoder):
    """The twin, and how many pairs and texts it was asked."""

    def __init__(self) -> None:
        self.asked = 0
        self.embedded = 0

    def logits(self, pairs: Sequence[tuple[str, str]]) -> NDArray[np.float32]:
        self.asked += len(pairs)
        return super().logits(pairs)

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        self.embedded += len(texts)
        return super().embed(texts)


def fusion_of(**weights: float) -> Fusion:
    size = len(FEATURES)
    return Fusion(0.0, tuple(weights.get(name, 0.0) for name in FEATURES), (-8.0,) * size, (8.0,) * size)


def fit_with(encoder: LexicalEncoder, size: int = 100) -> PurposeFit:
    return PurposeFit(encoder, fusion_of(logit=1.0, consequence=1.0), "test", cache_size=size)


HONEST = FitRequest("review the contract of Acme", "contracts.read", {"customer": "Acme"})
STRAY = FitRequest("review the contract of Acme", "payments.send", {"to": "mallory", "sum": "900"})


def test_scores_come_in_the_order_asked_and_stay_in_bounds() -> None:
    fit = Lexical().purpose_fit()
    there, back = fit.score([HONEST, STRAY]), fit.score([STRAY, HONEST])
    assert there == back[::-1]
    assert 0.0 <= there[0] < there[1] <= 1.0


def test_a_repeated_request_is_computed_once() -> None:
    encoder = CountingEncoder()
    fit = fit_with(encoder)
    fit.score([HONEST, HONEST, STRAY])
    fit.score([STRAY])
    assert encoder.asked == 2
    assert fit.cache_misses == 2
    assert encoder.embedded == 3  # one purpose and two actions


def test_the_cache_forgets_the_oldest_when_it_is_full() -> None:
    encoder = CountingEncoder()
    fit = fit_with(encoder, size=2)
    fit.score([replace(HONEST, arguments={"customer": str(n)}) for n in range(3)])
    fit.score([replace(HONEST, arguments={"customer": "2"})])
    assert encoder.asked == 3
    fit.score([replace(HONEST, arguments={"customer": "0"})])
    assert encoder.asked == 4


@pytest.mark.parametrize(
    "other",
    [
        replace(HONEST, purpose="pay the bill"),
        replace(HONEST, arguments={"customer": "Bolt"}),
        replace(HONEST, arguments=None),
        replace(HONEST, before=("crm.read",)),
        replace(HONEST, earlier_values=frozenset({"acme"})),
        replace(HONEST, arguments={"sql": "SELECT 1" + " " * 2_000 + "; DROP TABLE users"}),
        replace(HONEST, arguments={f"line {n}": n for n in range(100)} | {"to": "Eve"}),
    ],
)
def test_whatever_a_score_depends_on_is_part_of_the_key(other: FitRequest) -> None:
    fit = fit_with(CountingEncoder())
    alike = replace(HONEST, arguments={"sql": "SELECT 1" + " " * 2_000})
    long = replace(HONEST, arguments={f"line {n}": n for n in range(100)})
    fit.score([HONEST, alike, long, other])
    assert fit.cache_misses == 4


def test_the_argument_that_lowers_the_score_most_comes_first() -> None:
    fit = PurposeFit(LexicalEncoder(), fusion_of(fresh_destination=3.0, consequence=1.0), "test")
    request = FitRequest(
        "send the contract to anna@acme.com", "email.send", {"subject": "contract", "to": "m@evil.io"}
    )
    explained = fit.explain(request)
    assert explained[0][0] == "to"
    assert explained[0][1] > 0
    assert [fall for _, fall in explained] == sorted((fall for _, fall in explained), reverse=True)


@pytest.mark.parametrize("name", ["to", "sql"])
def test_harmless_arguments_before_the_one_that_mattered_do_not_hide_it(name: str) -> None:
    fit = PurposeFit(LexicalEncoder(), fusion_of(fresh_destination=3.0, consequence=1.0), "test")
    fields = {f"field {n}": "contract" for n in range(EXPLAINED_LEAVES)}
    stray = {**fields, name: "DROP TABLE users" if name == "sql" else "m@evil.io"}
    (path, fall), *others = fit.explain(FitRequest("update the contract of Acme", "crm.update", stray))
    assert (path, len(others)) == (name, EXPLAINED_LEAVES - 1)
    assert fall > 0


@pytest.mark.parametrize(
    "arguments",
    [
        {"to": "m@evil.io"} | {f"line {n}": "tea" if n < 100 else "anna tea" for n in range(2_000)},
        {"to": "m@evil.io", "sql": ["SELECT a FROM b WHERE c = d AND e < f"] * 1_900 + ["DROP TABLE users"]},
        {"to": "m@evil.io", "sql": "SELECT " + "a, " * 30_000 + "b; DROP TABLE users"},
    ],
)
def test_a_call_with_much_in_it_is_explained_by_what_the_encoders_are_shown_of_it(
    arguments: dict[str, object],
) -> None:
    """It is scored once for each argument: read whole each time, one call would keep the monitor for a minute."""
    fit = PurposeFit(LexicalEncoder(), fusion_of(fresh_destination=3.0, fresh=2.0, consequence=2.0), "test")
    request = FitRequest("send the contract to anna@acme.com", "email.search", arguments)
    assert fit.explain(request) == fit.explain(replace(request, arguments=flat(leaves(arguments))))


def test_many_small_values_of_the_purposes_words_do_not_hide_an_act_and_are_read_a_second_time_only_then() -> None:
    encoder = CountingEncoder()
    fit = fit_with(encoder)
    stray = replace(STRAY, arguments={"to": "mallory", "sum": "900"})
    many = {f"note {n}": "review contract" for n in range(REPEATED // 2 + 1)}
    diluted = replace(stray, arguments={**many, **(stray.arguments or {})})
    (alone,) = fit.score([stray])
    assert encoder.asked == 1
    fit.score([replace(diluted, arguments={k: v for k, v in (diluted.arguments or {}).items() if k != "note 0"})])
    assert encoder.asked == 2
    (hidden,) = fit.score([diluted])
    assert encoder.asked == 4
    (whole,) = fit.features([diluted])
    assert fusion_of(logit=1.0, consequence=1.0).score(whole) < hidden < alone
    assert logit(hidden) == pytest.approx(logit(alone) - DOUBT, abs=1e-5)


def test_a_few_of_the_purposes_words_beside_an_act_change_nothing_but_what_the_pair_encoder_reads() -> None:
    fit = PurposeFit(LexicalEncoder(), fusion_of(), "test")
    stray = replace(STRAY, arguments={"to": "mallory", "sum": "900"})
    few = replace(stray, arguments={"note": "review", "topic": "contract of Acme", **(stray.arguments or {})})
    alone, beside = fit.features([stray, few])
    assert beside[1:] == pytest.approx(alone[1:], abs=1e-6)
    assert beside[0] < alone[0]


def test_a_purpose_that_constrains_nothing_leaves_less_to_be_far_from() -> None:
    fit = PurposeFit(LexicalEncoder(), fusion_of(consequence=3.0), "test")
    closed = [replace(request, purpose="file the contract") for request in (HONEST, STRAY)]
    left_open = [replace(request, purpose="do everything on my list") for request in (HONEST, STRAY)]
    falls = [logit(one) - logit(other) for one, other in zip(fit.score(closed), fit.score(left_open), strict=True)]
    assert falls == pytest.approx([LEFT_OPEN, LEFT_OPEN], abs=1e-6)


def logit(score: float) -> float:
    return math.log(score / (1.0 - score))


def test_an_act_without_arguments_has_no_explanation() -> None:
    assert Lexical().purpose_fit().explain(replace(HONEST, arguments=None)) == []


def test_vectors_have_unit_length_and_the_order_asked() -> None:
    fit = Lexical().purpose_fit()
    both = fit.embed(["read contract", "send money", "read contract"])
    assert both.shape == (3, 384)
    assert both.dtype == np.float32
    assert np.allclose(np.linalg.norm(both, axis=1), 1.0)
    assert np.array_equal(both[0], both[2])
    assert not np.array_equal(both[0], both[1])
    assert fit.embed([]).shape == (0, 384)


def test_hostile_arguments_are_scored_like_any_other() -> None:
    class Hostile:
        def __repr__(self) -> str:
            raise RuntimeError("never call me")

    loop: dict[str, object] = {"x": Hostile()}
    loop["self"] = loop
    assert len(Lexical().purpose_fit().score([replace(HONEST, arguments=loop), STRAY])) == 2


@pytest.mark.parametrize("name", FEATURES)
def test_the_fused_score_never_falls_when_a_feature_rises(name: str) -> None:
    fusion = fusion_of(**dict.fromkeys(FEATURES, 0.4))
    low = [0.1] * len(FEATURES)
    high = list(low)
    high[FEATURES.index(name)] = 0.9
    assert fusion.score(tuple(high)) > fusion.score(tuple(low))


@given(*[st.tuples(*[st.floats(-9, 9)] * len(FEATURES))] * 2)
def test_a_second_reading_never_lowers_a_score(whole: tuple[float, ...], bare: tuple[float, ...]) -> None:
    fusion = fusion_of(**dict.fromkeys(FEATURES, 0.4))
    assert fusion.score(whole, bare) >= fusion.score(whole)


def test_a_fusion_with_a_negative_weight_is_refused() -> None:
    with pytest.raises(ModelError, match="not negative"):
        fusion_of(logit=-1.0)
