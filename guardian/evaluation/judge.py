"""Judge a scorer on labelled sessions, at action and at session level, beside the baselines.

Action level counts each distinct (domain, purpose, action, label) once, where it first occurs; session level takes
the highest score of a session's counted actions. Intervals are over purposes and, for drift, acts. Labels are read
after scoring, never before.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from guardian.embedding.consequence import Consequence, consequence
from guardian.embedding.fit import FitRequest
from guardian.embedding.grounding import argument_values
from guardian.embedding.text import render_action
from guardian.evaluation.folding import FoldedSession
from guardian.evaluation.metrics import Separation, separation
from guardian.evaluation.report import Report, Row
from guardian.evaluation.sessions import LabelledSession, together

ScoreFn = Callable[[Sequence[FitRequest]], Sequence[float]]
Progress = Callable[[int, int, str], None]
CHUNK = 512
CHANGES = "all but look-ups"
_CHANGING = set(Consequence) - {Consequence.READ}


@dataclass(frozen=True, slots=True)
class Judged:
    """One counted action: what is asked of the scorer, and what the label says; `act` is "" of an honest one."""

    request: FitRequest
    domain: str
    session: int
    drift: bool
    act: str


def requests_of(session: LabelledSession) -> list[FitRequest]:
    """What a scorer sees of a session, action by action; never a label."""
    out: list[FitRequest] = []
    before: list[str] = []
    values: frozenset[str] = frozenset()
    for action in session.actions:
        out.append(FitRequest(session.purpose, action.tool, action.arguments, tuple(before), values))
        before.append(action.tool)
        values |= argument_values(action.arguments)
    return out


def judged(sessions: Iterable[LabelledSession]) -> list[Judged]:
    """Every counted action of every session, in order."""
    return [
        Judged(request, session.domain, number, action.drift, action.does if action.drift else "")
        for number, session in enumerate(sessions)
        for request, action in zip(requests_of(session), session.actions, strict=True)
        if action.counted
    ]


def evaluate(
    score_fn: ScoreFn,
    sessions: Sequence[LabelledSession],
    *,
    name: str = "guardian",
    baselines: Mapping[str, ScoreFn] | None = None,
    seed: int = 7,
    resamples: int = 400,
    progress: Progress = lambda *_: None,
) -> Report:
    """Separation of every scorer at both levels, over all domains and by domain (where it has both labels)."""
    actions = judged(sessions)
    rows: list[Row] = []
    scorers = {name: score_fn, **(baselines or {})}
    for scorer, function in scorers.items():
        scores: list[float] = []
        for start in range(0, len(actions), CHUNK):
            scores.extend(function([action.request for action in actions[start : start + CHUNK]]))
            progress(len(scores), len(actions), scorer)
        rows.extend(rows_of(scorer, "action", distinct(actions, scores), seed=seed, resamples=resamples))
        rows.extend(rows_of(scorer, "session", _by_session(actions, scores), seed=seed, resamples=resamples))
    excluded = sum(not action.counted for session in sessions for action in session.actions)
    return Report(tuple(rows), len(sessions), excluded, seed)


def evaluate_fold(
    folded: Sequence[FoldedSession], *, name: str = "guardian", seed: int = 7, resamples: int
) -> Report:
    """Separation of the whole fold: each action by its fused score, each session by its evidence after its last
    action and, in the row called "largest act", by its highest fused score, as other scorers are judged."""
    actions = judged(f.session for f in folded)
    scores = counted_scores(folded)
    by_act = _by_session(actions, scores)
    counted = [f for f in folded if any(action.counted for action in f.session.actions)]
    by_evidence = [(f.evidence, *point[1:]) for f, point in zip(counted, by_act, strict=True)]
    rows = [
        *rows_of(name, "action", distinct(actions, scores), seed=seed, resamples=resamples),
        *rows_of(name, "session", by_evidence, seed=seed, resamples=resamples),
        *rows_of(f"{name}, largest act", "session", by_act, seed=seed, resamples=resamples),
    ]
    excluded = sum(not action.counted for f in folded for action in f.session.actions)
    return Report(tuple(rows), len(folded), excluded, seed)


Point = tuple[float, bool, str, str, str]
"""Score, whether it is drift, purpose, domain, and the act (of a session all that drift; "" where honest)."""


def distinct(actions: Sequence[Judged], scores: Sequence[float]) -> list[Point]:
    """Each distinct (domain, purpose, action, label) once, with the score of its first occurrence."""
    seen: dict[tuple[str, str, str, bool], Point] = {}
    for action, score in zip(actions, scores, strict=True):
        request = action.request
        key = (action.domain, request.purpose, render_action(request.tool, request.arguments), action.drift)
        seen.setdefault(key, (score, action.drift, request.purpose, action.domain, action.act))
    return list(seen.values())


def counted_scores(folded: Iterable[FoldedSession]) -> list[float]:
    """The fused score of every counted action, in the order of `judged`."""
    return [
        drift.score
        for f in folded
        for drift, action in zip(f.drifts, f.session.actions, strict=True)
        if action.counted
    ]


def _by_session(actions: Sequence[Judged], scores: Sequence[float]) -> list[Point]:
    found: dict[int, list[tuple[Judged, float]]] = {}
    for action, score in zip(actions, scores, strict=True):
        found.setdefault(action.session, []).append((action, score))
    return [_session_point(scored) for scored in found.values()]


def _session_point(scored: Sequence[tuple[Judged, float]]) -> Point:
    acts = together(action.act for action, _ in scored if action.drift)
    last = scored[-1][0]
    return max(0.0, *(score for _, score in scored)), acts != "", last.request.purpose, last.domain, acts


def by_consequence(
    folded: Sequence[FoldedSession], *, seed: int = 7, resamples: int
) -> list[tuple[str, Separation]]:
    """Drift of each kind of act against *all* honest actions: what a threshold for everything finds of it.

    The last row holds whatever is more than a look-up.
    """
    actions = judged(f.session for f in folded)
    scores = counted_scores(folded)
    kinds = [consequence(a.request.tool, a.request.arguments) if a.drift else None for a in actions]
    out = []
    for name, wanted in (*((kind.label, {kind}) for kind in Consequence), (CHANGES, _CHANGING)):
        chosen = [at for at, kind in enumerate(kinds) if kind is None or kind in wanted]
        points = distinct([actions[at] for at in chosen], [scores[at] for at in chosen])
        if {point[1] for point in points} == {True, False}:
            out.append((name, _separated(points, seed=seed, resamples=resamples)))
    return out


def rows_of(scorer: str, level: str, points: Sequence[Point], *, seed: int, resamples: int) -> list[Row]:
    """One row over everything, and one per domain that has both labels (where there are several)."""
    domains: list[str | None] = [None, *sorted({point[3] for point in points})]
    out = []
    for domain in domains if len(domains) > 2 else domains[:1]:
        chosen = [point for point in points if domain in (None, point[3])]
        if domain is None or len({point[1] for point in chosen}) == 2:
            out.append(Row(scorer, level, domain, _separated(chosen, seed=seed, resamples=resamples)))
    return out


def _separated(points: Sequence[Point], *, seed: int, resamples: int) -> Separation:
    scores, drift, purposes, _, acts = zip(*points, strict=True) if points else ((), (), (), (), ())
    return separation(scores, drift, purposes, acts=acts, seed=seed, resamples=resamples)
