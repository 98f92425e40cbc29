"""One action's signals, in the light of its session: a pure step of the evidence fold."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from guardian.domain.drift import ARGUMENTS, ARGUMENTS_CUT, PURPOSE_FIT, Drift
from guardian.domain.signal import Signal
from guardian.scoring.calibration import Calibration
from guardian.scoring.evidence import accumulate, e_value, session_evidence
from guardian.scoring.fusion import Fusion

Evidence = Mapping[str, float]
"""The accumulator's state: `m` = log10 of e-SR, `n` actions, `top` and `act` the two running maxima, `broke` where
a hard rule was broken (such sessions are no part of the promise), and `best:KIND`, the largest bet won on each
kind of act, for the newest kinds."""

KINDS_KEPT = 64
_BEST = "best:"


@dataclass(frozen=True, slots=True)
class Scorer:
    """Fuse, take a p-value, bet, accumulate, and say how rare this is among honest sessions.

    Where the calibration does not speak for what is judged (another model, other signals or weights), its figures
    are the best there are, and none of them is promised.
    """

    fusion: Fusion
    calibration: Calibration
    speaks: bool = True

    def step(
        self, before: Evidence, signals: Sequence[Signal], missing: tuple[str, ...] = (), *, kind: str = ""
    ) -> tuple[dict[str, float], Drift]:
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
        best = before.get(_BEST + kind, 1.0)
        bet = e / best if e > best else min(e, 1.0)
        done = int(before.get("n", 0))
        log10_m = accumulate(before.get("m", -math.inf), bet)
        evidence = session_evidence(log10_m, done + 1)
        top = max(before.get("top", -math.inf), evidence)
        act = max(before.get("act", 0.0), -math.log10(p))
        one_in, promised = self.calibration.one_in(top, act)
        kinds = {name: won for name, won in before.items() if name.startswith(_BEST) and name != _BEST + kind}
        kinds = dict(list(kinds.items())[-(KINDS_KEPT - 1) :])
        if e > 1.0 or best > 1.0:
            kinds[_BEST + kind] = max(best, e)
        if "broke" in before or any(breach.hard for signal in signals for breach in signal.breaches):
            kinds["broke"] = 1.0
        after = {"m": log10_m, "n": float(done + 1), "top": top, "act": act, **kinds}
        return after, Drift(
            score=score,
            p_value=p,
            e_value=e,
            session_evidence=evidence,
            one_in=one_in,
            promised=promised and self.speaks,
            shares=shares,
            signals=tuple(signals),
            features_missing=missing,
            step=evidence - (session_evidence(before["m"], done) if done else 0.0),
        )


def odder(evidence: Mapping[str, float], drift: Drift, kind: str) -> str | None:
    """The kind of act that bet most, where this act of another `kind` bet less than half as much."""
    bets = {name.removeprefix(_BEST): won for name, won in evidence.items() if name.startswith(_BEST)}
    most = max(bets, key=lambda name: bets[name], default=kind)
    return most if most != kind and bets[most] > 2 * drift.e_value else None
