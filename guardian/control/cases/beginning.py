"""A channel is new to a deployment: what it shows of everything that happened before.

It shows what is recent and still open, and counts the rest in one line. Where it begins is noted at once, before
anybody can be told of anything; what was before is taken in a part at a time, each a transaction of its own, so
that nobody who writes waits for all of it. A process that dies meanwhile goes on from there.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from pydantic import ValidationError

from guardian.alerting.rules import OPEN_STATES, rank
from guardian.control.cases.case import case_key
from guardian.control.cases.feeds import heard_alert, heard_audit, read_alert
from guardian.control.cases.view import case_view
from guardian.control.deps import ControlDeps
from guardian.control.people.approvals import topic_of
from guardian.control.telling.news import case_of_news, tell
from guardian.domain.finding import OPERATORS, Finding, Kind
from guardian.domain.identity import SessionKey
from guardian.store.control.audit import stored_json
from guardian.store.control.feeds import BEGINNING, Followed
from guardian.store.control.rows import ControlRows

_AT_ONCE = 50
_RECENT = timedelta(days=1)
_SEVERE = rank("high")
_TOPIC = "cases"
LINE = case_of_news(OPERATORS, _TOPIC)
"""The case of the line that counts the rest. It is shown whatever severity the channel asks of others."""
_ACTS = 50  # of those on a case, the newest that are looked at


def begin(deps: ControlDeps) -> None:
    """Note where the feeds begin: alerts a day ago, all else now.

    Nothing where cases were followed before: a channel that was away, or was started again, gets everything.
    """
    with deps.store.write() as rows:
        if rows.feeds.begin(deps.clock() - _RECENT):
            head = rows.head()
            rows.feeds.follow("audit", head.audit_seq)
            rows.feeds.follow("changes", head.change_seq)


def go_on(deps: ControlDeps, now: datetime) -> bool:
    """Take in the next part of what was before. Returns whether there may be more."""
    with deps.store.read() as rows:
        if rows.feeds.beginning() is None:
            return False
    with deps.store.write() as rows:
        last = rows.feeds.beginning()
        if last is None:  # another process was first
            return False
        lines = [line for line in rows.feeds.news("alerts", _AT_ONCE) if line.seq <= last]
        _take_in(deps, rows, lines, last, now)
        if len(lines) == _AT_ONCE:
            return True
        if _take_in_asked(rows, last, now):
            return True
        since = rows.feeds.news("alerts", _AT_ONCE)
        if len(since) < _AT_ONCE:  # else they are followed as ever, and what is older is counted the next time
            for line in since:
                heard_alert(rows, line, now)
                rows.feeds.follow("alerts", line.seq)
            _count_older(deps, rows, now)
            rows.feeds.begun()
    return False


def _take_in(deps: ControlDeps, rows: ControlRows, lines: Sequence[Followed], last: int, now: datetime) -> None:
    opened: dict[str, bool] = {}
    for line in lines:
        told = read_alert(line.payload)
        if told is not None and told.finding.kind is Kind.CONTROL:
            opened[line.key] = _is_worth_it(rows, line.key, told.finding)
        elif told is not None and line.key not in opened:
            opened[line.key] = _is_open(deps, rows, told.finding)
        if opened.get(line.key, True):  # where it is taken in it is said that one cannot be read
            _heard(rows, line, last, now)
    if lines:
        rows.feeds.follow("alerts", lines[-1].seq)


def _take_in_asked(rows: ControlRows, last: int, now: datetime) -> bool:
    """What waits for a second person, however old it is. Returns whether there may be more."""
    asked = rows.approvals.page(
        None, limit=_AT_ONCE, before=rows.feeds.position(BEGINNING) or None, state="pending"
    )
    for view in (each.view for each in asked if each.view.expires_at > now):
        session = None if view.session_id is None else case_key(SessionKey(view.tenant_id, view.session_id))
        newest = None if session is None else rows.feeds.newest_alert(session, last)
        newest = newest or rows.feeds.newest_alert(case_of_news(view.tenant_id, topic_of(view.id)), last)
        if newest is not None and not _is_shown(rows, newest.key):
            _heard(rows, newest, last, now)
    if asked:
        rows.feeds.follow(BEGINNING, asked[-1].seq)
    return len(asked) == _AT_ONCE


def _is_shown(rows: ControlRows, key: str) -> bool:
    case = rows.cases.get(key)
    return case is not None and case.alert_id > 0  # without an alert it is a snooze


def _heard(rows: ControlRows, line: Followed, last: int, now: datetime) -> None:
    """Take in an alert. If it is the newest of its case, take in what people did about the case since, too."""
    heard_alert(rows, line._replace(at=now), now)  # it calls for help as of now
    case, newest = rows.cases.get(line.key), rows.feeds.newest_alert(line.key, last)
    if case is None or newest is None or newest.seq != line.seq or line.at is None:
        return
    followed = rows.feeds.position("audit")  # what is after that comes by the feed
    for entry in reversed(rows.audit.about(case.tenant_id, case.session_id, limit=_ACTS)):
        record = stored_json(entry.record)
        if entry.seq <= followed and datetime.fromisoformat(str(record["at"])) > line.at:
            heard_audit(rows, record, now)


def _is_open(deps: ControlDeps, rows: ControlRows, finding: Finding) -> bool:
    """Whether somebody is expected to do something about the case of this finding, as it stands now."""
    try:
        view = case_view(deps, rows, finding.key)
    except ValidationError:  # nobody knows
        return True
    return view is not None and (view.state in OPEN_STATES or bool(view.approvals))


def _is_worth_it(rows: ControlRows, key: str, finding: Finding) -> bool:
    """Whether news are severe, or continue a case that is shown: a gateway that is back belongs to its silence."""
    return rank(finding.severity) >= _SEVERE or _is_shown(rows, key)


def _count_older(deps: ControlDeps, rows: ControlRows, now: datetime) -> None:
    older = rows.cases.flagged_without()
    if not older:
        return
    console = deps.settings.console
    pages = "" if console is None else f" and at {console.url}"
    tell(
        deps,
        rows,
        topic=_TOPIC,
        tenant_id=OPERATORS,
        title=f"Slack shows cases from now on; {older:,} older ones are still flagged",
        detail=f"they are in guardian sessions --status flagged{pages}; Slack shows them when they go on",
        severity="info",
        once="begin",
        now=now,
    )
