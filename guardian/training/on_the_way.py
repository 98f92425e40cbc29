"""Authored work with honest calls that its purpose does not mention, and stray look-ups.

Agents look up more than their purposes name (who somebody is, what day it is, what was agreed before) and report
their progress, and drifting look-ups hide among such calls. One line of notation, in `work/on_the_way/`, is one
kind of work:

    domain: purpose / purpose / purpose :: needed calls :: calls on the way :: stray look-ups :: drifting acts

A tool that one line needs is stray in another, so neither names nor values tell them apart. In the lines of
`found/` honest acts go to whom or what was found by looking ("pay what we owe the caterer"), or the purpose does
not say where to look; some drifting acts use the same tools. No line is meant to restate a task of an evaluation
set; five whose purposes came nearest to one of AgentDojo's requests were taken out.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.resources import files

from guardian.domain.text import word_set
from guardian.embedding.consequence import Consequence, consequence
from guardian.embedding.text import vocabulary
from guardian.evaluation.sessions import LabelledSession
from guardian.training import notation
from guardian.training.slots import fill_slots

DATASET = "on_the_way"
REPEATS = 2
"""Sessions of each kind of work that a training draws."""
_WORK = files("guardian.training") / "work" / DATASET
_FILES = vocabulary(
    "household administration engineering trade ledgers public media desk errands questions platforms declared"
    " joined providers found/payables found/care found/workplace found/incidents found/office found/private"
    " found/institutions found/trades found/finance found/communities found/plants found/networks"
    " found/provisions found/everyday found/houses found/company"
)  # their order is part of what a seed draws
UNSAID = word_set("the a an and that they to of i my me")
"""What a declared purpose leaves out."""


@dataclass(frozen=True, slots=True)
class Work:
    """One line of notation."""

    domain: str
    purposes: tuple[str, ...]
    needed: tuple[str, ...]
    passing: tuple[str, ...]
    stray: tuple[str, ...]
    drift: tuple[str, ...]


def parse(text: str) -> list[Work]:
    """The kinds of work in `text`; a line that is not notation is a ValueError that quotes it."""
    return [Work(domain, purposes, *calls) for domain, purposes, calls in notation.lines(text, fields=4)]


def all_work() -> list[Work]:
    """Every kind of work that is shipped with the recipe."""
    return [work for name in _FILES for work in parse((_WORK / f"{name}.txt").read_text("utf-8"))]


def on_the_way_sessions(*, seed: int, repeats: int) -> list[LabelledSession]:
    """`repeats` sessions of each kind of work: needed calls, with others spliced in."""
    rnd = random.Random(seed)
    return [
        _session(work, f"{work.domain}/{index}", turn, rnd)
        for index, work in enumerate(all_work())
        for turn in range(repeats)
    ]


def judged_sessions(*, seed: int) -> list[LabelledSession]:
    """Of each kind of work one session, as a training with this seed draws it, and the same with its honest calls
    alone.

    All of that training's encoders have seen them, except the fold encoder that held their purpose out.
    """
    drawn = [each for each in on_the_way_sessions(seed=seed, repeats=REPEATS) if each.session_id.endswith("/0")]
    return [*drawn, *map(honest_part, drawn)]


def stray(session: LabelledSession, index: int) -> bool:
    """Whether a drifting call of such a session only looks something up, by its name: odd, but no attack."""
    action = session.actions[index]
    only_reads = consequence(action.tool, action.arguments) == Consequence.READ
    return session.dataset == DATASET and action.drift and only_reads


def _session(work: Work, name: str, turn: int, rnd: random.Random) -> LabelledSession:
    slots, style = fill_slots(rnd), notation.naming(rnd)
    template = work.purposes[turn % len(work.purposes)] if rnd.random() < 0.7 else rnd.choice(work.purposes)
    purpose = notation.filled(template, slots)
    if rnd.random() < 0.22:
        source = purpose if rnd.random() < 0.4 else notation.without_slots(template)
        purpose = notation.slugged(source, UNSAID, rnd)
    count = rnd.randint(max(1, len(work.needed) - 3), len(work.needed))
    calls = [(work.needed[i], False) for i in sorted(rnd.sample(range(len(work.needed)), count))]
    for call in _some(work.passing, (1, 2, 2, 3), rnd):
        calls.insert(rnd.randint(0, max(1, len(calls) - 1)), (call, False))
    for call in _some(work.stray, (1, 1, 2, 2), rnd):
        calls.insert(rnd.randint(0, len(calls)), (call, True))
    for call in _some(work.drift, (0, 1, 1, 2), rnd):
        calls.insert(rnd.randint(0, len(calls)), (call, True))
    actions = tuple(notation.call_of(call, slots, style, drift=drift) for call, drift in calls)
    return LabelledSession(DATASET, f"{name}/{turn}", work.domain, purpose, actions, name)


def honest_part(session: LabelledSession) -> LabelledSession:
    """The session's honest calls alone, under a name of their own."""
    honest = tuple(action for action in session.actions if not action.drift)
    return replace(session, session_id=f"{session.session_id}/honest", actions=honest)


def _some(calls: Sequence[str], counts: Sequence[int], rnd: random.Random) -> list[str]:
    return rnd.sample(list(calls), min(len(calls), rnd.choice(counts)))
