"""The default engine: onnxruntime on the CPU, no torch."""

import ctypes
import os
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from guardian.embedding.artefact import PAIR_MODEL, TEXT_MODEL, TOKENIZER
from guardian.embedding.batching import Cutter, Feeds, GraphEncoder
from guardian.errors import ModelError


class Session:
    """One ONNX graph; weights stored as int8 are unpacked once, at load.

    Memory comes from the C library, not from an arena of onnxruntime's own: that grows to the largest batch there
    ever was and keeps it, once per graph, and gains no time that could be measured.
    """

    def __init__(self, path: Path, threads: int) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads or len(os.sched_getaffinity(0))
        options.inter_op_num_threads = 1
        options.add_session_config_entry("session.disable_quant_qdq", "1")
        options.enable_cpu_mem_arena = False
        # Threads that spin for work take the cores from whoever shares them; sleeping ones are as quick here.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 3
        try:
            self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as error:
            raise ModelError(f"{path}: onnxruntime cannot load it ({error})") from error
        self._inputs = [item.name for item in self._session.get_inputs()]
        give_back_memory()

    def __call__(self, feeds: Feeds) -> NDArray[np.float32]:
        (out,) = self._session.run(None, {name: feeds[name] for name in self._inputs})
        return np.asarray(out, dtype=np.float32)


def give_back_memory() -> None:
    """Return to the system what loading took and freed; only glibc keeps it, and only there is this needed."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if os.name == "posix" else None
    if trim is not None:
        trim(0)


@dataclass(frozen=True, kw_only=True)
class Onnx:
    """Options: `threads` 0 means every core this process may use; `batch` is rows per run."""

    family: ClassVar[str] = ""
    threads: int = 0
    batch: int = 8

    def open(self, directory: Path) -> GraphEncoder:
        pair, text = (Session(directory / name, self.threads) for name in (PAIR_MODEL, TEXT_MODEL))
        return GraphEncoder(Cutter(directory / TOKENIZER), self.batch, pair=pair, text=lambda: text)


plugin = Onnx
