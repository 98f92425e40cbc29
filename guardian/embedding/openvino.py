"""OpenVINO on the CPU, about three times as fast as fp32. No torch.

Weights are int8 in the artefact. Activations are rounded to int8 too, one scale for 64 of them (processors with
VNNI; elsewhere OpenVINO leaves that away), and the rest is computed in bf16 where the processor does so natively.
Scores and cosines move in the third or fourth decimal; tests hold them to the reference.
"""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
import openvino
from numpy.typing import NDArray

from guardian.embedding.artefact import PAIR_MODEL, TEXT_MODEL, TOKENIZER
from guardian.embedding.batching import Cutter, Feeds, GraphEncoder
from guardian.errors import ModelError

_GROUP = 64  # activations to a scale: 32 is slower, 128 rounds more


class Graph:
    """One compiled graph with dynamic shapes."""

    def __init__(self, path: Path, threads: int, precision: str) -> None:
        core = openvino.Core()
        settings: dict[str, object] = {
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_PRECISION_HINT": best_float() if precision == "int8" else precision,
            "DYNAMIC_QUANTIZATION_GROUP_SIZE": _GROUP if precision == "int8" else 0,
        }
        if threads:
            settings["INFERENCE_NUM_THREADS"] = threads
        try:
            self._compiled = core.compile_model(core.read_model(str(path)), "CPU", settings)
        except Exception as error:
            raise ModelError(f"{path}: OpenVINO cannot load it ({error})") from error
        self._inputs = [item.get_any_name() for item in self._compiled.inputs]
        self._request = self._compiled.create_infer_request()

    def __call__(self, feeds: Feeds) -> NDArray[np.float32]:
        self._request.infer({name: feeds[name] for name in self._inputs})
        return np.array(self._request.get_output_tensor(0).data, dtype=np.float32)


def best_float() -> str:
    """bf16 where the processor computes it natively, else f32."""
    return "bf16" if "BF16" in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES") else "f32"


@dataclass(frozen=True, kw_only=True)
class OpenVino:
    """Options: `threads` 0 means all; `precision` is `int8`, `bf16` or `f32`; `batch` is rows per run."""

    family: ClassVar[str] = ""
    threads: int = 0
    batch: int = 16
    precision: Literal["int8", "bf16", "f32"] = "int8"

    def open(self, directory: Path) -> GraphEncoder:
        @cache
        def graph(name: str) -> Graph:
            return Graph(directory / name, self.threads, self.precision)

        cutter = Cutter(directory / TOKENIZER)
        return GraphEncoder(cutter, self.batch, pair=graph(PAIR_MODEL), text=lambda: graph(TEXT_MODEL))


plugin = OpenVino
