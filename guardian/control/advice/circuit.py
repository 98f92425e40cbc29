"""A circuit breaker before the adviser: one that hangs costs a few callers their time, not all of them."""

from dataclasses import dataclass


@dataclass
class Circuit:
    """Opens after `most` answers in a row that were late. While it is open one question every `pause_s` goes
    through, and any answer closes it. `now` is in seconds from a fixed moment.
    """

    most: int = 5
    pause_s: float = 1.0
    _late: int = 0
    _next: float = 0.0

    @property
    def open(self) -> bool:
        return self._late >= self.most

    def lets_through(self, now: float) -> bool:
        """Whether to ask now. Where it is open and this one finds out, the next one waits for another pause."""
        if not self.open:
            return True
        if now < self._next:
            return False
        self._next = now + self.pause_s
        return True

    def late(self, now: float) -> None:
        self._late, self._next = self._late + 1, now + self.pause_s

    def answered(self) -> None:
        self._late = 0
