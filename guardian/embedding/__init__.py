"""The room that reads purposes and actions: text, vectors and the drift model's score of one action."""

from pathlib import Path

from guardian.embedding.artefact import FUSION, Artefact, open_artefact
from guardian.embedding.fit import FitRequest, PurposeFit
from guardian.embedding.fusion import load_fusion
from guardian.embedding.ports import Encoder, EnginePlugin, PairEncoder, TextEncoder

__all__ = ["Encoder", "EnginePlugin", "FitRequest", "PairEncoder", "PurposeFit", "TextEncoder", "load", "version"]


def load(directory: Path, engine: EnginePlugin, *, cache_size: int = 65_536) -> PurposeFit:
    """The verified drift model in `directory`, run by `engine`; its version tells which model made a score."""
    artefact = open_artefact(directory)
    return PurposeFit(
        engine.open(directory),
        load_fusion(artefact.path(FUSION)),
        version(artefact, engine),
        cache_size=cache_size,
    )


def version(artefact: Artefact, engine: EnginePlugin) -> str:
    """Identifies what decides a score: the artefact's short hash, and the engine's family if it has one."""
    return f"{artefact.version}+{engine.family}" if engine.family else artefact.version
