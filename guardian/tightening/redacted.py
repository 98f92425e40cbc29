"""A redacted value is not what a gateway sees. It is known by its form, or by the rules that redacted it."""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from guardian.domain.past import PastCall, agent_role
from guardian.domain.redacted import Rule, below

SHAPED = "[shaped]"
"""Replaces a value that redaction reduced to its shape, which looks like any text: present, but equal to
nothing."""
_HASH = re.compile(r"hash:[0-9a-f]{16}")
_HASHED_ROLE = agent_role("hash:" + "0" * 16)
_SCANNED = ("[redacted:", "[unscanned:")
_LIMITS = ("data_classes", "max_records")


def hashed(text: str) -> bool:
    """Whether it is a keyed hash (by `source.redact` or the archive) or a shape that the archive made of a text.

    Shapes may be treated like hashes here: the archive compares arguments with the envelope before it shapes them.
    """
    return text[:1] in ("#", "~") or _HASH.fullmatch(text) is not None


def shaped(path: str) -> bool:
    """Whether the archive made the shape of a name on this dotted path: no call has an argument of that name."""
    return path.startswith("~") or ".~" in path


def lost(text: str) -> bool:
    """Whether equal ones may have been different values: a shape, or a text that the credential scanner cut."""
    return text == SHAPED or any(mark in text for mark in _SCANNED)


def nameless(name: str) -> bool:
    """Whether a purpose, a role or a data class was redacted. All hashed agents have the same role."""
    return name == _HASHED_ROLE or _HASH.fullmatch(name) is not None or lost(name)


def marked(calls: Iterable[PastCall], rules: Mapping[str, str]) -> Iterator[PastCall]:
    """The calls with `SHAPED` for every value that `rules` (path -> way, as in `source.redact`) reduced to its
    shape. A limit of the envelope is marked as a whole if they change any part of it."""
    rest = {path: tuple(path.split(".")[2:]) for path in rules}
    shaped = tuple(
        rest[path] for path, way in rules.items() if way == "shape" and path.startswith("action.arguments")
    )
    constraints = [rest[path] for path in rules if path.startswith("envelope.resource_constraints")]
    limits = {name: SHAPED for name in _LIMITS if below(constraints, name)}
    purpose = any(path.startswith("envelope.purpose") for path in rules)
    if not (shaped or limits or purpose):
        yield from calls
        return
    for call in calls:
        yield call._replace(
            arguments=_marked(call.arguments, shaped) if shaped else call.arguments,
            constraints={**call.constraints, **limits} if limits else call.constraints,
            purpose=SHAPED if purpose else call.purpose,
        )


def _marked(value: Any, rules: tuple[Rule, ...]) -> Any:
    match value:
        case Mapping():
            return {name: _marked(item, below(rules, name)) for name, item in value.items()}
        case bool() | None:
            return value
        case _:
            return SHAPED if () in rules else value
