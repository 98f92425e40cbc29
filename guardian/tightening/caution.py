"""How much history the miner needs before it proposes anything, and how much room it leaves to honest work."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Caution:
    """`at_most` bounds, with 95 % confidence, the share of future honest sessions that one restriction may touch.
    Those that guardian found unusual decide nothing here.

    `span_days` is long enough to hold the end of a month. `headroom` multiplies the largest number ever needed. A
    grant is excessive from `excess` times the limit that would replace it.
    """

    at_most: float = 0.05
    sessions: int = 59  # the least that can show 5 %: 1 - 0.05 ** (1 / 59)
    days: int = 15
    span_days: int = 35
    held_out: float = 1 / 3
    headroom: float = 1.5
    excess: float = 2.0
    values: int = 12  # the most values of an argument that may become a closed set
    each_value: int = 3  # the least sessions in which each of them was seen
    doubted_sessions: int = 3  # so many unusual sessions show a need after all
    hours_sessions: int = 200
    hours_unused: int = 8
    confined: float = 0.001  # at most so probable is it by chance that only these agents used a tool

    def __post_init__(self) -> None:
        if not 0 < self.at_most < 1 or not 0 < self.held_out < 1:
            raise ValueError("at_most and held_out are shares, between 0 and 1")
        if self.headroom < 1 or self.excess < 1:
            raise ValueError("headroom and excess are factors, 1 or more")


def roomy(number: int, headroom: float) -> int:
    """A round number with room above: the next of 1, 2, 3, 5, 8 times a power of ten.

    >>> [roomy(n, 1.5) for n in (0, 1, 7, 40, 120)]
    [1, 2, 20, 80, 200]
    """
    wanted = max(1.0, number * headroom)
    unit = 1
    while True:
        for step in (1, 2, 3, 5, 8):
            if step * unit >= wanted:
                return step * unit
        unit *= 10
