"""Training examples from labelled sessions: honest calls as they are, drift labelled or swapped in.

Most public sets hold honest sessions only, so drift is made: calls of other sessions of the same domain (hard), of
the same data set, labelled attacks ("injected"), or the session's own call with another session's values
(hardest). The target of a swapped call is a guess, weighed by what the act can do: a stray look-up is often
harmless. Where calls were graded, those take the place of guesses (graded.py).
"""

import random
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, replace

from guardian.domain.text import word_set
from guardian.embedding.consequence import Consequence, consequence
from guardian.embedding.fit import FitRequest, heard
from guardian.embedding.grounding import argument_values, grounding
from guardian.embedding.text import render_action
from guardian.evaluation.sessions import LabelledAction, LabelledSession
from guardian.training.echoes import echoing
from guardian.training.on_the_way import stray

HONEST, ATTACK, DOUBTFUL = 0.02, 0.97, 0.80
"""Targets; doubtful is an attack that uses an honest call's tool and is as well grounded in the purpose, and a
look-up that is stray."""
SWAPPED: Mapping[Consequence, float] = {
    Consequence.READ: 0.60,
    Consequence.UNKNOWN: 0.75,
    Consequence.WRITE: 0.92,
    Consequence.ACT: 0.97,
}
_STOP = word_set(
    "the a an of to for and in on my me i please can you with from is are it that this could would at by"
)


@dataclass(frozen=True, slots=True)
class Example:
    """One pair with its soft target in [0, 1] and the data set it came from."""

    request: FitRequest
    target: float
    dataset: str
    kind: str

    @property
    def drift(self) -> bool:
        return self.target > 0.5


def slug(purpose: str) -> str:
    """A purpose as operators declare it: review_customer_contract_for_renewal_risk.

    >>> slug("Please review the contract of Acme for renewal risk.")
    'review_contract_acme_renewal_risk'
    """
    return "_".join([w for w in re.findall(r"[a-z0-9]+", purpose.lower()) if w not in _STOP][:9])


@dataclass(frozen=True)
class Pools:
    """Where swapped calls are drawn from."""

    domain: Mapping[tuple[str, str], Sequence[tuple[str, LabelledAction]]]
    dataset: Mapping[str, Sequence[tuple[str, LabelledAction]]]
    tool: Mapping[tuple[str, str], Sequence[tuple[str, LabelledAction]]]
    attacks: Sequence[LabelledAction]
    purposes: Sequence[str]
    honest: Mapping[tuple[str, str], Set[str]]
    """The honest calls of each kind of work, rendered."""


def pools(sessions: Sequence[LabelledSession]) -> Pools:
    """Index the honest calls by domain, data set and tool, and the labelled attacks."""
    domain, dataset, tool, honest = defaultdict(list), defaultdict(list), defaultdict(list), defaultdict(set)
    attacks: dict[str, LabelledAction] = {}
    for session in sessions:
        for action in session.actions:
            if action.drift:
                attacks.setdefault(render_action(action.tool, action.arguments), action)
            if action.label != "benign":
                continue
            entry = (session.purpose, action)
            domain[session.dataset, session.domain].append(entry)
            dataset[session.dataset].append(entry)
            tool[session.dataset, action.tool].append(entry)
            honest[_work(session)].add(render_action(action.tool, action.arguments))
    purposes = sorted({session.purpose for session in sessions})
    return Pools(dict(domain), dict(dataset), dict(tool), tuple(attacks.values()), purposes, dict(honest))


def _work(session: LabelledSession) -> tuple[str, str]:
    return session.dataset, session.work or session.purpose


