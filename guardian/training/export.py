"""From the trained torch model to the shipped graph: ONNX, its weights stored as int8.

Only storage is int8: engines unpack the weights at load (word vectors at look-up) and compute in float
(fp32, or bf16 where the processor has it), so every engine gives the same score and no calibration data is needed.
90 MB become 23 MB.
"""

import io
import math
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper

from guardian.embedding.sentence_transformers import SentenceTransformer

INPUTS = ("input_ids", "attention_mask", "token_type_ids")
SMALLEST = 4_096


class PairGraph(torch.nn.Module):  # type: ignore[misc]
    """(ids, mask, types), each (batch, tokens), to logits (batch, 1)."""

    def __init__(self, model: SentenceTransformer) -> None:
        super().__init__()
        self.body, self.head = model[0].auto_model, model[-1].linear

    def forward(
        self, input_ids: torch.Tensor, attention_mask: torch.Tensor, token_type_ids: torch.Tensor
    ) -> torch.Tensor:
        states = self.body(input_ids=input_ids, attention_mask=attention_mask, token_type_ids=token_type_ids)
        hidden, mask = states.last_hidden_state, attention_mask.unsqueeze(-1).float()
        mean = (hidden * mask).sum(1) / mask.sum(1)
        return torch.as_tensor(self.head(torch.cat([hidden[:, 0], mean], dim=1)))


class TextGraph(torch.nn.Module):  # type: ignore[misc]
    """(ids, mask, types) to unit vectors (batch, 384): the mean over tokens, normalised."""

    def __init__(self, model: SentenceTransformer) -> None:
        super().__init__()
        self.body = model[0].auto_model

    def forward(
        self, input_ids: torch.Tensor, attention_mask: torch.Tensor, token_type_ids: torch.Tensor
    ) -> torch.Tensor:
        states = self.body(input_ids=input_ids, attention_mask=attention_mask, token_type_ids=token_type_ids)
        mask = attention_mask.unsqueeze(-1).float()
        return torch.nn.functional.normalize((states.last_hidden_state * mask).sum(1) / mask.sum(1), dim=1)


def export(graph: torch.nn.Module, path: Path) -> None:
    """Write `graph` as an ONNX file with int8 weights and dynamic batch and length."""
    graph.eval()
    ids = torch.ones((2, 9), dtype=torch.int64)
    buffer = io.BytesIO()
    axes = {name: {0: "batch", 1: "tokens"} for name in INPUTS} | {"out": {0: "batch"}}
    with torch.inference_mode():
        torch.onnx.export(
            graph, (ids, ids, torch.zeros_like(ids)), buffer, input_names=list(INPUTS), output_names=["out"],
            dynamic_axes=axes, opset_version=17, dynamo=False,
        )  # fmt: skip
    onnx.save(shrink(onnx.load_from_string(buffer.getvalue())), str(path))


def shrink(model: onnx.ModelProto) -> onnx.ModelProto:
    """Store each large matrix as int8, with a scale per output column.

    A look-up table has a scale per row and is int8 in memory too: only the rows that are looked up become floats.
    """
    nodes, tensors = list(model.graph.node), list(model.graph.initializer)
    large = {t.name for t in tensors if t.data_type == TensorProto.FLOAT and _is_large(t)}
    looked_up = {node.input[0] for node in nodes if node.op_type == "Gather"}
    multiplied = {name for node in nodes for name in node.input[1 if node.op_type == "Gather" else 0 :]}
    tables = large & looked_up - multiplied
    kept, unpacked = [], []
    for tensor in tensors:
        if tensor.name not in large:
            kept.append(tensor)
            continue
        array, axis = numpy_helper.to_array(tensor), 0 if tensor.name in tables else 1
        scale = np.maximum(np.abs(array).max(axis=1 - axis, keepdims=True), 1e-8).astype(np.float32) / 127.0
        small = np.clip(np.rint(array / scale), -127, 127).astype(np.int8)
        stored = [f"{tensor.name}_int8", f"{tensor.name}_scale"]
        kept.append(numpy_helper.from_array(small, stored[0]))
        kept.append(numpy_helper.from_array(scale if axis == 0 else scale[0], stored[1]))
        if axis == 1:
            unpacked.append(helper.make_node("DequantizeLinear", stored, [tensor.name], axis=axis))
    del model.graph.initializer[:], model.graph.node[:]
    model.graph.initializer.extend(kept)
    model.graph.node.extend(unpacked)
    for node in nodes:
        model.graph.node.extend(_look_up(node) if node.input and node.input[0] in tables else [node])
    onnx.checker.check_model(model)
    return model


def _is_large(tensor: onnx.TensorProto) -> bool:
    return len(tensor.dims) == 2 and math.prod(tensor.dims) >= SMALLEST


def _look_up(gather: onnx.NodeProto) -> list[onnx.NodeProto]:
    """The same rows out of a table that is stored as int8 with a column of scales."""
    (table, rows), (out,) = gather.input, gather.output
    return [
        helper.make_node("Gather", [f"{table}_int8", rows], [f"{out}_int8"]),
        helper.make_node("Gather", [f"{table}_scale", rows], [f"{out}_scale"]),
        helper.make_node("Cast", [f"{out}_int8"], [f"{out}_float"], to=TensorProto.FLOAT),
        helper.make_node("Mul", [f"{out}_float", f"{out}_scale"], [out]),
    ]
