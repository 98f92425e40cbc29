"""Acts that take two: put up by one principal, decided by another, applied when policy then says yes."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, get_args

from guardian.control.authority.asking import ask, consider, record
from guardian.control.cases.case import evidence_link
from guardian.control.deps import ControlDeps
from guardian.control.people.overtaking import outgrown, over, overtaken, seen_by
from guardian.control.telling.news import tell
from guardian.domain.finding import Finding
from guardian.domain.identity import SessionKey
from guardian.domain.text import counted
from guardian.policy.port import PolicyAction, PolicyDecision, PolicyRequest
from guardian.store.columns import storable
from guardian.store.control.approvals import StoredApproval, particulars
from guardian.store.control.rows import ControlRows
from guardian.wire.approvals import ApprovableAction, ApprovalView

_APPROVABLE: Mapping[PolicyAction, ApprovableAction] = {action: action for action in get_args(ApprovableAction)}
_LOOKED_AT = 20  # of those that take all the room, the oldest, while every other write waits


def put_up(
    deps: ControlDeps,
    rows: ControlRows,
    asked: PolicyRequest,
    refused: PolicyDecision,
    *,
    act: Mapping[str, Any],
    reason: str,
    now: datetime,
    finding: Finding | None = None,
    shown: Mapping[str, str] | None = None,
    subjects: Sequence[tuple[str, str]] = (),
) -> ApprovalView | None:
    """Put a refused act up for a second person, if that is all that stands in its way.

    `act` names the act; `shown` is what else a person has to see of it. `subjects` (kind and name) are those whose
    revocation makes it another act.

    None when policy would refuse it also with a second person's word, when the asker may not propose, or when
    too many of the tenant's acts wait already. The same act that waits already is not put up twice: the one
    that waits is returned, unless the `finding` accuses the session of more than it rests on.
    """
    action, tenant_id = _APPROVABLE.get(asked.action), asked.tenant_id
    if action is None or tenant_id is None or refused.errors:
        return None
    if not permits(deps, asked.approved()):
        return None
    proposal = replace(asked.approved(by_another=False), action="propose", target=action)
    permitted = ask(deps, proposal)
    if not permitted.allowed:
        return None
    session_id = None if asked.session is None else asked.session.session_id
    wanted = dict(act) if action == "permitCall" else None  # two calls of one session are two acts
    waiting = rows.approvals.pending(tenant_id, session_id, action, now, wanted)
    if waiting is not None:
        why = overtaken(rows, waiting) or outgrown(rows, waiting.view, finding)
        if why is None:
            return waiting.view
        _expire(deps, rows, waiting.view, now, why)  # and its place is taken by what follows
    elif no_room(deps, rows, asked, now):
        for each in rows.approvals.oldest(_LOOKED_AT, tenant_id=tenant_id):
            end_if_over(deps, rows, each, now)
        if no_room(deps, rows, asked, now):
            deps.metrics.add("guardian_approvals_total", state="no_room")
            return None
    view = ApprovalView(
        id=f"apr_{deps.new_id()}",
        tenant_id=tenant_id,
        session_id=session_id,
        action=action,
        proposer=asked.asker.id,
        reason=storable(reason)[:1000],
        particulars=particulars({**(shown or {}), **act}),
        finding_id=None if finding is None else finding.id,
        policy_ids=refused.policy_ids,
        created_at=now,
        expires_at=now + deps.settings.approval_life,
    )
    seen = {"act": dict(act), "shown": dict(shown or {}), "subjects": list(subjects)}
    seen |= seen_by(rows, asked, tenant_id, session_id)
    rows.approvals.add(view, proposer_role=asked.asker.role, act=seen, policy_ids=refused.policy_ids)
    told = {"approval_id": view.id, "target": action, "reason": view.reason, "result": "waits"}
    if finding is not None:
        told["finding_id"] = finding.id
    record(rows, proposal, permitted, now, **told, until=view.expires_at.isoformat())
    deps.metrics.add("guardian_approvals_total", state="pending")
    if finding is None and action != "permitCall":  # else the finding, or the held call's own news, say it
        _tell(deps, rows, view, act, now)
    return view


def _tell(deps: ControlDeps, rows: ControlRows, view: ApprovalView, act: Mapping[str, Any], now: datetime) -> None:
    """Tell people that somebody asks for a second person. Where cases are kept, that of the session says it, if
    there is one."""
    wish = " ".join(str(value) for name, value in act.items() if value and name != "reason")
    link = None
    if view.session_id is not None:
        wish = f"session {view.session_id}"
        link = evidence_link(deps, SessionKey(view.tenant_id, view.session_id))
    tell(
        deps,
        rows,
        topic=topic_of(view.id),
        tenant_id=view.tenant_id,
        title=f"{view.proposer} asks for a second person: {view.action} {wish}",
        detail=f"{view.proposer} wants {view.action} {wish} for {view.tenant_id}: {view.reason}",
        severity="medium",
        once=view.id,
        now=now,
        facts={"approval": view.id},
        link=link,
    )


def no_room(deps: ControlDeps, rows: ControlRows, asked: PolicyRequest, now: datetime) -> str:
    """In words, that too many of the tenant's acts wait for this one to wait, too; empty if they are not too many.

    A monitor gone wrong must not take the places that people need, calls those of the monitor, or one session's
    calls those of others.
    """
    if asked.tenant_id is None or asked.action not in _APPROVABLE:
        return ""
    most, waiting = deps.settings.approvals_waiting, rows.approvals.waiting(asked.tenant_id, now)
    if asked.action == "permitCall" and asked.session is not None:
        its = rows.approvals.waiting(asked.tenant_id, now, asked.session.session_id)
        return _too_many(its, max(most // 10, 1), " of this session") or _too_many(waiting, (most + 1) // 2)
    if asked.asker.role == "monitor":
        most -= most // 10
    return _too_many(waiting, most)


def _too_many(waiting: int, most: int, whose: str = "") -> str:
    wait = "waits" if waiting == 1 else "wait"
    return f"nobody was asked: {counted(waiting, 'request')}{whose} {wait} already" if waiting >= most else ""


def topic_of(approval_id: str) -> str:
    """The topic of the news that an act on a tenant waits. Each such act has a case of its own."""
    return f"approval {approval_id}"


def permits(deps: ControlDeps, request: PolicyRequest) -> bool:
    """What policy would say; not a decision, so neither counted nor audited."""
    return consider(deps, request).allowed


def end_if_over(deps: ControlDeps, rows: ControlRows, stored: StoredApproval, now: datetime) -> None:
    """If it is surely over, and nobody has ended it yet, it ends now."""
    why = over(rows, stored, deps.sure(now))
    if why is not None:
        _expire(deps, rows, stored.view, now, why)


def _expire(deps: ControlDeps, rows: ControlRows, view: ApprovalView, now: datetime, why: str) -> None:
    if not rows.approvals.decide(view.id, "expired", by="guardian", reason="", result=why, now=now):
        return
    rows.audit.note(
        "expireApproval",
        at=now,
        tenant_id=view.tenant_id,
        session_id=view.session_id,
        approval_id=view.id,
        target=view.action,
        reason=why,
        result="expired",
    )
    state = "expired" if view.expires_at <= now else "overtaken"
    deps.metrics.add("guardian_approvals_total", state=state)