def examples(
    sessions: Sequence[LabelledSession], *, seed: int, per_session: int = 6, cap: int = 24
) -> list[Example]:
    """Shuffled examples, at most `per_session` calls of a session and about `cap` of a (data set, purpose)."""
    rnd = random.Random(seed)
    source = pools(sessions)
    used: dict[tuple[str, str], int] = defaultdict(int)
    out: list[Example] = []
    for session in rnd.sample(list(sessions), len(sessions)):
        key = (session.dataset, session.purpose)
        known = [index for index, action in enumerate(session.actions) if action.label != "unknown"]
        chosen = sorted(rnd.sample(known, min(per_session, len(known))))
        for index in chosen:
            if used[key] < cap:
                used[key] += 1
                made = _of_action(session, index, source, rnd)
                out.extend(replace(e, request=heard(echoing(e.request, rnd))) for e in made)
    rnd.shuffle(out)
    return out


def _of_action(session: LabelledSession, index: int, source: Pools, rnd: random.Random) -> list[Example]:
    action, purpose = session.actions[index], session.purpose
    chance = rnd.random()
    if chance < 0.14:
        purpose = slug(purpose)
    elif chance < 0.22:
        other = rnd.choice(source.purposes)
        if len(other) + len(purpose) < 400:
            purpose = f"{purpose} {other}" if rnd.random() < 0.5 else f"{other} {purpose}"
    past = session.actions[:index]
    before = [a.tool for a in past]
    if rnd.random() < 0.12:
        before = []
    elif rnd.random() < 0.10 and source.attacks:
        before = [*before, rnd.choice(source.attacks).tool]
    base = FitRequest(
        purpose=purpose,
        tool=action.tool,
        arguments=action.arguments if rnd.random() > 0.04 else None,
        before=tuple(before),
        earlier_values=frozenset().union(*(argument_values(a.arguments) for a in past)),
    )
    if action.drift:
        target = DOUBTFUL if stray(session, index) or _as_well_named(session, action) else ATTACK
        return [Example(base, target, session.dataset, "attack")]
    out = [Example(base, HONEST, session.dataset, "honest")]
    swapped = next(filter(None, (_swap(session, action, source, rnd) for _ in range(3))), None)
    if swapped is not None:
        kind, other_action = swapped
        target = SWAPPED[consequence(other_action.tool, other_action.arguments)]
        if kind == "tampered":
            target = min(target, 0.85)
        request = replace(base, tool=other_action.tool, arguments=other_action.arguments)
        out.append(Example(request, target, session.dataset, kind))
    return out


def _as_well_named(session: LabelledSession, action: LabelledAction) -> bool:
    """Whether an honest call of the same tool names no more of the purpose: only values tell them apart."""
    named = grounding(session.purpose, action.arguments, ()).named
    twins = (a for a in session.actions if a.label == "benign" and a.tool == action.tool)
    return any(grounding(session.purpose, twin.arguments, ()).named <= named + 0.1 for twin in twins)


def _swap(
    session: LabelledSession, action: LabelledAction, source: Pools, rnd: random.Random
) -> tuple[str, LabelledAction] | None:
    own = source.honest.get(_work(session), frozenset())
    tools = {a.tool for a in session.actions}
    chance = rnd.random()
    if chance < 0.20 and consequence(action.tool, action.arguments) >= Consequence.WRITE:
        purpose, other = rnd.choice(source.tool[session.dataset, action.tool])
        here = grounding(session.purpose, action.arguments, ())
        there = grounding(session.purpose, other.arguments, ())
        if purpose != session.purpose and here.named - there.named > 0.34:
            return "tampered", other
    if chance < 0.45:
        kind, (purpose, other) = "domain", rnd.choice(source.domain[session.dataset, session.domain])
    elif chance < 0.60:
        kind, (purpose, other) = "dataset", rnd.choice(source.dataset[session.dataset])
    elif chance < 0.88 and source.attacks:
        kind, purpose, other = "injected", "", rnd.choice(source.attacks)
    else:
        kind, (purpose, other) = "foreign", rnd.choice(source.dataset[rnd.choice(sorted(source.dataset))])
    if purpose == session.purpose or render_action(other.tool, other.arguments) in own:
        return None
    if other.tool in tools and rnd.random() < 0.7:
        return None
    return kind, other
