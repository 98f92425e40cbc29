"""Must-allow and must-deny cases kept beside the policies: what a policy promises, in examples.

A case says only what matters to it. Everything else is neutral: an unspent budget, no evidence, a quiet tenant,
Monday noon.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from guardian.domain.yaml_text import read_yaml
from guardian.errors import PolicyError
from guardian.policy.port import (
    ActFacts,
    Asker,
    BudgetFacts,
    EvidenceFacts,
    HarmFacts,
    PolicyAction,
    PolicyDecision,
    PolicyDecisionPoint,
    PolicyRequest,
    SessionFacts,
    WhomFacts,
)
from guardian.wire.base import Mode
from guardian.wire.principal import Role


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class _Evidence(_Strict):
    one_in: int = 1
    session_evidence_milli: int = 0
    score_permille: int = 0
    independent_signals: int = 0
    hard_breach: bool = False
    breaches: frozenset[str] = frozenset()
    promised: bool = True


class _Budget(_Strict):
    total: int = 10
    reserved: int = 3
    used: int = 0
    used_general: int = 0


class PolicyCase(_Strict):
    """One example. `decided_by` names exactly the policies that must decide, none where nothing permits the
    act.

    `actor` is the asker's id, ROLE-1 unless it says otherwise; `on_call` and `purpose_owners` name such ids.
    """

    name: str
    expect: Literal["allow", "deny"]
    decided_by: tuple[str, ...] = ()
    role: Role
    actor: str | None = None
    tenants: tuple[str, ...] = ("acme",)
    action: PolicyAction
    target: PolicyAction | None = None
    tenant: str | None = "acme"
    session: str | None = "sess_1"
    protected: bool = False
    revoked: bool = False
    registered: bool = False
    delegator: str | None = None
    purpose: str = ""
    data_classes: frozenset[str] = frozenset()
    purpose_owners: frozenset[str] = frozenset()
    mode: Mode = "enforce"
    in_canary: bool = False
    solo: bool = False
    on_call: frozenset[str] = frozenset()
    hour: int = Field(default=12, ge=0, le=23)
    weekday: int = Field(default=0, ge=0, le=6)
    evidence: _Evidence = _Evidence()
    budget: _Budget = _Budget()
    harm: HarmFacts = HarmFacts()
    act: ActFacts = ActFacts()
    whom: WhomFacts | None = None

    @property
    def request(self) -> PolicyRequest:
        session = SessionFacts(
            self.session or "",
            protected=self.protected,
            revoked=self.revoked,
            registered=self.registered,
            delegator_id=self.delegator,
            purpose=self.purpose,
            data_classes=self.data_classes,
            purpose_owners=self.purpose_owners,
        )
        return PolicyRequest(
            asker=Asker(self.actor or f"{self.role}-1", self.role, frozenset(self.tenants)),
            action=self.action,
            tenant_id=self.tenant,
            session=session if self.session else None,
            mode=self.mode,
            in_canary=self.in_canary,
            solo=self.solo,
            on_call=self.on_call,
            evidence=EvidenceFacts(**self.evidence.model_dump()),
            budget=BudgetFacts(**self.budget.model_dump()),
            harm=self.harm,
            act=self.act,
            target=self.target,
            whom=self.whom,
            hour=self.hour,
            weekday=self.weekday,
        )


@dataclass(frozen=True, slots=True)
class CaseResult:
    """A case and what the decision point made of it."""

    case: PolicyCase
    decision: PolicyDecision

    @property
    def passed(self) -> bool:
        return (
            self.decision.allowed == (self.case.expect == "allow")
            and not self.decision.errors
            and self.decision.policy_ids == tuple(sorted(self.case.decided_by))
        )

    @property
    def complaint(self) -> str:
        """What is wrong with a case that did not pass, in one line; empty for one that did."""
        if self.passed:
            return ""
        answered = "allow" if self.decision.allowed else "deny"
        by = ", ".join(self.decision.policy_ids) or "no policy"
        due = ", ".join(sorted(self.case.decided_by)) or "no policy"
        told = f"expected {self.case.expect} by {due}, got {answered} by {by}"
        return told if not self.decision.errors else f"{told}, with errors: {'; '.join(self.decision.errors)}"


def read_cases(text: str, path: Path) -> tuple[PolicyCase, ...]:
    """The cases in the text of the file `path`. Raises PolicyError with the place of the first mistake."""
    try:
        raw = read_yaml(text)
    except ValueError as error:
        raise PolicyError(f"{path} is not YAML: {error}") from error
    if not isinstance(raw, list) or not raw:
        raise PolicyError(f"{path} must be a list of cases")
    cases = []
    for number, item in enumerate(raw, start=1):
        if not isinstance(item, dict):
            raise PolicyError(f"{path}, case {number}: a case is written as names and values, such as name: …")
        try:
            cases.append(PolicyCase.model_validate(item))
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"]))
            raise PolicyError(f"{path}, case {number}, {where}: {first['msg']}") from error
        if any(case.name == cases[-1].name for case in cases[:-1]):
            raise PolicyError(f"{path}, case {number}: another case is called {cases[-1].name!r} too")
    return tuple(cases)


def run_cases(point: PolicyDecisionPoint, cases: Iterable[PolicyCase]) -> tuple[CaseResult, ...]:
    return tuple(CaseResult(case, point.decide(case.request)) for case in cases)
