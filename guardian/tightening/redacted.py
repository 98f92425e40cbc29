"""What redaction has changed is not what a gateway sees: told by its form, or by the rules that changed it."""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from guardian.domain.past import PastCall, agent_role

SHAPED = "[shaped]"
"""Stands for what only keeps its shape: it is there, and equals nothing, for a shape has no form of its own."""
_HASH = re.compile(r"hash:[0-9a-f]{16}")
_HASHED_ROLE = agent_role("hash:" + "0" * 16)
_SCANNED = ("[redacted:", "[unscanned:")
_LIMITS = ("data_classes", "max_records")

Path = tuple[str, ...]


def hashed(text: str) -> bool:
    """Whether it is a keyed hash, of `source.redact` or of the archive, or the archive's shape of a text.

    The archive tells which arguments carry a value of the envelope before it shapes them.
    """
    return text[:1] in ("#", "~") or _HASH.fullmatch(text) is not None


def lost(text: str) -> bool:
    """Whether two of these may be equal that never were: a shape, or a text that the credential scanner cut."""
    return text == SHAPED or any(mark in text for mark in _SCANNED)


def nameless(name: str) -> bool:
    """Whether a purpose, a role or a data class was redacted. All hashed agents are one role."""
    return name == _HASHED_ROLE or _HASH.fullmatch(name) is not None or lost(name)


def marked(calls: Iterable[PastCall], rules: Mapping[str, str]) -> Iterator[PastCall]:
    """The calls with `SHAPED` in place of what `rules` (path -> way, as `source.redact`) changed without a form of
    its own. A limit of the envelope of which they change a part is marked whole."""
    below = {path: tuple(path.split(".")[2:]) for path in rules}
    shaped = [below[path] for path, way in rules.items() if way == "shape" and path.startswith("action.arguments")]
    constraints = [below[path] for path in rules if path.startswith("envelope.resource_constraints")]
    limits = {name: SHAPED for name in _LIMITS if _inside(constraints, name)}
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


def _marked(value: Any, rules: list[Path]) -> Any:
    match value:
        case Mapping():
            return {name: _marked(item, _inside(rules, name)) for name, item in value.items()}
        case bool() | None:
            return value
        case _:
            return SHAPED if () in rules else value


def _inside(rules: list[Path], name: str) -> list[Path]:
    """What is left of the rules below a name; a rule that ended above it goes for all in it."""
    return [rule[1:] for rule in rules if not rule or rule[0] in ("*", name)]
