"""From the trained torch model to the shipped graph: ONNX, its weights stored as int8.

Only storage is int8: engines unpack the weights at load and compute in float (fp32, or bf16 where the processor
has it), so every engine gives the same score and no calibration data is needed. 90 MB become 23 MB.
"""

import io
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
    """Store each large matrix as int8 with a scale per output column (per row for look-up tables)."""
    tables = {node.input[0] for node in model.graph.node if node.op_type == "Gather"}
    kept, nodes = [], []
    for tensor in model.graph.initializer:
        array = numpy_helper.to_array(tensor)
        if tensor.data_type != TensorProto.FLOAT or array.ndim != 2 or array.size < SMALLEST:
            kept.append(tensor)
            continue
        axis = 0 if tensor.name in tables else 1
        scale = np.maximum(np.abs(array).max(axis=1 - axis), 1e-8).astype(np.float32) / 127.0
        spread = scale[:, None] if axis == 0 else scale[None, :]
        small = np.clip(np.rint(array / spread), -127, 127).astype(np.int8)
        kept.append(numpy_helper.from_array(small, f"{tensor.name}_int8"))
        kept.append(numpy_helper.from_array(scale, f"{tensor.name}_scale"))
        inputs = [f"{tensor.name}_int8", f"{tensor.name}_scale"]
        nodes.append(helper.make_node("DequantizeLinear", inputs, [tensor.name], axis=axis))
    rest = list(model.graph.node)
    del model.graph.initializer[:], model.graph.node[:]
    model.graph.initializer.extend(kept)
    model.graph.node.extend([*nodes, *rest])
    onnx.checker.check_model(model)
    return model
