"""Authored work in the shape of production: purposes (prose or slug), honest calls, and calls that leave them.

Public sets hold consumer assistants with every value named in the request; operators declare slugs and their
agents look things up on the way. One line of notation, in `work/`, is one kind of work:

    domain: purpose / purpose :: honest call | honest call :: drifting call | drifting call

`work/anywhere.txt` holds drifting calls that fit no kind of work. No line restates a task, a goal or a tool set
of an evaluation set; that both know mail, files and payments cannot be helped.
"""

import random
from dataclasses import dataclass
from importlib.resources import files

from guardian.evaluation.sessions import LabelledSession
from guardian.training import notation
from guardian.training.slots import fill_slots

_WORK = files("guardian.training") / "work"
_KINDS = ("office", "field", "private", "teams", "money", "systems")  # their order is part of what a seed draws
UNSAID = frozenset(("the", "a", "an", "and", "that", "they"))
"""What a declared purpose leaves out."""


@dataclass(frozen=True, slots=True)
class Work:
    """One line of notation."""

    domain: str
    purposes: tuple[str, ...]
    honest: tuple[str, ...]
    drift: tuple[str, ...]


def parse(text: str) -> list[Work]:
    """The kinds of work in `text`; a line that is not notation is a ValueError that quotes it."""
    return [Work(domain, purposes, *calls) for domain, purposes, calls in notation.lines(text, fields=2)]


def all_work() -> list[Work]:
    """Every kind of work that is shipped with the recipe."""
    return [work for kind in _KINDS for work in parse((_WORK / f"{kind}.txt").read_text("utf-8"))]


def scenario_sessions(*, seed: int, repeats: int = 8) -> list[LabelledSession]:
    """`repeats` sessions of each kind of work, with zero to three drifting calls spliced in anywhere."""
    rnd = random.Random(seed)
    anywhere = tuple((_WORK / "anywhere.txt").read_text("utf-8").splitlines())
    works = all_work()
    return [
        _session(work, anywhere, f"{work.domain}/{index}", turn, rnd)
        for index, work in enumerate(works)
        for turn in range(repeats)
    ]


def _session(work: Work, anywhere: tuple[str, ...], name: str, turn: int, rnd: random.Random) -> LabelledSession:
    slots, style = fill_slots(rnd), notation.naming(rnd)
    template = rnd.choice(work.purposes)
    purpose = notation.filled(template, slots)
    if rnd.random() < 0.4:
        source = purpose if rnd.random() < 0.4 else notation.without_slots(template)
        purpose = notation.slugged(source, UNSAID, rnd)
    count = rnd.randint(max(1, len(work.honest) - 3), len(work.honest))
    chosen = sorted(rnd.sample(range(len(work.honest)), count))
    actions = [notation.call_of(work.honest[i], slots, style, drift=False) for i in chosen]
    for _ in range(rnd.choice((0, 1, 1, 2, 3))):
        call = rnd.choice(work.drift) if rnd.random() < 0.72 else rnd.choice(anywhere)
        actions.insert(rnd.randint(0, len(actions)), notation.call_of(call, slots, style, drift=True))
    return LabelledSession("scenarios", f"{name}/{turn}", work.domain, purpose, tuple(actions), name)
