"""The one tokenizer of both encoders."""

import threading
from collections.abc import Sequence
from pathlib import Path

from tokenizers import Encoding, Tokenizer

from guardian.errors import ModelError


class Cutter:
    """From texts to tokens. Raises ModelError if the file is no tokenizer.

    The length at which texts are cut is part of the tokenizer's state, so callers in two threads take turns.
    """

    def __init__(self, path: Path) -> None:
        try:
            self._tokenizer = Tokenizer.from_file(str(path))
        except Exception as error:
            raise ModelError(f"{path}: not a tokenizer ({error})") from error
        self._tokenizer.no_padding()
        self._turn = threading.Lock()

    def encode(self, inputs: Sequence[str] | Sequence[tuple[str, str]], tokens: int) -> list[Encoding]:
        """The encodings, cut to `tokens`, the longer segment first."""
        with self._turn:
            self._tokenizer.enable_truncation(tokens, strategy="longest_first")
            return list(self._tokenizer.encode_batch(list(inputs)))
