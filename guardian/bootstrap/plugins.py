"""Names in the configuration → modules of a room. A module is a plugin if it exports `plugin`."""

import importlib
import pkgutil
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from functools import cache
from inspect import signature
from math import isfinite
from pathlib import Path
from typing import Annotated, Any, get_type_hints

from pydantic import AfterValidator, TypeAdapter, ValidationError

from guardian.config.explaining import in_words
from guardian.errors import ConfigurationError

_EXTRAS = {"torch": "train", "sentence_transformers": "train", "onnx": "train"}
"""Which extra brings a library that not every deployment needs."""

_SECTIONS = {
    "alerting": "alerts",
    "embedding": "model.engine",
    "policy": "policy.language",
    "revocation": "revocation.faces",
    "sources": "source.format",
    "tightening": "tightening.backends",
}
"""Where the configuration names a room's plugins, unless it calls them as the room is called."""

_BESIDES = {"sources": ("auto",)}
"""Names that mean several plugins."""

_EXPORTS_PLUGIN = re.compile(r"^plugin\b\s*(?::[^=]+)?=", re.MULTILINE)


@cache
def names(room: str) -> tuple[str, ...]:
    """Every plugin of a room, found in the folder without importing any of them."""
    package = importlib.import_module(f"guardian.{room}")
    found = [
        module.name
        for module in pkgutil.iter_modules(package.__path__)
        if not module.ispkg
        and _EXPORTS_PLUGIN.search(Path(package.__path__[0], f"{module.name}.py").read_text(encoding="utf-8"))
    ]
    return tuple(sorted(found))


def find(room: str, name: str) -> Any:
    """What a module exports as `plugin`. Raises ConfigurationError with the known names."""
    if name not in names(room):
        known = ", ".join((*_BESIDES.get(room, ()), *names(room)))
        raise ConfigurationError(f"unknown {_shown(room, name)}; known ones: {known}")
    with extras_named(_shown(room, name)):
        return importlib.import_module(f"guardian.{room}.{name}").plugin


@contextmanager
def extras_named(what: str) -> Iterator[None]:
    """A library that is not installed becomes a ConfigurationError that says how to get it for `what`."""
    try:
        yield
    except ModuleNotFoundError as error:
        extra = _EXTRAS.get((error.name or "").partition(".")[0])
        if extra is None:
            raise
        raise ConfigurationError(
            f"{what} needs {error.name}, which is not installed: pip install 'intent-guardian[{extra}]'"
        ) from error


def make(room: str, name: str, options: Mapping[str, Any], **given: Any) -> Any:
    """Construct one plugin from its options. Raises ConfigurationError naming the way out.

    `given` are things the composition root hands over (a secret, a clock); they are not options.
    """
    plugin = find(room, name)
    own = fields(plugin) if is_dataclass(plugin) else ()  # class variables are no options
    allowed = {field.name for field in own if not field.name.startswith("_")}
    for option in options:
        if option not in allowed - set(given):
            listed = ", ".join(sorted(allowed - set(given))) or "none"
            raise ConfigurationError(f"unknown option {option!r} of {_shown(room, name)}; its options: {listed}")
    for name_, parameter in signature(plugin).parameters.items():
        wanted = parameter.default is parameter.empty and parameter.kind is not parameter.VAR_KEYWORD
        if wanted and name_ not in options and name_ not in given:
            raise ConfigurationError(f"{_shown(room, name)} needs the option {name_!r}")
    kinds = _kinds(plugin) if own and options else {}
    taken: dict[str, Any] = {}
    wrong: ConfigurationError | None = None
    for option, value in options.items():
        try:
            taken[option] = _typed(value, kinds[option]) if option in kinds else _tupled(value)
        except ValidationError as error:
            wrong, taken[option] = wrong or _refused(room, name, option, error, value), _tupled(value)
    try:
        with extras_named(_shown(room, name)):
            made = plugin(**taken, **given)
    except ConfigurationError:  # it says itself what is wrong
        raise
    except Exception as error:  # whatever a value of the wrong kind does to it
        if wrong is not None:
            raise wrong from error
        if isinstance(error, TypeError | ValueError):
            raise ConfigurationError(f"options of {_shown(room, name)}: {error}") from error
        raise
    if wrong is not None:  # and the plugin itself had nothing to say, which says more
        raise wrong
    return made


def _kinds(plugin: Any) -> dict[str, Any]:
    """What each option takes; without those whose type cannot be told here: the plugin has to check them."""
    try:
        hints = get_type_hints(plugin)
    except Exception:  # annotations may be anything: names that exist nowhere, calls that fail
        return {}
    return {option: read for option, kind in hints.items() if (read := _reader(kind)) is not None}


def _reader(kind: Any) -> TypeAdapter[Any] | None:
    try:
        return TypeAdapter(Annotated[kind, AfterValidator(_finite)])
    except Exception:  # of a class that pydantic knows nothing of; each such error has another base
        return None


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not isfinite(value):
        raise ValueError(f"takes a finite number, got {value}")
    return value


def _typed(value: Any, kind: TypeAdapter[Any]) -> Any:
    """The value as an option takes it; a number, yes or no may be text, as variables spell it.

    Raises ValidationError.
    """
    read = kind.validate_python(value)
    return read if isinstance(value, str) and isinstance(read, int | float) else _tupled(value)


def _refused(room: str, name: str, option: str, error: ValidationError, value: Any) -> ConfigurationError:
    problem = error.errors(include_url=False)[0]
    where = ".".join(map(str, (option, *problem["loc"])))
    said = in_words(problem["type"], problem["msg"], empty=value is None)
    return ConfigurationError(f"{_shown(room, name)}: {where}: {said}")


def _shown(room: str, name: str) -> str:
    return f"{_SECTIONS.get(room, room)} {name!r}"


def _tupled(value: Any) -> Any:
    return tuple(map(_tupled, value)) if isinstance(value, list) else value
