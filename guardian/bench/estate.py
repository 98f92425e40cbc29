"""A synthetic estate whose needs are known: hundreds of agents, tens of purposes, and everything that makes their
privileges hard to read off a log.

Month-end and quarter-end work, rare work (of 1 % of sessions), a reorganisation in mid-window, delegation,
drifted and attacked sessions (most of them flagged, not all), false alarms (some dismissed), and one agent that
uses whatever it is granted so that nothing is taken from it.
"""

import calendar
import random
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import islice

from guardian.domain.identity import SessionKey
from guardian.domain.past import PastCall

TENANT = "estate"
BEGIN = datetime(2026, 1, 5, tzinfo=UTC)
WINDOW = timedelta(days=90)
NEXT_MONTH = timedelta(days=31)
REORGANISED = BEGIN + timedelta(days=48)
_VERBS = ("read", "list", "search", "update", "create", "send", "export", "delete", "approve", "share")
_NOUNS = (
    "invoices",
    "contracts",
    "tickets",
    "orders",
    "payments",
    "claims",
    "leads",
    "assets",
    "shifts",
    "audits",
)
_CLASSES = ("names", "terms", "prices", "health", "salaries", "addresses", "cards", "minutes")
FLAG_ONE_IN = 1000
EVIDENCE = {"drifted": (3.6, 0.8), "attacked": (4.5, 0.8)}
"""Mean and deviation of log10 of a session's evidence: 77 % of the drifted, 97 % of the attacked are flagged."""
Who = tuple[str, str | None, str, str, datetime]
_REGIONS = ("eu", "us", "apac", "latam")


@dataclass(frozen=True, slots=True)
class ToolNeed:
    """How a job uses one tool. `share` of sessions call it; `when` is always, month_end or quarter_end."""

    share: float
    when: str = "always"
    regions: tuple[str, ...] = ()  # an argument that is one of these
    most_limit: int = 0  # a number argument up to this
    pinned: bool = False  # an argument that is the envelope's case id


@dataclass(frozen=True, slots=True)
class Job:
    """One role that serves one purpose: what it is granted, and what it truly needs."""

    purpose: str
    role: str
    parent_role: str
    agents: tuple[str, ...]
    granted_tools: tuple[str, ...]
    granted_classes: tuple[str, ...]
    granted_records: int
    lifetime: timedelta
    needs: dict[str, ToolNeed]
    classes: tuple[str, ...]
    most_records: int
    hours: tuple[int, int]
    sessions_a_day: float
    inflater: str | None = None
    until: datetime | None = None  # reorganised away
    since: datetime | None = None

    def active(self, at: datetime) -> bool:
        return (self.since is None or at >= self.since) and (self.until is None or at < self.until)


