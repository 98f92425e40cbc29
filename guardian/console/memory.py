"""Timelines in memory: what stands for an archive in tests."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, timedelta

from guardian.domain.timeline import Granted, Point, Step

_FURTHEST = 31


@dataclass(frozen=True, slots=True)
class MemoryTimeline:
    first: date
    last: date
    kept: tuple[Step, ...]
    granted: Granted | None

    @property
    def points(self) -> Sequence[Point]:
        return [Point(step.at, step.one_in, step.promised, step.wanted) for step in self.kept]

    def steps(self, start: int, stop: int) -> Sequence[Step]:
        return self.kept[start : max(start, stop)]


@dataclass(frozen=True, slots=True)
class MemoryTimelines:
    """By tenant and session: the envelope, and the steps in any order."""

    sessions: Mapping[tuple[str, str], tuple[Granted, Sequence[Step]]] = field(default_factory=dict)

    def empty(self) -> bool:
        return not self.sessions

    def of(self, tenant_id: str, session_id: str, *, since: date, until: date) -> MemoryTimeline:
        granted, steps = self.sessions.get((tenant_id, session_id), (None, ()))
        days = {step.at.astimezone(UTC).date() for step in steps}
        first, last, day = since, until, timedelta(days=1)
        while first in days and first > since - _FURTHEST * day:
            first -= day
        while last in days and last < until + _FURTHEST * day:
            last += day
        within = [step for step in steps if first <= step.at.astimezone(UTC).date() <= last]
        kept = tuple(sorted(within, key=lambda step: step.at))
        return MemoryTimeline(first, last, kept, granted if kept else None)
