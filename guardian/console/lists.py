"""Sessions, what is revoked, findings, approvals and the audit trail, a page at a time."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TypeVar, get_args

from starlette.responses import Response

from guardian.console.asked import Asked, Unreadable
from guardian.console.forms import approval_form, left_over, may_judge, pick_of
from guardian.console.notices import Notice, notice_in
from guardian.console.pages import Pages
from guardian.domain.finding import Effect, Kind
from guardian.domain.revocation import SubjectType
from guardian.wire.approvals import ApprovalState
from guardian.wire.base import SessionStatus
from guardian.wire.evidence import EvidenceClient

_AT_ONCE = 50
_Name = TypeVar("_Name", bound=str)


def sessions(pages: Pages, asked: Asked) -> Response:
    api, status = pages.api(asked), _one_of(asked.query, "status", get_args(SessionStatus))
    tenant, session, agent, delegator, task = _typed(asked, "tenant", "session", "agent", "delegator", "task")
    since, until = _typed(asked, "since", "until")
    found = api.sessions(
        tenant_id=tenant,
        status=status,
        session_id=session,
        agent_id=agent,
        delegator_id=delegator,
        task_id=task,
        since=_moment(since),
        until=_moment(until),
        limit=_AT_ONCE,
        cursor=asked.query.get("cursor") or None,
    )
    named = {"agent": agent, "delegator": delegator, "task": task, "session": session}
    named |= {"since": since, "until": until}
    return pages.page(
        asked,
        "sessions",
        found=found,
        chosen={"tenant": tenant, "status": status, **named},
        tenants=_tenants(api),
        statuses=get_args(SessionStatus),
    )


def revoked(pages: Pages, asked: Asked) -> Response:
    """Not only sessions: also the agents, delegators, tasks and tokens, which no session's page need name."""
    api, kind = pages.api(asked), _one_of(asked.query, "kind", get_args(SubjectType))
    tenant, cursor = asked.query.get("tenant") or None, asked.query.get("cursor") or None
    return pages.page(
        asked,
        "revoked",
        found=api.revoked(tenant_id=tenant, kind=kind, limit=_AT_ONCE, cursor=cursor),
        chosen={"tenant": tenant, "kind": kind},
        tenants=_tenants(api),
        kinds=get_args(SubjectType),
    )


def findings(pages: Pages, asked: Asked, *, notice: Notice | None = None, status: int = 200) -> Response:
    """Those that are not dismissed can be, several at once; each is bound to its session's case as shown."""
    api, query = pages.api(asked), asked.query
    tenant, session, agent, breach, signal = _typed(asked, "tenant", "session", "agent", "breach", "signal")
    judged = _one_of(query, "judged", ("yes", "no"))
    chosen = {
        "tenant": tenant,
        "session": session,
        "kind": _one_of(query, "kind", [kind.value for kind in Kind]),
        "effect": _one_of(query, "effect", [effect.value for effect in Effect]),
        "agent": agent,
        "breach": breach,
        "signal": signal,
        "judged": judged,
    }
    found = api.findings(
        tenant_id=tenant,
        session_id=session,
        kind=chosen["kind"],
        effect=chosen["effect"],
        agent_id=agent,
        breach=breach,
        signal=signal,
        judged=None if judged is None else judged == "yes",
        digests=may_judge(asked.signed_in),
        limit=_AT_ONCE,
        cursor=query.get("cursor") or None,
    )
    return pages.page(
        asked,
        "findings",
        status=status,
        notice=notice or notice_in(asked),
        found=found,
        chosen=chosen,
        cursor=query.get("cursor") or None,
        picks=[pick_of(each, asked.signed_in) for each in found.items],
        picked=set(asked.form.values()),
        all=query.get("all") == "1",
        typed=asked.form.get("reason", ""),
        tenants=_tenants(api),
        kinds=[kind.value for kind in Kind],
        effects=[effect.value for effect in Effect],
    )


def approvals(pages: Pages, asked: Asked, *, notice: Notice | None = None, status: int = 200) -> Response:
    """The requests in one state; those that wait have buttons, but for one whose case cannot be read."""
    api, cursor = pages.api(asked), asked.query.get("cursor") or None
    state: ApprovalState = _one_of(asked.query, "state", get_args(ApprovalState)) or "pending"
    found = api.approvals(state=state, digests=state == "pending", limit=_AT_ONCE, cursor=cursor)
    visit = asked.signed_in
    pending = {
        each.id: approval_form(each, visit, each.digest or "").refilled(asked.form)
        for each in found.items
        if each.state == "pending" and (each.session_id is None or each.digest is not None)
    }
    return pages.page(
        asked,
        "approvals",
        status=status,
        notice=notice or notice_in(asked),
        found=found,
        state=state,
        states=get_args(ApprovalState),
        forms=pending,
        typed=left_over(pending.values(), asked.form),
    )


def audit(pages: Pages, asked: Asked) -> Response:
    """Who did what, the newest first."""
    api = pages.api(asked)
    tenant, actor, action, since, until = _typed(asked, "tenant", "actor", "action", "since", "until")
    found = api.audit(
        tenant_id=tenant,
        actor=actor,
        action=action,
        since=_moment(since),
        until=_moment(until),
        limit=_AT_ONCE,
        cursor=asked.query.get("cursor") or None,
    )
    chosen = {"tenant": tenant, "actor": actor, "action": action, "since": since, "until": until}
    return pages.page(asked, "audit", found=found, chosen=chosen, tenants=_tenants(api))


def _typed(asked: Asked, *names: str) -> list[str | None]:
    """What stands in these fields, None in those left empty."""
    return [asked.query.get(name) or None for name in names]


def _moment(told: str | None) -> datetime | None:
    """A day or a time as a browser's field or a person writes it, in UTC where no zone is told."""
    if told is None:
        return None
    try:
        at = datetime.fromisoformat(told)
    except ValueError as error:
        raise Unreadable(422, f"{told[:40]!r} is no time such as 2026-05-12T17:00") from error
    return at if at.tzinfo is not None else at.replace(tzinfo=UTC)


def _tenants(api: EvidenceClient) -> list[str]:
    """Names to choose from, as many as the API lists at once; any other can be typed."""
    return [each.tenant_id for each in api.tenants().items]


def _one_of(query: Mapping[str, str], name: str, known: Sequence[_Name]) -> _Name | None:
    told = query.get(name, "")
    return next((each for each in known if each == told), None)
