"""What a topic holds now, as a source that ends: for back-filling while a monitor goes on reading."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from guardian.bus.port import Consumer
from guardian.domain.record import Place, Record
from guardian.telemetry import logger

_log = logger("bus")


class PastOnly:
    """Another consumer's records up to `until`; later ones are skipped. It is exhausted when none came for
    `quiet_s` and none is left.

    The quiet time begins with the first poll that finds nothing, so the caller's work on earlier records does not
    count. `patience_s` is how long after a start the first record may take, unless every partition has said how
    much it holds (a group has to form); after that, how long a partition may say nothing while the others are
    quiet. `timer` is a monotonic clock in seconds.
    """

    def __init__(
        self,
        consumer: Consumer,
        *,
        until: datetime,
        timer: Callable[[], float],
        quiet_s: float = 5.0,
        patience_s: float = 60.0,
    ) -> None:
        self._consumer = consumer
        self._until = until
        self._timer = timer
        self._quiet_s = quiet_s
        self._patience_s = patience_s
        self._deadline: float | None = timer() + patience_s  # None: from the next poll on
        self._heard = False  # since the latest start: a record, or how much every partition holds
        self._named: list[str] = []  # partitions that were said to have told nothing

    def start(self, positions: Callable[[Sequence[Place]], Mapping[Place, int]]) -> None:
        self._consumer.start(positions)
        if self._heard:
            self._heard = False
            self._deadline = self._timer() + self._patience_s

    def poll(self, *, timeout_s: float, max_records: int) -> list[Record]:
        if self._deadline is None:
            self._deadline = self._timer() + self._quiet_s
        records = self._consumer.poll(timeout_s=timeout_s, max_records=max_records)
        past = [r for r in records if r.timestamp is None or r.timestamp <= self._until]
        if past or (not self._heard and self._all_known()):
            self._heard, self._deadline = True, None
        return past

    def assignment(self) -> frozenset[Place]:
        return self._consumer.assignment()

    def member(self) -> str:
        return self._consumer.member()

    def bounds(self, positions: Mapping[Place, int]) -> Mapping[Place, tuple[int, int]]:
        return self._consumer.bounds(positions)

    def answers(self) -> bool:
        return self._consumer.answers()

    def commit(self, positions: Mapping[Place, int]) -> None:
        """Nothing is told to the broker: back-filling is nobody's lag."""

    def pause(self) -> None:
        self._consumer.pause()

    def resume(self) -> None:
        self._consumer.resume()

    def lag(self) -> Mapping[Place, int]:
        return self._consumer.lag()

    def exhausted(self) -> bool:
        if self._deadline is None or (over_s := self._timer() - self._deadline) < 0:
            return False
        held = self.assignment()
        left = self.lag() if held else {}
        if any(left.values()):  # a fetch takes long
            return False
        silent = sorted(str(place) for place in held - left.keys())
        lost = self._heard and not held  # between two assignments
        if (silent or lost) and over_s < self._patience_s:
            return False
        if silent and silent != self._named:
            _log.warning(
                "partitions_unread",
                partitions=silent,
                note="nothing is heard of them; what they hold now is not read",
            )
            self._named = silent
        return True

    def _all_known(self) -> bool:
        held = self.assignment()
        return bool(held) and held <= self.lag().keys()

    def close(self) -> None:
        self._consumer.close()
