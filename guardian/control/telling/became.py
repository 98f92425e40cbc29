"""What became of findings that people were told of, by one record of the audit trail, a place in it at a time."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any, NamedTuple

from pydantic import ValidationError

from guardian.control.acts_under import KINDS, revoked_with_it
from guardian.control.cases.case import alert_name, case_key
from guardian.control.cases.events import told_by_audit
from guardian.control.cases.feeds import read_alert
from guardian.control.cases.view import state_of
from guardian.control.people.approvals import topic_of
from guardian.control.telling.news import news_id
from guardian.domain.identity import SessionKey
from guardian.domain.revocation import SubjectType
from guardian.store.control.rows import ControlRows
from guardian.telemetry import logger
from guardian.wire.cases import CaseEvent
from guardian.wire.findings import AlertPayload, FindingView

_log = logger("control")
_AT_A_GLANCE = 5000  # sessions
_ON_A_SESSION = frozenset({("revoke", "changed"), ("reinstate", "changed"), ("protect", "changed")})
_VERDICTS = frozenset({("dismiss", "false_positive"), ("dismiss", "benign"), ("confirm", "confirmed")})
_TAKEN_BACK = ("dismiss", "withdrawn")
_ENDS = {("approve", "approved"), ("approve", "denied"), ("propose", "withdrawn"), ("expireApproval", "expired")}
_ON_A_SUBJECT = frozenset(
    {
        ("revokeSubject", "changed"),
        ("revokeSubject", "revoke"),
        ("reinstateSubject", "changed"),
        ("lapse", "lapsed"),
    }
)
_BY_ITSELF = {
    ("lapse", "lapsed"): "the revocation reached its expiry and has lapsed",
    ("giveBack", "reinstated"): "the session that this one was delegated by was given back, and this one with it",
}
_FOLLOWS = "revoked the session with the one that delegated it"


class Place(NamedTuple):
    """How far a record was read that is gone on with: up to which finding, or of a subject's which session's."""

    session: int = 0
    finding: int = 0


START = Place()


class Told(NamedTuple):
    """An alert that a channel may have, and what became of what it told; `act` says what that was."""

    alert_id: int
    payload: AlertPayload
    act: CaseEvent
    state: str
    over: bool
    view: FindingView | None = None
    also_revoked: tuple[SubjectType, ...] = ()

    @property
    def judged_at(self) -> datetime | None:
        """When people said what stands as their verdict on the finding."""
        verdict = None if self.view is None else self.view.verdict
        return None if verdict is None else verdict.at


Step = tuple[Place, Told | None]
"""How far the record is read, and what became of what is there, if anything did."""


def became(rows: ControlRows, record: Mapping[str, Any], place: Place, now: datetime) -> Iterator[Step]:
    """What became of which alerts by what this record tells, from that place on; nothing of most."""
    tenant_id, session_id = record.get("tenant_id"), record.get("session_id")
    did = str(record.get("action")), str(record.get("result"))
    if not isinstance(tenant_id, str):
        return
    if did in _ENDS and place == START:
        yield from ((START, each) for each in _requests(rows, tenant_id, record))
    if not isinstance(session_id, str):
        if did in _ON_A_SUBJECT and record.get("subject_type") in KINDS:
            yield from _below(rows, tenant_id, record, place, now)
        return
    key, act = SessionKey(tenant_id, session_id), _act(record, did)
    if act is None:
        return
    asked = rows.approvals.get(str(record.get("approval_id")), {tenant_id}) if "approval_id" in record else None
    if asked is not None and not act.why:  # the words of who approved what the monitor asked for
        act = act.model_copy(update={"why": asked.view.decision_reason})
    if did in _VERDICTS or did == _TAKEN_BACK:
        said = None if did == _TAKEN_BACK else act.at
        named = [str(record["finding_id"]), *record.get("with_it", ())]
        yield from (step for step in _named(rows, key, named, act, place, now) if step[1].judged_at == said)
    elif did == ("approve", "denied"):
        named = [] if asked is None or asked.view.finding_id is None else [asked.view.finding_id]
        yield from _named(rows, key, named, act, place, now)
    elif did not in _BY_ITSELF or rows.ledger.live_entry(*key) is None:  # else it goes on under another revocation
        yield from ((Place(0, each.alert_id), each) for each in _of_session(rows, key, act, place.finding, now))


def _requests(rows: ControlRows, tenant_id: str, record: Mapping[str, Any]) -> Iterator[Told]:
    """What was told because somebody asked for a second person, of a request that has ended."""
    name = str(record.get("approval_id"))
    asked, act = rows.approvals.get(name, {tenant_id}), told_by_audit(record)
    if asked is None or act is None or asked.view.state == "pending":
        return
    for topic in (topic_of(name), "held_call"):
        alert_id = rows.alerts.named(news_id(tenant_id, topic, name))
        payload = None if alert_id is None else read_alert(rows.alerts.payload(alert_id))
        if alert_id is not None and payload is not None:
            yield Told(alert_id, payload, act, asked.view.state, over=True)


def _named(
    rows: ControlRows, key: SessionKey, named: Sequence[str], act: CaseEvent, place: Place, now: datetime
) -> Iterator[tuple[Place, Told]]:
    """Those findings of the session."""
    tells = _teller(rows, key, None, act, now)
    for n, name in enumerate(named[place.finding :], place.finding + 1):
        alert_id = rows.alerts.named(alert_name(key.tenant_id, name))
        for found in () if alert_id is None else _found(rows, key, alert_id):
            yield Place(0, n), tells(found)


def _below(
    rows: ControlRows, tenant_id: str, record: Mapping[str, Any], place: Place, now: datetime
) -> Iterator[Step]:
    """What became of the findings that accuse sessions which act under what was revoked or given back, and are not
    revoked themselves: not they were acted on, but gateways refuse their calls with that, or no longer do."""
    kind, name, act = str(record["subject_type"]), str(record["subject_id"]), _act_on_subject(record)
    last = rows.session_names.last_seq()
    at = place.session - 1 if place.finding else place.session
    while at < last:
        upto = at + _AT_A_GLANCE
        for seq, session_id in rows.session_names.accused_under(tenant_id, f"{kind}_id", name, at, upto):
            key, below = SessionKey(tenant_id, session_id), place.finding if seq == place.session else 0
            try:
                for told in _of_session(rows, key, act, below, now):
                    yield Place(seq, told.alert_id), told
            except ValidationError as error:  # another version wrote it: the other sessions' are told all the same
                _log.error("outcome_unreadable", session=session_id, error=type(error).__name__)
            yield Place(seq), None
        at = upto
        yield Place(at), None


def _act_on_subject(record: Mapping[str, Any]) -> CaseEvent:
    at, kind = datetime.fromisoformat(str(record["at"])), record["subject_type"]
    match record["action"], record["result"]:
        case "revokeSubject", "revoke":
            what = f"revoked the session's {kind}, so that a revoked session does not come back under a new id"
        case "lapse", _:
            what = f"the revocation of the session's {kind} has reached its expiry and has lapsed"
        case action, _:
            what = (
                f"revoked the session's {kind}" if action == "revokeSubject" else f"gave the session's {kind} back"
            )
            return CaseEvent(at=at, by=str(record["actor"]), what=what, why=str(record.get("reason") or ""))
    return CaseEvent(at=at, by="guardian", what=what)


def _act(record: Mapping[str, Any], did: tuple[str, str]) -> CaseEvent | None:
    """Who did what, if that changes how findings stand."""
    at = datetime.fromisoformat(str(record["at"]))
    if did in _BY_ITSELF:
        return CaseEvent(at=at, by="guardian", what=_BY_ITSELF[did])
    if did == ("revoke", "revoke") and "follows" in record:
        return CaseEvent(at=at, by="guardian", what=_FOLLOWS)
    denied = did == ("approve", "denied") and record.get("target") == "revoke"
    return told_by_audit(record) if denied or did in {*_ON_A_SESSION, *_VERDICTS, _TAKEN_BACK} else None


_Found = tuple[int, AlertPayload, FindingView]


def _found(rows: ControlRows, key: SessionKey, alert_id: int, name: str | None = None) -> Iterator[_Found]:
    """The alert with its finding, if this version can read both and the alert is called so."""
    payload = read_alert(rows.alerts.payload(alert_id))
    if payload is None or name not in (None, alert_name(key.tenant_id, payload.finding.id)):
        return  # before 0023 one that was approved had another alert
    with suppress(ValidationError):
        stored = rows.findings.get(payload.finding.id, {key.tenant_id})
        if stored is not None:
            yield alert_id, payload, stored.view


def _alerts(rows: ControlRows, key: SessionKey, at: datetime, below: int) -> Iterator[tuple[datetime, _Found]]:
    """Those about the session's findings up to that time, the newest first; `below` that one, if it is not 0."""
    while page := rows.alerts.of_case(case_key(key), at, below):
        for alert_id, name, queued_at in page:
            for found in _found(rows, key, alert_id, name):
                yield queued_at, found
        below = page[-1][0]


