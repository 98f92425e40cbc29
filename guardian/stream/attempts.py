"""An attempt counts against a record only if the record may be at fault: what an outage ended is taken back."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from guardian.errors import BusError, StoreError, Unstorable


def blameless(error: Exception) -> bool:
    """Whether no record is at fault: store, registry or broker are away, or the partition is somebody else's."""
    return isinstance(error, (StoreError, BusError)) and not isinstance(error, Unstorable)


class Refunds:
    """Counted attempts that proved nothing, and are taken back: at once, or as soon as the store is back."""

    def __init__(self) -> None:
        self._owed: list[Callable[[], None]] = []

    def pay(self) -> None:
        """To be called before attempts are looked at. Raises StoreError where that cannot be done yet."""
        while self._owed:
            self._owed[0]()
            del self._owed[0]

    @contextmanager
    def of(self, take_back: Callable[[], None]) -> Iterator[None]:
        """Around an attempt that was counted before it is made."""
        try:
            yield
        except Exception as error:
            if blameless(error):
                self._owed.append(take_back)
                with suppress(StoreError):
                    self.pay()
            raise
