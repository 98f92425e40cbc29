"""The words that policies compare facts with: Cedar knows no list of those that a String may be, so a misspelt one
fits the schema, and a prohibition that asks for it forbids nothing.
"""

from collections.abc import Iterator
from typing import Any, get_args

from guardian.domain.revocation import SubjectType
from guardian.policy.port import PolicyAction
from guardian.wire.base import Mode

_WORDS = {
    "mode": frozenset(get_args(Mode)),
    "target": frozenset(get_args(PolicyAction)),
    "kind": frozenset(get_args(SubjectType)) - {"session"},
}
"""What these facts may be; no other attribute is called like one of them."""


def misspelt(conditions: Any) -> Iterator[str]:
    """What the conditions of a policy, in Cedar's JSON, compare a fact with that it never is."""
    left = [conditions]
    while left:
        node = left.pop()
        match node:
            case {"left": dict(one), "right": dict(other)}:
                yield from (*_never(one, other), *_never(other, one))
        left += node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()


def _never(fact: dict[str, Any], said: dict[str, Any]) -> Iterator[str]:
    match fact:
        case {".": {"attr": name}} if name in _WORDS:
            for word in (each.get("Value") for each in said.get("Set", [said])):
                if isinstance(word, str) and word not in _WORDS[name]:
                    yield f"{name} is never {word!r}, but one of {', '.join(sorted(_WORDS[name]))}"
