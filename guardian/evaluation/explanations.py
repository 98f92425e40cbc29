"""Does the argument named in a finding matter? Take it away, and a random other one, and fold the session again.

The finding is the action at which a session first reaches 1 in N. Its score is that of the whole fold (every
signal, the session so far), not that of the drift model, or of the one signal, which named the argument.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

from guardian.embedding.fit import FitRequest
from guardian.embedding.text import leaves, without
from guardian.evaluation.folding import FoldedSession, FoldFn
from guardian.evaluation.judge import requests_of
from guardian.evaluation.metrics import Interval, share
from guardian.evaluation.sessions import LabelledSession

ExplainFn = Callable[[FitRequest], Sequence[tuple[str, float]]]
"""(argument path, how much the score falls without it), largest fall first."""


@dataclass(frozen=True, slots=True)
class ExplanationTest:
    """Over the findings at 1 in N: how many there are, how many had two arguments or more to choose from, for how
    many of those an argument was named, and in what share of those taking it away lowers the score more than
    taking away a random other one (`mattered`; `mean_fall` beside `mean_other_fall`, in score)."""

    one_in: float
    findings: int
    with_choice: int
    named: int
    mattered: Interval
    mean_fall: float
    mean_other_fall: float


def explanations(
    folded: Sequence[FoldedSession],
    *,
    fold: FoldFn,
    explain: ExplainFn,
    one_in: float,
    seed: int,
    resamples: int = 400,
) -> ExplanationTest:
    """Every finding of `folded`, tried again without the argument and without another one, chosen by `seed`."""
    rnd = random.Random(seed)
    found = [(f, at) for f in folded if (at := f.reached(one_in)) is not None]
    choices = [(f, at) for f, at in found if len(_paths(f.session, at)) > 1]
    tried: list[tuple[FoldedSession, int, str, str]] = []
    for f, at in choices:
        request = requests_of(f.session)[at]
        named = f.drifts[at].argument(partial(explain, request))
        if named is not None:
            others = [path for path in _paths(f.session, at) if path != named]
            tried.append((f, at, named, rnd.choice(others)))
    less = fold([_without(f.session, at, path) for f, at, named, other in tried for path in (named, other)])
    falls, flags = [], []
    for place, (f, at, _, _) in enumerate(tried):
        whole = f.drifts[at].score
        pair = [whole - less[2 * place + which].drifts[-1].score for which in (0, 1)]
        falls.append(pair)
        flags.append(pair[0] > pair[1])
    n = max(len(falls), 1)
    flagged = [f.session.actions[at] for f, at, _, _ in tried]
    acts = [action.does if action.drift else "" for action in flagged]
    return ExplanationTest(
        one_in,
        len(found),
        len(choices),
        len(tried),
        share(flags, [f.session.purpose for f, *_ in tried], acts=acts, seed=seed, resamples=resamples),
        sum(fall for fall, _ in falls) / n,
        sum(fall for _, fall in falls) / n,
    )


def _paths(session: LabelledSession, at: int) -> list[str]:
    """The arguments of an action, each path once: `{"a.b": 1, "a": {"b": 2}}` has one."""
    return list(dict.fromkeys(path for path, _ in leaves(session.actions[at].arguments)))


def _without(session: LabelledSession, at: int, path: str) -> LabelledSession:
    """The session up to an action, and that action without one argument."""
    last = replace(session.actions[at], arguments=without(session.actions[at].arguments, path))
    return replace(session, actions=(*session.actions[:at], last))
