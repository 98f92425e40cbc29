"""What became of what people were told of: each channel but Slack that was told of a finding hears of that, too.

It is read from the audit trail, which has each act in the transaction that did it, and queued behind what the
channel was told of the same finding before: a restart loses nothing, and nothing overtakes. Slack has cases.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any, NamedTuple

from pydantic import ValidationError

from guardian.alerting.rules import rank
from guardian.control.cases.case import alert_name, case_key
from guardian.control.cases.events import told_by_audit
from guardian.control.cases.feeds import read_alert
from guardian.control.cases.view import state_of
from guardian.control.news import news_id
from guardian.control.people.approvals import topic_of
from guardian.domain.finding import Effect
from guardian.domain.identity import SessionKey
from guardian.store.control.feeds import OUTCOMES
from guardian.store.control.rows import ControlRows
from guardian.store.control.store import ControlStore
from guardian.telemetry import logger
from guardian.wire.cases import CaseEvent
from guardian.wire.findings import AlertPayload, Became, FindingView

_log = logger("control")
_AT_ONCE = 500  # records that one transaction reads
_MOST = 200  # alerts that it queues
_ON_A_SESSION = frozenset({("revoke", "changed"), ("reinstate", "changed"), ("protect", "changed")})
_VERDICTS = frozenset({("dismiss", "false_positive"), ("dismiss", "benign"), ("confirm", "confirmed")})
_ENDS = {("approve", "approved"), ("approve", "denied"), ("propose", "withdrawn"), ("expireApproval", "expired")}
_BY_ITSELF = {
    ("lapse", "lapsed"): "the revocation reached its expiry and has lapsed",
    ("giveBack", "reinstated"): "the session that this one was delegated by was given back, and this one with it",
}
_FOLLOWS = "revoked the session with the one that delegated it"


class _Told(NamedTuple):
    """An alert that a channel may have, and what became of what it told; `act` says what that was."""

    alert_id: int
    payload: AlertPayload
    act: CaseEvent
    state: str
    over: bool
    view: FindingView | None = None
    lead: bool = True


def tell_outcomes(store: ControlStore, now: datetime) -> bool:
    """Queue what became of findings, by what is new in the audit trail. Returns whether there may be more.

    It is read beside the writers, whom a session of many findings would hold up. What is done meanwhile has a
    record of its own, which comes later.
    """
    with store.read() as rows:
        lines = rows.feeds.news(OUTCOMES, _AT_ONCE) if rows.alerts.channels() else []
        if not lines:
            return False
        before = done = rows.feeds.position(OUTCOMES)
        told: dict[str, tuple[int, str]] = {}
        for line in lines:
            try:
                for each in _became(rows, json.loads(line.payload), now):
                    name = _name(each, line.seq)
                    if rows.alerts.named(name) is None and rows.alerts.told_of(each.alert_id):
                        told[name] = each.alert_id, _payload(each)
                    if len(told) >= _MOST:
                        break
            except (KeyError, TypeError, ValueError) as error:  # another version wrote it, or what it is about
                _log.error("outcome_unreadable", audit=line.seq, error=type(error).__name__)
            if len(told) >= _MOST:  # this record is read once more, and what is queued is not queued again
                break
            done = line.seq
    with store.write() as rows:
        if rows.feeds.position(OUTCOMES) != before:  # another worker, or another process, was first
            return True
        for name, (first, payload) in told.items():
            rows.alerts.follow_up(first, idempotency_key=name, payload=payload, now=now)
        rows.feeds.follow(OUTCOMES, done)
    return len(told) >= _MOST or len(lines) == _AT_ONCE


def _name(told: _Told, seq: int) -> str:
    finding = told.payload.finding
    return alert_name(finding.tenant_id, "became", str(seq), finding.id)


def _payload(told: _Told) -> str:
    act = told.act
    verdict = None if told.view is None or told.view.verdict is None else told.view.verdict.verdict
    became = Became(
        at=act.at,
        by=act.by,
        what=act.what,
        why=act.why,
        state=told.state,
        verdict=verdict,
        over=told.over,
        lead=told.lead,
    )
    return told.payload.model_copy(update={"became": became}).model_dump_json()


def _became(rows: ControlRows, record: Mapping[str, Any], now: datetime) -> Iterator[_Told]:
    """What became of which alerts by what this record tells; nothing of most."""
    tenant_id, session_id = record.get("tenant_id"), record.get("session_id")
    did = str(record.get("action")), str(record.get("result"))
    if not isinstance(tenant_id, str):
        return
    if did in _ENDS:
        yield from _requests(rows, tenant_id, record)
    if not isinstance(session_id, str):
        return
    key, act = SessionKey(tenant_id, session_id), _act(record, did)
    if act is None:
        return
    asked = rows.approvals.get(str(record.get("approval_id")), {tenant_id}) if "approval_id" in record else None
    if asked is not None and not act.why:  # the words of who approved what the monitor asked for
        act = act.model_copy(update={"why": asked.view.decision_reason})
    if did in _VERDICTS:
        named = [str(record["finding_id"]), *record.get("with_it", ())]
        found = [each for name in named for each in _told(rows, key, name)]
        found = [each for each in found if each[2].verdict is not None and each[2].verdict.at == act.at]
    elif did == ("approve", "denied"):
        named = [] if asked is None or asked.view.finding_id is None else [asked.view.finding_id]
        found = [each for name in named for each in _told(rows, key, name)]
    elif did in _BY_ITSELF and rows.ledger.live_entry(*key) is not None:  # it goes on under another revocation
        return
    else:
        found = _of_session(rows, key, act.at)
    if not found:
        return
    newest, lead = found[0][2], max(found, key=_weight)[0]
    found.sort(key=lambda each: each[0] != lead)  # however many transactions they take, it is in the first
    stands = _standing(rows, key, newest, now)
    for alert_id, payload, view in found:
        state, over = stands(view)
        yield _Told(alert_id, payload, act, state, over, view, lead=alert_id == lead)


def _act(record: Mapping[str, Any], did: tuple[str, str]) -> CaseEvent | None:
    """Who did what, if that changes how findings stand."""
    at = datetime.fromisoformat(str(record["at"]))
    if did in _BY_ITSELF:
        return CaseEvent(at=at, by="guardian", what=_BY_ITSELF[did])
    if did == ("revoke", "revoke") and "follows" in record:
        return CaseEvent(at=at, by="guardian", what=_FOLLOWS)
    denied = did == ("approve", "denied") and record.get("target") == "revoke"
    return told_by_audit(record) if denied or did in _ON_A_SESSION | _VERDICTS else None


def _requests(rows: ControlRows, tenant_id: str, record: Mapping[str, Any]) -> Iterator[_Told]:
    """What was told because somebody asked for a second person, of a request that has ended."""
    name = str(record.get("approval_id"))
    asked, act = rows.approvals.get(name, {tenant_id}), told_by_audit(record)
    if asked is None or act is None or asked.view.state == "pending":
        return
    for topic in (topic_of(name), "held_call"):
        alert_id = rows.alerts.named(news_id(tenant_id, topic, name))
        payload = None if alert_id is None else read_alert(rows.alerts.payload(alert_id))
        if alert_id is not None and payload is not None:
            yield _Told(alert_id, payload, act, asked.view.state, over=True)


_Found = tuple[int, AlertPayload, FindingView]
_Stands = Callable[[FindingView], tuple[str, bool]]


def _told(rows: ControlRows, key: SessionKey, finding_id: str) -> Iterator[_Found]:
    """The alert about that finding of the session, if there is one that this version can read."""
    alert_id = rows.alerts.named(alert_name(key.tenant_id, finding_id))
    payload = None if alert_id is None else read_alert(rows.alerts.payload(alert_id))
    if alert_id is not None and payload is not None:
        yield from _found(rows, key, alert_id, payload)


def _found(rows: ControlRows, key: SessionKey, alert_id: int, payload: AlertPayload) -> Iterator[_Found]:
    with suppress(ValidationError):
        stored = rows.findings.get(payload.finding.id, {key.tenant_id})
        if stored is not None:
            yield alert_id, payload, stored.view


def _of_session(rows: ControlRows, key: SessionKey, at: datetime) -> list[_Found]:
    """Those of the session up to that time that people have neither dismissed nor given it back after, the newest
    first; where there is none, the newest of all, that somebody hears of it."""
    entries = rows.ledger.of_session(key)
    own = (each for each in entries if each.status == "reinstated" and each.reason_code != "parent_reinstated")
    since = max((each.at for each in own if each.at < at), default=None)
    found: list[_Found] = []
    newest: list[_Found] = []
    for alert_id, name, queued_at in rows.alerts.of_case(case_key(key), at):
        payload = read_alert(rows.alerts.payload(alert_id))
        if payload is None or name != alert_name(key.tenant_id, payload.finding.id):
            continue  # before 0023 one that was approved had another alert
        if since is not None and queued_at <= since and newest:
            break
        told = list(_found(rows, key, alert_id, payload))
        newest = newest or told
        if since is None or queued_at > since:
            found += [each for each in told if not each[2].dismissed]
    return found or newest


def _weight(found: _Found) -> tuple[bool, int]:
    finding = found[1].finding
    return finding.wanted is Effect.REVOKE, rank(finding.severity)


def _standing(rows: ControlRows, key: SessionKey, newest: FindingView, now: datetime) -> _Stands:
    """Of a finding the state that its session leaves it in, and whether nobody is expected to do anything about
    it."""
    session = rows.sessions.get(key)
    revoked = rows.ledger.live_entry(*key) is not None
    asked = rows.approvals.pending(*key, "revoke", now) is not None

    def stands(view: FindingView) -> tuple[str, bool]:
        if view.dismissed:
            return "dismissed", True
        if session is None:
            return "flagged", False
        state = state_of(session.view, newest, revoked=revoked, asked=asked)
        if state == "dismissed":  # another finding was, and not this one
            state = state_of(session.view, view, revoked=revoked, asked=asked)
        confirmed = view.verdict is not None
        return state, state in ("reinstated", "lapsed") or (state == "revoked" and confirmed)

    return stands
