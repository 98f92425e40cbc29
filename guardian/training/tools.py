"""Tools as agents are given them, made of the operations of public APIs: a name, arguments, what they work on."""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from random import Random

from guardian.domain.text import word_set
from guardian.embedding.text import vocabulary
from guardian.training.apis import Operation, Parameter

MOST_OF_A_SERVICE, LEAST_OF_A_SERVICE = 90, 4
_WORD = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|\d+")
_NO_THING = word_set("project location name resource list batch by id for and of the type data v")
_READ = word_set(
    "get list describe search query fetch lookup retrieve read batchget aggregated count show test head scan"
    " estimate"
)
_ACT = word_set(
    "delete remove terminate purge send share publish execute run invoke revoke disable reset destroy deregister"
)
_THINGS = vocabulary(
    "acme nova river orchid blue delta summit maple harbor pixel quartz lunar ember cedar atlas falcon copper"
    " willow onyx sierra juno vega terra nimbus polar coral indigo raven solar topaz"
)
_PEOPLE = (
    "maria chen", "tom baker", "aisha khan", "lukas meyer", "ines costa", "yuki tanaka", "omar haddad",
    "priya nair", "john smith", "ana silva",
)  # fmt: skip


class Reach(IntEnum):
    """How far an operation goes."""

    READ = 0
    WRITE = 1
    ACT = 2


@dataclass(frozen=True, slots=True, eq=False)
class Tool:
    """An operation with the words of what it works on: `thing` of the last step of its path, `things` of all."""

    operation: Operation
    thing: frozenset[str]
    things: frozenset[str]
    reach: Reach


Services = Mapping[str, Sequence[Tool]]


def _words(name: str) -> list[str]:
    return [word.lower() for word in _WORD.findall(name)]


def _stem(word: str) -> str:
    if word.endswith("ies"):
        return f"{word[:-3]}y"
    return word[:-1] if word.endswith("s") and not word.endswith("ss") and len(word) > 3 else word


def _reach(verb: str) -> Reach:
    first, *rest = [*_words(verb), ""]
    if first in _READ or first == "aggregated" or (first == "batch" and rest[0] in _READ):
        return Reach.READ
    return Reach.ACT if first in _ACT else Reach.WRITE


def _tool(operation: Operation) -> Tool:
    path, verb = operation.path, operation.verb
    stems = [_stem(word) for word in _words(" ".join((*path, verb)))]
    things = {stem for stem in stems if stem not in _NO_THING and len(stem) > 2}
    things -= {_stem(word) for word in _words(verb)[:1]}
    thing = {_stem(word) for word in _words(path[-1])} if path else set[str]()
    return Tool(operation, frozenset(thing - _NO_THING), frozenset(things), _reach(verb))


def services(operations: Sequence[Operation], *, seed: int) -> Services:
    """Tools by service, at most 90 of each, so that no large one outweighs the others."""
    rnd = Random(seed)
    grouped: dict[str, list[Operation]] = defaultdict(list)
    for operation in operations:
        grouped[operation.service].append(operation)
    kept: dict[str, list[Tool]] = {}
    for name, found in grouped.items():
        chosen = rnd.sample(found, MOST_OF_A_SERVICE) if len(found) > MOST_OF_A_SERVICE else found
        tools = [tool for tool in map(_tool, chosen) if tool.things]
        if len(tools) >= LEAST_OF_A_SERVICE:
            kept[name] = tools
    return dict(sorted(kept.items()))


def _value(parameter: Parameter, rnd: Random) -> object:
    """A made-up value by the argument's kind and name."""
    low = parameter.name.lower()
    if parameter.options:
        return rnd.choice(parameter.options)
    if parameter.kind in ("integer", "number"):
        return rnd.choice([rnd.randint(1, 20), rnd.randint(20, 500), rnd.randint(1_000, 99_999)])
    if parameter.kind == "boolean":
        return rnd.random() < 0.5
    if "email" in low or "recipient" in low:
        name = rnd.choice(_PEOPLE).replace(" ", ".")
        return f"{name}@{rnd.choice(_THINGS)}{rnd.choice(['.com', '.org', '.io'])}"
    if "date" in low or "time" in low:
        return f"2025-{rnd.randint(1, 12):02d}-{rnd.randint(1, 28):02d}"
    if "user" in low or "owner" in low or "author" in low:
        return rnd.choice(_PEOPLE)
    if "url" in low or "uri" in low:
        return f"https://{rnd.choice(_THINGS)}.example/{rnd.choice(_THINGS)}"
    if "arn" in low or low.endswith("id"):
        number, bits = f"{rnd.choice(_THINGS)}-{rnd.randint(10, 999)}", f"{rnd.getrandbits(40):010x}"
        coded = f"{rnd.choice(['i', 'r', 'vol', 'prj', 'ord'])}-{rnd.getrandbits(32):08x}"
        return rnd.choice([number, bits, coded])
    if any(part in low for part in ("title", "description", "comment", "text", "query")) or low == "q":
        return " ".join(rnd.sample(_THINGS, rnd.randint(2, 4)))
    one, joined = rnd.choice(_THINGS), f"{rnd.choice(_THINGS)}-{rnd.choice(_THINGS)}"
    spaced = f"{rnd.choice(_THINGS)} {rnd.choice(_THINGS)}"
    numbered = f"{rnd.choice(_THINGS)}_{rnd.randint(1, 99)}"
    return rnd.choice([one, joined, spaced, numbered])


def made_arguments(tool: Tool, rnd: Random, known: Mapping[str, str] | None = None) -> dict[str, object]:
    """Some of the tool's arguments; those that are `known` mostly have the value they are known by."""
    parameters = list(tool.operation.parameters)
    rnd.shuffle(parameters)
    del parameters[rnd.choice([0, 1, 1, 2, 2, 3, 4, 5]) :]
    snake, made = rnd.random() < 0.6, dict[str, object]()
    for parameter in parameters:
        name = "_".join(_words(parameter.name)) if snake else parameter.name
        value = _value(parameter, rnd)
        if known and rnd.random() < 0.75 and isinstance(value, str) and name in known:
            value = known[name]
        made[name] = value
    return made


def named(tool: Tool, style: float) -> str:
    """The tool's name in one of five styles."""
    path, verb = tool.operation.path, _words(tool.operation.verb)
    last = _words(path[-1]) if path else []
    service = _words(tool.operation.service[1:])[:1]
    if style < 0.35:
        return "_".join(verb + last)
    if style < 0.55:
        return "_".join(service + verb + last)
    if style < 0.70:
        return ".".join(["_".join(service), *("_".join(_words(step)) for step in path[-2:]), "_".join(verb)])
    if style < 0.85:
        return "".join(word.capitalize() for word in service + verb + last)
    return "_".join(last + verb)
