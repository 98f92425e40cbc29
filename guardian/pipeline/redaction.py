"""Redaction rules of a deployment, field by field: drop, keyed hash, or keep only the shape.

They are applied at decoding, before anything is stored, embedded or shown, and after the credential scanner: a
credential in a dropped field is still a fact.
"""

import hmac
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from typing import Any

from guardian.domain.envelope import UNTOLD, Envelope
from guardian.domain.event import DecisionEvent
from guardian.domain.redacted import Rule, Way, below
from guardian.domain.signal import CredentialHit
from guardian.domain.strict_json import parse_text
from guardian.errors import ConfigurationError, DecodeError
from guardian.pipeline.decoding import Redactor
from guardian.signals.envelopes.principals import bare
from guardian.signals.words.hiding import AGENT, DELEGATOR

_AREAS = (
    "action.arguments", "action.resource.id", "envelope.resource_constraints", "decision.reason", "trace_id",
    "envelope.purpose",
)  # fmt: skip
_NAMES = (DELEGATOR, AGENT)
_ONLY_HASH = (*_NAMES, "envelope.task_id", "action.credential_id")
_SHAPE_CHARS = 256


@dataclass(frozen=True)
class FieldRules:
    """`rules` maps a path to what is done there: `action.arguments.customer.email`, `*` for any one name or
    number, a path to an object for all in it. A key with dots is a path too. `key` keys the hashes: equal values
    stay equal within a deployment."""

    inner: Redactor
    rules: Mapping[str, Way]
    key: bytes

    def __post_init__(self) -> None:
        for path, way in self.rules.items():
            _check(path, way)

    def redact(self, event: DecisionEvent) -> tuple[DecisionEvent, tuple[CredentialHit, ...]]:
        """The event after the scanner and then the rules."""
        clean, hits = self.inner.redact(event)
        body = clean.model_dump(by_alias=True)
        for path, way in self.rules.items():
            change = _WAYS[way](self.key)
            _apply(body, tuple(path.split(".")), _named(change) if path in _NAMES else change)
        return DecisionEvent.model_validate(body), hits

    def name(self, identifier: str) -> str:
        return self.inner.name(identifier)


def redact_envelope(redactor: Redactor, envelope: Envelope) -> Envelope:
    """An envelope that came without an event, redacted by the same rules."""
    event = DecisionEvent.model_validate(
        {
            "schema": "guardian.decision/v1",
            "id": "-",
            "time": "2000-01-01T00:00:00Z",
            "gateway": "-",
            "envelope": envelope,
            "action": {"tool": "-"},
            "decision": {"effect": "allow"},
        },
        strict=False,
    )
    return redactor.redact(event)[0].envelope


def _check(path: str, way: str) -> None:
    if any(path == area or path.startswith(area + ".") for area in _AREAS):
        return
    if path in _ONLY_HASH:
        if way != "hash":
            raise ConfigurationError(
                f"source.redact.{path}: {way!r}: a name can only be hashed, or sessions would mix"
            )
        return
    listed = ", ".join((*_AREAS, *_ONLY_HASH))
    raise ConfigurationError(f"source.redact.{path}: not a field that can be redacted; those are: {listed}")


_DROPPED = object()
_JSON = re.compile(r'[\s\ufeff]*(?:["{]|\[(?!redacted:))')
_NESTED = re.compile(r'[\s\ufeff]*+(?:\\[nrt]|[\s"\\])*+(?:\{|\[(?!redacted:))')
"""Also within one or more strings of JSON: what begins with a quotation mark alone may be prose."""
Change = Callable[[Any], Any]


def _apply(node: Any, path: Rule, change: Change) -> None:
    """Change in place what lies at the path, if anything does."""
    if isinstance(node, dict):
        keys: list[Any] = [key for key in node if path[0] in ("*", key) or "." in key]
    elif isinstance(node, list):
        keys = [i for i in reversed(range(len(node))) if path[0] in ("*", str(i))]
    else:
        return
    for key in keys:
        rests = below((path,), str(key))
        made = node[key]
        if () in rests:
            made = _deep(made, change)
        else:
            for rest in rests:
                made = _inside(made, rest, change)
        if made is _DROPPED:
            del node[key]
        else:
            node[key] = made


def _inside(value: Any, path: Rule, change: Change) -> Any:
    """The value with what lies in it at the path changed. A text of JSON is read as if it were nested there, and
    stays as it is where nothing is changed; one that only begins so and cannot be read is hidden whole."""
    if not isinstance(value, str):
        _apply(value, path, change)
        return value
    if _JSON.match(value) is None:
        return value
    try:
        held = parse_text(value)
    except DecodeError:
        return value if _NESTED.match(value) is None else change(value)
    before = _spelt(held)
    held = _inside(held, path, change)
    if held is _DROPPED:
        return held
    after = _spelt(held)
    return value if after == before else after


_spelt = partial(json.dumps, ensure_ascii=False, separators=(",", ":"))


def _deep(value: Any, change: Change) -> Any:
    if isinstance(value, dict) and change is not _drop:
        return {name: _deep(item, change) for name, item in value.items()}
    if isinstance(value, (list, tuple)) and change is not _drop:
        return type(value)(_deep(item, change) for item in value)
    return change(value)


def _drop(_value: Any) -> Any:
    return _DROPPED


def _hash(key: bytes) -> Change:
    def change(value: Any) -> Any:
        if value is None or isinstance(value, bool):
            return value
        told = str(value).encode("utf-8", "surrogatepass")
        return "hash:" + hmac.new(key, told, sha256).hexdigest()[:16]

    return change


def _named(change: Change) -> Change:
    """Names of one person or agent stay equal however they are spelt, and one that is not told stays so."""
    return lambda name: name if name in (None, UNTOLD) else change(bare(name))


def _shape(value: Any) -> Any:
    """Letters, and whatever is not ASCII, become x or X, and digits 9; punctuation stays. A whole number keeps
    only how many digits it has."""
    if isinstance(value, str):
        return "".join(map(_sign, value[:_SHAPE_CHARS]))
    if isinstance(value, int) and not isinstance(value, bool):
        return 10 ** (len(str(abs(value))) - 1)
    return 0.0 if isinstance(value, float) else value


def _sign(sign: str) -> str:
    if sign.isdigit():
        return "9"
    return "X" if sign.isupper() else "x" if sign.isalpha() or not sign.isascii() else sign


_WAYS: Mapping[Way, Callable[[bytes], Change]] = {
    "drop": lambda _key: _drop,
    "hash": _hash,
    "shape": lambda _key: _shape,
}
