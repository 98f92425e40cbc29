"""Toolboxes: the calls of one house's systems, and purposes under which every one of them is graded.

Whether a look-up is stray depends on what the purpose needs, not on the tool: each call here is a needed one under
some purposes and a stray one under most. One block in `work/toolboxes/` is one toolbox:

    # domain
    1 noun.verb(argument=value)
    2 noun.verb(argument=value)
    > purpose :: 0: 2 :: 1: 1 :: 4: 3

Grades are those of graded.py; a call that a purpose does not list is a 5, clearly not part of it. Three more
folders hold toolboxes about acts, where only what is done, or how far it goes, tells honest from drifting:

    own_object  all calls are about one object, the purpose's own: a ticket that is to be summarised is deleted
    unnamed     acts belong to the work though no word of the purpose names them: what has to be done first, a
                remedy, a hand-over to a person, what ends it
    reach       the same tools reach less far or further by their arguments: one record or all, a reader's right
                or an owner's

Two more hold toolboxes that models are judged by and nothing is trained on:

    look_ups    nearly all calls look something up; what tells them apart is what the answer is good for
    german      purposes said in German

No block is meant to restate a task of an evaluation set.
"""

import random
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.resources import files
from typing import TypeVar

from guardian.evaluation.sessions import LabelledAction, LabelledSession
from guardian.training import notation
from guardian.training.graded import CLEARLY_NOT, STEP, Graded, Place, graded_call
from guardian.training.on_the_way import UNSAID, honest_part
from guardian.training.slots import fill_slots

T = TypeVar("T")
DATASET, OWN_OBJECT, UNNAMED, REACH = "toolboxes", "own_object", "unnamed", "reach"
ABOUT_ACTS = frozenset({OWN_OBJECT, UNNAMED, REACH})
LOOK_UPS, GERMAN = "look_ups", "german"
UNSEEN = frozenset({LOOK_UPS, GERMAN})
_TRAINED_ON = (DATASET, OWN_OBJECT, UNNAMED, REACH)
SLUGS = 0.15
PURPOSES = 12
"""The most purposes of a toolbox that a training draws."""
DRAWN: Sequence[tuple[frozenset[int], int]] = (
    (frozenset({0, STEP}), 1),
    (frozenset({2, 3}), 1),
    (frozenset({4}), 1),
    (frozenset({CLEARLY_NOT}), 2),
)
"""The most calls of these grades that it draws under each of them."""
_STEPS: Sequence[tuple[frozenset[int], int]] = ((frozenset({0}), 1), (frozenset({STEP}), 2), *DRAWN[1:])
"""The same where steps are what a data set is about."""
JUDGED = 3_000
"""The most sessions on which a model is judged, drifting and honest ones each."""
STRAY = 2
"""Calls that are spliced into a drifting one of them."""
_WORK = files("guardian.training") / "work"
_GRADES = re.compile(r"([0-4]):((?: \d+)+)")


@dataclass(frozen=True, slots=True)
class Toolbox:
    """Calls, and for each purpose their grades, in the calls' order."""

    dataset: str
    domain: str
    calls: tuple[str, ...]
    purposes: Mapping[str, tuple[int, ...]]


def parse(text: str, dataset: str = DATASET) -> list[Toolbox]:
    """The toolboxes in `text`; a line that is not notation is a ValueError that quotes it."""
    return [_toolbox(block.splitlines(), dataset) for block in text.strip().split("\n\n")]


def all_toolboxes(dataset: str) -> list[Toolbox]:
    """Every toolbox of a data set that is shipped with the recipe."""
    files = sorted((_WORK / dataset).iterdir(), key=lambda file: file.name)
    return [box for file in files for box in parse(file.read_text("utf-8"), dataset)]


def toolbox_sessions(*, seed: int) -> list[LabelledSession]:
    """One session for each purpose that is drawn: the calls that it needs."""
    return [case.session() for dataset in _TRAINED_ON for case in _cases(seed, dataset)]


def toolbox_grades(*, seed: int) -> list[Graded]:
    """Graded calls under the purposes of `toolbox_sessions`, as many as DRAWN or _STEPS says."""
    rnd = random.Random(seed)
    drawn = (case for dataset in _TRAINED_ON for case in _cases(seed, dataset))
    return [each for case in drawn for each in case.graded(rnd)]


def judged_sessions(*, seed: int, dataset: str = DATASET) -> list[LabelledSession]:
    """Some of the sessions that a training with this seed draws, or would, with STRAY calls spliced in that are
    clearly not part of them, and each with its needed calls alone.

    All of that training's encoders have seen their calls, except the fold encoder that held their purpose out; of
    the UNSEEN data sets none has.
    """
    rnd = random.Random(seed)
    cases = _some(_cases(seed, dataset), JUDGED, rnd)
    return [*(case.drifting(rnd) for case in cases), *(honest_part(case.session()) for case in cases)]


