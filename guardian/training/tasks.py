"""Pairs that teach what tools are for: a purpose made of what operations do (apis.py), and calls under it.

Honest are the operations themselves, and look-ups of what they work on; drift are look-ups and acts on other
things, and acts that go further than what was asked ("get the report", and the report deleted).
"""

import re
from collections.abc import Mapping, Sequence
from random import Random

from guardian.embedding.consequence import Consequence, consequence
from guardian.embedding.fit import FitRequest
from guardian.embedding.grounding import argument_values
from guardian.training.pairs import HONEST, Example, slug
from guardian.training.tools import Reach, Services, Tool, made_arguments, named

PREREQUISITE, NEAR = 0.06, 0.60
"""Targets of a look-up of what an operation works on, and of one of another thing of the same service."""
WEIGHED: Mapping[Consequence, float] = {
    Consequence.READ: 0.72,
    Consequence.UNKNOWN: 0.80,
    Consequence.WRITE: 0.92,
    Consequence.ACT: 0.97,
}
_MAKER = re.compile(r"\b(API|Cloud|Amazon|AWS|Google|Admin)\b")
_JOINED = (" and ", ", then ", ". Then ", "; ", ". Also, ", " and then ")
_ASKED = ("", "", "", "Please ", "Can you ", "I need to ", "Help me to ", "We want to ", "Task: ")
_TAKEN = re.compile(r"\b(the |a )?(specified|given|existing) ")


def _imperative(said: str) -> str:
    """ "Lists the drafts" as "List the drafts"."""
    found = re.match(r"^([A-Z][a-z]+)(\s.*)$", said)
    if not found:
        return said
    verb = found[1]
    if verb.endswith(("sses", "shes", "ches", "xes")):
        verb = verb[:-2]
    elif verb.endswith("ies"):
        verb = f"{verb[:-3]}y"
    elif verb.endswith("s") and not verb.endswith("ss"):
        verb = verb[:-1]
    return verb + found[2]


def _phrase(tool: Tool, rnd: Random) -> str:
    said = _TAKEN.sub(lambda found: found[1] or "", tool.operation.said)
    if len(said) > 120 and "," in said[40:120]:
        said = said[: said.index(",", 40)]
    said = _imperative(said)
    return said[0].upper() + said[1:] if rnd.random() < 0.5 else _lower(said)


def _lower(text: str) -> str:
    return text[0].lower() + text[1:]


def _purpose(asked: Sequence[Tool], rnd: Random, known: Mapping[str, str]) -> str:
    """What the operations do, as somebody would ask for it, mostly with a value or two; now and then as a slug,
    which tells the first of them."""
    short = rnd.random() < 0.12
    first, *rest = [_phrase(tool, rnd) for tool in asked]
    if short:
        return slug(first) or "_".join(sorted(asked[0].things))
    text = rnd.choice(_JOINED).join([first, *map(_lower, rest)])
    if known and rnd.random() < 0.75:
        shown = rnd.sample(sorted(known), min(len(known), rnd.choice([1, 1, 2])))
        text += rnd.choice([" for ", " with ", ": ", " on "])
        text += ", ".join(
            f"{name.replace('_', ' ')} {known[name]}" if rnd.random() < 0.7 else known[name] for name in shown
        )
    if rnd.random() < 0.25:
        title = asked[0].operation.title
        text += f" in {_MAKER.sub('', title).strip() or title}"
    polite = rnd.choice(_ASKED)
    return (polite + _lower(text) if polite else text) + rnd.choice(["", ".", "."])


def tool_examples(services: Services, number: int, *, seed: int) -> list[Example]:
    """About `number` shuffled examples: of each purpose an honest call, mostly a look-up on the way, and drift."""
    rnd, out = Random(seed), list[Example]()
    while len(out) < number:
        out.extend(_Work(services, rnd).examples())
    rnd.shuffle(out)
    return out


