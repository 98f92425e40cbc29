"""The notation of authored work: lines of fields, calls with slots, and how tools are called.

A line is `domain: purpose / purpose :: call | call :: …`, a call `noun.verb(argument=value, …)`. `{slots}` are
filled alike over a session (slots.py), and tools are named in a style drawn per session (contracts.read,
read_contract, ContractRead), so that neither values nor names can be learnt by heart.
"""

import random
import re
from collections.abc import Callable, Iterator, Mapping, Set

from guardian.evaluation.sessions import LabelledAction

_SYNONYMS: Mapping[str, tuple[str, ...]] = {
    "get": ("get", "read", "fetch", "retrieve", "view"),
    "read": ("read", "get", "open", "fetch"),
    "list": ("list", "get_all", "query", "list"),
    "search": ("search", "find", "query", "lookup"),
    "find": ("find", "search", "lookup"),
    "create": ("create", "add", "new", "create"),
    "update": ("update", "edit", "modify", "set"),
    "delete": ("delete", "remove", "delete", "purge"),
    "send": ("send", "send", "dispatch"),
    "export": ("export", "bulk_export", "download_all", "dump"),
}
_CALL = re.compile(r"^(\w+)\.(\w+)\((.*)\)$", re.S)
_SLOT = re.compile(r"\{(\w+)\}")
Calls = tuple[str, ...]


def lines(text: str, *, fields: int) -> Iterator[tuple[str, tuple[str, ...], list[Calls]]]:
    """Domain, purposes and as many `fields` of calls of each line; another line is a ValueError that quotes it."""
    for line in text.strip().splitlines():
        about, *calls = line.split(" :: ")
        if len(calls) != fields or ": " not in about:
            raise ValueError(f"not a line of work with {fields} fields of calls: {line[:80]!r}")
        domain, purposes = about.split(": ", 1)
        yield domain, tuple(purposes.split(" / ")), [_calls(field) for field in calls]


def _calls(field: str) -> Calls:
    return tuple(re.split(r"(?<=\)) \| (?=\w+\.\w+\()", field))


def slugged(text: str, without: Set[str], rnd: random.Random) -> str:
    """`text` as a purpose is declared: its first ten words `without` some, joined one way or another."""
    kept = [word for word in re.findall(r"[^\W_]+", text.lower()) if word not in without]
    return rnd.choice("__-").join(kept[:10])


def call_of(
    call: str, slots: Mapping[str, str], style: Callable[[str, str], str], *, drift: bool
) -> LabelledAction:
    """The call that is written so. Raises ValueError for what is none."""
    match = _CALL.match(call.strip())
    if match is None:
        raise ValueError(f"not a call: {call!r}")
    noun, verb, body = match.groups()
    parts = [part.split("=", 1) for part in re.split(r", (?=\w+=)", body)] if body else []
    arguments: dict[str, object] = {key: filled(value, slots) for key, value in parts}
    return LabelledAction(style(noun, verb), arguments, "drift" if drift else "benign")


def without_slots(template: str) -> str:
    """The words around a template's slots."""
    return _SLOT.sub("", template)


def filled(template: str, slots: Mapping[str, str]) -> str:
    """The template with a value in each slot."""
    return _SLOT.sub(lambda match: slots[match.group(1)], template)


def naming(rnd: random.Random) -> Callable[[str, str], str]:
    """How one session's tools are called: from noun and verb to a name."""
    kind, plural, salt = rnd.randint(0, 4), rnd.random() < 0.5, rnd.random()

    def name(noun: str, verb: str) -> str:
        options = _SYNONYMS.get(verb, (verb,))
        verb = options[int(salt * len(options))]
        if plural and kind < 2 and not noun.endswith("s") and noun not in {"crm", "hr", "mail", "http"}:
            noun += "s"
        camel = [part.title().replace("_", "") for part in (verb, noun)]
        match kind:
            case 0 | 1:
                return f"{noun}.{verb}"
            case 2:
                return f"{verb}_{noun}"
            case 3:
                return f"{camel[1]}{camel[0]}"
            case _:
                return f"{noun}_{verb}" if salt < 0.5 else f"{camel[0]}{camel[1]}"

    return name
