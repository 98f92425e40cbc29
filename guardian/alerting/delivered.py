"""What a channel delivered, for channels that cannot be asked: the other side knows a repeat by its id."""

from collections import OrderedDict

_MOST = 10_000


class Delivered:
    """References by alert; the oldest are forgotten. Nothing survives the process."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, str] = OrderedDict()

    def note(self, key: str, reference: str) -> str:
        self._known[key] = reference
        if len(self._known) > _MOST:
            self._known.popitem(last=False)
        return reference

    def find(self, key: str) -> str | None:
        return self._known.get(key)
