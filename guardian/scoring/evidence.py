"""Evidence over a session: bets against honesty, and a change detector that restarts.

`e_value` turns a p-value into a bet whose mean is at most 1 when the p-value is valid: the mixture over
all power calibrators (Shafer & Vovk, *Testing by betting*, 2021; Vovk & Wang 2021, eq. 1).

`accumulate` is the e-SR detector of Shin, Ramdas & Rinaldo (*E-detectors*, 2022): M ← (M + 1)·e. The "+ 1"
lets drift begin at any action, so many honest acts do not bury a late turn. We keep M divided by the number of
actions, `STARTS` at most: the average over all possible starting points, whose mean on honest sessions of that
length is at most 1. Beyond it, what starting points long past bet is lost by then, and an agent could else take
its evidence down as far as it likes, by as many harmless calls beforehand.
"""

import math

STARTS = 40
"""No session of the sets that the shipped calibration is fitted to has more calls (`calibration.LONGEST`)."""


def e_value(p: float) -> float:
    """(1 - p + p·ln p) / (p·ln² p) for p in (0, 1]; 1/2 at p = 1."""
    if not 0.0 < p <= 1.0:
        raise ValueError(f"a p-value lies in (0, 1], got {p}")
    if p > 1 - 1e-6:
        return 0.5
    log = math.log(p)
    return (1 - p + p * log) / (p * log * log)


def accumulate(log10_m: float, e: float) -> float:
    """log10 of (M + 1)·e, given log10 of M (-inf before the first action)."""
    if e <= 0.0:
        raise ValueError(f"an e-value made from a p-value is positive, got {e}")
    log10_m_plus_1 = log10_m if log10_m > 15 else math.log10(1 + 10**log10_m)
    return log10_m_plus_1 + math.log10(e)


def session_evidence(log10_m: float, actions: int) -> float:
    """log10 of M over the number of actions so far, `STARTS` at most."""
    return log10_m - math.log10(min(actions, STARTS))
