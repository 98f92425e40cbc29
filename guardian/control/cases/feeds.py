"""What cases follow: alerts, the audit trail and people's words, each taken in once and in order."""

import json
from contextlib import suppress
from datetime import datetime, timedelta
from heapq import merge

from pydantic import ValidationError

from guardian.alerting.rules import OPEN_STATES, rank
from guardian.control.acts_under import KINDS
from guardian.control.cases.case import case_key
from guardian.control.cases.events import acted, told_by_alert, told_by_audit, told_by_word
from guardian.control.people.approvals import topic_of
from guardian.control.telling.news import case_of_news
from guardian.domain.envelope import purpose_family
from guardian.domain.finding import Finding, Kind
from guardian.domain.identity import SessionKey
from guardian.store.columns import storable
from guardian.store.control.cases import CaseChanges, StoredCase
from guardian.store.control.feeds import Followed
from guardian.store.control.picture import Picture
from guardian.store.control.rows import ControlRows
from guardian.store.control.store import ControlStore
from guardian.telemetry import logger
from guardian.wire.cases import CaseEvent
from guardian.wire.findings import AlertPayload

_FEEDS = ("alerts", "audit", "changes")
_AT_ONCE = 100
_FAR_UP = timedelta(hours=1)  # in its channel a message so old is read by nobody any more
_UNDER = 50
"""So many messages are brought up to date when an agent, say, is revoked; others when somebody clicks there."""
_ENDS_REQUESTS = frozenset({"revoke", "reinstate", "dismiss"})
"""Acts on a session after which nobody is to be asked any more about its calls."""
_SETTLES = {
    ("dismiss", "false_positive"): "dismissed",
    ("dismiss", "benign"): "dismissed",
    ("confirm", "confirmed"): "confirmed",
    ("reinstate", "changed"): "reinstated",
}
"""The state that a person's act, with its result, leaves a case in until a finding begins it anew."""
_ENDED = frozenset({"reinstated", "dismissed", "confirmed", "lapsed"})
_log = logger("control")


def catch_up(store: ControlStore, now: datetime, *, floor: int = 0) -> bool:
    """Take in what is new on the feeds. Returns whether there may be more.

    News of guardian that are less severe than `floor` get no message of their own.
    """
    with store.read() as rows:
        if not any(rows.feeds.news(feed, 1) for feed in _FEEDS):
            return False
    with store.write() as rows:
        news = {feed: rows.feeds.news(feed, _AT_ONCE) for feed in _FEEDS}
        told = ([(feed, line) for line in lines] for feed, lines in news.items())
        # as it happened: what somebody did to a case is no answer to what came after
        heard: dict[str, int] = {}
        for feed, line in merge(*told, key=lambda each: each[1].at or now):
            match feed:
                case "alerts":
                    heard_alert(rows, line, now, floor=floor)
                case "audit":
                    heard_audit(rows, json.loads(line.payload), now)
                case _:
                    event = told_by_word(line.payload, line.at or now, line.detail)
                    _heard(rows, case_key(SessionKey(line.tenant_id, line.session_id)), event, now)
            heard[feed] = line.seq
            if line is news[feed][-1] and len(news[feed]) == _AT_ONCE:
                break  # what follows on this feed may have happened before the others' next lines
        for feed, seq in heard.items():
            rows.feeds.follow(feed, seq)
    return any(len(lines) == _AT_ONCE for lines in news.values())


def heard_alert(rows: ControlRows, line: Followed, now: datetime, *, floor: int = 0) -> None:
    """Take in an alert; one that cannot be read is passed over, for it would keep all that follow it."""
    key, told = line.key, read_alert(line.payload)
    if told is None:
        _log.error("alert_unreadable", alert=line.seq, case=key)
        return
    finding, at = told.finding, min(line.at or now, now)
    about_guardian = finding.kind is Kind.CONTROL
    # only control itself may say that its news ask for an approval
    asked_for = finding.versions.get("approval") if about_guardian else None
    if asked_for is not None and _case_asks(rows, finding.tenant_id, asked_for):
        return
    purpose = storable(purpose_family(_purpose(rows, finding, asked_for)))
    case = rows.cases.open(
        key,
        kind="news" if about_guardian else "session",
        tenant_id=finding.tenant_id,
        session_id=asked_for or finding.session_id,
        now=at,
        purpose=purpose,
    )
    changes = _changed_by(rows, case, finding, at, now, floor=floor)
    changes |= {"alert_id": line.seq, "findings": case.findings + 1, "purpose": purpose or case.purpose}
    rows.cases.change(key, **changes)
    rows.cases.happened(case, [told_by_alert(told)])


