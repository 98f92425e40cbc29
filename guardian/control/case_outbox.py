"""What is to be written in a channel that keeps cases: an outbox over the cases, one write at a time.

It follows three feeds, each written in the transaction of what it tells: alerts (findings that people are told
of), the audit trail (what people did), and people's words (lapses). Whatever happened while the channel was away
has changed only how the cases stand; what is written then is how they stand now. A write that was begun is
repeated under its own name until it has ended, so the channel can be asked whether it arrived.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import assert_never

from pydantic import TypeAdapter

from guardian.alerting.outbox import AlertRow
from guardian.alerting.port import Alert, Step, Verb
from guardian.alerting.port import Digest as CaseDigest
from guardian.alerting.rules import OPEN_STATES, SEVERITIES, Done, Fold, Rules, Wait, Write, next_move, rank
from guardian.control.approvals import topic_of
from guardian.control.case_events import acted, told_by_alert, told_by_audit, told_by_word
from guardian.control.case_view import case_key, case_view
from guardian.control.deps import ControlDeps
from guardian.control.news import case_of_news
from guardian.domain.event import purpose_family
from guardian.domain.finding import Kind
from guardian.store.control import ControlRows
from guardian.store.control_cases import Followed, StoredCase
from guardian.wire.approvals import ApprovalView
from guardian.wire.cases import CaseEvent, CaseView
from guardian.wire.findings import AlertPayload

_FEEDS = ("alerts", "audit", "changes")
_AT_ONCE = 100
_LOOKED_AT = 50  # due cases of which one is to be written; the others are put to rest
_IN_A_DIGEST, _IN_A_REPLY = 40, 200  # lines of a digest's reply; events that one reply sums up
_UNKNOWN = "unknown"  # shown: a write whose content is not known any more
_PARKED_AGAIN = timedelta(hours=1)
_STEP: TypeAdapter[Step] = TypeAdapter(Step)


@dataclass(frozen=True, slots=True)
class _Standing:
    """A case as it stands now, with what its message needs."""

    case: StoredCase
    view: CaseView | None = None
    approval: ApprovalView | None = None


class CaseOutbox:
    """For one AlertWorker. `rules` say what is written where and when."""

    def __init__(self, deps: ControlDeps, rules: Rules) -> None:
        self._deps, self._rules = deps, rules
        self._store = deps.store

    def recover(self) -> int:
        with self._store.write() as rows:
            return rows.cases.recover()

    def claim(self, now: datetime) -> AlertRow | None:
        while self._catch_up(now):
            pass
        while True:
            with self._store.read() as rows:  # most looks find nothing: they need not queue with the writers
                if not rows.cases.due(now, 1):
                    return None
            with self._store.write() as rows:
                row = self._next(rows, now)
            if row is not None:
                return row

    def sent(self, id: str, reference: str) -> None:
        now = self._deps.clock()
        with self._store.write() as rows:
            step = _STEP.validate_json(_sending(rows, id).step or "")
            values: dict[str, object] = {"status": "due", "next_at": now, "attempts": 0, "step": None}
            match step.verb:
                case "post" | "update":
                    values |= {"place": reference, "folded_into": None, "written_at": now, "last_error": ""}
                case "reply":
                    values |= {"told": step.events, "replied_at": now}
                case "escalate":
                    values |= {"escalated_at": now}
                case _:
                    assert_never(step.verb)
            rows.cases.change(id, **values)

    def postponed(self, id: str, until: datetime, error: str) -> None:
        with self._store.write() as rows:
            _sending(rows, id)
            rows.cases.change(id, status="due", next_at=until, last_error=error[:500])

    def parked(self, id: str, error: str) -> None:
        """The channel refuses this write for good: a reply is given up, the message is tried anew in an hour."""
        now = self._deps.clock()
        with self._store.write() as rows:
            step = _STEP.validate_json(_sending(rows, id).step or "")
            values: dict[str, object] = {"status": "due", "attempts": 0, "step": None, "last_error": error[:500]}
            match step.verb:
                case "post" | "update":
                    values |= {"next_at": now + _PARKED_AGAIN, "shown": _UNKNOWN}
                case "reply":
                    values |= {"next_at": now, "told": step.events, "replied_at": now}
                case "escalate":
                    values |= {"next_at": now, "escalated_at": now}
                case _:
                    assert_never(step.verb)
            rows.cases.change(id, **values)

    def depth(self) -> int:
        with self._store.read() as rows:
            return rows.cases.depth(self._deps.clock())

    def refresh(self, key: str) -> None:
        """Write the case's message anew even if nothing changed: somebody clicked on an old picture of it."""
        with self._store.write() as rows:
            if rows.cases.get(key) is not None:
                rows.cases.change(key, shown=_UNKNOWN, folded_into=None)
                rows.cases.touch(key, self._deps.clock())

    # -- following -------------------------------------------------------------------------------------------

    def _catch_up(self, now: datetime) -> bool:
        """Take in what is new on the feeds. Returns whether there may be more."""
        with self._store.read() as rows:
            if not any(rows.cases.news(feed, 1) for feed in _FEEDS):
                return False
        full = False
        with self._store.write() as rows:
            for feed in _FEEDS:
                news = rows.cases.news(feed, _AT_ONCE)
                for line in news:
                    match feed:
                        case "alerts":
                            self._heard_alert(rows, line, now)
                        case "audit":
                            _heard_audit(rows, json.loads(line.payload), now)
                        case _:
                            event = told_by_word(line.payload, line.at or now)
                            _heard(rows, case_key(line.tenant_id, line.session_id), event, now)
                if news:
                    rows.cases.follow(feed, news[-1].seq)
                full = full or len(news) == _AT_ONCE
        return full

    def _heard_alert(self, rows: ControlRows, line: Followed, now: datetime) -> None:
        key, told = line.key, AlertPayload.model_validate_json(line.payload)
        finding = told.finding
        about_guardian = finding.kind is Kind.CONTROL
        purpose = "" if finding.subject is None else purpose_family(finding.subject.purpose)
        case = rows.cases.open(
            key,
            kind="news" if about_guardian else "session",
            tenant_id=finding.tenant_id,
            session_id=finding.versions.get("approval", finding.session_id),
            now=line.at or now,
            purpose=purpose,
        )
        severe = max(case.rank, rank(finding.severity))
        values: dict[str, object] = {"alert_id": line.seq, "findings": case.findings + 1, "rank": severe}
        if case.state and case.state not in OPEN_STATES:  # it was settled, and begins anew
            values |= {"acted_at": None, "escalated_at": None, "opened_at": line.at or now}
        rows.cases.change(key, **values, purpose=purpose or case.purpose)
        rows.cases.happened(case, [told_by_alert(told)])

    # -- choosing the next write -----------------------------------------------------------------------------

    def _next(self, rows: ControlRows, now: datetime) -> AlertRow | None:
        for found in rows.cases.due(now, _LOOKED_AT):
            case = rows.cases.get(found.key)  # an earlier one may have folded this one
            if case is None or case.status != "due":
                continue
            standing = self._standing(rows, case, now)
            case = standing.case
            if case.step is not None:
                return self._row(rows, standing, _STEP.validate_json(case.step))
            crowd = rows.cases.crowd(case.tenant_id, case.rank, now - self._rules.storm_window)
            match next_move(case, self._rules, crowd=crowd, now=now):
                case Write(verb):
                    return self._row(rows, standing, self._step(case, verb, now))
                case Fold():
                    self._fold(rows, case, now)
                case Wait(until):
                    rows.cases.change(case.key, next_at=until)
                case Done():
                    rows.cases.change(case.key, status="idle")
        return None

    def _standing(self, rows: ControlRows, case: StoredCase, now: datetime) -> _Standing:
        """The case with its digest as of now, stored if it changed."""
        view, approval, state = None, None, ""
        match case.kind:
            case "session":
                view = case_view(self._deps, rows, case.tenant_id, case.session_id, similar=False)
                state = "" if view is None else view.state
                silent = case.snoozed_until if case.snoozed_until and case.snoozed_until > now else None
                parts = [] if view is None else [view.digest, str(view.findings), str(view.protected)]
                parts.append("" if silent is None else silent.isoformat())
            case "news":
                stored = rows.approvals.get(case.session_id, {case.tenant_id})
                approval = None if stored is None else stored.view
                state = "waits" if approval is not None and approval.state == "pending" else ""
                parts = [str(case.findings), "" if approval is None else approval.state]
            case _:
                parts = [str(case.events)]
        digest = hashlib.sha256("\x1f".join(parts).encode()).hexdigest()[:32]
        if (digest, state) != (case.digest, case.state):
            rows.cases.change(case.key, digest=digest, state=state)
        return _Standing(case._replace(digest=digest, state=state), view, approval)

    def _step(self, case: StoredCase, verb: Verb, now: datetime) -> Step:
        calls = self._rules.calls(case) if verb == "post" else ""
        channel, place = case.channel or self._rules.channel_for(case), case.place
        if verb == "escalate":
            calls = self._rules.mention(case.tenant_id)
            if self._rules.escalate_channel is not None:
                channel, place = self._rules.escalate_channel, None
        most = _IN_A_DIGEST if case.kind == "digest" else _IN_A_REPLY
        return Step(
            verb=verb,
            key=f"{case.key}:{case.steps + 1}",
            since=now,
            channel=channel,
            place=place,
            calls=calls,
            told=case.told,
            events=min(case.events, case.told + most),
        )

    def _row(self, rows: ControlRows, standing: _Standing, step: Step) -> AlertRow | None:
        """Claim this write: from here on it is repeated until it has ended."""
        case = standing.case
        payload = rows.cases.alert_payload(case.alert_id)
        if payload is None:  # nothing is known that could be shown
            rows.cases.change(case.key, status="parked", last_error="it has no alert")
            return None
        values: dict[str, object] = {"status": "sending", "step": step.model_dump_json()}
        values |= {"attempts": case.attempts + 1, "steps": int(step.key.rpartition(":")[2])}
        if step.verb in ("post", "update"):
            # of a write that is repeated nobody knows what it showed when it arrived
            values |= {"shown": case.digest if case.attempts == 0 else _UNKNOWN, "channel": step.channel}
        rows.cases.change(case.key, **values)
        alert = self._alert(rows, standing, step, payload)
        return AlertRow(case.key, alert.model_dump_json(), case.attempts)

    def _alert(self, rows: ControlRows, standing: _Standing, step: Step, payload: str) -> Alert:
        case, view = standing.case, standing.view
        events: Sequence[CaseEvent] = ()
        if step.verb == "reply":
            events = rows.cases.events(case.key, step.told, step.events - step.told)
        elif view is not None:
            view = case_view(self._deps, rows, case.tenant_id, case.session_id)
        return Alert.model_validate_json(payload).model_copy(
            update={
                "case": case.key,
                "step": step,
                "view": view,
                "approval": standing.approval,
                "events": tuple(events),
                "digest": _counted(rows, case) if case.kind == "digest" else None,
            }
        )

    # -- storms ----------------------------------------------------------------------------------------------

    def _fold(self, rows: ControlRows, case: StoredCase, now: datetime) -> None:
        """Have the tenant's digest list this case and all that wait like it."""
        channel = self._rules.channel_for(case)
        key = self._digest_key(rows, case.tenant_id, channel, now)
        digest = rows.cases.open(
            key,
            kind="digest",
            tenant_id=case.tenant_id,
            session_id=case.tenant_id,
            now=now,
            rank=case.rank,
            channel=channel,
        )
        lines: list[CaseEvent] = []
        for other in rows.cases.unplaced(case.tenant_id, case.rank, now, _AT_ONCE):
            standing = self._standing(rows, other, now)
            move = next_move(standing.case, self._rules, crowd=self._rules.storm + 1, now=now)
            payload = rows.cases.alert_payload(other.alert_id)
            if not isinstance(move, Fold) or self._rules.channel_for(other) != channel or payload is None:
                continue
            lines.append(_line(AlertPayload.model_validate_json(payload), other, standing.case.state))
            folded = {"folded_into": key, "shown": standing.case.digest, "status": "idle", "told": other.events}
            rows.cases.change(other.key, **folded)
        rows.cases.happened(digest, lines)
        newest = max(digest.alert_id, case.alert_id)
        rows.cases.change(key, rank=max(digest.rank, case.rank), alert_id=newest)

    def _digest_key(self, rows: ControlRows, tenant_id: str, channel: str, now: datetime) -> str:
        """The tenant's open digest in this channel, or a new one's name: a storm that goes on stays in one."""
        newest = rows.cases.newest_digest(tenant_id, channel, now - 6 * self._rules.storm_window)
        if newest is not None:
            return newest.key
        name = f"{tenant_id}\x1f{channel}\x1f{now.isoformat()}"
        return "digest_" + hashlib.sha256(name.encode()).hexdigest()[:40]


def _counted(rows: ControlRows, case: StoredCase) -> CaseDigest:
    counted = rows.cases.folded(case.key)
    return CaseDigest(
        tenant_id=case.tenant_id,
        since=case.opened_at,
        total=sum(counted.values()),
        severities={name: counted[n] for n, name in reversed(list(enumerate(SEVERITIES))) if n in counted},
    )


def _line(payload: AlertPayload, case: StoredCase, state: str) -> CaseEvent:
    """One case in a digest."""
    finding = payload.finding
    agent = "an unnamed agent" if finding.subject is None else finding.subject.agent_id or "an unnamed agent"
    tool = "" if finding.act is None else f" at {finding.act.tool[:60]}"
    what = f"{SEVERITIES[case.rank]} · {state or payload.outcome.effect.value} · {agent[:60]}{tool}"
    return CaseEvent(at=finding.time, by=case.session_id, what=what, finding_id=finding.id)


def _sending(rows: ControlRows, key: str) -> StoredCase:
    case = rows.cases.get(key)
    if case is None or case.status != "sending":
        raise KeyError(f"case {key} is not being sent")
    return case


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
