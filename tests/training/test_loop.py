"""Batches of like length: what a batch costs is its longest pair."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from later import Later

loop, bases, encoders = (
    Later("guardian.training.loop"),
    Later("guardian.training.bases"),
    Later("guardian.embedding.sentence_transformers"),
)


@pytest.fixture(scope="module", autouse=True)
def installed() -> None:
    pytest.importorskip("torch")


@given(st.lists(st.integers(3, 128), min_size=2, max_size=700), st.integers(1, 40), st.integers(0, 9))
def test_batches_are_as_many_as_steps_and_none_holds_a_place_twice(lengths, steps, seed):
    made = loop.batches(lengths, loop.Plan(steps=steps, seed=seed, batch=8))
    assert len(made) == steps
    assert all(1 < len(batch) <= 8 and len({*batch}) == len(batch) for batch in made)
    assert made == loop.batches(lengths, loop.Plan(steps=steps, seed=seed, batch=8))


def test_a_batch_holds_pairs_of_like_length():
    lengths = [3 + 37 * n % 120 for n in range(4_096)]
    made = loop.batches(lengths, loop.Plan(steps=128, seed=1))
    computed = sum(len(batch) * max(lengths[place] for place in batch) for batch in made)
    assert sorted(place for batch in made for place in batch) == list(range(4_096))
    assert computed < 1.1 * sum(lengths)  # in the order in which they were drawn it is 1.9 times as much


def test_tokens_are_counted_as_the_model_reads_them():
    model = encoders.new_pair_model(str(bases.packaged_base()))
    pairs = [("pay", "invoice pay | id: 7"), ("pay the caterer", "mail send | to: ann"), ("a " * 300, "b " * 300)]
    read = model.preprocess(pairs)["attention_mask"].sum(1).tolist()
    assert loop.tokens(model, pairs, model.max_seq_length) == read
    assert loop.tokens(model, pairs, 16)[2] == 16


def test_a_checkpoint_goes_on_where_the_model_is(tmp_path):
    """`meta` stands for a GPU: a device other than that on which files are read."""
    import torch

    def made(device):
        live = {"w": torch.nn.Parameter(torch.ones(3, device=device))}
        return live, {"w": torch.ones(3, device=device)}, torch.optim.AdamW(live.values())

    live, mean, optimiser = made("cpu")
    live["w"].sum().backward()
    optimiser.step()
    loop._save(tmp_path, 7, live, mean, optimiser)
    for device in ("cpu", "meta"):
        there, averaged, other = made(device)
        assert loop._restore(tmp_path, there, averaged, other) == 7
        state = other.state[there["w"]]
        assert {state[slot].device.type for slot in ("exp_avg", "exp_avg_sq")} == {device}
        assert all(state[slot].shape == (3,) for slot in ("exp_avg", "exp_avg_sq"))
    assert there["w"].device.type == averaged["w"].device.type == "meta"