@dataclass
class Estate:
    """`seed` fixes everything. `flagged` and `dismissed` grow while calls are drawn; `honest` is the truth."""

    seed: int
    purposes: int = 30
    rare: int = 12  # tools that 1 or 2 % of sessions need, in one team of five
    jobs: list[Job] = field(default_factory=list)
    flagged: set[SessionKey] = field(default_factory=set)
    dismissed: set[SessionKey] = field(default_factory=set)
    unneeded: set[tuple[str, str]] = field(default_factory=set)  # (session, decision) of calls nobody needed

    def __post_init__(self) -> None:
        rng = random.Random(self.seed)
        for number in range(self.purposes):
            self._hire(rng, number)

    def _hire(self, rng: random.Random, number: int) -> None:
        named = chr(97 + number // 26) + chr(97 + number % 26)  # in letters: numbers tell no purposes apart
        purpose, role = f"purpose_{named}", f"agent_{_NOUNS[number % len(_NOUNS)]}_{chr(97 + number // 10)}"
        nouns = rng.sample(_NOUNS, 3)
        granted = sorted(rng.sample([f"{noun}.{verb}" for noun in nouns for verb in _VERBS], rng.randint(9, 16)))
        needed = rng.sample(granted, rng.randint(3, 6))
        needs = {}
        for place, tool in enumerate(needed):
            when = (
                "month_end"
                if place == 2 and number % 3 == 0
                else "quarter_end"
                if place == 3 and number % 7 == 0
                else "always"
            )
            share = 0.9 if place == 0 else rng.choice((0.6, 0.3, 0.08))
            needs[tool] = ToolNeed(
                share, when, regions=tuple(rng.sample(_REGIONS, rng.randint(1, 3))) if rng.random() < 0.4 else (),
                most_limit=rng.choice((0, 0, 20, 100)), pinned=rng.random() < 0.5,
            )  # fmt: skip
        classes = sorted(rng.sample(_CLASSES, rng.randint(4, 6)))
        most = rng.choice((5, 25, 80, 300))
        begin = rng.choice((6, 7, 8))
        job = Job(
            purpose, role, "", tuple(f"{role}-{n:02}" for n in range(rng.randint(5, 12))), tuple(granted),
            tuple(classes), rng.choice((2, 20, 100)) * most, timedelta(hours=rng.choice((2, 12, 48))), needs,
            tuple(sorted(rng.sample(classes, 2))), most, (begin, begin + 11) if rng.random() < 0.7 else (0, 24),
            rng.choice((0.6, 3.0, 6.0, 12.0)),
        )  # fmt: skip
        if self.rare and number % 5 == 4:  # a team that does little, and tools that hardly any session needs
            rest = (tool for noun in nouns for verb in _VERBS if (tool := f"{noun}.{verb}") not in granted)
            rare = {tool: ToolNeed((0.01, 0.02)[place % 2]) for place, tool in enumerate(islice(rest, self.rare))}
            needs |= rare
            job = replace(job, granted_tools=tuple(sorted({*granted, *rare})), sessions_a_day=1.5)
        if number == 1:
            job = replace(job, inflater=job.agents[0], sessions_a_day=12.0)
        if number % 6 == 5:  # in mid-window the team gets other agents, and one tool is replaced by its successor
            last = needed[-1]
            after = {f"{tool}.v2" if tool == last else tool: need for tool, need in needs.items()}
            later = replace(
                job, needs=after, since=REORGANISED, role=role if number % 2 else f"{role}_new",
                granted_tools=tuple(sorted({*granted, f"{last}.v2"})),
            )  # fmt: skip
            later = replace(later, agents=tuple(f"{later.role}-{n:02}" for n in range(len(job.agents))))
            self.jobs += [replace(job, until=REORGANISED), later]
        else:
            self.jobs.append(job)
        if number % 4 == 0:  # a helper that inherits everything and needs a third of it
            few = dict(list(needs.items())[:2])
            self.jobs.append(
                replace(job, role=f"{role}_helper", parent_role=role, needs=few, agents=(f"{role}_helper-01",))
            )

    def calls(self, since: datetime, until: datetime) -> Iterator[PastCall]:
        """Everything between two days, in time. The same days are always the same."""
        day = since
        while day < until:
            rng = random.Random(f"{self.seed}/{day.date()}")
            today: list[PastCall] = []
            for job in self.jobs:
                if job.active(day) and not job.parent_role and (day.weekday() < 5 or job.hours[1] == 24):
                    today += self._day(rng, job, day)
            yield from sorted(today, key=lambda call: (call.at, call.session_id))
            day += timedelta(days=1)

    def _day(self, rng: random.Random, job: Job, day: datetime) -> Iterator[PastCall]:
        expected = job.sessions_a_day * (1.3 if month_end(day) else 1.0)
        helper = next((other for other in self.jobs if other.parent_role == job.role), None)
        for number in range(int(expected) + (rng.random() < expected % 1)):
            session = f"s_{job.purpose}_{job.role}_{day.date()}_{number}"
            start = day + timedelta(
                hours=job.hours[0], seconds=rng.randrange((job.hours[1] - job.hours[0]) * 3600 - 1500)
            )
            kind = rng.choices(("honest", "drifted", "attacked"), (97.3, 2.2, 0.5))[0]
            yield from self._session(rng, job, session, None, start, kind)
            if helper is not None and rng.random() < 0.5:
                child = f"{session}_child"
                yield from self._session(rng, helper, child, session, start + timedelta(seconds=30), "honest")

    def _session(
        self, rng: random.Random, job: Job, session: str, parent: str | None, start: datetime, kind: str
    ) -> Iterator[PastCall]:
        key = SessionKey(TENANT, session)
        agent = rng.choice(job.agents)
        case = f"case_{rng.randrange(10**6)}"
        tools = [
            tool for tool, need in job.needs.items()
            if (need.when == "always" or (need.when == "month_end" and month_end(start)) or quarter_end(start))
            and rng.random() < (need.share if need.when == "always" else 0.6)
        ]  # fmt: skip
        stray: list[str] = []
        excess = [tool for tool in job.granted_tools if tool not in job.needs]
        if kind != "honest":
            stray = rng.sample(excess, min(len(excess), 1 if kind == "drifted" else 3))
        elif agent == job.inflater:
            stray = excess
        # Evidence as guardian defines it: at most one in N honest sessions gathers N. Drift gathers far more.
        one_in = 1 / max(1e-9, rng.random()) if kind == "honest" else 10 ** rng.gauss(*EVIDENCE[kind])
        flagged = one_in >= FLAG_ONE_IN
        if flagged:
            self.flagged.add(key)
            if kind == "honest" and rng.random() < 0.5:
                self.dismissed.add(key)
        at = start
        for number, tool in enumerate([*(tools or [next(iter(job.needs))]), *stray]):
            need = job.needs.get(tool)
            if need is None:
                self.unneeded.add((session, f"{session}_{number}"))
            wanted = "flag" if flagged and number == 0 else "none"
            call = self._call(rng, job, (session, parent, agent, case, start), number, tool, need, at)
            yield call._replace(wanted=wanted, one_in=max(1.0, one_in))
            at += timedelta(seconds=rng.randint(5, 180))

    def _call(
        self, rng: random.Random, job: Job, who: Who, number: int, tool: str, need: ToolNeed | None, at: datetime
    ) -> PastCall:
        session, parent, agent, case, start = who
        arguments: dict[str, object] = {"query": f"q{rng.randrange(10**9)}"}
        records = min(job.most_records, 1 + int(rng.expovariate(4 / job.most_records)))
        classes = frozenset(rng.sample(job.classes, rng.randint(0, 2)))
        if need is None:
            records, classes = job.granted_records, frozenset(rng.sample(job.granted_classes, 2))
            arguments["case_id"] = f"case_{rng.randrange(10**6)}"
        else:
            if month_end(at):
                records = min(job.most_records, records * 3)
            if need.pinned:
                arguments["case_id"] = case
            if need.regions:
                arguments["region"] = rng.choices(need.regions, [8, 3, 1][: len(need.regions)])[0]
            if need.most_limit:
                arguments["limit"] = rng.randint(1, need.most_limit)
        return PastCall(
            TENANT, session, job.purpose, job.role, at, tool, True, arguments,
            ("case_id=case_ids",) if arguments.get("case_id") == case else (), tool.split(".")[0], None, classes,
            records, job.granted_tools,
            {"data_classes": list(job.granted_classes), "max_records": job.granted_records, "case_ids": [case]},
            start + job.lifetime, agent, f"user_{rng.randrange(40)}", parent, "gw", f"{session}_{number}", "none",
            1.0,
        )  # fmt: skip

    def honest(self, call: PastCall) -> bool:
        """Whether somebody needed the call."""
        return (call.session_id, call.decision_id) not in self.unneeded


def month_end(at: datetime) -> bool:
    """The last two days of a month."""
    return at.day >= calendar.monthrange(at.year, at.month)[1] - 1


def quarter_end(at: datetime) -> bool:
    return month_end(at) and at.month % 3 == 0