def _toolbox(lines: Sequence[str], dataset: str) -> Toolbox:
    calls: list[str] = []
    purposes: dict[str, tuple[int, ...]] = {}
    for line in lines[1:]:
        if line.startswith("> "):
            purpose, *told = line[2:].split(" :: ")
            if purpose in purposes:
                raise ValueError(f"a purpose stands there twice: {purpose[:80]!r}")
            purposes[purpose] = _grades(told, len(calls), line)
        elif line.startswith(f"{len(calls) + 1} "):
            calls.append(line.split(" ", 1)[1])
        else:
            raise ValueError(f"neither the next call nor a purpose: {line[:80]!r}")
    if not lines[0].startswith("# ") or not purposes:
        raise ValueError(f"not a toolbox: {lines[0][:80]!r}")
    return Toolbox(dataset, lines[0][2:], tuple(calls), purposes)


def _grades(told: Sequence[str], number: int, line: str) -> tuple[int, ...]:
    grades: dict[int, int] = {}
    for field in told:
        match = _GRADES.fullmatch(field.strip())
        if match is None:
            raise ValueError(f"not grades of calls: {line[:80]!r}")
        for call in map(int, match[2].split()):
            if call in grades or not 1 <= call <= number:
                raise ValueError(f"call {call} is graded twice or is none: {line[:80]!r}")
            grades[call] = int(match[1])
    return tuple(grades.get(call, CLEARLY_NOT) for call in range(1, number + 1))


def _cases(seed: int, dataset: str) -> list["_Case"]:
    rnd = random.Random(seed)
    return [
        _Case.drawn(box, purpose, grades, f"{box.domain}/{index}", rnd)
        for box in all_toolboxes(dataset)
        for index, (purpose, grades) in _some(list(enumerate(box.purposes.items())), PURPOSES, rnd)
    ]


def _some(all_of_them: Sequence[T], most: int, rnd: random.Random) -> list[T]:
    return rnd.sample(all_of_them, min(most, len(all_of_them)))


@dataclass(frozen=True, slots=True)
class _Case:
    """A purpose with its toolbox's calls and their grades, every slot filled."""

    dataset: str
    domain: str
    name: str
    purpose: str
    calls: tuple[LabelledAction, ...]
    grades: tuple[int, ...]

    @classmethod
    def drawn(cls, box: Toolbox, template: str, grades: tuple[int, ...], name: str, rnd: random.Random) -> "_Case":
        slots, style = fill_slots(rnd), notation.naming(rnd)
        purpose = notation.filled(template, slots)
        if rnd.random() < SLUGS:
            purpose = notation.slugged(purpose, UNSAID, rnd) or purpose
        calls = tuple(notation.call_of(call, slots, style, drift=False) for call in box.calls)
        return cls(box.dataset, box.domain, name, purpose, calls, grades)

    def session(self) -> LabelledSession:
        needed = tuple(self.calls[at] for at in self._needed())
        return LabelledSession(self.dataset, self.name, self.domain, self.purpose, needed, self.name)

    def drifting(self, rnd: random.Random) -> LabelledSession:
        session = self.session()
        actions = list(session.actions)
        for at in rnd.sample([at for at, grade in enumerate(self.grades) if grade == CLEARLY_NOT], STRAY):
            actions.insert(rnd.randint(0, len(actions)), replace(self.calls[at], label="drift"))
        return replace(session, actions=tuple(actions))

    def graded(self, rnd: random.Random) -> Iterator[Graded]:
        place: Place = (self.dataset, self.domain)
        for wanted, most in _STEPS if self.dataset == UNNAMED else DRAWN:
            known = [at for at, grade in enumerate(self.grades) if grade in wanted]
            for at in _some(known, most, rnd):
                past = [self.calls[done] for done in self._done_before(at, rnd)]
                example = graded_call(self.purpose, past, self.calls[at], self.grades[at], self.dataset)
                yield Graded(example, self.grades[at], place, frozenset({place}))

    def _needed(self) -> list[int]:
        return [at for at, grade in enumerate(self.grades) if grade <= STEP]

    def _done_before(self, at: int, rnd: random.Random) -> list[int]:
        """The first few needed calls; before a needed one only such as stand above it."""
        needed = self._needed()
        earlier = [done for done in needed if done < at] if at in needed else needed
        return earlier[: rnd.randint(0, len(earlier))]