class _Work:
    """One purpose of up to three operations, and calls under it."""

    def __init__(self, services: Services, rnd: Random) -> None:
        self._services, self._rnd = services, rnd
        self._names = list(services)
        self._around = services[rnd.choice(self._names)]
        first = rnd.choice(self._around)
        self._asked = [first]
        related = [tool for tool in self._around if tool is not first and tool.thing & first.thing]
        for _ in range(rnd.choice([1, 1, 1, 2, 2, 3]) - 1):
            chance = rnd.random()
            if related and chance < 0.5:
                self._asked.append(rnd.choice(related))
            else:
                self._asked.append(rnd.choice(self._around) if chance < 0.8 else self._foreign())
        self._style = rnd.random()
        self._calls = {tool: made_arguments(tool, rnd) for tool in self._asked}
        values = [pair for call in self._calls.values() for pair in call.items()]
        self._known = {name: value for name, value in values if isinstance(value, str) and 2 < len(value) < 40}
        self._purpose = _purpose(self._asked, rnd, self._known)
        self._things = frozenset().union(*(tool.things for tool in self._asked))
        self._now = rnd.choice(self._asked)
        past = self._asked[: self._asked.index(self._now)] if rnd.random() >= 0.15 else []
        self._before = tuple(named(tool, self._style) for tool in past)
        self._earlier = frozenset[str]().union(*(argument_values(self._calls[tool]) for tool in past))

    def _foreign(self) -> Tool:
        return self._rnd.choice(self._services[self._rnd.choice(self._names)])

    def examples(self) -> list[Example]:
        rnd = self._rnd
        made = [self._example(self._now, self._calls[self._now], HONEST, "honest")]
        on_the_way = [tool for tool in self._around if tool not in self._asked and self._needed(tool)]
        if on_the_way and rnd.random() < 0.6:
            made.append(self._made(rnd.choice(on_the_way), 1.0, PREREQUISITE, "prerequisite"))
        drift = self._drift(rnd.random())
        return [*made, drift] if drift is not None else made

    def _needed(self, tool: Tool) -> bool:
        """Whether it looks up what an operation that was asked for works on."""
        return tool.reach is Reach.READ and any(tool.thing and tool.thing <= each.things for each in self._asked)

    def _drift(self, chance: float) -> Example | None:
        rnd, most = self._rnd, max(tool.reach for tool in self._asked)
        further = [tool for tool in self._around if tool.thing & self._now.thing and tool.reach > most]
        elsewhere = [tool for tool in self._around if not tool.things & self._things]
        beyond = [tool for tool in self._around if tool.thing and not tool.things <= self._things]
        near = [tool for tool in beyond if tool.reach is Reach.READ and not self._needed(tool)]
        if chance < 0.22 and further:
            return self._made(rnd.choice(further), 1.0, None, "further")
        if chance < 0.50 and elsewhere:
            reads = [tool for tool in elsewhere if tool.reach is Reach.READ]
            some = reads if rnd.random() < 0.5 else elsewhere
            return self._made(rnd.choice(some), 0.4, None, "service") if some else None
        if chance < 0.62 and near:
            return self._made(rnd.choice(near), 0.4, NEAR, "near")
        foreign = self._foreign() if chance < 0.90 else None
        if foreign is None or foreign.things & self._things:
            return None
        return self._made(foreign, 0.25, None, "foreign")

    def _made(self, tool: Tool, grounded: float, target: float | None, kind: str) -> Example:
        """A call of `tool`; its arguments know the purpose's values as often as `grounded` says."""
        known = self._known if self._rnd.random() < grounded else None
        return self._example(tool, made_arguments(tool, self._rnd, known), target, kind)

    def _example(self, tool: Tool, arguments: Mapping[str, object], target: float | None, kind: str) -> Example:
        name = named(tool, self._style)
        weight = WEIGHED[consequence(name, arguments)] if target is None else target
        shown = arguments if self._rnd.random() > 0.04 else None
        request = FitRequest(
            purpose=self._purpose,
            tool=name,
            arguments=shown,
            before=self._before,
            earlier_values=self._earlier,
        )
        return Example(request, weight, "tools", kind)