def _changed_by(
    rows: ControlRows, case: StoredCase, finding: Finding, at: datetime, now: datetime, *, floor: int
) -> CaseChanges:
    """How a finding of that time changes where a case stands; a message that is given up outweighs the rest."""
    severity = rank(finding.severity)
    changes: CaseChanges = {"rank": max(case.rank, severity)}
    # than what somebody saw to, or wanted quiet; so is a revocation that does not hold, told once a gateway
    worse = severity > case.rank or (finding.ignores_revocation and finding.severity == "critical")
    if worse and case.alert_id > 0:
        changes |= {"snoozed_until": None, "snoozed_by": None, "folded_into": None}
        changes["shown"] = case.shown.worsened()
    settled = bool(case.state) and case.state not in OPEN_STATES
    seen_to = case.acted_at is not None or (case.snoozed_until is not None and case.alert_id > 0)
    if settled or (worse and seen_to):  # it begins anew
        changes |= {"acted_at": None, "escalated_at": None, "opened_at": at, "state": ""}
        changes |= {"taken_by": None, "taken_at": None}
    again = _has_ended(rows, case)
    if again:  # and is no more of what a digest listed
        changes["folded_into"] = None
    news = finding.kind is Kind.CONTROL and severity >= floor
    if (news or again) and _is_far_up(rows, case, now):  # and so does its message
        changes |= given_up(case)
        changes["rank"] = severity
    return changes


def _as_never_judged(rows: ControlRows, case: StoredCase, at: datetime, now: datetime) -> CaseChanges:
    """How a verdict that is taken back changes where a case stands: it begins anew, and unless somebody works on
    it nobody has acted."""
    changes: CaseChanges = {"acted_at": case.taken_at, "escalated_at": None, "opened_at": at, "state": ""}
    if _has_ended(rows, case):
        changes["folded_into"] = None
        changes |= given_up(case) if _is_far_up(rows, case, now) else {}
    return changes


def _purpose(rows: ControlRows, finding: Finding, asked_for: str | None) -> str:
    """That of the session which the finding, or the approval that it asks for, is about; empty if nobody knows."""
    if finding.subject is not None or asked_for is None:
        return "" if finding.subject is None else finding.subject.purpose
    with suppress(ValidationError):
        asked = rows.approvals.get(asked_for, {finding.tenant_id})
        if asked is not None and asked.view.session_id is not None:
            key = SessionKey(finding.tenant_id, asked.view.session_id)
            session, registered = rows.sessions.get(key), rows.envelopes.newest(key)
            told = asked.view.particulars.get("purpose") or (session and session.view.purpose)
            return told or (registered.envelope.purpose if registered else "")
    return ""


def _case_asks(rows: ControlRows, tenant_id: str, approval_id: str) -> bool:
    """Whether people are asked by the case of the session that the act is about. Held calls have messages of their
    own; what this version cannot read gets one, too."""
    with suppress(ValidationError):
        asked = rows.approvals.get(approval_id, {tenant_id})
        if asked is None or asked.view.session_id is None or asked.view.action == "permitCall":
            return False
        case = rows.cases.get(case_key(SessionKey(tenant_id, asked.view.session_id)))
        return case is not None and case.alert_id > 0  # without an alert it is a snooze
    return False


def read_alert(payload: str | None) -> AlertPayload | None:
    """None where there is none, and where this version cannot read it."""
    try:
        return None if payload is None else AlertPayload.model_validate_json(payload)
    except ValidationError:
        return None


