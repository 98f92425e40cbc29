"""Sessions of the demo, from a seed: names, wording, order and arguments vary; the kinds of drift do not."""

import random
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from guardian.demo.jobs import BULK_EXPORT, CLAUSE_JOB, JOBS, RENEWAL_SLIDE, SLOW_SLIDE, Call, Job

CUSTOMERS = ("Acme", "Northwind", "Contoso", "Fabrikam", "Tailspin", "Wingtip", "Litware", "Proseware", "Adatum")
PEOPLE = ("maya", "jonas", "ines", "tomas", "aiko", "samir", "lena", "noor", "pavel", "rosa", "dmitri", "chloe")
SERVICES = ("checkout", "search", "billing-api", "inventory", "notifications")
POSITIONS = ("data engineer", "account manager", "support lead", "designer")
REGIONS = ("north", "south", "west", "central")
QUEUES = ("billing questions", "technical", "onboarding")
MONTHS = ("january", "march", "may", "september")


class Plant(StrEnum):
    """The kinds of drift that the scenario plants; NONE is an honest session."""

    NONE = "honest"
    RENEWAL_SLIDE = "renewal_slide"
    BULK_EXPORT = "bulk_export"
    EXPIRED_ENVELOPE = "expired_envelope"
    COPIED_AUTHORITY = "copied_authority"
    SLOW_DRIFT = "slow_drift"


PLANTS = tuple(plant for plant in Plant if plant is not Plant.NONE)


@dataclass(frozen=True, slots=True)
class PlannedCall:
    """One call as the agent will make it. `expired`: it is made after the envelope's end."""

    tool: str
    arguments: dict[str, str]
    resource: dict[str, str]
    data_class: str
    records: int
    expired: bool = False


@dataclass(frozen=True, slots=True)
class PlannedSession:
    """A session with its envelope (times excluded: whoever plays it knows the clock) and its calls."""

    session_id: str
    tenant_id: str
    plant: Plant
    envelope: dict[str, Any]
    calls: tuple[PlannedCall, ...]
    drift_from: int = 0  # index of the first call that left the purpose; the number of calls when none did
    parent: str | None = None


