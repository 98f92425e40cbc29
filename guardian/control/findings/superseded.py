"""Findings that rest on what people, or time, have changed since: their monitor had not heard of it yet."""

from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime

from pydantic import ValidationError

from guardian.control.revocations.following import given_back
from guardian.control.revocations.kin import revoked_above
from guardian.domain.breach import OF
from guardian.domain.finding import Evidence, Finding, Kind, NamedBreach
from guardian.domain.identity import SessionKey
from guardian.domain.revocation import LedgerEntry
from guardian.domain.session import rules_told
from guardian.store.control.rows import ControlRows
from guardian.store.control.sessions import StoredSession
from guardian.wire.findings import FindingView

NOTHING = "-"
"""In place of the rules that people know of, where there is none."""
_EARLIER = 200
"""So many findings of a session are looked at for what they named."""
_NAMED = 256
"""So much of what broke rules is told, the newest; a monitor remembers less."""


def superseded(rows: ControlRows, finding: Finding, session: StoredSession | None) -> str:
    """Why the finding no longer holds. Empty if it holds, or tells what people could not have known."""
    if session is not None and _is_from_before(finding, session):
        counts, _ = weighed(rows, finding, session)
        if not any(breach.hard for breach in counts.breaches):
            return "people decided about this session after this finding; their word holds"
    if finding.ignores_revocation:
        entries = rows.ledger.of_session(finding.key)
        before = [each for each in entries if each.at <= finding.time]
        if before and _is_over(before[-1], finding.time):
            return "the session was not revoked any more"
    return ""


def came_too_late(finding: Finding, session: StoredSession | None) -> bool:
    """Whether people spoke after the act. They are told what they had not been told of, and nothing is done
    against their word.
    """
    if session is None or session.restarted_at is None:
        return False
    return _is_from_before(finding, session) and finding.time <= session.restarted_at


def weighed(rows: ControlRows, finding: Finding, session: StoredSession | None = None) -> tuple[Finding, str]:
    """The finding as policy weighs it, and why that is less than it says; empty if it is not. That the session's
    parent is revoked counts only while it is, and until people give the session itself back. Of a finding whose
    monitor had not heard people's latest word about this `session` counts what they had not been told of."""
    if session is not None and _is_from_before(finding, session):
        counts, _ = weighed(rows, _news(rows, finding, session))
        return counts, "what people knew of when they spoke does not count"
    parent = None if finding.subject is None else finding.subject.parent_session_id
    alone = without_its_parent(finding)
    entries = () if parent is None else rows.ledger.of_session(SessionKey(finding.tenant_id, parent))
    if alone is finding or not entries:
        return finding, ""
    if _is_over(entries[-1], finding.time):
        return alone, "its parent is not revoked any more"
    if given_back(rows, entries[-1], finding.session_id):
        return alone, "people gave it back after its parent was revoked"
    return finding, ""


def without_its_parent(finding: Finding) -> Finding:
    """The finding without the breach that its session's parent is revoked; itself if it has none."""
    others = tuple(breach for breach in finding.breaches if breach.name != "parent_revoked")
    return finding if others == finding.breaches else finding.model_copy(update={"breaches": others})


def _is_from_before(finding: Finding, session: StoredSession) -> bool:
    """Whether its monitor had not heard people's latest word."""
    return finding.kind is Kind.DRIFT and finding.epoch < session.restarts


def known_to_people(rows: ControlRows, session: SessionKey, now: datetime) -> str:
    """For the feed: the rules that people, who give the session back now, know it to break. Below a revoked
    session it goes on breaking `parent_revoked`. Empty if an earlier finding cannot be read."""
    try:
        known = _rules_told(rows, session, now)
    except ValidationError:
        return ""
    below = {"parent_revoked"} if revoked_above(rows, session, now) else set()
    return rules_told(known | below) or NOTHING


def waved_through(finding: Finding) -> str:
    """For the feed: the rules that are broken in a finding that people dismiss. Of what else the session is
    accused they say nothing."""
    return rules_told(_named(finding)) or NOTHING


def upheld(found: FindingView, session: StoredSession | None) -> str:
    """For the feed: the rules that are broken in a finding that people confirm. What they knew of when they gave
    the session back stays pardoned."""
    cleared = None if session is None else session.cleared_at
    return waved_through(found.finding) if cleared is None or found.outcome.at > cleared else NOTHING


def taken_back(rows: ControlRows, finding: Finding, session: StoredSession | None) -> str:
    """For the feed: the rules that are broken in a finding whose dismissal people have taken back. What they have
    waved through besides stays pardoned."""
    waved = frozenset[str]()
    with suppress(ValidationError):  # another version wrote one: the next act accuses again
        waved = _rules_told(rows, finding.key, None if session is None else session.cleared_at)
    return rules_told(frozenset(_named(finding)) - waved) or NOTHING


def _news(rows: ControlRows, finding: Finding, session: StoredSession) -> Finding:
    """The finding without its statistics, which start afresh with people's word, and without the rules, and what
    broke them, that they have waved through."""
    news: tuple[NamedBreach, ...] = ()
    with suppress(ValidationError):  # another version wrote one: the next act accuses again, in the new epoch
        known = _rules_told(rows, finding.key, session.cleared_at)
        news = tuple(breach for breach in finding.breaches if not breach.told.waved(known))
    return finding.model_copy(update={"breaches": news, "evidence": Evidence()})


def _rules_told(rows: ControlRows, key: SessionKey, cleared: datetime | None) -> frozenset[str]:
    """Those of findings that people dismissed, or had been told of when they cleared the session. A fact of which
    they knew as a doubt alone is news. Raises ValidationError for a finding that this version cannot read."""
    page = rows.findings.page({key.tenant_id}, limit=_EARLIER, session_id=key.session_id, kind=Kind.DRIFT.value)
    told = [each.view for each in page]
    over = [each for each in told if each.dismissed or (cleared is not None and each.outcome.at <= cleared)]
    named = [entry for each in over for entry in _named(each.finding)]
    standing = (entry for entry in named if OF not in entry)
    return frozenset((*list(dict.fromkeys(named))[:_NAMED], *standing))


def _named(finding: Finding) -> Iterator[str]:
    """What broke rules in it, by `Breach.remembered`."""
    return (entry for breach in finding.breaches for entry in breach.told.remembered)


def _is_over(entry: LedgerEntry, at: datetime) -> bool:
    """Whether this entry leaves nothing revoked at that time. At its expiry a revocation ends for every gateway;
    its lapse is written down some seconds later.
    """
    return entry.status == "reinstated" or entry.expires_at <= at
