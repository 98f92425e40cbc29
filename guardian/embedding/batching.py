"""Tokenising for the torch-free engines: batches of like length, and the results put back in order."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tokenizers import Encoding, Tokenizer

from guardian.errors import ModelError

_TOKENS = 1024  # in one run: more takes memory and gains no time

Feeds = dict[str, NDArray[np.int64]]


def load_tokenizer(path: Path) -> Tokenizer:
    """The one tokenizer of both encoders. Raises ModelError if it is not one."""
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:
        raise ModelError(f"{path}: not a tokenizer ({error})") from error
    tokenizer.no_padding()
    return tokenizer


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
    tokenizer: Tokenizer,
    inputs: Sequence[str] | Sequence[tuple[str, str]],
    run: Callable[[Feeds], NDArray[np.float32]],
    *,
    tokens: int,
    batch: int,
    width: int,
) -> NDArray[np.float32]:
    """`run` over batches sorted by length, fewer rows where they are long; they come back in the order given.

    What is longer than `tokens` is cut, the longer segment first. Where to cut is told to the tokenizer itself: no
    two threads may share one.
    """
    out = np.zeros((len(inputs), width), dtype=np.float32)
    if not inputs:
        return out
    tokenizer.enable_truncation(tokens, strategy="longest_first")
    encodings = tokenizer.encode_batch(list(inputs))
    order = np.argsort([len(e.ids) for e in encodings], kind="stable")
    while len(order):
        rows = order[:batch]
        longest = len(encodings[rows[-1]].ids)
        rows = rows[: max(1, _TOKENS // max(1, longest))]
        out[rows] = run(feeds([encodings[row] for row in rows])).reshape(len(rows), width)
        order = order[len(rows) :]
    return out
