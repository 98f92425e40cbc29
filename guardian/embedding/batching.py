"""Tokenising for the torch-free engines: batches of like length, and the results put back in order."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tokenizers import Encoding, Tokenizer

from guardian.errors import ModelError

Feeds = dict[str, NDArray[np.int64]]


def load_tokenizer(path: Path, tokens: int) -> Tokenizer:
    """A tokenizer that cuts the longer segment first, to `tokens`. Raises ModelError if it is not one."""
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:
        raise ModelError(f"{path}: not a tokenizer ({error})") from error
    tokenizer.enable_truncation(tokens, strategy="longest_first")
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
    batch: int,
    width: int,
) -> NDArray[np.float32]:
    """`run` over batches sorted by length; rows come back in the order given, shape (n, width)."""
    out = np.zeros((len(inputs), width), dtype=np.float32)
    if not inputs:
        return out
    encodings = tokenizer.encode_batch(list(inputs))
    order = np.argsort([len(e.ids) for e in encodings], kind="stable")
    for start in range(0, len(order), batch):
        rows = order[start : start + batch]
        out[rows] = run(feeds([encodings[row] for row in rows])).reshape(len(rows), width)
    return out
