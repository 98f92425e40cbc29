"""A model of one's own is whole, or it does not load."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from later import Later

from guardian.bootstrap import plugins
from guardian.embedding.ports import DIMENSIONS, Encoder
from guardian.errors import ConfigurationError, ModelAway, ModelError

Opens = Callable[..., Encoder]
encoders = Later("guardian.embedding.sentence_transformers")


@pytest.fixture(scope="module", autouse=True)
def installed() -> None:
    pytest.importorskip("torch")
    pytest.importorskip("sentence_transformers")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with both halves, of one layer and a vocabulary of letters."""
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer
    from transformers import BertConfig, BertModel, BertTokenizerFast

    raw, out = tmp_path_factory.mktemp("raw"), tmp_path_factory.mktemp("whole")
    letters = "abcdefghijklmnopqrstuvwxyz"
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *letters, *(f"##{letter}" for letter in letters)]
    (raw / "vocab.txt").write_text("\n".join(vocabulary))
    BertTokenizerFast(str(raw / "vocab.txt")).save_pretrained(raw)
    shape = {"hidden_size": 384, "num_hidden_layers": 1, "num_attention_heads": 1, "intermediate_size": 8}
    BertModel(BertConfig(vocab_size=len(vocabulary), **shape)).save_pretrained(raw)
    encoders.new_pair_model(str(raw)).save(str(out / "pair"))
    encoders.SentenceTransformer(modules=[Transformer(str(raw)), Pooling(384)], device="cpu").save(
        str(out / "text")
    )
    return out


@pytest.fixture(params=["pair", "text"])
def half(request: pytest.FixtureRequest, whole: Path, tmp_path: Path) -> Path:
    """A copy of one half, to be broken."""
    return Path(shutil.copytree(whole / request.param, tmp_path / request.param))


@pytest.fixture
def opens(half: Path, whole: Path) -> Opens:
    """Opens that copy beside the other half, with more options."""
    halves = {"pair": str(whole / "pair"), "text": str(whole / "text"), half.name: str(half)}
    return lambda **options: encoders.SentenceTransformers(**halves, **options).open(whole)


def test_a_copy_that_nobody_broke_answers(opens: Opens) -> None:
    encoder = opens()
    assert encoder.logits([("a", "b")]).shape == (1,)
    assert encoder.embed(["a"]).shape == (1, DIMENSIONS)


def test_without_its_tokenizer_every_word_would_be_alike_so_a_model_is_refused(half: Path, opens: Opens) -> None:
    (half / "tokenizer.json").unlink()
    with pytest.raises(ModelError, match=f"{half}: its tokenizer knows no words"):
        opens()


@pytest.mark.parametrize(
    ("name", "contents"),
    [("model.safetensors", None), ("model.safetensors", "cut"), ("modules.json", "{"), ("config.json", None)],
)
def test_a_damaged_model_is_named(half: Path, opens: Opens, name: str, contents: str | None) -> None:
    (half / name).unlink()
    if contents is not None:
        (half / name).write_text(contents)
    with pytest.raises(ModelError, match=f"{half}: sentence-transformers cannot run it on cpu"):
        opens()


def test_a_device_that_is_not_there_is_named(opens: Opens) -> None:
    with pytest.raises(ModelAway, match="cannot run it on abacus"):
        opens(device="abacus")


def test_a_batch_of_nothing_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="batch is 0"):
        plugins.make("embedding", "sentence_transformers", {"batch": 0})
