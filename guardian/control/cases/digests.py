"""Storms: many cases of one tenant in one message, each of them listed in its thread."""

import hashlib
from collections import defaultdict
from datetime import datetime

from guardian.alerting.port import Digest
from guardian.alerting.rules import Fold, Rules, next_move
from guardian.control.cases.feeds import read_alert
from guardian.control.cases.standing import Standing, standing
from guardian.control.deps import ControlDeps
from guardian.domain.finding import SEVERITIES, Finding
from guardian.store.control.cases import StoredCase
from guardian.store.control.picture import Picture
from guardian.store.control.rows import ControlRows
from guardian.wire.cases import CaseEvent
from guardian.wire.findings import AlertPayload

_AT_ONCE = 100


def fold(
    deps: ControlDeps,
    rules: Rules,
    rows: ControlRows,
    case: StoredCase,
    now: datetime,
    crowd: int,
    stops: float,
) -> int:
    """Have the tenant's digest list this case and those that wait like it, until `stops` on the stopwatch: it
    takes the others later. What a digest lists already gets another line in that one, however long ago it was
    written. Returns how many lines that makes."""
    channel, new = rules.channel_for(case), ""
    listed = defaultdict[str, list[tuple[StoredCase, CaseEvent]]](list)
    for other in rows.cases.unplaced(case.tenant_id, case.rank, now, _AT_ONCE):
        if listed and deps.stopwatch() > stops:
            break
        key, told = other.folded_into, read_alert(rows.alerts.payload(other.alert_id))
        elsewhere = rules.channel_for(other) != channel or other.shown.left is not None
        if told is None or (key is None and elsewhere):
            continue
        stands = standing(deps, rows, other, now)
        if not isinstance(next_move(stands.case, rules, crowd=crowd, now=now, asks=bool(stands.requests)), Fold):
            continue
        if key is None:
            key = new = new or _digest_key(rules, rows, other, channel, now)  # the first is the most severe
        listed[key].append((other, _line(rows, told, stands)))
        shown = Picture(stands.case.digest)
        rows.cases.change(
            other.key, folded_into=key, shown=shown, status="idle", told=other.events, replied_at=now
        )
    for key, found in listed.items():
        most = max(other.rank for other, _ in found)
        known = {"kind": "digest", "tenant_id": case.tenant_id, "session_id": case.tenant_id, "channel": channel}
        digest = rows.cases.open(key, **known, now=now, rank=most)
        rows.cases.happened(digest, [line for _, line in found])
        newest = max(other.alert_id for other, _ in found)
        rows.cases.change(key, rank=max(digest.rank, most), alert_id=max(digest.alert_id, newest))
    return sum(map(len, listed.values()))


def _digest_key(rules: Rules, rows: ControlRows, case: StoredCase, channel: str, now: datetime) -> str:
    """The tenant's open digest in this channel, or a new one's name: a storm that goes on stays in one, unless its
    message was made for what mentions nobody and this case does."""
    newest = rows.cases.newest_digest(case.tenant_id, channel, now - 6 * rules.storm_window)
    if newest is not None and (newest.rank >= rules.mention_floor or case.rank < rules.mention_floor):
        return newest.key
    name = f"{case.tenant_id}\x1f{channel}\x1f{now.isoformat()}"
    return "digest_" + hashlib.sha256(name.encode()).hexdigest()[:40]


def counted_in(rows: ControlRows, case: StoredCase) -> Digest:
    found = rows.cases.folded(case.key)
    return Digest(
        tenant_id=case.tenant_id,
        since=case.opened_at,
        total=sum(found.values()),
        severities={name: found[n] for n, name in reversed(list(enumerate(SEVERITIES))) if n in found},
    )


def doer(finding: Finding) -> str:
    """Which agent, and at which tool."""
    agent = "an unnamed agent" if finding.subject is None else finding.subject.agent_id or "an unnamed agent"
    return f"{agent[:60]}{'' if finding.act is None else f' at {finding.act.tool[:60]}'}"


def _line(rows: ControlRows, payload: AlertPayload, stands: Standing) -> CaseEvent:
    """One case in a digest. Of one that it lists already, what happened to it last."""
    finding, case = payload.finding, stands.case
    asks = f", {stands.requests[0].id} waits" if stands.requests else ""
    state = f"{case.state or payload.outcome.effect.value}{asks}"
    since = rows.cases.events(case.key, case.events - 1) if case.folded_into and case.events > case.told else ()
    news = "".join(f" · {event.by} {event.what}" for event in since)
    what = f"{SEVERITIES[case.rank]} · {state}{news or f' · {doer(finding)}'}"
    return CaseEvent(at=finding.time, by=case.session_id, what=what, finding_id=finding.id)