def _has_ended(rows: ControlRows, case: StoredCase) -> bool:
    """Whether a finding makes people's work of it again; not while the session stays revoked."""
    lapsed = case.state == "revoked" and rows.ledger.live_entry(case.tenant_id, case.session_id) is None
    return lapsed or case.state in _ENDED


def _is_far_up(rows: ControlRows, case: StoredCase, now: datetime) -> bool:
    """Whether nobody would see its message, or the digest that lists it, change any more: it may be given up."""
    quiet = case.snoozed_until is not None and case.snoozed_until > now
    if quiet or case.status == "sending":
        return False
    digest = rows.cases.get(case.folded_into) if case.place is None and case.folded_into is not None else None
    written_at = case.written_at if digest is None else digest.written_at
    return written_at is not None and now - written_at > _FAR_UP and (case.place or case.folded_into) is not None


def given_up(case: StoredCase) -> CaseChanges:
    """What becomes of a case whose message is given up: of a session's it must not go on saying what is not so."""
    if case.place is None or case.kind != "session":
        return {"place": None}
    return {"place": None, "shown": Picture(left=case.place)}


def heard_audit(rows: ControlRows, record: dict[str, object], now: datetime) -> None:
    """Take in an audit record."""
    tenant_id, session_id = record.get("tenant_id"), record.get("session_id")
    if not isinstance(tenant_id, str):
        return
    keys = [case_key(SessionKey(tenant_id, session_id))] if isinstance(session_id, str) else []
    if isinstance(approval := record.get("approval_id"), str):  # of a held call there are news as well
        keys.append(case_of_news(tenant_id, topic_of(approval)))
    elif isinstance(session_id, str) and record.get("action") in _ENDS_REQUESTS:
        asked = rows.approvals.of_session(tenant_id, session_id, now, _UNDER)
        keys += [case_of_news(tenant_id, topic_of(each.view.id)) for each in asked]
    subject = record.get("subject_type") in KINDS and record.get("result") in ("changed", "revoke", "lapsed")
    if subject and not isinstance(session_id, str):
        kind, name, states = str(record["subject_type"]), str(record["subject_id"]), {*OPEN_STATES, ""}
        rows.cases.touch_under(tenant_id, f"{kind}_id", name, now, _UNDER)
        if record.get("action") in ("reinstateSubject", "lapse"):
            rows.cases.given_back_under(tenant_id, kind, name, now, states)
        elif acted(record):
            at = datetime.fromisoformat(str(record["at"]))
            rows.cases.acted_under(tenant_id, f"{kind}_id", name, at, states)
    asks = (record.get("action"), record.get("result")) == ("propose", "waits")
    asks &= record.get("target") != "permitCall"  # which has a message of its own
    for key in keys:
        case = rows.cases.get(key)
        if acted(record) and case is not None:
            waits = case.kind == "session" and case.state in {*OPEN_STATES, ""}
            did = str(record.get("action")), str(record.get("result"))
            state = _SETTLES.get(did, case.state) if waits else case.state
            at = datetime.fromisoformat(str(record["at"]))
            rows.cases.change(key, acted_at=at, state=state)
            if did == ("take", "taken"):  # a finding from before that was heard since the act
                rows.cases.change(key, taken_by=str(record["actor"]), taken_at=at)
        took_back = (record.get("action"), record.get("result")) == ("dismiss", "withdrawn")
        if took_back and case is not None and case.kind == "session":
            rows.cases.change(key, **_as_never_judged(rows, case, datetime.fromisoformat(str(record["at"])), now))
        if asks and case is not None:  # whoever is asked has to see it in time
            changes: CaseChanges = given_up(case) if _is_far_up(rows, case, now) else {}
            changes["folded_into"] = None
            rows.cases.change(key, **changes)
        _heard(rows, key, told_by_audit(record), now)


def _heard(rows: ControlRows, key: str, event: CaseEvent | None, now: datetime) -> None:
    """Add to the history of a case that people know of; what concerns no case is nobody's news."""
    case = rows.cases.get(key)
    if case is None:
        return
    if event is not None:
        rows.cases.happened(case, [event])
    rows.cases.touch(key, now)
