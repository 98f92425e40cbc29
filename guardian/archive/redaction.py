"""Which argument values may enter the archive, by configurable rules. Credentials are removed before this."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from guardian.domain.past import argument_leaves, envelope_values
from guardian.domain.wildcards import covers

Treatment = Literal["keep", "identifiers", "hash", "shape", "drop"]

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
    Numbers and truth values are kept, except by `drop` and `hash`.
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
        if arguments is None:
            return None
        kept = self._walk(tool, "", arguments, 0)
        return kept if isinstance(kept, dict) else {}

    def _walk(self, tool: str, path: str, value: Any, depth: int) -> Any:
        if depth > _DEEPEST:
            return "~deep"
        match value:
            case Mapping():
                walked = {
                    name: self._walk(tool, f"{path}.{name}" if path else name, item, depth + 1)
                    for name, item in value.items()
                }
                return {name: item for name, item in walked.items() if item is not _GONE}
            case list() | tuple():
                items = [self._walk(tool, f"{path}[]", item, depth + 1) for item in value]
                return [item for item in items if item is not _GONE]
            case _:
                return self._leaf(self._rule(tool, path), value)

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
        if treatment == "identifiers" and len(value) <= _LONGEST_IDENTIFIER and _is_word(value):
            return value
        return shape(value)


def _is_word(text: str) -> bool:
    """Whether it may be an identifier: ASCII without spaces. Not every script puts spaces into a sentence."""
    return text.isascii() and not any(map(str.isspace, text))


def bound(
    arguments: Mapping[str, Any] | None, resource_id: str | None, constraints: Mapping[str, Any]
) -> list[str]:
    """The arguments that carry a value of the envelope, as `argument=constraint`, sorted.

    Computed before redaction, so that it is known of hashed values too. `resource.id` is the resource's own,
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