def _of_session(rows: ControlRows, key: SessionKey, act: CaseEvent, below: int, now: datetime) -> Iterator[Told]:
    """What became of those up to the act that people have neither dismissed nor given it back after, the newest
    first; where there is none, of the newest of all, that somebody hears of it."""
    entries = rows.ledger.of_session(key)
    own = (each for each in entries if each.status == "reinstated" and each.reason_code != "parent_reinstated")
    since = max((each.at for each in own if each.at < act.at), default=None)
    _, newest = next(_alerts(rows, key, act.at, 0), (None, None))
    if newest is None:
        return
    tells, any_of_it = _teller(rows, key, newest[2], act, now), below > 0
    for queued_at, found in _alerts(rows, key, act.at, below):
        if since is not None and queued_at <= since:
            break
        if not found[2].dismissed:
            any_of_it = True
            yield tells(found)
    if not any_of_it:
        yield tells(newest)


def _teller(
    rows: ControlRows, key: SessionKey, newest: FindingView | None, act: CaseEvent, now: datetime
) -> Callable[[_Found], Told]:
    """Makes of a finding what became of it: the state that its session leaves it in, what that acts under and is
    revoked, and whether nobody is expected to do anything about it."""
    session = rows.sessions.get(key)
    revoked = rows.ledger.live_entry(*key) is not None
    asked = rows.approvals.pending(*key, "revoke", now) is not None
    also = tuple(dict.fromkeys(each.subject_type for each in revoked_with_it(rows, key, now)))

    def stands(view: FindingView) -> tuple[str, bool]:
        if view.dismissed:
            return "dismissed", True
        if session is None:
            return "flagged", False
        state = state_of(session, newest or view, revoked=revoked, asked=asked)
        if state == "dismissed":  # another finding was, and not this one
            state = state_of(session, view, revoked=revoked, asked=asked)
        confirmed = view.verdict is not None
        return state, state in ("reinstated", "lapsed") or (state == "revoked" and confirmed)

    def tells(found: _Found) -> Told:
        alert_id, payload, view = found
        return Told(alert_id, payload, act, *stands(view), view, also)

    return tells
