"""Batches of like length, whatever a text is made of."""

import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer, models

from guardian.embedding.batching import Cutter, run_batched
from guardian.errors import ModelError


@pytest.fixture
def cutter(tmp_path: Path) -> Cutter:
    path = tmp_path / "tokenizer.json"
    Tokenizer(models.WordLevel({"review": 1}, unk_token="review")).save(str(path))
    return Cutter(path)


def test_texts_without_a_single_token_are_run_too(cutter: Cutter) -> None:
    out = run_batched(
        cutter, ["", "", "review"], lambda fed: np.ones(len(fed["input_ids"])), tokens=8, batch=4, width=1
    )
    assert out[:, 0].tolist() == [1.0, 1.0, 1.0]
    assert run_batched(cutter, [""], lambda _: np.full(1, 2.0), tokens=8, batch=4, width=1).tolist() == [[2.0]]


def test_two_threads_that_cut_at_other_lengths_do_not_disturb_each_other() -> None:
    cutter = Cutter(Path("models/tokenizer.json"))
    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    text, start = "review the contract before it renews " * 20, threading.Barrier(2)

    def lengths(tokens: int) -> set[int]:
        start.wait()
        return {len(each.ids) for _ in range(1000) for each in cutter.encode([text], tokens)}

    try:
        with ThreadPoolExecutor(2) as both:
            assert list(both.map(lengths, (16, 48))) == [{16}, {48}]
    finally:
        sys.setswitchinterval(usual)


def test_what_is_no_tokenizer_is_refused_by_its_place(tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_text("{}")
    with pytest.raises(ModelError, match=r"tokenizer\.json: not a tokenizer"):
        Cutter(path)
