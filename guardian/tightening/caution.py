"""When there is enough history to say anything, and how much room honest work gets."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Caution:
    """`at_most` bounds the share of future honest sessions that one restriction may touch, with 95 % confidence.

    `span_days` is long enough to hold a month's end; `headroom` multiplies the largest number ever needed; a grant
    is excessive from `excess` times of what would be left.
    """

    at_most: float = 0.05
    sessions: int = 59  # the least that can show 5 %: 1 - 0.05 ** (1 / 59)
    days: int = 15
    span_days: int = 35
    held_out: float = 1 / 3
    headroom: float = 1.5
    excess: float = 2.0
    values: int = 12  # a set of argument values is small up to here
    doubted_sessions: int = 3  # so many unusual sessions show a need after all
    each_value: int = 3  # and every value of it was seen in so many sessions
    hours_sessions: int = 200
    hours_unused: int = 8
    confined: float = 0.001  # how unlikely it must be by chance that only one agent ever used a tool

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
