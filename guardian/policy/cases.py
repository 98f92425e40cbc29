"""Must-allow and must-deny cases kept beside the policies: what a policy promises, in examples."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from guardian.errors import PolicyError
from guardian.policy.port import (
    Asker,
    BudgetFacts,
    EvidenceFacts,
    PolicyAction,
    PolicyDecision,
    PolicyDecisionPoint,
    PolicyRequest,
    SessionFacts,
)
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
    """One example. `decided_by` are exactly the policies that must have decided; empty: nothing permits it."""

    name: str
    expect: Literal["allow", "deny"]
    decided_by: tuple[str, ...] = ()
    role: Role
    tenants: tuple[str, ...] = ("acme",)
    action: PolicyAction
    tenant: str | None = "acme"
    session: str | None = "sess_1"
    protected: bool = False
    revoked: bool = False
    mode: Literal["shadow", "enforce"] = "enforce"
    evidence: _Evidence = _Evidence()
    budget: _Budget = _Budget()

    @property
    def request(self) -> PolicyRequest:
        return PolicyRequest(
            asker=Asker(f"{self.role}-1", self.role, frozenset(self.tenants)),
            action=self.action,
            tenant_id=self.tenant,
            session=SessionFacts(self.session, self.protected, self.revoked) if self.session else None,
            mode=self.mode,
            evidence=EvidenceFacts(**self.evidence.model_dump()),
            budget=BudgetFacts(**self.budget.model_dump()),
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


def load_cases(path: Path) -> tuple[PolicyCase, ...]:
    """Read a cases file. Raises PolicyError with the place of the first mistake."""
    try:
        raw: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise PolicyError(f"{path} cannot be read: {error}") from error
    if not isinstance(raw, list) or not raw:
        raise PolicyError(f"{path} must be a list of cases")
    cases = []
    for number, item in enumerate(raw, start=1):
        try:
            cases.append(PolicyCase.model_validate(item))
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"]))
            raise PolicyError(f"{path}, case {number}, {where}: {first['msg']}") from error
    return tuple(cases)


def run_cases(point: PolicyDecisionPoint, cases: Iterable[PolicyCase]) -> tuple[CaseResult, ...]:
    return tuple(CaseResult(case, point.decide(case.request)) for case in cases)
