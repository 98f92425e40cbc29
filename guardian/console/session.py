"""The page of a session: its purpose, what it did, what guardian thinks of that, and what can be done."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, timedelta
from typing import Any

from starlette.responses import Response

from guardian.console import curve
from guardian.console.asked import Asked
from guardian.console.forms import forms_for, left_over, with_outlook
from guardian.console.notices import Notice, notice_in
from guardian.console.pages import Pages, followed, unless_absent, unless_refused
from guardian.domain.envelope import Envelope
from guardian.domain.timeline import Granted, Step, Timeline
from guardian.errors import ArchiveError, ControlError
from guardian.telemetry import logger
from guardian.wire.approvals import ApprovalView
from guardian.wire.cases import CaseView
from guardian.wire.evidence import EvidenceClient
from guardian.wire.findings import FindingView
from guardian.wire.peers import UNFOLLOWED
from guardian.wire.policies import PolicyExplanation
from guardian.wire.sessions import SessionDetail, SessionView

PER_PAGE = 50
_AUDIT_LINES = 30
_NOTES = 100
_NEAR = 2
_WAITING = 500
_IN_FULL = 5
_FURTHEST = timedelta(days=92)
_SHAPE = re.compile(r'"~(cut, |[^b-zB-Z0-8"]*")')
"""What `archive.redaction.shape` leaves of a text; of letters it knows a and A only, of digits 9."""
_BARE = (
    "The archive that control reads (archive.path) holds nothing at all. The monitor writes it, some moments after"
    " each act: where that runs on another machine, its folder must be shared with this one. Until then only what"
    " led to a finding is known: see the findings above."
)
_BEFORE = timedelta(days=1)
_log = logger("console")


@dataclass(frozen=True, slots=True)
class Actions:
    """A page of the session's actions: `steps` from number `start` (from 1) of `total`."""

    steps: Sequence[Step]
    start: int
    total: int

    @property
    def numbered(self) -> list[tuple[int, Step]]:
        return list(enumerate(self.steps, self.start))

    @property
    def shapes(self) -> bool:
        """Whether of some arguments only the shape is kept."""
        return any(_SHAPE.search(step.arguments or "") for step in self.steps)

    @property
    def starts(self) -> list[tuple[int, int]]:
        """First and last action of the pages that are linked: both ends, and those around this one."""
        firsts = range(1, self.total + 1, PER_PAGE)
        here = (self.start - 1) // PER_PAGE
        near = [first for n, first in enumerate(firsts) if n in (0, len(firsts) - 1) or abs(n - here) <= _NEAR]
        return [(first, min(first + PER_PAGE - 1, self.total)) for first in near]


def show(pages: Pages, asked: Asked) -> Response:
    tenant, session = asked.query.get("tenant", ""), asked.query.get("id", "")
    if session and not tenant:
        return _found(pages, asked, session)
    return page(pages, asked, tenant, session, notice=notice_in(asked))


def _found(pages: Pages, asked: Asked, session: str) -> Response:
    """The page of the session that bears this name within the visitor's reach, or their list where several do."""
    found = pages.api(asked).sessions(session_id=session, limit=2).items
    if not found:
        raise ControlError("no session within reach is called so", status=404)
    link = pages.showing.link
    one = link("session", tenant=found[0].tenant_id, id=session)
    return pages.away(one if len(found) == 1 else link("sessions", session=session))


def page(
    pages: Pages,
    asked: Asked,
    tenant: str,
    session: str,
    *,
    notice: Notice | None = None,
    status: int = 200,
) -> Response:
    """The evidence of one session. Raises ControlError (404) for one that is not within the visitor's reach."""
    if not tenant or not session:
        raise ControlError("name a tenant and a session", status=404)
    api = pages.api(asked)
    detail = api.session(tenant, session)
    case = unless_absent(lambda: api.case(tenant, session))  # people were told nothing of it
    held = () if case is not None else _held(api, tenant, session)
    history = unless_absent(lambda: api.envelopes(tenant, session, limit=1))
    registered = None if history is None else history.items[-1]
    timeline, actions, trouble = _timeline(pages, detail.session, asked.query)
    findings = _headed(detail.findings, case)
    audit = unless_refused(
        lambda: api.session_audit(tenant, session, limit=_AUDIT_LINES, cursor=asked.query.get("audit") or None)
    )
    granted, newest = None if timeline is None else timeline.granted, detail.findings
    kin = unless_refused(lambda: api.lineage(tenant, session))
    parent = None if kin is not None and kin.ancestors else _parent(granted, newest)
    purpose = "" if registered is None else registered.envelope.purpose
    obeyed = followed(api, tenant)
    offered = with_outlook(
        forms_for(detail.session, case, asked.signed_in, held, purpose=purpose, followed=obeyed),
        lambda action: unless_refused(
            lambda: api.explain(tenant, session, action=action, role=asked.signed_in.principal.role)
        ),
    )
    forms = [form.refilled(asked.form) for form in offered]
    return pages.page(
        asked,
        "session",
        status=status,
        notice=notice,
        session=detail.session,
        case=case,
        held=held,
        findings=findings,
        in_full=_IN_FULL,
        ledger=detail.ledger,
        unfollowed=UNFOLLOWED if detail.session.status == "revoked" and not obeyed else "",
        also_revoked=detail.also_revoked,
        envelope=_envelope(None if registered is None else registered.envelope, granted, newest),
        registered=registered,
        timeline=timeline,
        archive=pages.parts.timelines is not None,
        trouble=trouble,
        curve=_curve(pages, timeline, case),
        actions=actions,
        by_id={view.finding.id: view for view in findings},
        kin=kin,
        parent=parent,
        parent_known=parent is not None and unless_refused(lambda: api.session(tenant, parent)) is not None,
        audit=audit,
        notes=_notes(api, tenant, session),
        policy=_would(api, detail),
        forms=forms,
        typed=left_over(forms, asked.form),
        exception_days=pages.parts.exception_days,
        wide="1" if asked.query.get("wide") else "",
    )


