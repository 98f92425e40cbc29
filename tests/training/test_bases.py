"""What encoders start from: a quantized graph in a wheel gives its floats back; what does not fit is refused."""

import io
import json
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
from later import Later

from guardian.errors import ModelError
from guardian.training.pairs import examples
from guardian.training.scenarios import scenario_sessions

pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.usefixtures("one_thread")]
onnx, torch, encoders = Later("onnx"), Later("torch"), Later("guardian.embedding.sentence_transformers")
bases, loop = Later("guardian.training.bases"), Later("guardian.training.loop")
WIDTH = 64


@pytest.fixture(scope="module")
def plain(one_thread: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BERT of three layers with a vocabulary of letters."""
    from transformers import BertConfig, BertModel, BertTokenizerFast

    folder = tmp_path_factory.mktemp("plain")
    letters = "abcdefghijklmnopqrstuvwxyz0123456789.,:;|>@#-/'$&()%*=_"
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *letters, *(f"##{letter}" for letter in letters)]
    (folder / "vocab.txt").write_text("\n".join(words))
    BertTokenizerFast(str(folder / "vocab.txt")).save_pretrained(folder)
    torch.manual_seed(1)
    shape = {"hidden_size": WIDTH, "num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 96}
    config = BertConfig(vocab_size=len(words), attn_implementation="eager", **shape)
    model = BertModel(config, add_pooling_layer=False)
    # An exporter keeps one of many equal vectors, and a new model is full of zeros.
    for value in model.parameters():
        torch.nn.init.normal_(value, std=0.05)
    model.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def wheel(plain: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same as a package carries it: quantized by onnxruntime, in a zip, beside its tokenizer."""
    from onnxruntime.quantization import QuantType, quantize_dynamic
    from transformers import BertModel

    folder = tmp_path_factory.mktemp("wheel")

    class Graph(torch.nn.Module):  # type: ignore[misc]
        """Its inputs in order; the weights keep the names of the model."""

        def __init__(self, model: "BertModel") -> None:
            super().__init__()
            self.embeddings, self.encoder, self._whole = model.embeddings, model.encoder, [model]

        def forward(self, ids: torch.Tensor, mask: torch.Tensor, types: torch.Tensor) -> torch.Tensor:
            return self._whole[0](input_ids=ids, attention_mask=mask, token_type_ids=types).last_hidden_state

    ids = torch.ones((1, 4), dtype=torch.int64)
    model = BertModel.from_pretrained(plain, add_pooling_layer=False, attn_implementation="eager").eval()
    torch.onnx.export(
        Graph(model), (ids, ids, torch.zeros_like(ids)), str(folder / "fp32.onnx"), opset_version=17, dynamo=False,
        input_names=["input_ids", "attention_mask", "token_type_ids"], output_names=["last_hidden_state"],
    )  # fmt: skip
    quantize_dynamic(folder / "fp32.onnx", folder / "int8.onnx", weight_type=QuantType.QUInt8)
    with zipfile.ZipFile(folder / "made.whl", "w") as archive:
        archive.write(folder / "int8.onnx", "made/models/int8.onnx")
        archive.write(plain / "tokenizer.json", "made/models/tokenizer.json")
    return folder / "made.whl"


def test_a_wheel_gives_back_every_weight_within_a_step_of_its_int8(
    plain: Path, wheel: Path, tmp_path: Path
) -> None:
    from safetensors.torch import load_file

    found = bases.pair_base(wheel, plain, tmp_path / "base")
    before, after = load_file(plain / "model.safetensors"), load_file(found / "model.safetensors")
    assert before.keys() == after.keys()
    for name, value in before.items():
        step = (value.max() - value.min()) / 255 if value.ndim > 1 else 1e-6
        assert (after[name] - value).abs().max() <= step + 1e-6, name
    shape = json.loads((found / "config.json").read_text())
    assert {name: shape[name] for name in ("num_attention_heads", "hidden_act", "type_vocab_size")} == {
        "num_attention_heads": 4,
        "hidden_act": "gelu",
        "type_vocab_size": 2,
    }
    pairs = [("review the contract", "contract.read")]
    assert encoders.new_pair_model(str(found)).preprocess(pairs)["input_ids"].shape[1] > 4


def test_a_directory_is_taken_as_it_is(plain: Path, tmp_path: Path) -> None:
    assert bases.pair_base(plain, plain, tmp_path / "base") == plain


@pytest.mark.parametrize(
    "case",
    [
        "nothing",
        "no graph",
        "no BERT",
        "bare graph",
        "other words",
        "no tokenizer",
        "no configuration",
        "other kind",
        "damaged member",
        "broken tokenizer",
        "other activation",
        "no heads",
    ],
)
def test_what_does_not_fit_is_refused(case: str, plain: Path, wheel: Path, tmp_path: Path) -> None:
    given, text = tmp_path / "x.whl", plain
    if case == "no graph":
        with zipfile.ZipFile(given, "w") as archive:
            archive.writestr("readme.txt", "nothing here")
    elif case in ("no BERT", "bare graph"):
        with zipfile.ZipFile(given, "w") as archive:
            archive.writestr("model.onnx", b"not a graph")
            if case == "no BERT":
                archive.writestr("tokenizer.json", "{}")
    elif case == "other words":
        given, text = wheel, tmp_path / "other"
        text.mkdir()
        told = (plain / "tokenizer.json").read_text("utf-8").replace('"[MASK]": 4', '"[MASK]": 400')
        (text / "tokenizer.json").write_text(told, "utf-8")
    elif case == "damaged member":
        given.write_bytes(wheel.read_bytes().replace(b"embeddings", b"embedding\0", 1))
    elif case in ("broken tokenizer", "other activation", "no heads"):
        with zipfile.ZipFile(wheel) as archive, zipfile.ZipFile(given, "w") as made:
            graph = onnx.load(io.BytesIO(archive.read("made/models/int8.onnx")))
            for node in graph.graph.node:
                if node.op_type == {"other activation": "Erf", "no heads": "Reshape"}.get(case):
                    node.op_type = "Relu"
            made.writestr("int8.onnx", graph.SerializeToString())
            made.writestr("tokenizer.json", "{" if case == "broken tokenizer" else "{}")
    elif case == "no tokenizer":
        given = tmp_path / "bare"
        given.mkdir()
    elif case in ("no configuration", "other kind"):
        given = shutil.copytree(plain, tmp_path / "kind")
        (given / "config.json").write_text('{"model_type": "electra"}' if case == "other kind" else "", "utf-8")
    with pytest.raises(
        ModelError, match=r"neither|one is needed|no int8 graph|vocabulary|config\.json|electra|activation"
    ):
        bases.pair_base(given, text, tmp_path / "base")


@pytest.mark.parametrize(("last", "heads"), [(32, 2), (-1, None), (0, None)])
def test_a_graph_tells_the_heads_by_numbers_and_not_by_what_is_left(last: int, heads: int | None) -> None:
    query = "encoder.layer.0.attention.self.query.bias"
    node = onnx.helper.make_node
    given = onnx.helper.make_graph(
        [
            node("Constant", [], ["several"], value_ints=[1, 2]),
            node("Add", [query, "product"], ["turned"]),
            node("Reshape", ["turned", "shape"], ["split"]),
            node("Erf", ["split"], ["end"]),
        ],
        "g",
        [],
        [],
        [
            onnx.numpy_helper.from_array(np.zeros(WIDTH, np.float32), query),
            onnx.numpy_helper.from_array(np.array([0, 0, 2, last]), "shape"),
        ],
    )
    model = onnx.helper.make_model(given)
    if heads is None:
        with pytest.raises(ValueError, match="tells the attention heads"):
            bases._told_by(model)
    else:
        assert bases._told_by(model)["num_attention_heads"] == heads


def test_only_the_upper_layers_learn(plain: Path) -> None:
    model = encoders.new_pair_model(str(plain))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    loop.fit(
        model,
        examples(scenario_sessions(seed=3, repeats=1)[:4], seed=3),
        loop.Plan(steps=2, seed=3, batch=4, layers=1),
    )
    moved = {name for name, value in model.state_dict().items() if not torch.equal(value, before[name])}
    assert moved
    assert all(".layer.2." in name or name.startswith("2.") for name in moved), moved


def test_what_stands_beside_the_graph_is_believed_before_the_graph(
    plain: Path, wheel: Path, tmp_path: Path
) -> None:
    given = shutil.copy(wheel, tmp_path / "told.whl")
    with zipfile.ZipFile(given, "a") as archive:
        told = {"model_type": "bert", "hidden_act": "gelu", "num_attention_heads": 2}
        archive.writestr("made/models/config.json", json.dumps(told))
    found = bases.pair_base(given, plain, tmp_path / "base")
    assert json.loads((found / "config.json").read_text())["num_attention_heads"] == 2
