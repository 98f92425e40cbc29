"""How many comparisons with an envelope one call may take.

Whoever writes a record chooses how many values stand in it and how many wildcards they are compared with, and one
times the other may be hours. What is beyond the bound is not compared: it accuses nobody, and has to be told.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

MOST = 2**20
"""Of a value of up to `_CHARS` characters with one wildcard; together about a second at most."""
_CHARS = 1_024


@dataclass
class Allowance:
    """What is left of it."""

    left: int

    @property
    def spent(self) -> bool:
        """Whether something was not compared."""
        return self.left < 0


_allowance: ContextVar[Allowance | None] = ContextVar("_allowance", default=None)


@contextmanager
def bounded() -> Iterator[Allowance]:
    """Everything that is compared within takes part of one allowance."""
    allowance = Allowance(MOST)
    token = _allowance.set(allowance)
    try:
        yield allowance
    finally:
        _allowance.reset(token)


def spend(wildcards: int, *said: str) -> bool:
    """Whether these texts, or one short one, may still be compared with so many wildcards."""
    allowance = _allowance.get()
    if allowance is None:
        return True
    allowance.left -= wildcards * (sum(1 + len(each) // _CHARS for each in said) or 1)
    return not wildcards or allowance.left >= 0


def spent() -> bool:
    """Whether something was not compared."""
    allowance = _allowance.get()
    return allowance is not None and allowance.spent
