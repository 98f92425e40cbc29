"""Attempts count against a record only if it may be at fault: one that an outage ended is taken back."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from guardian.errors import BusError, StoreError, Unstorable


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
