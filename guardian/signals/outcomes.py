"""Whether an allowed call came to nothing, by what the gateway says of its result. Pure."""

from guardian.domain.event import DecisionEvent
from guardian.signals.wording import word_set, words

_FAILED = word_set("error errored exception fail failed failure declined rejected refused invalid")
_UNSURE = word_set("timeout timedout timed time out deadline partial partially pending unknown unclear no not non")
"""Beside one of these a failure may still have done its work: who timed out may have paid."""
_REFUSED = frozenset(map(str, range(400, 430))) - {"408"}
"""Statuses of HTTP by which a server says that it did not act; of the others, of 500 or 504, nobody knows."""


def came_to_nothing(event: DecisionEvent) -> bool:
    """Whether the result says that the call failed and nothing came of it; without a result it did its work."""
    result = event.result
    if result is None or result.records:
        return False
    said = frozenset(words(result.status))
    return result.status.strip() in _REFUSED or not (_FAILED.isdisjoint(said) or said & _UNSURE)
