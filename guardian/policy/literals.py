"""The words that policies compare facts with: Cedar knows no list of those that a String may be, so a misspelt one
fits the schema, and a prohibition that asks for it forbids nothing.
"""

from collections.abc import Iterator
from itertools import product
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
_ACTOR, _ROLE = "Guardian::Actor", "Guardian::Role"


def misspelt(conditions: Any) -> Iterator[str]:
    """What the conditions of a policy, in Cedar's JSON, compare a fact with that it never is."""
    left = [conditions]
    while left:
        node = left.pop()
        for asks, sides in node.items() if isinstance(node, dict) else ():
            match sides:
                case {"left": dict(one), "right": dict(other)}:
                    yield from (*_never(asks, one, other), *_never(asks, other, one))
        left += node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()


def _never(asks: str, fact: dict[str, Any], said: dict[str, Any]) -> Iterator[str]:
    for each, other in product(_choices(fact), _choices(said)):
        match each, other:
            case {".": {"attr": name}}, {"Value": str(word)} if word not in _WORDS.get(name, {word}):
                yield f"{name} is never {word!r}, but one of {', '.join(sorted(_WORDS[name]))}"
            case {"Var": "principal" as name} | {".": {"attr": "delegator" as name}}, {"Value": {"__entity": it}}:
                if it["type"] != _ACTOR and (asks, it["type"]) != ("in", _ROLE):
                    told = f'{it["type"]}::"{it["id"]}"'
                    yield f"{name} is never {told}, but a {_ACTOR}, which may be `in` a {_ROLE}"


def _choices(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """What an expression may stand for: the members of a set, both ends of a choice."""
    match node:
        case {"Set": list(members)}:
            for each in members:
                yield from _choices(each)
        case {"if-then-else": {"then": dict(one), "else": dict(other)}}:
            yield from (*_choices(one), *_choices(other))
        case _:
            yield node
