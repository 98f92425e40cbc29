"""Attempts count against a record only if it may be at fault: one that an outage ended is taken back, and for a
while also one that a model ended which fails."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from guardian.domain.backoff import Backoff
from guardian.errors import BusError, StoreError, Unstorable

_FORGIVEN_FOR_S = 600.0
"""For how long crashes are held against no record where all crash; without an end bad ones might wait for ever."""


def blameless(error: Exception) -> bool:
    """Whether no record is at fault: store, registry or broker is away, or the partition went to another
    member."""
    return isinstance(error, (StoreError, BusError)) and not isinstance(error, Unstorable)


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


class Lenience:
    """Where all records crash, and they are several, no record is at fault, but a model that fails: for a while
    that counts as no attempt. `timer` is a monotonic clock in seconds."""

    def __init__(self, timer: Callable[[], float], retry: Backoff) -> None:
        self._timer, self._retry = timer, retry
        self._failures = 0  # in a row, with nothing judged
        self._since: float | None = None

    def pause(self, *, judged: bool) -> float:
        """Seconds to wait after a crash; whether other records could be `judged`."""
        if judged:
            self.went_well()
        elif self._since is None:
            self._since = self._timer()
        pause = self._retry.after(self._failures)
        self._failures += not judged
        return pause

    def went_well(self) -> None:
        """Something was judged."""
        self._failures, self._since = 0, None

    def lasts(self) -> bool:
        """Whether nothing can be judged, and not for too long yet."""
        return self._since is not None and self._timer() - self._since < _FORGIVEN_FOR_S
