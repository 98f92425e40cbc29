"""Fit the yardstick: honest sessions → a Calibration, by replay through the pipeline that will use it.

Sessions are split by purpose, so that the half that turns scores into p-values and the half that turns session
maxima into promises share none (where there are too few purposes, by session). How much one purpose, one agent and
one tenant may contribute is bounded: repetition is not evidence, and nobody can buy the yardstick by flooding it.
"""

import hashlib
import random
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from guardian.domain.batch import Decoded, Memory
from guardian.domain.event import SessionKey
from guardian.embedding.fit import FitRequest
from guardian.evaluation.sessions import LabelledSession
from guardian.pipeline.judging import Fit, Judge
from guardian.pipeline.scoring_run import LOCAL
from guardian.scoring.calibration import Calibration
from guardian.sources.session_lines import ActionLine, SessionLine
from guardian.telemetry import logger

FLAT = Calibration.fit([0.5], [0.0], [0.0], source="none")
"""Where fitting starts: says nothing about anything."""

_log = logger("calibration")
LEAST_SESSIONS = 40
MAX_SHARE = 0.5
_LEAST_PURPOSES = 40
_LEAST_SOURCES = 3
_CHUNK = 32

Progress = Callable[[int, int], None]
JudgeWith = Callable[[Calibration], Judge]
"""The fold that will use a calibration; the same in everything else."""


@dataclass(frozen=True, slots=True)
class HonestSession:
    """One session without a confirmed drift, as decisions in order."""

    purpose: str
    decisions: tuple[Decoded, ...]

    @property
    def key(self) -> SessionKey | None:
        """None for a session without an action."""
        return self.decisions[0].event.key if self.decisions else None


def fit_calibration(
    sessions: Iterable[HonestSession],
    *,
    judge_with: JudgeWith,
    source: str,
    fold: str = "",
    memory: Memory | None = None,
    max_per_purpose: int = 20,
    max_share: float = MAX_SHARE,
    seed: int = 0,
    progress: Progress = lambda _done, _total: None,
) -> Calibration:
    """Two passes; the second runs the fold that the first one fitted. `memory` holds baselines, frozen.

    Sessions that break a hard rule are left out: rules are named, they are no part of the promise. At most
    `max_per_purpose` sessions of a purpose count, the first ones; of an agent, and of a tenant, as many as make up
    `max_share` of the whole, chosen by `seed` (where a log names three or more of them: of two, one has half).
    Raises ValueError when fewer than 40 sessions are left.
    """
    given = [session for session in sessions if session.decisions]
    kept = _bounded(given, max_per_purpose)
    for known_as in (_agent, _tenant):
        kept = _shared(kept, known_as, max_share, seed)
        _say_who_leads(kept, known_as, max_share)
    if len(kept) < LEAST_SESSIONS:
        raise ValueError(
            f"a calibration needs at least {LEAST_SESSIONS} honest sessions, got {len(kept)} after no purpose gave"
            f" more than {max_per_purpose} and no agent or tenant more than {max_share:.0%}; give a longer log, or"
            " let one of them give more (--max-per-purpose, --max-share)"
        )
    if len(kept) < len(given):
        bounds = f"--max-per-purpose {max_per_purpose}, --max-share {max_share:g}"
        _log.warning("calibration_bounded", sessions=len(given), counted=len(kept), bounds=bounds)
    by_purpose = len({s.purpose for s in kept}) >= _LEAST_PURPOSES
    halves: tuple[list[HonestSession], list[HonestSession]] = ([], [])
    for number, session in enumerate(kept):
        name = session.purpose if by_purpose else f"{number}"
        halves[hashlib.sha256(f"{seed}/{name}".encode("utf-8", "surrogatepass")).digest()[0] & 1].append(session)
    frozen = Memory(baselines=memory.baselines) if memory is not None else Memory()
    total = len(kept)
    scores: list[float] = []
    first_pass = judge_with(FLAT)
    done = 0
    for chunk in _chunks(halves[0]):
        verdicts = first_pass.judge([d for session in chunk for d in session.decisions], [], frozen).verdicts
        scores.extend(v.drift.score for v in verdicts if not any(b.hard for b in v.drift.breaches))
        progress(done := done + len(chunk), total)
    if not scores:
        raise ValueError("every call breaks a hard rule: a calibration is made of those that break none")
    second_pass = judge_with(Calibration.fit(scores, [0.0], [0.0], source=source))
    maxima: list[tuple[float, float]] = []
    for chunk in _chunks(halves[1]):
        judged = second_pass.judge([d for session in chunk for d in session.decisions], [], frozen)
        broken = {v.decoded.event.key for v in judged.verdicts if any(b.hard for b in v.drift.breaches)}
        maxima.extend(
            (s.evidence["top"], s.evidence["act"]) for k, s in judged.sessions.items() if k not in broken
        )
        progress(done := done + len(chunk), total)
    if not maxima:
        raise ValueError("every session breaks a hard rule: a calibration is made of those that break none")
    return Calibration.fit(
        scores, [top for top, _ in maxima], [act for _, act in maxima], source=source, fold=fold
    )


