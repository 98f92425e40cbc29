"""Authored work whose purposes leave open what is to be done: "do everything on my list", "follow the runbook".

Nothing is trained on it. It says how often honest calls under such purposes look odd, and by how much less they
have to weigh (`embedding.fusion.LEFT_OPEN`). One line of notation, in `work/open_ended.txt`, is one kind of work:

    domain: purpose / purpose :: honest call | honest call :: drifting call | drifting call
"""

import random
from importlib.resources import files

from guardian.evaluation.sessions import LabelledSession
from guardian.training import notation
from guardian.training.on_the_way import honest_part
from guardian.training.scenarios import UNSAID, Work, parse
from guardian.training.slots import fill_slots

DATASET = "open_ended"
REPEATS, DRIFTING, SLUGS = 4, 2, 0.3
"""Sessions of each kind of work, drifting calls in each, and the share of purposes that become slugs."""


def all_work() -> list[Work]:
    """Every kind of work that leaves open what is to be done."""
    return parse((files("guardian.training") / "work" / "open_ended.txt").read_text("utf-8"))


def judged_sessions(*, seed: int) -> list[LabelledSession]:
    """REPEATS sessions of each kind of work with drifting calls spliced in, and the honest calls of each alone."""
    rnd = random.Random(seed)
    drawn = [
        _session(work, f"{work.domain}/{index}", turn, rnd)
        for index, work in enumerate(all_work())
        for turn in range(REPEATS)
    ]
    return [*drawn, *map(honest_part, drawn)]


def _session(work: Work, name: str, turn: int, rnd: random.Random) -> LabelledSession:
    slots, style = fill_slots(rnd), notation.naming(rnd)
    purpose = notation.filled(rnd.choice(work.purposes), slots)
    if rnd.random() < SLUGS:
        purpose = notation.slugged(purpose, UNSAID, rnd) or purpose
    actions = [notation.call_of(call, slots, style, drift=False) for call in work.honest]
    for call in rnd.sample(work.drift, DRIFTING):
        actions.insert(rnd.randint(1, len(actions)), notation.call_of(call, slots, style, drift=True))
    return LabelledSession(DATASET, f"{name}/{turn}", work.domain, purpose, tuple(actions), name)