def _notes(api: EvidenceClient, tenant: str, session: str) -> list[dict[str, Any]]:
    """What people left on the case, the newest first, however much the session did since."""
    told = unless_refused(lambda: api.session_audit(tenant, session, limit=_NOTES, action="note"))
    return [] if told is None else [each.record for each in told.items if each.record.get("result") == "noted"]


def _held(api: EvidenceClient, tenant: str, session: str) -> tuple[ApprovalView, ...]:
    """The calls of a session without a case about which somebody is asked."""
    return api.approvals(tenant_id=tenant, session_id=session, state="pending", limit=_WAITING).items


def _headed(findings: Sequence[FindingView], case: CaseView | None) -> list[FindingView]:
    """The newest first, but before them the one that people decide on, which may be older."""
    if case is None:
        return list(findings)
    return [case.shown, *(view for view in findings if view.finding.id != case.shown.finding.id)]


def _would(api: EvidenceClient, detail: SessionDetail) -> PolicyExplanation | None:
    """What policy would say if guardian asked to revoke now."""
    view = detail.session
    return unless_refused(lambda: api.explain(view.tenant_id, view.session_id, action="revoke", role="monitor"))


def _timeline(
    pages: Pages, session: SessionView, query: Mapping[str, str]
) -> tuple[Timeline | None, Actions | None, str]:
    """What the archive knows, or why it knows nothing. Only for a session that the API has shown to the visitor.

    With `wide` in the query it looks at three months, otherwise at the days when control met the session and a day
    before and after.
    """
    timelines = pages.parts.timelines
    if timelines is None:
        return None, None, ""
    today = pages.parts.clock().astimezone(UTC).date()
    first, last = (session.first_seen - _BEFORE).date(), (session.last_seen + _BEFORE).date()
    if query.get("wide"):
        first, last = min(first, today - _FURTHEST), today
    last = max(first, min(last, today))
    try:
        found = timelines.of(session.tenant_id, session.session_id, since=max(first, last - _FURTHEST), until=last)
        shown, _ = _actions(found, query), found.granted  # read while it can be said that it cannot
        bare = not found.points and timelines.empty()
    except ArchiveError as error:
        _log.error("archive_unreadable", error=str(error)[:300])
        return None, None, "The archive could not be read; what control knows is below. The log says more."
    return found, shown, _BARE if bare else ""


def _actions(timeline: Timeline, query: Mapping[str, str]) -> Actions:
    """The page that is asked for, else the one with the latest finding, else the last."""
    total = len(timeline.points)
    found = [number for number, point in enumerate(timeline.points) if point.wanted != "none"]
    wanted = query.get("at", "")
    position = int(wanted) - 1 if wanted.isascii() and wanted.isdigit() and len(wanted) < 10 else None
    if position is None:
        position = found[-1] if found else total - 1
    start = max(0, min(position, total - 1)) // PER_PAGE * PER_PAGE
    return Actions(timeline.steps(start, start + PER_PAGE), start + 1, total)


def _curve(pages: Pages, timeline: Timeline | None, case: CaseView | None) -> curve.Curve | None:
    if timeline is not None and timeline.points:
        return curve.of_points(timeline.points, pages.parts.thresholds)
    if case is not None and case.trend:
        return curve.of_trend(case.trend, pages.parts.thresholds)
    return None


def _envelope(
    registered: Envelope | None, logged: Granted | None, findings: Sequence[FindingView]
) -> dict[str, Any] | None:
    """What was delegated: as registered, else as the log carried it, else as far as the newest finding says."""
    if registered is not None:
        told = {name: getattr(registered, name) for name in Granted.__dataclass_fields__ if name != "constraints"}
        return told | {
            "constraints": _constraints(registered.resource_constraints),
            "from": "registered with control",
        }
    if logged is not None:
        told = {name: getattr(logged, name) for name in Granted.__dataclass_fields__}
        held = {"constraints": _constraints(logged.constraints)}
        return told | held | {"from": "as the log carried it; nothing is registered"}
    subject = next((view.finding.subject for view in findings if view.finding.subject is not None), None)
    if subject is None:
        return None
    names = ("delegator_id", "agent_id", "task_id", "purpose", "parent_session_id", "expires_at")
    told = {name: getattr(subject, name) for name in names}
    return told | {
        "allowed_tools": None,
        "constraints": None,
        "from": "as the newest finding says; nothing more is known",
    }


def _constraints(told: Mapping[str, object]) -> dict[str, str]:
    """One line for each constraint: a list as its members, anything else as JSON."""
    return {
        name: ", ".join(map(str, limit)) if isinstance(limit, list | tuple) else json.dumps(limit, default=str)
        for name, limit in told.items()
    }


def _parent(granted: Granted | None, findings: Sequence[FindingView]) -> str | None:
    """Who delegated, as the log says, where no registered envelope does."""
    if granted is not None and granted.parent_session_id is not None:
        return granted.parent_session_id
    subject = next((view.finding.subject for view in findings if view.finding.subject is not None), None)
    return None if subject is None else subject.parent_session_id
