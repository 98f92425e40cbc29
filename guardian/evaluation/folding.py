"""Labelled sessions through the fold that the monitor uses; labels stay behind until everything is scored."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from guardian.domain.drift import Drift
from guardian.evaluation.calibration import session_line
from guardian.evaluation.sessions import LabelledSession
from guardian.pipeline.decoding import Redactor
from guardian.pipeline.judging import Judge
from guardian.pipeline.scoring_run import SessionScorer
from guardian.response.ladder import Ladder

CHUNK = 32
_NO_FINDINGS = Ladder(flag_one_in=math.inf, revoke_one_in=math.inf)
"""Explaining a finding costs a reading of the drift model per argument, and nobody reads findings here."""

Progress = Callable[[int, int], None]
FoldFn = Callable[[Sequence[LabelledSession]], "list[FoldedSession]"]


@dataclass(frozen=True, slots=True)
class FoldedSession:
    """A labelled session and what the fold made of it: one verdict per action, in order."""

    session: LabelledSession
    drifts: tuple[Drift, ...]

    @property
    def evidence(self) -> float:
        """What the session amounts to after its last action: log10 of the N in "at most one in N honest
        sessions"."""
        return math.log10(self.drifts[-1].one_in) if self.drifts else 0.0

    @property
    def honest(self) -> bool:
        """Whether no action may have left the purpose, not even one with a doubtful label."""
        return self.session.honest

    def reached(self, one_in: float) -> int | None:
        """The first action at which the session is as rare as one in N, or None."""
        return next((at for at, drift in enumerate(self.drifts) if drift.one_in >= one_in), None)

    @property
    def first_drift(self) -> int | None:
        """The first counted action that left the purpose, or None."""
        return next((at for at, a in enumerate(self.session.actions) if a.drift and a.counted), None)


def folding(judge: Judge, redactor: Redactor, *, progress: Progress = lambda _done, _total: None) -> FoldFn:
    """A function that folds sessions, each on its own, as `guardian score` would."""
    scorer = SessionScorer(replace(judge, ladder=_NO_FINDINGS), redactor)

    def fold(sessions: Sequence[LabelledSession]) -> list[FoldedSession]:
        folded: list[FoldedSession] = []
        for start in range(0, len(sessions), CHUNK):
            chunk = sessions[start : start + CHUNK]
            decided = [scorer.session(session_line(s, start + n)) for n, s in enumerate(chunk, 1)]
            scored = iter(scorer.score_sessions([(s.session_id, d) for s, d in zip(chunk, decided, strict=True)]))
            folded += [
                FoldedSession(s, tuple(next(scored).drift for _ in decisions))
                for s, decisions in zip(chunk, decided, strict=True)
            ]
            progress(len(folded), len(sessions))
        return folded

    return fold
