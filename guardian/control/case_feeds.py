"""What cases follow: alerts, the audit trail and people's words, each taken in once and in order."""

import json
from datetime import datetime, timedelta

from guardian.alerting.rules import OPEN_STATES, rank
from guardian.control.approvals import topic_of
from guardian.control.case_events import acted, told_by_alert, told_by_audit, told_by_word
from guardian.control.case_view import case_key, case_view
from guardian.control.deps import ControlDeps
from guardian.control.news import case_of_news, tell
from guardian.domain.event import purpose_family
from guardian.domain.finding import OPERATORS, Kind
from guardian.store.control import ControlRows, ControlStore
from guardian.store.control_cases import Followed, StoredCase
from guardian.store.engine import storable
from guardian.wire.cases import CaseEvent
from guardian.wire.findings import AlertPayload

_FEEDS = ("alerts", "audit", "changes")
_AT_ONCE = 100
_FAR_UP = timedelta(hours=1)  # in its channel a message so old is read by nobody any more
_RECENT = timedelta(days=1)
_ACTS = 50  # of those on a case, the newest that are looked at where a channel begins


def begin(deps: ControlDeps) -> None:
    """A channel that is new to a deployment shows what is recent and still open, and counts the rest in one line.

    Nothing where cases were followed before: a channel that was away, or was started again, gets everything.
    """
    now = deps.clock()
    with deps.store.write() as rows:
        if not rows.cases.begin():
            return
        rows.cases.follow("alerts", rows.cases.alerts_by(now - _RECENT))
        newest: dict[str, datetime | None] = {}  # by case; None where nobody has to do anything about it
        while lines := rows.cases.news("alerts", _AT_ONCE):
            for line in lines:
                if line.key not in newest and not _is_open(deps, rows, line):
                    newest[line.key] = None
                elif newest.get(line.key, now) is not None:
                    newest[line.key] = line.at
                    _heard_alert(rows, line._replace(at=now), now)  # it calls for help as of now
            rows.cases.follow("alerts", lines[-1].seq)
        for key, at in newest.items():
            if at is not None:
                _acted_since(rows, key, at, now)
        head = rows.head()
        rows.cases.follow("audit", head.audit_seq)
        rows.cases.follow("changes", head.change_seq)
        older = rows.cases.flagged_without()
        if older:
            console = deps.settings.console
            pages = "" if console is None else f" and at {console.url}"
            tell(
                deps,
                rows,
                topic="cases",
                tenant_id=OPERATORS,
                title=f"Slack shows cases from now on; {older:,} older ones are still flagged",
                detail=f"they are in guardian sessions --status flagged{pages}; Slack shows them when they go on",
                severity="info",
                once="begin",
                now=now,
            )


def catch_up(store: ControlStore, now: datetime) -> bool:
    """Take in what is new on the feeds. Returns whether there may be more."""
    with store.read() as rows:
        if not any(rows.cases.news(feed, 1) for feed in _FEEDS):
            return False
    full = False
    with store.write() as rows:
        for feed in _FEEDS:
            news = rows.cases.news(feed, _AT_ONCE)
            for line in news:
                match feed:
                    case "alerts":
                        _heard_alert(rows, line, now)
                    case "audit":
                        _heard_audit(rows, json.loads(line.payload), now)
                    case _:
                        event = told_by_word(line.payload, line.at or now, line.detail)
                        _heard(rows, case_key(line.tenant_id, line.session_id), event, now)
            if news:
                rows.cases.follow(feed, news[-1].seq)
            full = full or len(news) == _AT_ONCE
    return full


def _heard_alert(rows: ControlRows, line: Followed, now: datetime) -> None:
    key, told = line.key, AlertPayload.model_validate_json(line.payload)
    finding = told.finding
    about_guardian = finding.kind is Kind.CONTROL
    # only control itself may say that its news ask for an approval
    asked_for = finding.versions.get("approval") if about_guardian else None
    purpose = "" if finding.subject is None else storable(purpose_family(finding.subject.purpose))
    case = rows.cases.open(
        key,
        kind="news" if about_guardian else "session",
        tenant_id=finding.tenant_id,
        session_id=asked_for or finding.session_id,
        now=line.at or now,
        purpose=purpose,
    )
    severe = max(case.rank, rank(finding.severity))
    values: dict[str, object] = {"alert_id": line.seq, "findings": case.findings + 1, "rank": severe}
    settled = bool(case.state) and case.state not in OPEN_STATES
    worse = case.acted_at is not None and severe > case.rank  # what somebody saw to was less than this
    if settled or worse:  # it begins anew
        values |= {"acted_at": None, "escalated_at": None, "opened_at": line.at or now}
    if (about_guardian or settled) and _is_far_up(case, line.at or now):  # and so does its message
        values |= {"place": None, "rank": rank(finding.severity)}
    rows.cases.change(key, **values, purpose=purpose or case.purpose)
    rows.cases.happened(case, [told_by_alert(told)])


def _is_open(deps: ControlDeps, rows: ControlRows, line: Followed) -> bool:
    """Whether somebody is expected to do something about the case of this alert, as it stands now."""
    finding = AlertPayload.model_validate_json(line.payload).finding
    if finding.kind is Kind.CONTROL:
        asked_for = rows.approvals.get(finding.versions.get("approval", ""), {finding.tenant_id})
        return asked_for is not None and asked_for.view.state == "pending"
    view = case_view(deps, rows, finding.tenant_id, finding.session_id, similar=False)
    return view is not None and view.state in OPEN_STATES


def _acted_since(rows: ControlRows, key: str, at: datetime, now: datetime) -> None:
    """Take in what people did about a case after its newest alert."""
    case = rows.cases.get(key)
    if case is None:
        return
    for entry in reversed(rows.audit.about(case.tenant_id, case.session_id, limit=_ACTS)):
        record = json.loads(entry.record)
        if datetime.fromisoformat(str(record["at"])) > at:
            _heard_audit(rows, record, now)


def _is_far_up(case: StoredCase, now: datetime) -> bool:
    """Whether its message is one that nobody would see change, and may be given up."""
    quiet = case.snoozed_until is not None and case.snoozed_until > now
    if case.status == "sending" or quiet or case.written_at is None:
        return False
    return now - case.written_at > _FAR_UP


def _heard_audit(rows: ControlRows, record: dict[str, object], now: datetime) -> None:
    tenant_id, session_id = record.get("tenant_id"), record.get("session_id")
    if not isinstance(tenant_id, str):
        return
    if isinstance(session_id, str):
        key = case_key(tenant_id, session_id)
    elif isinstance(approval := record.get("approval_id"), str):
        key = case_of_news(tenant_id, topic_of(approval))
    else:
        return
    if acted(record) and rows.cases.get(key) is not None:
        rows.cases.change(key, acted_at=datetime.fromisoformat(str(record["at"])))
    _heard(rows, key, told_by_audit(record), now)


def _heard(rows: ControlRows, key: str, event: CaseEvent | None, now: datetime) -> None:
    """Add to the history of a case that people know of; what concerns no case is nobody's news."""
    case = rows.cases.get(key)
    if case is None:
        return
    if event is not None:
        rows.cases.happened(case, [event])
    rows.cases.touch(key, now)
