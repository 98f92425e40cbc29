"""Batches of like length, whatever a text is made of."""

import numpy as np
from tokenizers import Tokenizer, models

from guardian.embedding.batching import run_batched


def test_texts_without_a_single_token_are_run_too() -> None:
    tokenizer = Tokenizer(models.WordLevel({"review": 1}, unk_token="review"))
    out = run_batched(
        tokenizer, ["", "", "review"], lambda fed: np.ones(len(fed["input_ids"])), tokens=8, batch=4, width=1
    )
    assert out[:, 0].tolist() == [1.0, 1.0, 1.0]
    assert run_batched(tokenizer, [""], lambda _: np.full(1, 2.0), tokens=8, batch=4, width=1).tolist() == [[2.0]]
