"""Fit a Calibration on honest sessions, by replay through the pipeline that will use it.

One half of the sessions turns scores into p-values, the other turns session maxima into promises. The halves share
no purpose; with too few purposes, no session.
"""

import hashlib
import heapq
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import replace

from guardian.domain.batch import Decoded, Judgement, Memory, ScoredDecision
from guardian.domain.identity import SessionKey
from guardian.embedding.fit import FitRequest
from guardian.embedding.recent import LookedUp
from guardian.evaluation.honest import MAX_SHARE, HonestSession, bounded
from guardian.evaluation.sessions import LabelledSession
from guardian.evaluation.siblings import Siblings
from guardian.pipeline.judging import Fit, Judge
from guardian.scoring.calibration import Calibration
from guardian.sources.session_lines import ActionLine, SessionLine
from guardian.telemetry import Metric

FLAT = Calibration.fit([0.5], [0.0], [0.0], source="none")
"""Where fitting starts: says nothing about anything."""

_LEAST_PURPOSES = 40
_CHUNK = 32

Progress = Callable[[int, int], None]
JudgeWith = Callable[[Calibration], Judge]
"""The fold that will use a calibration; the same in everything else."""
OnUnjudged = Callable[[HonestSession, float | None], None]
"""Told of a session that counts though nobody judged it, and the N of the "1 in N" that it reaches by the
calibration in use; None where none speaks."""


def fit_calibration(
    sessions: Iterable[HonestSession],
    *,
    judge_with: JudgeWith,
    source: str,
    fold: str,
    memory: Memory | None = None,
    max_per_purpose: int = 20,
    max_share: float = MAX_SHARE,
    seed: int = 0,
    progress: Progress = lambda _done, _total: None,
    in_use: Calibration | None = None,
    on_unjudged: OnUnjudged = lambda _session, _one_in: None,
) -> Calibration:
    """Two passes; the second runs the fold that the first one fitted. `fold` is its name, for which alone the
    calibration speaks. `memory` holds baselines, frozen. Where a calibration is `in_use`, a third judges by it
    what nobody judged, for `on_unjudged`.

    Calls and sessions that break a hard rule are left out, because the promise does not cover them, and take no
    other's seat; which others count is up to `honest.bounded`. A session is judged beside those above it and those
    that share its task or its delegation, wherever they were dealt.
    Raises ValueError if fewer than 40 sessions are left.
    """
    given = list(sessions)
    known = {key: session for session in given if (key := session.key) is not None}
    frozen = Memory(baselines=memory.baselines) if memory is not None else Memory()

    unfitted = judge_with(FLAT)
    siblings = Siblings(given, known, unfitted)

    def judged(judge: Judge, some: Sequence[HonestSession]) -> Iterator[tuple[list[HonestSession], Judgement]]:
        for chunk in _chunks(siblings.near(some)):
            beside = siblings.of(chunk)
            above = _above([*chunk, *beside.values()], known, {session.key for session in chunk})
            aside = {*beside, *above}
            together = siblings.in_order([*(s for key, s in beside.items() if key not in above), *chunk])
            before = (d for session in above.values() for d in session.decisions)
            judgement = judge.judge([*before, *_as_they_came(together)], [], frozen)
            yield (
                chunk,
                replace(
                    judgement,
                    scored=tuple(v for v in judgement.scored if v.decoded.event.key not in aside),
                    sessions={key: state for key, state in judgement.sessions.items() if key not in aside},
                ),
            )

    ruled = replace(unfitted, fit=_Unread(), meanings=None)

    def breaking(some: Sequence[HonestSession]) -> Iterator[HonestSession]:
        for chunk, judgement in judged(ruled, some):
            broken = _broken(judgement)
            yield from (session for session in chunk if session.key in broken)

    kept = bounded(given, max_per_purpose=max_per_purpose, max_share=max_share, seed=seed, breaking=breaking)
    of_acts, of_sessions = _halves(kept, seed)
    unjudged = [session for session in kept if session.unjudged]
    done, total = 0, len(kept) + (len(unjudged) if in_use is not None else 0)

    def counted(judge: Judge, some: Sequence[HonestSession]) -> Iterator[tuple[list[HonestSession], Judgement]]:
        nonlocal done
        for chunk, judgement in judged(judge, some):
            yield chunk, judgement
            progress(done := done + len(chunk), total)

    scores = [
        each.drift.score
        for _, judgement in counted(unfitted, of_acts)
        for each in judgement.scored
        if not _breaks_a_rule(each)
    ]
    if not scores:
        raise ValueError(
            f"every call of the {len(of_acts)} sessions that were counted for calls breaks a hard rule: a"
            " calibration is made of those that break none"
        )
    first = Calibration.fit(scores, [0.0], [0.0], source=source)
    maxima = [ends for _, judgement in counted(judge_with(first), of_sessions) for ends in _maxima(judgement)]
    if not maxima:
        raise ValueError(
            f"each of the {len(of_sessions)} sessions that were counted for sessions breaks a hard rule: a"
            " calibration is made of those that break none"
        )
    if in_use is None:
        for session in unjudged:
            on_unjudged(session, None)
    else:
        by_call = set(map(id, of_acts))
        for chunk, judgement in counted(judge_with(in_use), unjudged):
            broken = _broken(judgement)
            for session in chunk:
                key = session.decisions[0].event.key
                if key not in broken or id(session) in by_call:  # else nothing of it counts
                    evidence = judgement.sessions[key].evidence
                    on_unjudged(session, in_use.one_in(evidence.top, evidence.act)[0])
    tops, acts, calls = zip(*maxima, strict=True)
    return Calibration.fit(scores, tops, acts, source=source, fold=fold, longest=max(calls))


