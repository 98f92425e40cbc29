"""Attempts count against a record only if it may be at fault: one that an outage ended is taken back."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from guardian.errors import BusError, ModelAway, StoreError, Unstorable
from guardian.stream.backoff import Backoff

_FORGIVEN_FOR_S = 600.0
"""For how long crashes are held against no record where all crash; without an end bad ones might wait for ever."""


def blameless(error: Exception) -> bool:
    """Whether no record is at fault: store, registry, broker or model is away, or the partition went to another
    member."""
    return isinstance(error, (StoreError, BusError, ModelAway)) and not isinstance(error, Unstorable)


@dataclass
class Patience:
    """With a model that fails: how long to wait after a round of crashes, and whether it still counts against no
    record. `timer` is a monotonic clock in seconds."""

    retry: Backoff
    timer: Callable[[], float] = time.monotonic
    _failures: int = field(default=0, init=False)  # rounds in which nothing was judged
    _since: float | None = field(default=None, init=False)

    def crashed(self, *, judged: bool) -> float:
        """Seconds to wait. `judged`: whether anything was, in this round."""
        if judged:
            self.went_well()
        elif self._since is None:
            self._since = self.timer()
        pause = self.retry.after(self._failures)
        self._failures += not judged
        return pause

    def went_well(self) -> None:
        self._failures, self._since = 0, None

    def forgives(self) -> bool:
        return self._since is not None and self.timer() - self._since < _FORGIVEN_FOR_S


class Refunds:
    """Takes back counted attempts that proved nothing: at once, or as soon as the store is back."""

    def __init__(self) -> None:
        self._owed: list[Callable[[], None]] = []

    def pay(self) -> None:
        """Take back what is owed; call it before looking at attempts. Raises StoreError while that cannot be
        done."""
        while self._owed:
            self._owed[0]()
            del self._owed[0]

    def owe(self, take_back: Callable[[], None]) -> None:
        """Take back at once, or when it can be done."""
        self._owed.append(take_back)
        with suppress(StoreError):
            self.pay()

    @contextmanager
    def of(self, take_back: Callable[[], None]) -> Iterator[None]:
        """Wrap an attempt that was counted before it was made."""
        try:
            yield
        except Exception as error:
            if blameless(error):
                self.owe(take_back)
            raise
