"""The room that reads purposes and actions: text, vectors and the drift model's score of one action."""

from importlib import import_module
from pathlib import Path

from guardian.embedding.artefact import FUSION, open_artefact
from guardian.embedding.fit import FitRequest, PurposeFit
from guardian.embedding.fusion import load_fusion
from guardian.embedding.ports import Encoder, EnginePlugin, PairEncoder, TextEncoder
from guardian.errors import ModelError

__all__ = ["ENGINES", "Encoder", "EnginePlugin", "FitRequest", "PairEncoder", "PurposeFit", "TextEncoder", "load"]


def _engines() -> tuple[str, ...]:
    here = sorted(Path(__file__).parent.glob("*.py"))
    return tuple(path.stem for path in here if "\nplugin = " in path.read_text("utf-8"))


ENGINES = _engines()


def load(directory: Path, engine: str = "onnx", *, cache_size: int = 65_536, **options: object) -> PurposeFit:
    """The drift model in `directory`, verified, run by `engine`. Raises ModelError naming the known engines."""
    if engine not in ENGINES:
        raise ModelError(f"unknown engine {engine!r}; known: {', '.join(ENGINES)}")
    plugin = import_module(f"guardian.embedding.{engine}").plugin
    if engine == "lexical":
        return plugin(**options).purpose_fit(cache_size=cache_size)  # type: ignore[no-any-return]
    artefact = open_artefact(directory)
    opened: EnginePlugin = plugin(**options)
    return PurposeFit(
        opened.open(directory), load_fusion(artefact.path(FUSION)), artefact.version, cache_size=cache_size
    )
