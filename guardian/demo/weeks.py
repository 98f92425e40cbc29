"""Six weeks of several teams' work and one bad day: the plan behind the sample data that notebooks run on.

Times are fixed, names and arguments come from the seed: the same seed is the same plan, to the second. Three weeks
go by quietly, then a session leaves its purpose now and then; on the last day every planted kind comes at once.
"""

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from guardian.demo.jobs import CLAUSE_JOB, JOBS
from guardian.demo.log import SessionClock, decision_line
from guardian.demo.scenario import PlannedSession, Plant, Scenario

BEGIN = datetime(2026, 4, 6, tzinfo=UTC)
WEEKS = 6
BAD_DAY = BEGIN + timedelta(weeks=5, days=4)
SESSIONS_A_DAY = 14
_EARLIER = (
    (timedelta(weeks=3, days=1), Plant.RENEWAL_SLIDE),
    (timedelta(weeks=3, days=4), Plant.BULK_EXPORT),
    (timedelta(weeks=4, days=0), Plant.COPIED_AUTHORITY),
    (timedelta(weeks=4, days=2), Plant.RENEWAL_SLIDE),
    (timedelta(weeks=4, days=4), Plant.BULK_EXPORT),
)
_REFUND = timedelta(weeks=4, days=3)
_OF_A_REFUND = ("customers.read", "reports.read", "billing.read")
_OPENS = {tenant: hour for hour, tenant in enumerate(dict.fromkeys(job.tenant for job in JOBS), 7)}
_HOURS = 8


@dataclass(frozen=True, slots=True)
class Shift:
    """One session and the clock that says when its calls are made."""

    session: PlannedSession
    clock: SessionClock

    def lines(self) -> Iterator[tuple[datetime, dict[str, Any]]]:
        """Its decisions as the gateway logs them, each with its time."""
        for index, at in enumerate(self.clock.times):
            yield at, decision_line(self.session, index, self.clock)


@dataclass(frozen=True)
class Weeks:
    """`days` has a shift for every session, by the day on which it begins, in order."""

    days: Mapping[datetime, tuple[Shift, ...]]

    @classmethod
    def plan(cls, seed: int) -> "Weeks":
        rnd = random.Random(seed)
        workdays = [BEGIN + timedelta(days=n) for n in range(7 * WEEKS) if n % 7 < 5]
        honest = iter(Scenario(seed=seed, sessions=SESSIONS_A_DAY * len(workdays), each=0, label="d").plan())
        bad = {day: list(sessions) for day, sessions in _bad_days(seed).items()}
        days: dict[datetime, tuple[Shift, ...]] = {}
        for day in workdays:
            groups = [[_declared(next(honest))] for _ in range(SESSIONS_A_DAY)] + _families(bad.get(day, []))
            days[day] = tuple(shift for group in groups for shift in _shifts(group, day, rnd, seed))
        return cls(days)

    @property
    def planted(self) -> dict[str, Plant]:
        """What was planted, by session id."""
        sessions = (shift.session for shifts in self.days.values() for shift in shifts)
        return {s.session_id: s.plant for s in sessions if s.plant is not Plant.NONE}

    def of(self, day: datetime) -> list[tuple[datetime, dict[str, Any]]]:
        """The day's log in time; a parent's call comes before its child's of the same moment."""
        lines = [line for shift in self.days[day] for line in shift.lines()]
        return sorted(lines, key=lambda line: line[0])


def _bad_days(seed: int) -> dict[datetime, list[PlannedSession]]:
    """Every planted session by its day, and an honest oddity: a refund that a support agent has to prepare, with
    what the customer is worth."""
    made = {BAD_DAY: Scenario(seed=seed, sessions=0, each=1, label="x").plan()}
    for number, (when, plant) in enumerate(_EARLIER):
        plan = Scenario(seed=seed + 1 + number, sessions=0, each=1, label="e").plan()
        chosen = next(s for s in plan if s.plant is plant)
        made[BEGIN + when] = [s for s in plan if s is chosen or s.session_id == chosen.parent]
    plan = Scenario(seed=seed + 99, sessions=0, each=1, label="r").plan()
    slow = next(s for s in plan if s.plant is Plant.SLOW_DRIFT)
    refund = [call for call in slow.calls[slow.drift_from :] if call.tool in _OF_A_REFUND]
    calls = (*slow.calls[: slow.drift_from], *refund)
    made[BEGIN + _REFUND] = [replace(slow, plant=Plant.NONE, calls=calls, drift_from=len(calls))]
    return {day: [_declared(session) for session in sessions] for day, sessions in made.items()}


def _declared(session: PlannedSession) -> PlannedSession:
    """These sessions are started by systems, which always spell a purpose alike."""
    job = next((job for job in JOBS if job.agent == session.envelope["agent_id"]), CLAUSE_JOB)
    return replace(session, envelope={**session.envelope, "purpose": job.purposes[0]})


def _families(sessions: list[PlannedSession]) -> list[list[PlannedSession]]:
    """A parent and its child stay together."""
    groups: dict[str, list[PlannedSession]] = {}
    for session in sessions:
        groups.setdefault(session.parent or session.session_id, []).append(session)
    return list(groups.values())


def _shifts(group: list[PlannedSession], day: datetime, rnd: random.Random, seed: int) -> Iterator[Shift]:
    opens = _OPENS[group[0].tenant_id]
    begin = day + timedelta(hours=opens, minutes=rnd.randrange(60 * _HOURS))
    yield from (Shift(session, SessionClock(session, begin, seed)) for session in group)
