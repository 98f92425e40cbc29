"""Several channels as one: each gets the alert at most once, and none waits for another that is down."""

from collections.abc import Sequence

from guardian.alerting.port import Alert, AlertChannel, Clock, RetryLater
from guardian.errors import AlertError

_REST = 4
"""A channel that failed is left alone for so many times as long as it took to fail: the others need the thread."""


class Broadcast:
    """Delivers to every channel. While one of them is down, the others are asked with `find`, not sent to again.

    The channel that took longest of late comes last, so that the quick ones get an alert first.
    """

    def __init__(self, channels: Sequence[AlertChannel], *, clock: Clock) -> None:
        self._channels, self._clock = tuple(channels), clock
        self.name = "+".join(channel.name for channel in channels) or "none"
        self._rests: dict[str, float] = {}
        self._took: dict[str, float] = {}

    def deliver(self, alert: Alert) -> str:
        references: list[str] = []
        later: list[str] = []
        waits: list[float] = []
        resting: list[float] = []
        refused: list[str] = []
        broken: list[Exception] = []
        for channel in sorted(self._channels, key=lambda each: self._took.get(each.name, 0.0)):
            now = self._clock()
            rests = self._rests.get(channel.name, now) - now
            if rests > 0:
                later.append(f"{channel.name}: it failed a moment ago")
                resting.append(rests)
                continue
            match self._tried(channel, alert):
                case str(reference):
                    references.append(reference)
                case RetryLater() as trouble:
                    later.append(f"{channel.name}: {trouble}")
                    waits += [] if trouble.after_s is None else [trouble.after_s]
                case AlertError() as trouble:
                    refused.append(f"{channel.name}: {trouble}")
                case error:
                    broken.append(error)
        if broken:
            raise broken[0]
        if later:
            only_rest = len(resting) == len(later)  # a channel that could take it waits for no other's rest
            after = min(resting) if only_rest else max(waits, default=None)
            raise RetryLater("; ".join(later), after_s=after)
        if refused:
            raise AlertError("; ".join(refused))
        return " ".join(references)

    def _tried(self, channel: AlertChannel, alert: Alert) -> str | Exception:
        """The channel's reference, or what went wrong. A channel that failed then rests."""
        began = self._clock()
        answer: str | Exception
        try:
            known = channel.find(alert) if alert.attempt else None
            answer = known or channel.deliver(alert)
        except Exception as error:  # a bug in one must not keep the alert from the others
            answer = error
        took = self._clock() - began
        self._took[channel.name] = max(took, self._took.get(channel.name, 0.0) / 2)
        if not isinstance(answer, str | AlertError):  # one that refuses this alert is well itself
            self._rests[channel.name] = began + (1 + _REST) * took
        return answer

    def find(self, alert: Alert) -> str | None:
        """Its references if every channel has it; otherwise `deliver` sorts out which channels still need it."""
        try:
            references = [channel.find(alert) for channel in self._channels]
        except Exception:  # one that cannot tell, or has a bug, holds up no other: `deliver` says so
            return None
        return None if None in references else " ".join(reference for reference in references if reference)