@dataclass
class Scenario:
    """`sessions` honest sessions of several teams and, among them, each planted kind `each` times."""

    seed: int
    sessions: int = 40
    each: int = 1
    label: str = "s"
    _rnd: random.Random = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._rnd = random.Random(self.seed)

    def plan(self) -> list[PlannedSession]:
        """Every session, parents before their children, otherwise shuffled. The same seed gives the same plan."""
        plan: list[list[PlannedSession]] = []
        number = 0
        for _ in range(self.sessions):
            job = JOBS[number % len(JOBS)]
            plan.append([self._honest(job, number)])
            number += 1
        for _ in range(self.each):
            for plant in PLANTS:
                plan.append(list(self._planted(plant, number)))
                number += 2
        self._rnd.shuffle(plan)
        return [session for group in plan for session in group]

    def _honest(self, job: Job, number: int) -> PlannedSession:
        cast = self._cast()
        calls = self._calls(job.calls, cast)
        return self._session(job, number, Plant.NONE, cast, calls, len(calls))

    def _planted(self, plant: Plant, number: int) -> Iterator[PlannedSession]:
        cast = self._cast()
        match plant:
            case Plant.RENEWAL_SLIDE | Plant.BULK_EXPORT:
                honest = self._calls(JOBS[0].calls, cast)[: self._rnd.randint(2, 3)]
                slide = RENEWAL_SLIDE if plant is Plant.RENEWAL_SLIDE else BULK_EXPORT
                drift = [self._fill(call, cast) for call in slide]
                yield self._session(JOBS[0], number, plant, cast, honest + drift, len(honest))
            case Plant.EXPIRED_ENVELOPE:
                job = self._rnd.choice(JOBS)
                calls = self._calls(job.calls, cast)
                start = len(calls) - 2
                late = [
                    PlannedCall(c.tool, c.arguments, c.resource, c.data_class, c.records, True)
                    for c in calls[start:]
                ]
                yield self._session(job, number, plant, cast, calls[:start] + late, start)
            case Plant.COPIED_AUTHORITY:
                calls = self._calls(JOBS[0].calls, cast)
                lending = replace(JOBS[0], also_granted=tuple(call.tool for call in CLAUSE_JOB.calls))
                parent = self._session(lending, number, Plant.NONE, cast, calls, len(calls))
                yield parent
                child_calls = self._calls(CLAUSE_JOB.calls, cast)
                child = self._session(CLAUSE_JOB, number + 1, plant, cast, child_calls, 0, parent=parent)
                yield child
            case Plant.SLOW_DRIFT:
                honest = self._calls(JOBS[1].calls, cast)
                drift = [self._fill(call, cast) for call in SLOW_SLIDE]
                yield self._session(JOBS[1], number, plant, cast, honest + drift, len(honest))
            case _:
                raise ValueError(f"{plant} is not a kind of drift")

    def _session(
        self,
        job: Job,
        number: int,
        plant: Plant,
        cast: dict[str, str],
        calls: list[PlannedCall],
        drift_from: int,
        *,
        parent: PlannedSession | None = None,
    ) -> PlannedSession:
        session_id = f"sess_{self.label}{self.seed}_{number:05d}"
        tools = sorted({call.tool for call in job.calls} | set(job.also_granted))
        classes = sorted({call.data_class for call in job.calls} | {c.data_class for c in calls if not c.expired})
        constraints: dict[str, Any] = {"max_records": job.max_records, "data_classes": classes}
        if plant is Plant.BULK_EXPORT:  # the grant was written generously: only the purpose speaks against it
            constraints["max_records"] = 50_000
        if parent is not None:  # the child was handed all that its parent had
            tools = sorted({*tools, *parent.envelope["allowed_tools"]})
            constraints = dict(parent.envelope["resource_constraints"])
        return PlannedSession(
            session_id=session_id,
            tenant_id=job.tenant,
            plant=plant,
            envelope={
                "delegator_id": f"user_{cast['person']}",
                "tenant_id": job.tenant,
                "session_id": session_id,
                "task_id": f"task_{job.name}_{number}",
                "purpose": self._rnd.choice(job.purposes).format_map(cast),
                "allowed_tools": tools,
                "resource_constraints": constraints,
                "agent_id": job.agent,
                "parent_session_id": parent.session_id if parent is not None else None,
            },
            calls=tuple(calls),
            drift_from=drift_from,
            parent=parent.session_id if parent is not None else None,
        )

    def _calls(self, calls: tuple[Call, ...], cast: dict[str, str]) -> list[PlannedCall]:
        return [
            self._fill(call, cast if i == 0 else self._recast(cast))
            for call in calls
            for i in range(self._rnd.randint(*call.repeat))
        ]

    def _fill(self, call: Call, cast: dict[str, str]) -> PlannedCall:
        arguments = {name: text.format_map(cast) for name, text in call.arguments}
        identity = next((v for k, v in arguments.items() if k.endswith("_id")), call.resource)
        return PlannedCall(
            tool=call.tool,
            arguments=arguments,
            resource={"type": call.resource, "id": identity},
            data_class=call.data_class,
            records=call.records if call.records == 1 else self._rnd.randint(call.records // 2, call.records),
        )

    def _cast(self) -> dict[str, str]:
        rnd = self._rnd
        customer = rnd.choice(CUSTOMERS)
        return {
            "customer": customer,
            "customer_id": f"cust_{customer.lower()}",
            "contract": self._numbered("contract", 7000),
            "contact": f"{rnd.choice(PEOPLE)}@{customer.lower()}.example",
            "person": rnd.choice(PEOPLE),
            "ticket": self._numbered("ticket", 400),
            "queue": rnd.choice(QUEUES),
            "month": rnd.choice(MONTHS),
            "invoice": self._numbered("inv", 3000),
            "order": self._numbered("po", 8000),
            "incident": self._numbered("inc", 50),
            "service": rnd.choice(SERVICES),
            "position": rnd.choice(POSITIONS),
            "application": self._numbered("app", 2000),
            "region": rnd.choice(REGIONS),
            "opportunity": self._numbered("opp", 6000),
        }

    def _numbered(self, kind: str, base: int) -> str:
        """One of the dozen items of this kind that are in work: real teams come back to the same ones."""
        return f"{kind}_{base + self._rnd.randint(1, 12)}"

    def _recast(self, cast: dict[str, str]) -> dict[str, str]:
        """Another item of the same kind: the next ticket, the next invoice."""
        fresh = self._cast()
        return {**cast, **{k: fresh[k] for k in ("ticket", "invoice", "order", "application", "opportunity")}}
