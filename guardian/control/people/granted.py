"""One act of a person, in one transaction: policy is asked; it is done, put up or refused; and that is audited."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, NamedTuple, TypeVar

from guardian.control.acts_under import works_for
from guardian.control.authority.asking import ask, consider, denied, must_reach, record
from guardian.control.authority.situation import situation
from guardian.control.cases.view import moved_on
from guardian.control.deps import ControlDeps
from guardian.control.lapse import lapse_overdue
from guardian.control.people.approvals import no_room, permits, put_up
from guardian.control.problems import Refusal
from guardian.domain.identity import SessionKey
from guardian.domain.revocation import SubjectType
from guardian.policy.port import ActFacts, PolicyAction, PolicyDecision, PolicyRequest, WhomFacts
from guardian.store.control.rows import ControlRows
from guardian.wire.approvals import ApprovalView
from guardian.wire.base import Body
from guardian.wire.principal import Principal

_ANSWERS_KEPT = timedelta(days=1)


class Second(NamedTuple):
    """The second person's word: `by` approved what waited as `approval`."""

    approval: ApprovalView
    by: str
    machine: bool  # it was the monitor that asked, so the act is the approver's


class Whom(NamedTuple):
    """What is more than a session: an agent, a delegator, a task, a token's id."""

    kind: SubjectType
    id: str


@dataclass(frozen=True, slots=True)
class Act:
    """What is asked, what policy answered, and the transaction in which it is done."""

    deps: ControlDeps
    rows: ControlRows
    asked: PolicyRequest
    decision: PolicyDecision
    now: datetime
    reason: str
    second: Second | None = None
    whom: Whom | None = None
    word: str = ""  # what of the action's it is, for the audit trail; empty where that is plain

    @property
    def actor(self) -> str:
        """Whose act it is: a machine's wish that a person approved is that person's."""
        if self.second is not None and self.second.machine:
            return self.second.by
        return self.asked.asker.id

    @property
    def tenant_id(self) -> str:
        assert self.asked.tenant_id is not None  # noqa: S101 - acts concern a tenant
        return self.asked.tenant_id

    @property
    def session_id(self) -> str:
        assert self.asked.session is not None  # noqa: S101 - only acts on sessions ask
        return self.asked.session.session_id

    @property
    def key(self) -> SessionKey:
        return SessionKey(self.tenant_id, self.session_id)

    @property
    def seconded(self) -> dict[str, str]:
        """For the audit trail: by whose second word it is done, if it took one."""
        if self.second is None:
            return {}
        return {"approval_id": self.second.approval.id, "approved_by": self.second.by}

    @property
    def two_may(self) -> bool:
        """Whether policy permits it, or would with a second person's word."""
        with_another = self.asked.approved()
        return self.decision.allowed or permits(self.deps, with_another)

    def audit(self, **result: Any) -> None:
        """One record; it says when one person did alone what otherwise takes two, and by which grant."""
        told = {"reason": self.reason, **({"word": self.word} if self.word else {}), **self._standing(), **result}
        record(self.rows, self.asked, self.decision, self.now, **told)

    def stale(self, seen: str | None, **told: Any) -> Refusal | None:
        """The refusal, audited, of an act on another case than the one that `seen` names."""
        asked = self.asked
        approves = asked.action == "approve" and not asked.act.denies
        revoking = (asked.target if approves else asked.action) == "revoke"
        refusal = moved_on(self.deps, self.rows, self.key, seen, revoking=revoking)
        if refusal is not None:
            self.audit(**told, result="stale")
        return refusal

    def refusal(self) -> Refusal:
        """The refusal that names what is missing. If a second person's word would not help, that is what stands in
        the way even then."""
        seconded = consider(self.deps, self.asked.approved())
        helps = seconded.allowed or seconded.errors
        refusal = denied(self.decision if helps else seconded, self.asked)
        if seconded.allowed and (full := no_room(self.deps, self.rows, self.asked, self.now)):
            refusal.detail += f"; {full}"
        return refusal

    def put_up(self, wish: Mapping[str, Any]) -> ApprovalView | None:
        """Have it wait for a second person, and audit that; None where that would not help."""
        view = put_up(self.deps, self.rows, self.asked, self.decision, act=wish, reason=self.reason, now=self.now)
        if view is not None:
            self.audit(result="waits", approval_id=view.id)
        return view

    def _standing(self) -> dict[str, Any]:
        standing: dict[str, Any] = {}
        if self.whom is not None:
            standing |= {"subject_type": self.whom.kind, "subject_id": self.whom.id}
        asker = self.asked.asker
        if self.second is not None:
            standing |= self.seconded
        elif self.asked.solo and self.decision.allowed and not permits(self.deps, replace(self.asked, solo=False)):
            standing["solo"] = True
        act = self.asked.act
        without = replace(self.asked, act=replace(act, break_glass=False))
        if act.break_glass and self.decision.allowed and not permits(self.deps, without):
            grant = self.rows.break_glass.open(self.tenant_id, asker.id, self.now)
            standing["break_glass"] = None if grant is None else grant.id
        return standing


