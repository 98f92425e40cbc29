"""The default engine: onnxruntime on the CPU in integer arithmetic, no torch.

Each text is read on its own: it needs no padding, and its score cannot depend on its neighbours. One text keeps
one core busy, so as many are read at once as there are cores.
"""

import ctypes
import os
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from tokenizers import Encoding, Tokenizer

from guardian.embedding.artefact import PAIR_MODEL, TEXT_MODEL, TOKENIZER
from guardian.embedding.ports import DIMENSIONS, PAIR_TOKENS, TEXT_TOKENS
from guardian.errors import ModelAway, ModelError


class Graph:
    """One ONNX graph; may be run by several threads at once. `shape` is that of what it gives for a text.

    Memory comes from the C library, not from onnxruntime's arena, which would grow to the largest text ever read
    and stay so, once per graph, without a measurable gain in time.
    """

    def __init__(self, path: Path) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.enable_cpu_mem_arena = False
        options.log_severity_level = 3
        try:
            self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as error:
            raise ModelAway(f"{path}: onnxruntime cannot load it ({error})") from error
        self._inputs = [item.name for item in self._session.get_inputs()]
        self.shape = self._session.get_outputs()[0].shape
        give_back_memory()

    def __call__(self, encoding: Encoding) -> NDArray[np.float32]:
        """What the graph gives for one text, one row of numbers."""
        told = {"input_ids": encoding.ids, "token_type_ids": encoding.type_ids}
        (out,) = self._session.run(None, {name: np.array([told[name]], np.int64) for name in self._inputs})
        return np.asarray(out[0], dtype=np.float32)


class Cutter:
    """The one tokenizer of both encoders: from texts to tokens. Raises ModelError if the file is no tokenizer.

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


def give_back_memory() -> None:
    """Return freed memory to the system after loading; only glibc needs to be asked."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if os.name == "posix" else None
    if trim is not None:
        trim(0)


class OnnxEncoder:
    """Both ports over the two graphs of an artefact."""

    def __init__(self, directory: Path, threads: int) -> None:
        self._pair, self._text = _graph(directory / PAIR_MODEL, 1), _graph(directory / TEXT_MODEL, DIMENSIONS)
        self._cutter = Cutter(directory / TOKENIZER)
        self._readers = ThreadPoolExecutor(threads, "guardian-reader")

    def logits(self, pairs: Sequence[tuple[str, str]]) -> NDArray[np.float32]:
        return self._read(self._pair, pairs, PAIR_TOKENS, 1)[:, 0]

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        return self._read(self._text, texts, TEXT_TOKENS, DIMENSIONS)

    def _read(
        self, graph: Graph, texts: Sequence[str] | Sequence[tuple[str, str]], tokens: int, width: int
    ) -> NDArray[np.float32]:
        told = self._cutter.encode(texts, tokens)
        rows = list(self._readers.map(graph, told) if len(told) > 1 else map(graph, told))
        return np.array(rows, dtype=np.float32).reshape(len(rows), width)


def _graph(path: Path, width: int) -> Graph:
    graph = Graph(path)
    if graph.shape != [1, width]:
        raise ModelError(f"{path}: gives numbers of shape {graph.shape}, where guardian needs [1, {width}]")
    return graph


@dataclass(frozen=True, kw_only=True)
class Onnx:
    """Options: `threads` is how many texts are read at once, 0 as many as this process may use cores."""

    family: ClassVar[str] = ""
    threads: int = 0

    def __post_init__(self) -> None:
        if self.threads < 0:
            raise ValueError(f"threads is {self.threads}; 0 is every core")

    def open(self, directory: Path) -> OnnxEncoder:
        return OnnxEncoder(directory, self.threads or _cores())


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


plugin = Onnx
