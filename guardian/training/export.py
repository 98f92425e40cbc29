"""From the trained torch model to the shipped graph: ONNX in integer arithmetic, for onnxruntime.

Weights are int8 with a scale per output, and only 7 of the 8 bits are used: the sum of two products then fits the
16 bits of processors that have no instruction for int8 products, and no processor cuts one off.
Activations are rounded to 8 bits as they come, with one scale for a text. Few channels of a BERT are far larger
than the rest and would cost them their precision, so channels are evened out first (Xiao et al. 2023,
"SmoothQuant": what an activation is divided by, its weights are multiplied by), and the largest behind each gelu
stay floats (Dettmers et al. 2022, "LLM.int8()"). What rounded weights give too much on average is taken off the
bias (Nagel et al. 2019, "Data-free quantization"). How large a channel gets, and its mean, are read off `sample`.

A graph reads one text at a time, without padding: nothing in its score can come from a neighbour.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from guardian.embedding.sentence_transformers import SentenceTransformer, pair_logits
from guardian.training.bases import check_kind

_FACTOR, _STORED = 63, 127  # the largest integer of a weight that is multiplied, of one that is only looked up
_EVEN = 0.65  # how much of a channel's size goes over to its weights; .5 and .8 are a little worse
_SPARED = 16  # channels behind a gelu that stay floats; 8 and 64 are as good
_OURS = "com.microsoft"
_OPSET = (("", 17), (_OURS, 1))

Floats = NDArray[np.float32]


def export_pair(model: SentenceTransformer, sample: Sequence[tuple[str, str]], path: Path) -> None:
    """Write the pair encoder: ids and types of a pair, each (1, tokens), to its logit (1, 1)."""
    body = _bert(model)
    graph = _Graph(_taken(body, lambda: pair_logits(model, sample, batch=1)))
    hidden = graph.encoder(body, types="token_type_ids")
    joined = graph.op("Concat", graph.first(hidden), graph.mean(hidden), axis=1)
    head = model[-1].linear
    graph.op("Gemm", joined, graph.keep(_floats(head.weight)), graph.keep(_floats(head.bias)), out="out", transB=1)
    graph.write(path, ("input_ids", "token_type_ids"), 1)


def export_text(model: SentenceTransformer, sample: Sequence[str], path: Path) -> None:
    """Write the text encoder: ids (1, tokens) to a unit vector, the mean over tokens (1, width)."""
    body = _bert(model)
    graph = _Graph(_taken(body, lambda: model.encode(list(sample), batch_size=1, show_progress_bar=False)))
    mean = graph.mean(graph.encoder(body))
    graph.op("LpNormalization", mean, out="out", axis=1, p=2)
    graph.write(path, ("input_ids",), body.config.hidden_size)


def _bert(model: SentenceTransformer) -> Any:
    body = model[0].auto_model
    check_kind(body.config.to_dict(), "the trained encoder")
    return body


@dataclass
class Taken:
    """Of each input of a layer the largest absolute value and the sum, over `tokens` tokens."""

    size: Floats
    total: Floats
    tokens: int


def _taken(body: Any, run: Callable[[], object]) -> dict[Any, Taken]:
    """By linear layer what it takes while `run` runs."""
    found: dict[Any, Taken] = {}

    def note(module: Any, inputs: tuple[torch.Tensor, ...]) -> None:
        rows = _floats(inputs[0].flatten(0, -2))
        size, total = np.abs(rows).max(axis=0), rows.sum(axis=0)
        if (past := found.get(module)) is not None:
            size, total = np.maximum(size, past.size), total + past.total
        found[module] = Taken(size, total, len(rows) + (past.tokens if past else 0))

    linear = [module for module in body.encoder.modules() if isinstance(module, torch.nn.Linear)]
    hooks = [module.register_forward_pre_hook(note) for module in linear]
    try:
        run()
    finally:
        for hook in hooks:
            hook.remove()
    return found


def _floats(tensor: torch.Tensor) -> Floats:
    return np.asarray(tensor.detach().float().cpu().numpy(), dtype=np.float32)


class _Graph:
    """Nodes and tensors of an ONNX graph while it is put together."""

    def __init__(self, taken: dict[Any, Taken]) -> None:
        self._taken = taken
        self._nodes: list[onnx.NodeProto] = []
        self._tensors: list[onnx.TensorProto] = []

    def keep(self, array: NDArray[np.generic]) -> str:
        name = f"kept_{len(self._tensors)}"
        self._tensors.append(numpy_helper.from_array(array, name))
        return name

    def op(self, kind: str, *inputs: str, domain: str = "", out: str = "", **attributes: object) -> str:
        out = out or f"{kind}_{len(self._nodes)}"
        self._nodes.append(helper.make_node(kind, inputs, [out], domain=domain, **attributes))
        return out

    def encoder(self, body: Any, *, types: str = "") -> str:
        """The hidden states of the last layer, (1, tokens, width)."""
        hidden = self.embeddings(body.embeddings, types)
        for layer in body.encoder.layer:
            found = self.attention(layer.attention.self, hidden, body.config.num_attention_heads)
            hidden = self.output(layer.attention.output, found, hidden)
            inner = self.op("Gelu", self.linear([layer.intermediate.dense], hidden), domain=_OURS)
            hidden = self.output(layer.output, inner, hidden, spared=_SPARED)
        return hidden

    def embeddings(self, module: Any, types: str) -> str:
        tokens = self.op("Shape", "input_ids", start=1, end=2)
        seats = self.keep(np.arange(module.position_embeddings.num_embeddings, dtype=np.int64))
        seats = self.op("Slice", seats, self.keep(np.zeros(1, np.int64)), tokens)
        seats = self.op("Unsqueeze", seats, self.keep(np.zeros(1, np.int64)))
        words = self.look_up(_floats(module.word_embeddings.weight), "input_ids")
        kinds = _floats(module.token_type_embeddings.weight)
        kind = self.op("Gather", self.keep(kinds), types) if types else self.keep(kinds[:1, None])
        where = self.look_up(_floats(module.position_embeddings.weight), seats)
        return self.norm(module.LayerNorm, self.op("Add", words, kind), where)

    def attention(self, module: Any, hidden: str, heads: int) -> str:
        width = module.query.out_features
        inputs = self.linear([module.query, module.key, module.value], hidden, first=(width // heads) ** -0.5)
        parts = self.op("Reshape", inputs, self.keep(np.array([0, 0, 3, heads, width // heads])))
        query, key, value = (self.op("Gather", parts, self.keep(np.array(i)), axis=2) for i in range(3))
        query, value = (self.op("Transpose", each, perm=(0, 2, 1, 3)) for each in (query, value))
        likeness = self.op("MatMul", query, self.op("Transpose", key, perm=(0, 2, 3, 1)))
        found = self.op("MatMul", self.op("Softmax", likeness, axis=-1), value)
        return self.op(
            "Reshape", self.op("Transpose", found, perm=(0, 2, 1, 3)), self.keep(np.array([0, 0, width]))
        )

    def output(self, module: Any, hidden: str, before: str, *, spared: int = 0) -> str:
        return self.norm(module.LayerNorm, self.linear([module.dense], hidden, spared=spared), before)

    def norm(self, module: Any, left: str, right: str) -> str:
        """The normalised sum of the two."""
        weight, bias = (self.keep(_floats(each)) for each in (module.weight, module.bias))
        return self.op("SkipLayerNormalization", left, right, weight, bias, domain=_OURS, epsilon=module.eps)

    def linear(self, modules: Sequence[Any], hidden: str, *, first: float = 1.0, spared: int = 0) -> str:
        """What layers of the same input give, side by side, that of the first one times `first`. The `spared`
        largest channels of the input are multiplied as floats."""
        factors = [first, *[1.0] * (len(modules) - 1)]
        weight = np.concatenate([_floats(m.weight).T * f for m, f in zip(modules, factors, strict=True)], axis=1)
        bias = np.concatenate([_floats(m.bias) * f for m, f in zip(modules, factors, strict=True)])
        taken = self._taken[modules[0]]
        size, reach = np.maximum(taken.size, 1e-3), np.maximum(np.abs(weight).max(axis=1), 1e-3)
        even = size**_EVEN / reach ** (1 - _EVEN)
        even = (even / np.median(even)).astype(np.float32)
        large = np.argsort(-size, kind="stable")[:spared]
        rounded, inverse = weight * even[:, None], 1 / even
        rounded[large] = inverse[large] = 0
        small, scale = quantized(rounded, axis=0, largest=_FACTOR)
        bias -= (taken.total / taken.tokens * inverse) @ (small * scale - rounded)
        out = self.op(
            "DynamicQuantizeMatMul", self.op("Mul", hidden, self.keep(inverse)), self.keep(small),
            self.keep(scale[0]), "", self.keep(bias.astype(np.float32)), domain=_OURS,
        )  # fmt: skip
        if not spared:
            return out
        whole = self.op("Gather", hidden, self.keep(large), axis=2)
        return self.op("Add", out, self.op("MatMul", whole, self.keep(weight[large].astype(np.float32))))

    def look_up(self, table: Floats, rows: str) -> str:
        """Rows of a table that is int8 in memory, too, with a scale per row."""
        small, scale = quantized(table, axis=1, largest=_STORED)
        found = self.op("Cast", self.op("Gather", self.keep(small), rows), to=TensorProto.FLOAT)
        return self.op("Mul", found, self.op("Gather", self.keep(scale), rows))

    def first(self, hidden: str) -> str:
        return self.op("Gather", hidden, self.keep(np.array(0)), axis=1)

    def mean(self, hidden: str) -> str:
        return self.op("ReduceMean", hidden, axes=[1], keepdims=0)

    def write(self, path: Path, inputs: Sequence[str], width: int) -> None:
        given = [helper.make_tensor_value_info(name, TensorProto.INT64, [1, "tokens"]) for name in inputs]
        out = [helper.make_tensor_value_info("out", TensorProto.FLOAT, [1, width])]
        graph = helper.make_graph(self._nodes, "encoder", given, out, self._tensors)
        sets = [helper.make_opsetid(domain, version) for domain, version in _OPSET]
        model = helper.make_model(graph, opset_imports=sets, ir_version=9)
        onnx.checker.check_model(model)
        onnx.save(model, str(path))


def quantized(array: Floats, *, axis: int, largest: int) -> tuple[NDArray[np.int8], Floats]:
    """`array` as integers up to `largest`, and the scales that give it back, one for all along `axis`."""
    scale = np.maximum(np.abs(array).max(axis=axis, keepdims=True), 1e-8).astype(np.float32) / np.float32(largest)
    return np.clip(np.rint(array / scale), -largest, largest).astype(np.int8), scale
