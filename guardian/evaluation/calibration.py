"""Fit the yardstick: honest sessions → a Calibration, by replay through the pipeline that will use it.

Sessions are split by purpose, so that the half that turns scores into p-values and the half that turns session
maxima into promises share none. How much one purpose may contribute is bounded: repetition is not evidence.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Sequence

from guardian.evaluation.sessions import LabelledSession
from guardian.pipeline.judging import Judge
from guardian.pipeline.scoring_run import SessionScorer, session_maxima
from guardian.scoring.calibration import Calibration
from guardian.sources.session_lines import ActionLine, SessionLine

FLAT = Calibration.fit([0.5], [0.0], [0.0], source="none")
"""Where fitting starts: says nothing about anything."""

Progress = Callable[[int, int], None]


def fit_calibration(
    sessions: Sequence[LabelledSession],
    *,
    judge_with: Callable[[Calibration], tuple[Judge, SessionScorer]],
    source: str,
    max_per_purpose: int = 20,
    seed: int = 0,
    progress: Progress = lambda _done, _total: None,
) -> Calibration:
    """Two passes over honest sessions; sessions with a confirmed drift are left out.

    `judge_with` builds the fold for a calibration: the second pass must run the one that the first pass fitted.
    Raises ValueError when fewer than 40 honest sessions are left.
    """
    honest = _bounded([s for s in sessions if not s.drift and s.actions], max_per_purpose)
    if len(honest) < 40:
        raise ValueError(f"a calibration needs at least 40 honest sessions, got {len(honest)}")
    for_actions = [line for line in honest if _half(line.purpose, seed)]
    for_sessions = [line for line in honest if not _half(line.purpose, seed)]
    if not for_actions or not for_sessions:
        raise ValueError("all honest sessions share one purpose; a calibration needs several")
    _, scorer = judge_with(FLAT)
    scores: list[float] = []
    total = len(honest)
    for done, start in enumerate(range(0, len(for_actions), 64)):
        chunk = for_actions[start : start + 64]
        scored = scorer.score_sessions([(line.session_id, scorer.session(line)) for line in chunk])
        scores.extend(s.drift.score for s in scored)
        progress(min(len(for_actions), (done + 1) * 64), total)
    first = Calibration.fit(scores, [0.0], [0.0], source=source)
    judge, scorer = judge_with(first)
    maxima = []
    for done, evidence in enumerate(session_maxima(judge, scorer, for_sessions)):
        maxima.append(evidence)
        progress(len(for_actions) + done + 1, total)
    return Calibration.fit(scores, [m["top"] for m in maxima], [m["act"] for m in maxima], source=source)


def session_line(session: LabelledSession, line: int) -> SessionLine:
    """The same session as `guardian score` would read it; its labels stay behind."""
    return SessionLine(
        line=line,
        session_id=session.session_id,
        purpose=session.purpose,
        domain=session.domain,
        actions=tuple(ActionLine(a.tool, a.arguments) for a in session.actions),
        tools=session.descriptions,
    )


def _bounded(sessions: Sequence[LabelledSession], limit: int) -> list[SessionLine]:
    taken: Counter[str] = Counter()
    kept = []
    for number, session in enumerate(sessions, 1):
        if taken[session.purpose] < limit:
            taken[session.purpose] += 1
            kept.append(session_line(session, number))
    return kept


def _half(purpose: str, seed: int) -> bool:
    return hashlib.sha256(f"{seed}/{purpose}".encode("utf-8", "surrogatepass")).digest()[0] < 128
