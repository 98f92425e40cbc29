"""One tokenizer for two encoders, of two threads, and each graph in its place."""

import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from guardian.embedding.onnx import Cutter, Onnx
from guardian.errors import ModelError


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


def test_graphs_in_each_others_place_are_refused(tmp_path: Path) -> None:
    for name, other in (("pair.onnx", "text.onnx"), ("text.onnx", "pair.onnx")):
        (tmp_path / name).symlink_to(Path("models", other).resolve())
    with pytest.raises(ModelError, match=r"pair\.onnx: gives numbers of shape \[1, 384\]"):
        Onnx().open(tmp_path)
