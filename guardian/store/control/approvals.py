"""Acts that wait for a second person, and the grants that let one person do without: break-glass."""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Connection,
    Row,
    Select,
    bindparam,
    func,
    insert,
    select,
    tuple_,
    update,
)

from guardian.store.control.scope import Scope, within
from guardian.store.control.tables import approval, break_glass
from guardian.wire.approvals import ApprovalState, ApprovalView, BreakGlassView
from guardian.wire.principal import Role


@dataclass(frozen=True, slots=True)
class StoredApproval:
    """`act` is what will be done, as plain JSON that only its writer reads. In it, under `act`, is what names the
    act, and under `shown` what else people are shown of it."""

    seq: int
    act: Mapping[str, Any]
    proposer_role: Role
    view: ApprovalView


_ROLE: TypeAdapter[Role] = TypeAdapter(Role)
_DECIDED = (
    select(approval)
    .where(*(approval.c[name] == bindparam(name) for name in ("tenant_id", "session_id", "action")))
    .where(approval.c.state != "pending")
    .order_by(approval.c.seq.desc())
)
_LATELY = _DECIDED.where(approval.c.expires_at > bindparam("now"))


def _holding(now: datetime | BindParameter[Any]) -> tuple[ColumnElement[bool], ...]:
    begun = break_glass.c.at <= now, break_glass.c.until > now
    return *begun, break_glass.c.ended_at.is_(None)  # a clock that is set back revives none


_HOLDS = (
    select(break_glass)
    .where(*(break_glass.c[name] == bindparam(name) for name in ("tenant_id", "principal_id")))
    .where(*_holding(bindparam("now")))
    .order_by(break_glass.c.until.desc())
    .limit(1)
)


@dataclass(frozen=True, slots=True)
class ApprovalRows:
    """States: pending → approved, denied, expired or withdrawn; approved → used; never back."""

    connection: Connection

    def add(
        self, view: ApprovalView, *, proposer_role: Role, act: Mapping[str, Any], policy_ids: Collection[str]
    ) -> None:
        told = view.model_dump(exclude={"policy_ids", "particulars"})
        self.connection.execute(
            insert(approval).values(
                **told,
                policy_ids=json.dumps(sorted(policy_ids)),
                proposer_role=proposer_role,
                act=json.dumps(act, sort_keys=True),
            )
        )

    def get(self, approval_id: str, scope: Scope) -> StoredApproval | None:
        wanted = select(approval).where(approval.c.id == approval_id, within(approval.c.tenant_id, scope))
        row = self.connection.execute(wanted).one_or_none()
        return None if row is None else _approval(row)

    def pending(
        self,
        tenant_id: str,
        session_id: str | None,
        action: str,
        now: datetime,
        act: Mapping[str, Any] | None = None,
    ) -> StoredApproval | None:
        """The first of those that wait for exactly this act on this session (None: on the tenant), and can still
        be decided.

        With `act`, one that was put up with these particulars.
        """
        wanted = self._waiting(tenant_id).where(approval.c.action == action, approval.c.expires_at > now)
        same = approval.c.session_id.is_(None) if session_id is None else approval.c.session_id == session_id
        found = map(_approval, self.connection.execute(wanted.where(same).order_by(approval.c.seq)))
        return next((each for each in found if act is None or each.act["act"] == act), None)

    def decided(
        self, tenant_id: str, session_id: str, action: str, act: Mapping[str, Any], now: datetime
    ) -> StoredApproval | None:
        """The latest that was decided about this session, put up with these particulars, and could wait until now:
        its calls have any number of older ones."""
        named = {"tenant_id": tenant_id, "session_id": session_id, "action": action, "now": now}
        rows = self.connection.execute(_LATELY, named)
        return next((each for each in map(_approval, rows) if each.act["act"] == act), None)

    def denied(self, tenant_id: str, session_id: str, action: str) -> list[str]:
        """The ids of those about this session that people denied, the newest first."""
        named = {"tenant_id": tenant_id, "session_id": session_id, "action": action}
        wanted = _DECIDED.with_only_columns(approval.c.id).where(approval.c.state == "denied")
        return list(self.connection.execute(wanted, named).scalars())

    def of_session(self, tenant_id: str, session_id: str, now: datetime, limit: int) -> list[StoredApproval]:
        """Those that wait for somebody's word on this session, the oldest first; those on its calls come last, for
        it may have any number of them held."""
        mine = self._waiting(tenant_id).where(approval.c.session_id == session_id, approval.c.expires_at > now)
        ordered = mine.order_by(approval.c.action == "permitCall", approval.c.seq).limit(limit)
        return [_approval(row) for row in self.connection.execute(ordered)]

    def waiting(self, tenant_id: str, now: datetime, session_id: str | None = None) -> int:
        """How many wait that can still be decided, of the tenant or of one session."""
        waits = self._waiting(tenant_id).where(approval.c.expires_at > now)
        if session_id is not None:
            waits = waits.where(approval.c.session_id == session_id)
        counted = select(func.count()).select_from(waits.subquery())
        return int(self.connection.execute(counted).scalar_one())

    def page(
        self,
        scope: Scope,
        *,
        limit: int,
        before: int | None = None,
        session_id: str | None = None,
        state: ApprovalState | None = None,
        held: bool | None = None,
    ) -> list[StoredApproval]:
        """The newest first. `held`: only the calls that are held, or only what else is asked."""
        wanted = select(approval).where(within(approval.c.tenant_id, scope))
        if session_id is not None:
            wanted = wanted.where(approval.c.session_id == session_id)
        if held is not None:
            call = approval.c.action == "permitCall"
            wanted = wanted.where(call if held else ~call)
        if state is not None:
            wanted = wanted.where(approval.c.state == state)
        if before is not None:
            wanted = wanted.where(approval.c.seq < before)
        rows = self.connection.execute(wanted.order_by(approval.c.seq.desc()).limit(limit))
        return [_approval(row) for row in rows]

    def decide(
        self, approval_id: str, state: ApprovalState, *, by: str, reason: str, result: str, now: datetime
    ) -> bool:
        """False when it does not wait any more."""
        waits = update(approval).where(approval.c.id == approval_id, approval.c.state == "pending")
        values = {"decided_by": by, "decided_at": now, "decision_reason": reason, "result": result}
        return self.connection.execute(waits.values(state=state, **values)).rowcount == 1

    def use(self, approval_id: str, *, result: str) -> bool:
        """End one that is good for one time. False when it is not approved, or was used already."""
        good = update(approval).where(approval.c.id == approval_id, approval.c.state == "approved")
        return self.connection.execute(good.values(state="used", result=result)).rowcount == 1

    def oldest(self, limit: int, *, after: int = 0, tenant_id: str | None = None) -> list[StoredApproval]:
        """Those that wait, of one tenant or of all, the oldest first; `after` is the `seq` of the one before."""
        waiting = approval.c.state == "pending", approval.c.seq > after
        mine = () if tenant_id is None else (approval.c.tenant_id == tenant_id,)
        wanted = select(approval).where(*waiting, *mine).order_by(approval.c.seq).limit(limit)
        return [_approval(row) for row in self.connection.execute(wanted)]

    def _waiting(self, tenant_id: str) -> Select[Any]:
        return select(approval).where(approval.c.tenant_id == tenant_id, approval.c.state == "pending")


