"""The room that reads purposes and actions: text, vectors and the drift model's score of one action."""

from pathlib import Path

from guardian.embedding.artefact import FUSION, Artefact, open_artefact
from guardian.embedding.fit import FitRequest, PurposeFit
from guardian.embedding.fusion import load_fusion
from guardian.embedding.ports import Encoder, EnginePlugin, PairEncoder, TextEncoder

__all__ = ["Encoder", "EnginePlugin", "FitRequest", "PairEncoder", "PurposeFit", "TextEncoder", "load", "scorer"]


def load(directory: Path, engine: EnginePlugin, *, cache_size: int = 65_536) -> PurposeFit:
    """The drift model in `directory`, verified, run by `engine`; its version says whose scores these are."""
    artefact = open_artefact(directory)
    return PurposeFit(
        engine.open(directory),
        load_fusion(artefact.path(FUSION)),
        scorer(artefact, engine),
        cache_size=cache_size,
    )


def scorer(artefact: Artefact, engine: EnginePlugin) -> str:
    """Names what decides a score: the artefact's own short hash, with the engine's family where it has another."""
    return _named(artefact.scorer, engine)


def _named(version: str, engine: EnginePlugin) -> str:
    return f"{version}+{engine.family}" if engine.family else version