Result = TypeVar("Result")
Do = Callable[[Act], Result | Refusal]


def permitted(
    deps: ControlDeps,
    principal: Principal,
    action: PolicyAction,
    tenant_id: str,
    session_id: str | None,
    reason: str,
    do: Do[Result],
    *,
    waits: Callable[[Act], Result | Refusal | None] | None = None,
    facts: Callable[[ControlRows], ActFacts] | None = None,
    whom: Whom | None = None,
    word: str = "",
) -> Result:
    """Ask policy and `do` it within one transaction.

    What policy refuses, `waits` may still put up for a second person. A refusal, policy's or the act's own, is
    committed with its audit record before it is raised.
    """
    now = deps.clock()
    must_reach(deps, principal, action, tenant_id)
    with deps.store.write() as rows:
        if session_id is not None or whom is not None:
            lapse_overdue(deps, rows, now)
        told = None if facts is None else facts(rows)
        asked = situation(deps, rows, principal, action, tenant_id, session_id, now, act=told)
        if whom is not None:
            delegated = works_for(rows, tenant_id, *whom, principal.id)
            asked = replace(asked, whom=WhomFacts(whom.kind, delegated=delegated))
        act = Act(deps, rows, asked, ask(deps, asked), now, reason, whom=whom, word=word)
        result: Result | Refusal | None
        if act.decision.allowed:
            result = do(act)
        else:
            result = None if waits is None else waits(act)
            if result is None:
                act.audit(result="refused")
                result = act.refusal()
    if isinstance(result, Refusal):
        raise result
    return result


def bound(seen: str | None, do: Do[Result]) -> Do[Result]:
    """`do`, unless the session's case is no longer the one that the person saw, whose digest is `seen`."""

    def guarded(act: Act) -> Result | Refusal:
        return act.stale(seen) or do(act)

    return guarded


def once(key: str | None, kept: Callable[[str], Result], do: Do[Result], *more: str) -> Do[Result]:
    """With an idempotency key, a repeated request gets the first answer, which `kept` reads, and does nothing.

    The first answer may be that the act waits for a second person; what became of it then is the approval's to
    say. `more` is what of the request is neither whom it is about nor the reason.
    """

    def guarded(act: Act) -> Result | Refusal:
        if key is None:
            return do(act)
        about = (act.session_id,) if act.whom is None else act.whom
        parts = (act.asked.action, act.tenant_id, *about, *more, act.reason)
        digest = hashlib.sha256("\x1f".join(parts).encode()).hexdigest()
        answers, caller = act.rows.idempotency, act.asked.asker.id
        answers.forget(act.deps.sure(act.now) - _ANSWERS_KEPT)
        first = answers.get(caller, key)
        if first is not None:
            if first.request_digest != digest:
                return Refusal(422, "this Idempotency-Key was used for another request", code="key_reused")
            return kept(first.answer)
        result = do(act)
        if isinstance(result, Body):
            answers.put(caller, key, digest, result.model_dump_json(), act.now)
        return result

    return guarded