class _Unread:
    """Stands for the drift model where only rules are looked at: no rule asks it."""

    version = "none"

    def score(self, requests: Sequence[FitRequest]) -> list[float]:
        return [0.0] * len(requests)

    def explain(self, _request: FitRequest) -> list[tuple[str, float]]:
        return []

    def looked_up(self) -> Mapping[Metric, LookedUp]:
        return {}


def _above(
    sessions: Iterable[HonestSession],
    known: Mapping[SessionKey, HonestSession],
    there: Set[SessionKey | None],
) -> dict[SessionKey, HonestSession]:
    """The sessions, roots first, from which the given ones have their authority and which are not `there`."""
    found: dict[SessionKey, HonestSession] = {}
    for session in sessions:
        line: dict[SessionKey, HonestSession] = {}
        parent = session.parent
        while (
            parent is not None and parent in known and not any(parent in those for those in (there, found, line))
        ):
            line[parent] = known[parent]
            parent = known[parent].parent
        found |= dict(reversed(line.items()))
    return found


def _as_they_came(sessions: Sequence[HonestSession]) -> Iterator[Decoded]:
    """Their calls by time, those of one session in its own order: of what is read later nobody knows yet."""
    return heapq.merge(*(session.decisions for session in sessions), key=lambda d: d.now)


def _halves(sessions: Sequence[HonestSession], seed: int) -> tuple[list[HonestSession], list[HonestSession]]:
    """One half for acts and one for whole sessions; they share no purpose if there are enough purposes."""
    by_purpose = len({session.purpose for session in sessions}) >= _LEAST_PURPOSES
    halves: tuple[list[HonestSession], list[HonestSession]] = ([], [])
    for session in sessions:
        name = session.purpose if by_purpose else session.told_by
        halves[hashlib.sha256(f"{seed}/{name}".encode("utf-8", "surrogatepass")).digest()[0] & 1].append(session)
    return halves


def _breaks_a_rule(scored: ScoredDecision) -> bool:
    return any(breach.hard and breach.accuses for breach in scored.drift.breaches)


def _broken(judgement: Judgement) -> set[SessionKey]:
    """The sessions with a broken rule."""
    return {each.decoded.event.key for each in judgement.scored if _breaks_a_rule(each)}


def _maxima(judgement: Judgement) -> Iterator[tuple[float, float, int]]:
    """For each session without a broken rule, its running maximum, its largest single act and how many calls it
    has."""
    broken = _broken(judgement)
    for key, state in judgement.sessions.items():
        if key not in broken:
            yield state.evidence.top, state.evidence.act, state.evidence.n


class OutOfFold:
    """A drift model that asks, for each purpose, the encoder that was trained without it.

    A shipped model has seen every training session, so a calibration on those would promise too much. The encoders
    of the training folds have not seen the purposes that were held out of them.
    """

    def __init__(self, routes: Mapping[str, Fit]) -> None:
        if not routes:
            raise ValueError("no held-out purposes: nothing to calibrate on")
        self._routes = routes
        self.version = "+".join(sorted({fit.version for fit in routes.values()}))

    def score(self, requests: Sequence[FitRequest]) -> list[float]:
        """0 where no purpose is told, of which nothing is asked. Raises KeyError for one that no fold held out."""
        by_fit: dict[int, tuple[Fit, list[int]]] = {}
        for place, request in enumerate(requests):
            if not request.purpose.strip():
                continue
            fit = self._routes[request.purpose]
            by_fit.setdefault(id(fit), (fit, []))[1].append(place)
        scores = [0.0] * len(requests)
        for fit, places in by_fit.values():
            for place, score in zip(places, fit.score([requests[p] for p in places]), strict=True):
                scores[place] = score
        return scores

    def explain(self, request: FitRequest) -> list[tuple[str, float]]:
        return self._routes[request.purpose].explain(request)

    def looked_up(self) -> Mapping[Metric, LookedUp]:
        return {}  # several models, and no metrics while one calibrates


def session_line(session: LabelledSession, line: int) -> SessionLine:
    """The same session as `guardian score` would read it; its labels stay behind.

    `line` tells it from every other session that is judged with it: of those with the same one, the first counts.
    """
    return SessionLine(
        line=line,
        session_id=session.session_id,
        purpose=session.purpose,
        domain=session.domain,
        actions=tuple(ActionLine(a.tool, a.arguments) for a in session.actions),
    )


def _chunks(sessions: Sequence[HonestSession]) -> Iterator[list[HonestSession]]:
    """Sessions that are judged together; never two of one name, which would be taken for one session."""
    chunk: dict[SessionKey | None, HonestSession] = {}
    for session in sessions:
        if len(chunk) == _CHUNK or session.key in chunk:
            yield list(chunk.values())
            chunk = {}
        chunk[session.key] = session
    if chunk:
        yield list(chunk.values())
