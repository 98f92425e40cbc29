"""What became of what people were told of: each channel but Slack that was told of a finding hears of that, too.

It is read from the audit trail, which has each act in the transaction that did it, and queued behind what the
channel was told of the same finding before: a restart loses nothing, and nothing overtakes. Slack has cases.
"""

import json
from datetime import datetime

from guardian.control.cases.case import alert_name
from guardian.control.telling.became import START, Place, Told, became
from guardian.store.control.feeds import OUTCOMES
from guardian.store.control.rows import ControlRows
from guardian.store.control.store import ControlStore
from guardian.telemetry import logger
from guardian.wire.findings import Became

_log = logger("control")
_AT_ONCE = 500  # records that one transaction reads
_MOST = 200  # alerts that it looks at
_WITHIN = "outcomes_of", "outcomes_session", "outcomes_finding"
"""How far the record is read that is gone on with, noted among the feeds: which one, and the place in it."""


def tell_outcomes(store: ControlStore, now: datetime) -> bool:
    """Queue what became of findings, by what is new in the audit trail. Returns whether there may be more.

    It is read beside the writers, whom a session of many findings would hold up, and so much at a time. What is
    done meanwhile has a record of its own, which comes later.
    """
    with store.read() as rows:
        lines = rows.feeds.news(OUTCOMES, _AT_ONCE) if rows.alerts.channels() else []
        if not lines:
            return False
        before = _position(rows)
        done, place = before[0], Place(*before[2:]) if before[1] == lines[0].seq else START
        told: list[tuple[str, Told]] = []
        looked, reading, reached = 0, lines[0].seq, START
        for line in lines:
            reading = line.seq
            try:
                for at, each in became(rows, json.loads(line.payload), place, now):
                    looked, reached = looked + 1, at
                    if each is not None and rows.alerts.told_of(each.alert_id):
                        told.append((_name(each, line.seq), each))
                    if looked >= _MOST:
                        break
            except (KeyError, TypeError, ValueError) as error:  # another version wrote it, or what it is about
                _log.error("outcome_unreadable", audit=line.seq, error=type(error).__name__)
            if looked >= _MOST:
                break
            done, place, reached = line.seq, START, START
    with store.write() as rows:
        if _position(rows) != before:  # another worker, or another process, was first
            return True
        for name, each in told:
            payload, act = _payload(each), _act_name(each)
            rows.alerts.follow_up(each.alert_id, idempotency_key=name, payload=payload, now=now, act=act)
        rows.feeds.follow(OUTCOMES, done)
        if reached != START:
            for feed, seq in zip(_WITHIN, (reading, *reached), strict=True):
                rows.feeds.follow(feed, seq)
    return looked >= _MOST or len(lines) == _AT_ONCE


def _position(rows: ControlRows) -> tuple[int, ...]:
    """Up to which record all is told, and how far the one is read that is gone on with."""
    return tuple(rows.feeds.position(feed) for feed in (OUTCOMES, *_WITHIN))


def _name(told: Told, seq: int) -> str:
    finding = told.payload.finding
    return alert_name(finding.tenant_id, "became", str(seq), finding.id)


def _act_name(told: Told) -> str:
    """The same of all that somebody did in one go, each by a request of its own, with the same words."""
    act = told.act
    return alert_name(told.payload.finding.tenant_id, "act", str(act.at.date()), act.by, act.what, act.why)


def _payload(told: Told) -> str:
    act = told.act
    verdict = None if told.view is None or told.view.verdict is None else told.view.verdict.verdict
    became = Became(
        at=act.at,
        by=act.by,
        what=act.what,
        why=act.why,
        state=told.state,
        also_revoked=told.also_revoked,
        verdict=verdict,
        over=told.over,
    )
    return told.payload.model_copy(update={"became": became}).model_dump_json()
