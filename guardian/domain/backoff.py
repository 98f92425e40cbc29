"""How long a loop waits before it tries again."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Backoff:
    """Exponential: `base_s * 2**failures` seconds, at most `cap_s` and at most 1024 times the base."""

    base_s: float
    cap_s: float

    @property
    def longest_s(self) -> float:
        """The most that `after` ever returns."""
        return min(max(self.cap_s, self.base_s), self.base_s * 1024)

    def after(self, failures: int, *, jitter: float = 1.0) -> float:
        """Seconds to wait after so many failures. A random `jitter` in [0, 1) scales them by a factor in [0.5,
        1)."""
        return min(self.longest_s, self.base_s * 2.0 ** min(failures, 10)) * (0.5 + jitter / 2)
