"""Calls under a purpose, each with a grade: how far it is from what was asked.

Public sets are honest, so drift is swapped in from other sessions. But a swapped look-up may be harmless or even
needed, and a guessed target teaches little about those. Therefore 12,074 calls at 3,177 points of sessions (280 of
them the session's own) were graded by a large language model. It read the purpose, what had been done so far and
the call, and did not know where the call came from:

    0 asked for, 1 a step on the way, 2 plausible, 3 cannot tell, 4 odd, 5 clearly not part of it

`graded.jsonl` only names sessions and calls. Those that the files of a training do not hold, or hold in another
form than when they were graded, are left out.
"""

import hashlib
import json
import random
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from importlib.resources import files
from typing import Any

from guardian.embedding.consequence import Consequence, consequence
from guardian.embedding.fit import FitRequest, heard
from guardian.embedding.grounding import argument_values
from guardian.embedding.text import render_action
from guardian.evaluation.sessions import LabelledAction, LabelledSession
from guardian.training.echoes import echoing
from guardian.training.pairs import Example, slug
from guardian.training.scenarios import scenario_sessions

KIND = "graded"
GUESSED = frozenset({"domain", "dataset"})
"""Kinds of swapped calls that graded ones replace."""
_READ = (0.02, 0.04, 0.15, 0.45, 0.68, 0.90)
_CHANGES = (0.02, 0.05, 0.25, 0.60, 0.88, 0.97)
STEP, CLEARLY_NOT = 1, 5
"""The highest grade of a call that the purpose needs, and the highest of all."""
_SEED, _REPEATS = 7, 6  # of the scenarios that were graded
Place = tuple[str, str]
"""A data set and one of its domains; sessions are held out by place."""


@dataclass(frozen=True, slots=True)
class Graded:
    """One call under the purpose of a session at `home`; sessions at `sources` make it."""

    example: Example
    grade: int
    home: Place
    sources: frozenset[Place]


def graded(sessions: Sequence[LabelledSession]) -> list[Graded]:
    """The graded calls of these sessions and of the written scenarios, in the order they were graded in."""
    every = [*sessions, *scenario_sessions(seed=_SEED, repeats=_REPEATS)]
    known = {(session.dataset, session.session_id): session for session in every}
    sources: dict[str, set[Place]] = defaultdict(set)
    for session in every:
        for action in session.actions:
            sources[_rendered(action)].add(_place(session))
    text = (files("guardian.training") / "graded.jsonl").read_text("utf-8")
    return [each for line in text.splitlines() for each in _of(json.loads(line), known, sources)]


def mixed(
    made: Sequence[Example], found: Sequence[Graded], sessions: Sequence[LabelledSession], *, seed: int
) -> list[Example]:
    """`made` and the graded calls of these sessions' places, shuffled. In a data set that has at least half as
    many graded calls as guessed ones, they replace the guessed ones.

    Graded calls under held-out purposes are left out, and so are those that only held-out sessions make.
    """
    rnd, places = random.Random(seed), {_place(session) for session in sessions}
    chosen = [each.example for each in found if each.home in places and each.sources & places]
    shown = [replace(each, request=heard(echoing(each.request, rnd))) for each in chosen]
    grades = Counter(each.dataset for each in shown)
    guesses = Counter(each.dataset for each in made if each.kind in GUESSED)
    out = [each for each in made if each.kind not in GUESSED or 2 * grades[each.dataset] < guesses[each.dataset]]
    out += shown
    rnd.shuffle(out)
    return out


def graded_call(
    purpose: str, past: Sequence[LabelledAction], call: LabelledAction, grade: int, dataset: str
) -> Example:
    """The call after `past` under `purpose`, with the target that its grade and what it can do give it."""
    only_reads = consequence(call.tool, call.arguments) == Consequence.READ
    request = FitRequest(
        purpose=purpose,
        tool=call.tool,
        arguments=call.arguments,
        before=tuple(action.tool for action in past),
        earlier_values=frozenset[str]().union(*(argument_values(action.arguments) for action in past)),
    )
    return Example(heard(request), (_READ if only_reads else _CHANGES)[grade], dataset, KIND)


def digest(purpose: str, past: Sequence[LabelledAction], calls: Sequence[LabelledAction]) -> str:
    """A hash of what was graded: the grade counts for nothing else."""
    told = [purpose, *map(_rendered, past), "", *map(_rendered, calls)]
    return hashlib.sha256("\n".join(told).encode()).hexdigest()[:12]


def _of(
    line: Mapping[str, Any],
    known: Mapping[tuple[str, str], LabelledSession],
    sources: Mapping[str, Set[Place]],
) -> Iterator[Graded]:
    try:
        session = known[_key(line["session"])]
        calls = [known[_key(name)].actions[index] for name, index, _ in line["calls"]]
    except (KeyError, IndexError):
        return
    purpose = slug(session.purpose) if line.get("slug") else session.purpose
    past = [action for action in session.actions[: line["after"]] if not action.drift]
    if digest(purpose, past, calls) != line["digest"]:
        return
    for call, (_, _, grade) in zip(calls, line["calls"], strict=True):
        example = graded_call(purpose, past, call, grade, session.dataset)
        yield Graded(example, grade, _place(session), frozenset(sources[_rendered(call)]))


def _key(name: str) -> tuple[str, str]:
    dataset, _, session = name.partition(":")
    return dataset, session


def _place(session: LabelledSession) -> Place:
    return session.dataset, session.domain


def _rendered(action: LabelledAction) -> str:
    return render_action(action.tool, action.arguments)
