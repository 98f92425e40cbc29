"""Slack's rate limits; https://docs.slack.dev/apis/web-api/rate-limits."""

import math
from bisect import bisect_left
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

PER_MINUTE = {"chat.update": 60, "conversations.history": 60, "conversations.replies": 60, "users.info": 110}
_BURST = 3  # "short bursts over the limit" of one message a second and channel


@dataclass
class Rates:
    """Counts calls on a clock; `wait(method, channel)` is 0 for a call that is let through."""

    clock: Callable[[], float]
    on: bool = True
    _calls: dict[str, deque[float]] = field(default_factory=dict)
    refused: int = 0

    def wait(self, method: str, channel: str) -> int:
        if not self.on:
            return 0
        if method == "chat.postMessage":
            return self._within(f"{method} {channel}", _BURST, float(_BURST))
        most = PER_MINUTE.get(method)
        return 0 if most is None else self._within(method, most, 60.0)

    def busiest(self, span_s: float) -> int:
        """The most posts that one channel got within any such span."""
        posts = [list(calls) for name, calls in self._calls.items() if name.startswith("chat.postMessage")]
        return max(
            (bisect_left(times, at + span_s) - i for times in posts for i, at in enumerate(times)), default=0
        )

    def _within(self, name: str, most: int, span_s: float) -> int:
        now = self.clock()
        calls = self._calls.setdefault(name, deque(maxlen=5000))
        recent = [at for at in calls if at > now - span_s]
        if len(recent) >= most:
            self.refused += 1
            return max(1, math.ceil(recent[0] + span_s - now))
        calls.append(now)
        return 0
