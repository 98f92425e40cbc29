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
_HIDING = frozenset({"hash", "shape", "drop"})


@dataclass(frozen=True, slots=True)
class ArgumentRule:
    """For arguments whose tool and path match (`email.*`, `items[].note`; `*` stands for any characters).

    keep         as it is, up to 4,096 characters, beyond which its shape
    identifiers  words in ASCII, without spaces and up to 128 characters, as they are; all else as its shape
    hash         a keyed hash: equal values stay equal, nothing can be read back
    shape        runs of letters and digits by kind: `contract_7781` becomes `~a_9`
    drop         nothing, not even its name
    Numbers and truth values are kept, except by `drop` and `hash`. These two and `shape` hold for all that lies in
    a list or an object, too, since the agent chooses in which form it sends an argument; `keep` and `identifiers`
    hold for the value alone. A name may be data as well, as where an argument maps customers to something: it
    becomes its shape, numbered where several have the same, in what `hash` or `shape` holds for, and where
    `identifiers` would not keep it as a value (but for `keep`).
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
    """The first rule wins that matches a value, or one of `hash`, `shape` and `drop` that matches what it lies in;
    `identifiers` where none does. `fingerprint` is a keyed hash."""

    rules: tuple[ArgumentRule, ...]
    fingerprint: Callable[[str], str]

    def arguments(self, tool: str, arguments: Mapping[str, Any] | None) -> dict[str, Any] | None:
        """What may be kept of a call's arguments; None where there were none."""
        return None if arguments is None else self._object(tool, "", arguments, 0, self._leaf, len(self.rules))

    def names(self, tool: str, arguments: Mapping[str, Any] | None) -> dict[str, Any] | None:
        """The same with the values as they came: what is known of them goes by the names that are kept."""
        return None if arguments is None else self._object(tool, "", arguments, 0, _as_it_came, len(self.rules))

    def resource_id(self, tool: str, resource_id: str) -> str | None:
        """What may be kept of the name of a call's resource, which is like an argument `resource.id`."""
        object_, _, _ = _RESOURCE.partition(".")
        at = self._first(tool, _RESOURCE, self._within(tool, object_, len(self.rules)))
        kept = self._leaf(self._treatment(at), resource_id)
        return kept if isinstance(kept, str) else None

    def _walk(self, tool: str, path: str, value: Any, depth: int, leaf: _Leaf, at: int, above: int) -> Any:
        """`at` is the number of the rule for this value, `above` that of the rule for what it lies in."""
        if depth > _DEEPEST:
            return "~deep"
        treatment = self._treatment(at)
        if not isinstance(value, Mapping | list | tuple):
            return leaf(treatment, value)
        if treatment == "drop":
            return _GONE
        above = self._within(tool, path, above)
        if isinstance(value, Mapping):
            return self._object(tool, path, value, depth, leaf, above)
        path = f"{path}[]"
        at = self._first(tool, path, above)
        items = [self._walk(tool, path, item, depth + 1, leaf, at, above) for item in value]
        return [item for item in items if item is not _GONE]

    def _object(
        self, tool: str, path: str, value: Mapping[str, Any], depth: int, leaf: _Leaf, above: int
    ) -> dict[str, Any]:
        kept: dict[str, Any] = {}
        alike: Counter[str] = Counter()
        for name, item in value.items():
            below = f"{path}.{name}" if path else name
            at = self._first(tool, below, above)
            walked = self._walk(tool, below, item, depth + 1, leaf, at, above)
            if walked is _GONE:
                continue
            if not self._keeps_name(name, self._treatment(at), hidden=above < len(self.rules)):
                name = _apart(shape(name), alike, kept, value)
            kept[name] = walked
        return kept

    def _keeps_name(self, name: str, treatment: Treatment, *, hidden: bool) -> bool:
        """`hidden`: it lies in something that is hashed or shaped."""
        if treatment == "keep":
            return len(name) <= _LONGEST_VALUE
        return _is_identifier(name) and not (hidden and treatment in _HIDING)

    def _first(self, tool: str, path: str, above: int) -> int:
        """The number of the first rule that matches, among those before the one `above`."""
        before = enumerate(self.rules[:above])
        return next((number for number, rule in before if rule.matches(tool, path)), above)

    def _within(self, tool: str, path: str, above: int) -> int:
        """The same of the rules that hold for what lies there too: one that keeps the value alone hides none."""
        before = ((number, rule) for number, rule in enumerate(self.rules[:above]) if rule.treatment in _HIDING)
        return next((number for number, rule in before if rule.matches(tool, path)), above)

    def _treatment(self, at: int) -> Treatment:
        return self.rules[at].treatment if at < len(self.rules) else "identifiers"

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