@dataclass(frozen=True, slots=True)
class BreakGlassRows:
    """Grants end by themselves; ending one early is recorded with who did it."""

    connection: Connection

    def add(self, view: BreakGlassView) -> None:
        self.connection.execute(insert(break_glass).values(**view.model_dump()))

    def open(self, tenant_id: str, principal_id: str, now: datetime) -> BreakGlassView | None:
        """The principal's grant for this tenant that holds now."""
        named = {"tenant_id": tenant_id, "principal_id": principal_id, "now": now}
        row = self.connection.execute(_HOLDS, named).one_or_none()
        return None if row is None else _grant(row)

    def get(self, grant_id: str, scope: Scope) -> BreakGlassView | None:
        wanted = select(break_glass).where(break_glass.c.id == grant_id, within(break_glass.c.tenant_id, scope))
        row = self.connection.execute(wanted).one_or_none()
        return None if row is None else _grant(row)

    def page(
        self, scope: Scope, *, limit: int, after: BreakGlassView | None = None, held_at: datetime | None = None
    ) -> list[BreakGlassView]:
        """The newest first, from behind the grant `after`. With `held_at` only those that hold at that time."""
        wanted = select(break_glass).where(within(break_glass.c.tenant_id, scope))
        if held_at is not None:
            wanted = wanted.where(*_holding(held_at))
        if after is not None:
            wanted = wanted.where(tuple_(break_glass.c.at, break_glass.c.id) < (after.at, after.id))
        ordered = wanted.order_by(break_glass.c.at.desc(), break_glass.c.id.desc()).limit(limit)
        return [_grant(row) for row in self.connection.execute(ordered)]

    def end(self, grant_id: str, *, by: str, now: datetime) -> bool:
        """False when it has ended already."""
        holds = update(break_glass).where(break_glass.c.id == grant_id, break_glass.c.ended_at.is_(None))
        ended = self.connection.execute(holds.where(break_glass.c.until > now).values(ended_at=now, ended_by=by))
        return ended.rowcount == 1

    def run_out(self, now: datetime, limit: int) -> list[BreakGlassView]:
        """Grants whose time is over and whose end nobody has recorded yet."""
        over = select(break_glass).where(break_glass.c.ended_at.is_(None), break_glass.c.until <= now)
        return [_grant(row) for row in self.connection.execute(over.order_by(break_glass.c.until).limit(limit))]

    def close_run_out(self, now: datetime, limit: int) -> list[BreakGlassView]:
        """Record their end, at the time that was set from the start; returns them as they stand then."""
        ended = [
            grant.model_copy(update={"ended_at": grant.until, "ended_by": "guardian"})
            for grant in self.run_out(now, limit)
        ]
        for grant in ended:
            values = {"ended_at": grant.ended_at, "ended_by": grant.ended_by}
            self.connection.execute(update(break_glass).where(break_glass.c.id == grant.id).values(**values))
        return ended


def _approval(row: Row[Any]) -> StoredApproval:
    told = {name: getattr(row, name) for name in ApprovalView.model_fields if name != "particulars"}
    act = json.loads(row.act)
    more = {
        "policy_ids": tuple(json.loads(row.policy_ids)),
        "particulars": particulars({**act.get("shown", {}), **act.get("act", {})}),
    }
    return StoredApproval(
        row.seq, act, _ROLE.validate_python(row.proposer_role), ApprovalView.model_validate({**told, **more})
    )


def particulars(act: Mapping[str, Any]) -> dict[str, str]:
    """What will be done, for whoever has to approve it; the reason is told beside it. A share of 0 is none."""
    return {
        name: told if isinstance(told, str) else json.dumps(told, sort_keys=True)
        for name, told in act.items()
        if name != "reason" and (name, told) != ("canary_percent", 0)
    }


def _grant(row: Row[Any]) -> BreakGlassView:
    return BreakGlassView.model_validate({name: getattr(row, name) for name in BreakGlassView.model_fields})
