"""Which argument values may enter the archive, by configurable rules. Credentials are removed before this."""

import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from guardian.domain.past import argument_leaves, envelope_values
from guardian.domain.wildcards import covers

Treatment = Literal["keep", "identifiers", "hash", "shape", "drop"]
_Leaf: TypeAlias = Callable[[Treatment, Any], Any]

_LONGEST_IDENTIFIER = 128
_LONGEST_VALUE = 4096
_RUNS = re.compile(r"[0-9]+|[A-Z]+|[a-z]+|\s+", re.ASCII)
_BEYOND_ASCII = re.compile(r"[^\x00-\x7f]")
_DEEPEST = 16
_GONE = object()
_RESOURCE = "resource.id"


@dataclass(frozen=True, slots=True)
class ArgumentRule:
    """For arguments whose tool and path match (`email.*`, `items[].note`; `*` stands for any characters).

    keep         as it is, up to 4,096 characters, beyond which its shape
    identifiers  words in ASCII, without spaces and up to 128 characters, as they are; all else as its shape
    hash         a keyed hash: equal values stay equal, nothing can be read back
    shape        runs of letters and digits by kind: `contract_7781` becomes `~a_9`
    drop         nothing, not even its name
    Numbers and truth values are kept, except by `drop` and `hash`. A name may be data too, as where an argument
    maps customers to something: what `identifiers` would not keep as a value is kept as a name by `keep` only, and
    else becomes its shape, numbered where several have the same.
    """

    tool: str = "*"
    argument: str = "*"
    treatment: Treatment = "identifiers"

    def matches(self, tool: str, path: str) -> bool:
        return covers(self.tool, tool) and covers(self.argument, path)


def shape(text: str) -> str:
    """The form of a value without its content. Beyond ASCII every sign counts as a letter, a digit or a space,
    since accents, vowel points and symbols carry content too, and many scripts have no capitals and no spaces.

    >>> shape("contract_7781"), shape("Dear Ms Miller, please pay"), shape("Köln, 東京٣")
    ('~a_9', '~Aa Aa Aa, a a', '~Aa, a9')
    """

    def run(found: re.Match[str]) -> str:
        first = found[0][0]
        return "9" if first.isdigit() else " " if first.isspace() else "A" if first.isupper() else "a"

    return "~" + _RUNS.sub(run, _BEYOND_ASCII.sub(run, text[:_LONGEST_VALUE]))[:64]


@dataclass(frozen=True)
class Redaction:
    """The first rule that matches wins; `identifiers` where none does. `fingerprint` is a keyed hash."""

    rules: tuple[ArgumentRule, ...]
    fingerprint: Callable[[str], str]

    def arguments(self, tool: str, arguments: Mapping[str, Any] | None) -> dict[str, Any] | None:
        """What may be kept of a call's arguments; None where there were none."""
        return None if arguments is None else self._object(tool, "", arguments, 0, self._leaf)

    def names(self, tool: str, arguments: Mapping[str, Any] | None) -> dict[str, Any] | None:
        """The same with the values as they came: what is known of them goes by the names that are kept."""
        return None if arguments is None else self._object(tool, "", arguments, 0, _as_it_came)

    def _walk(self, tool: str, path: str, value: Any, depth: int, leaf: _Leaf) -> Any:
        if depth > _DEEPEST:
            return "~deep"
        match value:
            case Mapping():
                return self._object(tool, path, value, depth, leaf)
            case list() | tuple():
                items = [self._walk(tool, f"{path}[]", item, depth + 1, leaf) for item in value]
                return [item for item in items if item is not _GONE]
            case _:
                return leaf(self._rule(tool, path), value)

    def _object(self, tool: str, path: str, value: Mapping[str, Any], depth: int, leaf: _Leaf) -> dict[str, Any]:
        kept: dict[str, Any] = {}
        alike: Counter[str] = Counter()
        for name, item in value.items():
            below = f"{path}.{name}" if path else name
            walked = self._walk(tool, below, item, depth + 1, leaf)
            if walked is _GONE:
                continue
            if not _is_identifier(name) and not (
                self._rule(tool, below) == "keep" and len(name) <= _LONGEST_VALUE
            ):
                name = _apart(shape(name), alike, kept, value)
            kept[name] = walked
        return kept

    def _rule(self, tool: str, path: str) -> Treatment:
        return next((rule.treatment for rule in self.rules if rule.matches(tool, path)), "identifiers")

    def _leaf(self, treatment: Treatment, value: Any) -> Any:
        if treatment == "drop":
            return _GONE
        if treatment == "hash" and value is not None:
            return "#" + self.fingerprint(str(value))
        if not isinstance(value, str):
            return value
        if treatment == "keep":
            return value if len(value) <= _LONGEST_VALUE else shape(value)
        if treatment == "identifiers" and _is_identifier(value):
            return value
        return shape(value)


def _as_it_came(treatment: Treatment, value: Any) -> Any:
    return _GONE if treatment == "drop" else value


def _is_identifier(text: str) -> bool:
    """Whether it may be one: short, ASCII and without spaces. Not every script puts spaces into a sentence."""
    return len(text) <= _LONGEST_IDENTIFIER and text.isascii() and not any(map(str.isspace, text))


def _apart(form: str, alike: Counter[str], *taken: Mapping[str, Any]) -> str:
    """The shape of a name, with its number where it is not the first of this shape."""
    while True:
        alike[form] += 1
        name = form if alike[form] == 1 else f"{form}#{alike[form]}"
        if not any(name in names for names in taken):
            return name


def bound(
    arguments: Mapping[str, Any] | None, resource_id: str | None, constraints: Mapping[str, Any]
) -> list[str]:
    """The arguments that carry a value of the envelope, as `argument=constraint`, sorted.

    Computed from `Redaction.names`, so that it is known of hashed values too. `resource.id` is the resource's own,
    unless an argument has that name.
    """
    held: dict[str, set[str]] = {}
    for name, values in envelope_values(constraints).items():
        for value in values:
            held.setdefault(value, set()).add(name)
    leaves = [*argument_leaves(arguments or {})]
    if resource_id is not None and all(path != _RESOURCE for path, _ in leaves):
        leaves.append((_RESOURCE, resource_id))
    return sorted({f"{path}={name}" for path, value in leaves for name in held.get(_text(value), ())})


def _text(value: Any) -> str:
    return "" if value is None or isinstance(value, bool) else str(value)
