"""The reference path: torch in fp32 through sentence-transformers, and the model class that training uses.

Slow to import, so nothing loads it unless it is configured. It reads models by path: those that a training leaves
in fp32 (`.work/reference`), or your own: for pairs one that gives a single number, for texts any bi-encoder of 384
dimensions. No manifest lists them, so the version of their scores includes a hash of their files.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, cast

import numpy as np
import torch
from numpy.typing import NDArray
from sentence_transformers import SentenceTransformer as SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Dense, Pooling, Transformer
from transformers.utils.logging import disable_progress_bar

from guardian.embedding.artefact import digest
from guardian.embedding.ports import DIMENSIONS, PAIR_TOKENS, TEXT_TOKENS
from guardian.errors import ModelAway, ModelError

REFERENCE = "reference"
"""In the working folder of a training: both encoders as sentence-transformers has them, `pair` and `text`."""

disable_progress_bar()  # guardian shows its own


def new_pair_model(base: str, *, device: str = "cpu") -> SentenceTransformer:
    """A fresh pair model over a BERT-like `base`: first token and mean, joined, then one logit.

    Its "sentence embedding" of a pair has shape (1,): the logit. The head always starts from the same small
    numbers, so that models trained with other seeds stay close enough to average.
    """
    body = Transformer(base, max_seq_length=PAIR_TOKENS)
    width = body.get_embedding_dimension()
    pooling = Pooling(width, pooling_mode=("cls", "mean"))
    head = Dense(2 * width, 1, activation_function=torch.nn.Identity())
    torch.nn.init.normal_(head.linear.weight, std=0.02, generator=torch.Generator().manual_seed(0))
    torch.nn.init.zeros_(head.linear.bias)
    return SentenceTransformer(modules=[body, pooling, head], device=device)


def load_model(path: Path, *, tokens: int, device: str = "cpu") -> SentenceTransformer:
    """A sentence-transformers model from a directory, offline.

    Raises ModelError when there is none, and for one that tells no words apart: without a tokenizer's file the
    library makes an empty tokenizer, to which every word is an unknown one.
    """
    if not (path / "modules.json").is_file():
        raise ModelError(f"{path}: no sentence-transformers model here (modules.json is missing)")
    model = SentenceTransformer(str(path), device=device, local_files_only=True)
    model.max_seq_length = tokens
    one, other = model.preprocess(["read", "send"])["input_ids"]
    if torch.equal(one, other):
        raise ModelError(f"{path}: its tokenizer knows no words; is tokenizer.json missing?")
    return model


def pair_logits(
    model: SentenceTransformer, pairs: Sequence[tuple[str, str]], *, batch: int = 32
) -> NDArray[np.float32]:
    """Logits of pairs, shape (n,), batched by length, without gradients."""
    out = np.zeros(len(pairs), dtype=np.float32)
    order = np.argsort([len(a) + len(b) for a, b in pairs], kind="stable")
    model.eval()
    with torch.inference_mode():
        for start in range(0, len(order), batch):
            rows = order[start : start + batch]
            out[rows] = forward(model, [pairs[row] for row in rows]).float().cpu().numpy()
    return out


def forward(model: SentenceTransformer, pairs: Sequence[tuple[str, str]]) -> torch.Tensor:
    """The logits of one batch as a tensor of shape (n,), with gradients where they are on."""
    features: dict[str, Any] = model.preprocess(list(pairs))
    moved = {
        name: value.to(model.device) if isinstance(value, torch.Tensor) else value
        for name, value in features.items()
    }
    return cast(torch.Tensor, model(moved)["sentence_embedding"]).squeeze(-1)


@dataclass(frozen=True)
class SentenceTransformersEncoder:
    """Both ports over torch; a missing half raises ModelError when it is asked."""

    pair: SentenceTransformer | None
    text: SentenceTransformer | None
    batch: int = 32

    def logits(self, pairs: Sequence[tuple[str, str]]) -> NDArray[np.float32]:
        if self.pair is None:
            raise ModelError("no pair model was given to the sentence_transformers engine; set its `pair` path")
        return pair_logits(self.pair, pairs, batch=self.batch)

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        if self.text is None:
            raise ModelError("no text model was given to the sentence_transformers engine; set its `text` path")
        if not texts:
            return np.zeros((0, DIMENSIONS), dtype=np.float32)
        rows = self.text.encode(
            list(texts), batch_size=self.batch, normalize_embeddings=True, show_progress_bar=False
        )
        return np.asarray(rows, dtype=np.float32)


def _contents(folder: Path) -> str:
    told = [f"{path.relative_to(folder)} {digest(path)}" for path in sorted(folder.rglob("*")) if path.is_file()]
    return hashlib.sha256("\n".join(told).encode()).hexdigest()[:12]


def _opened(path: str, *, tokens: int, width: int, device: str) -> SentenceTransformer:
    """The model in this folder.

    Raises ModelAway for one that does not run on this device, ModelError for one of another width: a bi-encoder
    judges no pairs, and vectors are archived as they are.
    """
    try:
        model = load_model(Path(path), tokens=tokens, device=device)
        found = model.encode([("a", "b")] if width == 1 else ["a"], show_progress_bar=False)
    except ModelError:
        raise
    except Exception as error:
        raise ModelAway(f"{path}: sentence-transformers cannot run it on {device} ({error})") from error
    if found.shape != (1, width):
        raise ModelError(
            f"{path}: gives {found.shape[-1]} numbers, where guardian needs {width}"
            + (": a cross-encoder as `guardian train` makes it" if width == 1 else "")
        )
    return model


@dataclass(frozen=True, kw_only=True)
class SentenceTransformers:
    """Options: `pair` and `text` are directories; a training leaves both in `.work/reference` of its folder."""

    pair: str = ""
    text: str = ""
    device: str = "cpu"
    batch: int = 32
    paths: ClassVar[tuple[str, ...]] = ("pair", "text")

    def __post_init__(self) -> None:
        if self.batch < 1:
            raise ValueError(f"batch is {self.batch}; it is how many texts are read at once")

    @property
    def family(self) -> str:
        """Models given by path score in their own way; a hash of their files names them."""
        halves = {"pair": self.pair, "text": self.text}
        return "+".join(f"{half}-{_contents(Path(own))}" for half, own in halves.items() if own)

    def open(self, directory: Path) -> SentenceTransformersEncoder:
        if not (self.pair and self.text):
            raise ModelError(
                "the sentence_transformers engine needs two folders in model.options, pair and text;"
                f" `guardian train` leaves both in {directory / '.work' / REFERENCE}"
            )
        return SentenceTransformersEncoder(
            _opened(self.pair, tokens=PAIR_TOKENS, width=1, device=self.device),
            _opened(self.text, tokens=TEXT_TOKENS, width=DIMENSIONS, device=self.device),
            self.batch,
        )


plugin = SentenceTransformers
