"""Has traffic left the calibration? A bet, session by session, that it has not changed.

A promise ("at most one in N honest sessions") holds while sessions are exchangeable with those of the calibration.
Each finished session is ranked among the calibration's sessions and all live ones before it; while they are
exchangeable, these ranks are independent and uniform (smoothed conformal p-values: Vovk, Gammerman & Shafer 2005,
ch. 2 and 8). A gambler who bets against that, the simple jumper of Vovk et al. (*Retrain or not retrain*, 2021),
cannot win: his capital has mean 1 at any time, and the chance that it ever reaches N is at most 1 in N (Ville).

Values are counted in fixed bins, so the state is bounded and ties are ranked by the random number that the caller
gives. Most of the stake is laid aside and handed out in shares that fall as 1/t, so that a change after a million
sessions is found about as soon as one after ten.
"""

import bisect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

Direction = Literal["further out", "tamer"]
EDGES = tuple(step / 8 - 2.0 for step in range(41))
"""Bin edges in log10 units of session evidence, -2 to 3; fixed in advance, or ranks would not be exchangeable."""

BETS = (-1.0, 0.0, 1.0)
_JUMP = 0.01
_MOST = 1e30  # capital is cut here: a gambler may throw money away, the bound stays


@dataclass(frozen=True, slots=True)
class Departure:
    """The fold's state.

    counts   sessions per bin, those of the calibration and the live ones together
    purses   capital on each of BETS: sessions further out than the calibration's, as usual, tamer
    reserve  capital that is not at stake yet
    seen     live sessions so far
    peak     the most that the whole capital has been
    """

    counts: tuple[int, ...]
    purses: tuple[float, ...] = field(default=(0.0,) * len(BETS))
    reserve: float = 1.0
    seen: int = 0
    peak: float = 1.0

    @classmethod
    def start(cls, calibration: Sequence[float]) -> "Departure":
        """Before the first live session; `calibration` are its honest sessions' largest evidence
        (`evidence.values`).

        Raises ValueError when there are none.
        """
        if not calibration:
            raise ValueError("a calibration without sessions cannot be left")
        counts = [0] * (len(EDGES) + 1)
        for value in calibration:
            counts[bisect.bisect_right(EDGES, value)] += 1
        return cls(tuple(counts))

    def step(self, value: float, u: float) -> "Departure":
        """After one more finished session: its largest evidence, and a random number in [0, 1] for its ties.

        Give every session but those that people confirmed as drift: a flagged one multiplies the capital by at
        most 1.5, and leaving out the flagged would cut the honest tail.
        """
        if not 0.0 <= u <= 1.0:  # also refuses NaN
            raise ValueError(f"the number that breaks ties must lie in [0, 1], got {u}")
        if value != value:
            raise ValueError("session evidence is not a number")
        place = bisect.bisect_right(EDGES, value)
        counts = tuple(count + (at == place) for at, count in enumerate(self.counts))
        p = (sum(counts[place + 1 :]) + u * counts[place]) / sum(counts)
        given = self.reserve / (self.seen + 2)
        staked = [purse + given / len(BETS) for purse in self.purses]
        total = sum(staked)
        jumped = [(1 - _JUMP) * purse + _JUMP * total / len(BETS) for purse in staked]
        won = tuple(min(purse * (1.0 + bet * (p - 0.5)), _MOST) for purse, bet in zip(jumped, BETS, strict=True))
        reserve = self.reserve - given
        return Departure(counts, won, reserve, self.seen + 1, max(self.peak, sum(won) + reserve))

    @property
    def capital(self) -> float:
        """Evidence against exchangeability: its mean is at most 1 while traffic is like the calibration."""
        return sum(self.purses) + self.reserve

    def left(self, one_in: float = 1_000.0) -> bool:
        """Whether to warn. While traffic is like the calibration, at most one in `one_in` monitors ever warns.

        It stays True until a new calibration starts afresh.
        """
        if one_in < 1.0:
            raise ValueError(f"one false warning in {one_in} is none: give a number of at least 1")
        return self.peak >= one_in

    @property
    def direction(self) -> Direction:
        """Where live sessions lie: further from purpose than the calibration's (the promise is too kind), or
        nearer."""
        return "further out" if self.purses[0] >= self.purses[-1] else "tamer"

    def to_state(self) -> dict[str, Any]:
        """Plain JSON-able data."""
        return {
            "counts": list(self.counts),
            "purses": list(self.purses),
            "reserve": self.reserve,
            "seen": self.seen,
            "peak": self.peak,
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> "Departure":
        """Raises ValueError when the bins are others than these."""
        if len(state["counts"]) != len(EDGES) + 1:
            raise ValueError(f"{len(state['counts'])} bins were stored, there are {len(EDGES) + 1}: start afresh")
        return cls(
            tuple(map(int, state["counts"])),
            tuple(map(float, state["purses"])),
            float(state["reserve"]),
            int(state["seen"]),
            float(state["peak"]),
        )
