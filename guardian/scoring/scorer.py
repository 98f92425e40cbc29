"""One action's signals, in the light of its session: a pure step of the evidence fold."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from guardian.domain.drift import ARGUMENTS, ARGUMENTS_CUT, PURPOSE_BASELINE, PURPOSE_FIT, Drift
from guardian.domain.gathered import Gathered
from guardian.domain.signal import Signal
from guardian.scoring.calibration import Calibration
from guardian.scoring.evidence import accumulate, e_value, session_evidence
from guardian.scoring.fusion import Fusion

KINDS_KEPT = 64


@dataclass(frozen=True, slots=True)
class Scorer:
    """Fuse, take a p-value, bet, accumulate, and say how rare this is among honest sessions.

    Where the calibration does not speak for what is judged (another model, other signals or weights, more calls
    than its sessions have, a score that owes something to what was learnt here), its figures are the best there
    are, and none of them is promised.
    """

    fusion: Fusion
    calibration: Calibration
    speaks: bool = True

    def step(
        self, before: Gathered, signals: Sequence[Signal], missing: tuple[str, ...] = (), *, kind: str = ""
    ) -> tuple[Gathered, Drift]:
        """The evidence after this action, and the verdict on it.

        An action about which every signal is silent neither accuses nor vouches: its e-value is 1. Where the
        vouching signal is silent, or was not shown everything, it is at least 1: what a log leaves out, or an
        agent piles up, never lowers the evidence.

        Acts of one `kind` (a tool, or what a general one is told to do) in one session are near copies of each
        other, so a repeated one only bets with its surplus over the best bet on that kind: reading ten tickets is
        one oddity, not ten. The surplus is never more than the bet itself, so its mean on honest actions stays at
        most 1.
        """
        score, shares = self.fusion.fuse(signals)
        known = any(not signal.silent for signal in signals)
        p = self.calibration.p_value(score) if known else 1.0
        e = e_value(p) if known else 1.0
        unread = ARGUMENTS in missing or ARGUMENTS_CUT in missing
        if unread or any(signal.name == PURPOSE_FIT and signal.silent for signal in signals):
            e = max(1.0, e)
        best = before.best.get(kind, 1.0)
        bet = e / best if e > best else min(e, 1.0)
        m, n = accumulate(before.m, bet), before.n + 1
        evidence = session_evidence(m, n)
        top, act = max(before.top, evidence), max(before.act, -math.log10(p))
        one_in, promised = self.calibration.one_in(top, act, calls=n)
        learnt = before.learnt or shares.get(PURPOSE_BASELINE, 0.0) > 0.0
        others = [(name, won) for name, won in before.best.items() if name != kind]
        bets = dict(others[-(KINDS_KEPT - 1) :])
        if e > 1.0 or best > 1.0:
            bets[kind] = max(best, e)
        broke = before.broke or any(b.hard and b.accuses for signal in signals for b in signal.breaches)
        return Gathered(m=m, n=n, top=top, act=act, best=bets, broke=broke, learnt=learnt), Drift(
            score=score,
            p_value=p,
            e_value=e,
            session_evidence=evidence,
            one_in=one_in,
            promised=promised and self.speaks and not learnt,
            shares=shares,
            signals=tuple(signals),
            features_missing=missing,
            step=evidence - (session_evidence(before.m, before.n) if before.n else 0.0),
        )


def odder(evidence: Gathered, drift: Drift, kind: str) -> str | None:
    """The kind of act that bet most, where this act of another `kind` bet less than half as much."""
    most = max(evidence.best, key=evidence.best.__getitem__, default=kind)
    return most if most != kind and evidence.best[most] > 2 * drift.e_value else None
