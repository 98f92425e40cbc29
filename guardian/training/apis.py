"""Operations of public APIs with what their makers say that each does, as two client libraries carry them.

google-api-python-client holds the discovery documents of Google's APIs, botocore the service models of AWS (both
Apache-2.0): some 33,000 operations that neither the data sets nor the scenarios know. They are read as data; the
libraries themselves are never imported.
"""

import gzip
import html
import json
import random
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

from guardian.errors import ModelError

PACKAGES = ("google-api-python-client", "botocore")
MOST_PARAMETERS = 12
_SCALARS = {"string": "string", "integer": "integer", "boolean": "boolean", "number": "number"} | {
    "long": "integer",
    "float": "number",
    "double": "number",
}
_EVERYWHERE = frozenset(["projects", "locations", "organizations", "folders", "users"])
_LINK, _TAG, _SPACE = re.compile(r"\[([^\]]*)\]\([^)]*\)"), re.compile(r"<[^>]+>"), re.compile(r"\s+")
_REMARK = re.compile(r"^(?:Deprecated[:.]|\[.*?\]|Note:|Required\.|Beta:|Preview:)\s*")
_SENTENCE = re.compile(r"(.{15,220}?[.!])(?:\s|$)")
_NAME = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z0-9]+|[A-Z]+")


@dataclass(frozen=True, slots=True)
class Parameter:
    """One argument; `kind` is string, integer, number or boolean, `options` what it may be, where that is said."""

    name: str
    kind: str
    options: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation of `service`: a verb on the resource that `path` leads to."""

    service: str
    title: str
    path: tuple[str, ...]
    verb: str
    said: str
    parameters: tuple[Parameter, ...]


def operations(folders: Sequence[Path] | None = None) -> list[Operation]:
    """All operations with a sentence on what they do. Raises ModelError where a package is missing."""
    google, amazon = folders or [Path(str(_package(name).locate_file(""))) for name in PACKAGES]
    return [
        *_google(google / "googleapiclient" / "discovery_cache" / "documents"),
        *_amazon(amazon / "botocore" / "data"),
    ]


def versions() -> dict[str, str]:
    """Which version of each package is read: another one knows other operations. Raises ModelError where one is
    missing."""
    return {name: _package(name).version for name in PACKAGES}


def _package(name: str) -> Distribution:
    try:
        return distribution(name)
    except PackageNotFoundError as error:
        raise ModelError(f"training reads what {name} holds: pip install 'intent-guardian[train]'") from error


def first_sentence(text: str) -> str:
    """The first sentence of a description, without markup.

    >>> first_sentence("<p>Deletes the <a>Bucket</a>. All objects must be gone.</p>")
    'Deletes the Bucket'
    """
    plain = _TAG.sub("", html.unescape(_LINK.sub(r"\1", text))).replace("`", "")
    plain = _REMARK.sub("", _SPACE.sub(" ", plain).strip())
    found = _SENTENCE.match(plain)
    return (found[1] if found else plain[:200]).rstrip(".! ")


def _kept(name: str, share: float) -> bool:
    """Whether an argument that may be left out is shown: always the same ones."""
    return random.Random(name).random() < share


def _google(folder: Path) -> Iterator[Operation]:
    newest: dict[str, tuple[tuple[bool, str], Mapping[str, Any]]] = {}
    for path in sorted(folder.glob("*.json")):
        document = json.loads(path.read_text("utf-8"))
        if name := document.get("name"):
            number = document.get("version", "")
            rank = ("beta" not in number and "alpha" not in number, number)
            if name not in newest or rank > newest[name][0]:
                newest[name] = rank, document
    for name, (_, document) in newest.items():
        schemas = document.get("schemas", {})
        for path_, verb, method in _methods(document):
            said = first_sentence(method.get("description", ""))
            if len(said) >= 15:
                shown = tuple(p for p in path_ if p not in _EVERYWHERE or len(path_) == 1)
                parameters = tuple(_google_parameters(method, schemas))[:MOST_PARAMETERS]
                yield Operation(f"g{name}", document.get("title", name), shown, verb, said, parameters)


def _methods(
    resource: Mapping[str, Any], path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], str, Mapping[str, Any]]]:
    for name, method in resource.get("methods", {}).items():
        yield path, name, method
    for name, below in resource.get("resources", {}).items():
        yield from _methods(below, (*path, name))


def _google_parameters(method: Mapping[str, Any], schemas: Mapping[str, Any]) -> Iterator[Parameter]:
    for name, about in method.get("parameters", {}).items():
        if about.get("required") or _kept(name, 0.35):
            yield Parameter(name, about.get("type", ""), tuple(about.get("enum", ())))
    body = schemas.get(method.get("request", {}).get("$ref"), {})
    for name, about in body.get("properties", {}).items():
        output = about.get("readOnly") or "Output only" in about.get("description", "")
        if not output and about.get("type") in _SCALARS:
            yield Parameter(name, about["type"], tuple(about.get("enum", ())))


def _amazon(folder: Path) -> Iterator[Operation]:
    for service in sorted(path for path in folder.iterdir() if path.is_dir()):
        models = sorted(service.glob("*/service-2.json*"))
        if not models:
            continue
        raw = models[-1].read_bytes()
        model = json.loads(gzip.decompress(raw) if models[-1].suffix == ".gz" else raw)
        for name, about in model["operations"].items():
            said = first_sentence(about.get("documentation", ""))
            if len(said) >= 15:
                verb, *rest = _NAME.findall(name)
                parameters = tuple(_amazon_parameters(about, model["shapes"]))[:MOST_PARAMETERS]
                path = ("".join(rest) or name,)
                title = model["metadata"].get("serviceId", service.name)
                yield Operation(f"a{service.name}", title, path, verb if rest else name, said, parameters)


def _amazon_parameters(about: Mapping[str, Any], shapes: Mapping[str, Any]) -> Iterator[Parameter]:
    given = shapes.get(about.get("input", {}).get("shape", ""), {})
    for name, member in given.get("members", {}).items():
        shape = shapes.get(member["shape"], {})
        if shape.get("type") in _SCALARS and (name in given.get("required", ()) or _kept(name, 0.4)):
            yield Parameter(name, _SCALARS[shape["type"]], tuple(shape.get("enum", ())))
