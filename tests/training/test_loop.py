"""Batches of like length: what a batch costs is its longest pair."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("torch")

from guardian.embedding.sentence_transformers import new_pair_model
from guardian.training.bases import packaged_base
from guardian.training.loop import Plan, batches, tokens


@given(st.lists(st.integers(3, 128), min_size=2, max_size=700), st.integers(1, 40), st.integers(0, 9))
def test_batches_are_as_many_as_steps_and_none_holds_a_place_twice(lengths, steps, seed):
    made = batches(lengths, Plan(steps=steps, seed=seed, batch=8))
    assert len(made) == steps
    assert all(1 < len(batch) <= 8 and len({*batch}) == len(batch) for batch in made)
    assert made == batches(lengths, Plan(steps=steps, seed=seed, batch=8))


def test_a_batch_holds_pairs_of_like_length():
    lengths = [3 + 37 * n % 120 for n in range(4_096)]
    made = batches(lengths, Plan(steps=128, seed=1))
    computed = sum(len(batch) * max(lengths[place] for place in batch) for batch in made)
    assert sorted(place for batch in made for place in batch) == list(range(4_096))
    assert computed < 1.1 * sum(lengths)  # in the order in which they were drawn it is 1.9 times as much


def test_tokens_are_counted_as_the_model_reads_them():
    model = new_pair_model(str(packaged_base()))
    pairs = [("pay", "invoice pay | id: 7"), ("pay the caterer", "mail send | to: ann"), ("a " * 300, "b " * 300)]
    read = model.preprocess(pairs)["attention_mask"].sum(1).tolist()
    assert tokens(model, pairs, model.max_seq_length) == read
    assert tokens(model, pairs, 16)[2] == 16
