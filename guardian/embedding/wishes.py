"""A long purpose holds several wishes; an act has to fit one of them, not their average. Pure and bounded.

The pair encoder reads 160 tokens and was trained on 128, so the end of a long purpose would be cut off. Instead it
reads the part (a run of whole sentences) that is nearest to the act in meaning, by text vectors that are computed
anyway. A short purpose is read as it is.
"""

import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from guardian.embedding.text import clean

PART_CHARS = 180
LONG_CHARS = 300
"""The longest purpose that is read whole."""
PARTS = 16
Embed = Callable[[Sequence[str]], NDArray[np.float32]]
"""Unit vectors of shape (n, d) of n texts."""
_SENTENCE = re.compile(r"(?<=[.!?;])\s+")


@lru_cache(maxsize=1_024)
def parts(purpose: str) -> tuple[str, ...]:
    """A long purpose as at most PARTS runs of whole sentences; nothing for a short one.

    >>> parts("pay the invoice of Acme")
    ()
    >>> [len(part) for part in parts("Read the report of March and compare it with the plan. " * 10)]
    [164, 164, 164, 54]
    """
    text = clean(purpose, PART_CHARS * PARTS)
    if len(text) <= LONG_CHARS or " " not in text:
        return ()
    return tuple(islice(_runs(text), PARTS))


def _runs(text: str) -> list[str]:
    out, run = [], ""
    for sentence in _SENTENCE.split(text):
        if run and len(run) + len(sentence) >= PART_CHARS:
            out.append(run)
            run = ""
        run = f"{run} {sentence}".strip()
        while len(run) > PART_CHARS:
            cut = run.rfind(" ", 1, PART_CHARS)
            cut = cut if cut > 0 else PART_CHARS
            out.append(run[:cut])
            run = run[cut:].strip()
    return [*out, run] if run else out


def wishes(purposes: Sequence[str], actions: NDArray[np.float32], embed: Embed) -> list[str]:
    """Each purpose as the pair encoder reads it beside its action: a long one by its part nearest to the action.

    `actions` are the actions' unit vectors, one for each purpose.
    """
    told = list(dict.fromkeys(part for purpose in purposes for part in parts(purpose)))
    vectors = dict(zip(told, embed(told), strict=True)) if told else {}
    return [
        max(found, key=lambda part: float(vectors[part] @ action)) if (found := parts(purpose)) else purpose
        for purpose, action in zip(purposes, actions, strict=True)
    ]