class OutOfFold:
    """A drift model that asks, for each purpose, the encoder that was trained without it.

    A model that is shipped has seen every training session; a yardstick made of those would be too kind. The
    encoders of the training folds have not seen what was held out of them.
    """

    def __init__(self, routes: Mapping[str, Fit]) -> None:
        if not routes:
            raise ValueError("no held-out purposes: nothing to calibrate on")
        self._routes = routes
        self.version = "+".join(sorted({fit.version for fit in routes.values()}))

    def score(self, requests: Sequence[FitRequest]) -> list[float]:
        """Raises KeyError for a purpose that no fold held out."""
        by_fit: dict[int, tuple[Fit, list[int]]] = {}
        for place, request in enumerate(requests):
            fit = self._routes[request.purpose]
            by_fit.setdefault(id(fit), (fit, []))[1].append(place)
        scores = [0.0] * len(requests)
        for fit, places in by_fit.values():
            for place, score in zip(places, fit.score([requests[p] for p in places]), strict=True):
                scores[place] = score
        return scores

    def explain(self, request: FitRequest) -> list[tuple[str, float]]:
        return self._routes[request.purpose].explain(request)


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
    """Sessions that are judged together: no two of one name, which would be taken for one."""
    chunk: dict[SessionKey | None, HonestSession] = {}
    for session in sessions:
        if len(chunk) == _CHUNK or session.key in chunk:
            yield list(chunk.values())
            chunk = {}
        chunk[session.key] = session
    if chunk:
        yield list(chunk.values())


def _bounded(sessions: Iterable[HonestSession], limit: int) -> list[HonestSession]:
    taken: Counter[str] = Counter()
    kept = []
    for session in sessions:
        if taken[session.purpose] < limit:
            taken[session.purpose] += 1
            kept.append(session)
    return kept


def _agent(session: HonestSession) -> str | None:
    envelope = session.decisions[0].event.envelope
    return f"{envelope.tenant_id}/{envelope.agent_id}" if envelope.agent_id is not None else None


def _tenant(session: HonestSession) -> str | None:
    tenant = session.decisions[0].event.envelope.tenant_id
    return tenant if tenant != LOCAL else None


def _say_who_leads(
    sessions: Sequence[HonestSession], known_as: Callable[[HonestSession], str | None], share: float
) -> None:
    """Of two sources one may have more than its share: cut, it would be as small as the other happens to be."""
    counts = Counter(name for s in sessions if (name := known_as(s)) is not None)
    if 1 < len(counts) < _LEAST_SOURCES:
        name, most = counts.most_common(1)[0]
        if most > share * len(sessions):
            note = f"fewer than {_LEAST_SOURCES} agents or tenants are named, so none is cut"
            _log.warning("calibration_leans", on=name, sessions=most, counted=len(sessions), note=note)


def _shared(
    sessions: list[HonestSession], known_as: Callable[[HonestSession], str | None], share: float, seed: int
) -> list[HonestSession]:
    """At most `share` of what is left from any one source; in the same order. Sources without a name are not
    cut."""
    counts = Counter(name for s in sessions if (name := known_as(s)) is not None)
    if len(counts) < _LEAST_SOURCES:
        return sessions
    unnamed = len(sessions) - counts.total()
    most = max(counts.values())
    while most > 1 and most > (whole := share * (unnamed + sum(min(n, most) for n in counts.values()))):
        most = max(1, min(most - 1, int(whole)))
    drawn: dict[str, list[int]] = {}
    for place, session in enumerate(sessions):
        if (name := known_as(session)) is not None:
            drawn.setdefault(name, []).append(place)
    rnd = random.Random(seed)
    cut = {place for places in drawn.values() for place in rnd.sample(places, max(0, len(places) - most))}
    return [session for place, session in enumerate(sessions) if place not in cut]
