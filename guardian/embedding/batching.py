"""Tokenising for the torch-free engines: batches of like length, and the results put back in order."""

import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tokenizers import Encoding, Tokenizer

from guardian.embedding.ports import DIMENSIONS, PAIR_TOKENS, TEXT_TOKENS
from guardian.errors import ModelError

_TOKENS = 1024  # in one run: more takes memory and gains no time

Feeds = dict[str, NDArray[np.int64]]
Graph = Callable[[Feeds], NDArray[np.float32]]


class Cutter:
    """The one tokenizer of both encoders. Raises ModelError if it is not one.

    Where to cut is a state of the tokenizer, so that its users, who may be of two threads, take turns.
    """

    def __init__(self, path: Path) -> None:
        try:
            self._tokenizer = Tokenizer.from_file(str(path))
        except Exception as error:
            raise ModelError(f"{path}: not a tokenizer ({error})") from error
        self._tokenizer.no_padding()
        self._turn = threading.Lock()

    def encode(self, inputs: Sequence[str] | Sequence[tuple[str, str]], tokens: int) -> list[Encoding]:
        """What is longer than `tokens` is cut, the longer segment first."""
        with self._turn:
            self._tokenizer.enable_truncation(tokens, strategy="longest_first")
            return list(self._tokenizer.encode_batch(list(inputs)))


def feeds(encodings: Sequence[Encoding]) -> Feeds:
    """input_ids, attention_mask and token_type_ids of one batch, each of shape (batch, longest)."""
    shape = (len(encodings), max(len(e.ids) for e in encodings))
    ids, mask, types = (np.zeros(shape, dtype=np.int64) for _ in range(3))
    for row, encoding in enumerate(encodings):
        length = len(encoding.ids)
        ids[row, :length] = encoding.ids
        mask[row, :length] = 1
        types[row, :length] = encoding.type_ids
    return {"input_ids": ids, "attention_mask": mask, "token_type_ids": types}


def run_batched(
    tokenizer: Cutter,
    inputs: Sequence[str] | Sequence[tuple[str, str]],
    run: Graph,
    *,
    tokens: int,
    batch: int,
    width: int,
) -> NDArray[np.float32]:
    """`run` over batches sorted by length, fewer rows where they are long; they come back in the order given."""
    out = np.zeros((len(inputs), width), dtype=np.float32)
    if not inputs:
        return out
    encodings = tokenizer.encode(inputs, tokens)
    order = np.argsort([len(e.ids) for e in encodings], kind="stable")
    while len(order):
        rows = order[:batch]
        longest = len(encodings[rows[-1]].ids)
        rows = rows[: max(1, _TOKENS // max(1, longest))]
        out[rows] = run(feeds([encodings[row] for row in rows])).reshape(len(rows), width)
        order = order[len(rows) :]
    return out


class GraphEncoder:
    """Both ports over two graphs of an engine's. `text` gives the second, which may be loaded only then."""

    def __init__(self, tokenizer: Cutter, batch: int, *, pair: Graph, text: Callable[[], Graph]) -> None:
        self._tokenizer, self._batch, self._pair, self._text = tokenizer, batch, pair, text

    def logits(self, pairs: Sequence[tuple[str, str]]) -> NDArray[np.float32]:
        sizes = {"tokens": PAIR_TOKENS, "batch": self._batch, "width": 1}
        return run_batched(self._tokenizer, pairs, self._pair, **sizes)[:, 0]

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        sizes = {"tokens": TEXT_TOKENS, "batch": self._batch, "width": DIMENSIONS}
        return run_batched(self._tokenizer, texts, self._text(), **sizes)
