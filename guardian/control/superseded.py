"""A finding stands on what people, or time, have changed since: its monitor had not heard that yet."""

from datetime import datetime

from pydantic import ValidationError

from guardian.domain.finding import Finding, Kind
from guardian.domain.revocation import LedgerEntry
from guardian.store.control import ControlRows
from guardian.store.control_sessions import StoredSession

_EARLIER = 200
"""So many findings of a session are looked at for what they named."""


def superseded(rows: ControlRows, finding: Finding, session: StoredSession | None) -> str:
    """Why it holds no longer; empty where it does."""
    decided = session is not None and finding.epoch < session.restarts
    if decided and finding.kind is Kind.DRIFT and not _breaks_another_rule(rows, finding, session):
        return "people decided about this session after this finding; their word holds"
    if finding.kind is Kind.GATEWAY and not finding.breaches:  # that it let a revoked session act
        entries = rows.ledger.of_session(finding.tenant_id, finding.session_id)
        before = [each for each in entries if each.at <= finding.time]
        if before and _is_over(before[-1], finding.time):
            return "the session was not revoked any more"
    return ""


def without_what_is_over(rows: ControlRows, finding: Finding) -> Finding:
    """The finding as policy weighs it: that its session's parent is revoked counts as long as it is."""
    parent = None if finding.subject is None else finding.subject.parent_session_id
    alone = without_its_parent(finding)
    if parent is None or alone is finding:
        return finding
    entries = rows.ledger.of_session(finding.tenant_id, parent)
    return alone if entries and _is_over(entries[-1], finding.time) else finding


def without_its_parent(finding: Finding) -> Finding:
    """What it says beside that its session's parent is revoked: itself, where it does not say that."""
    others = tuple(breach for breach in finding.breaches if breach.name != "parent_revoked")
    return finding if others == finding.breaches else finding.model_copy(update={"breaches": others})


def _breaks_another_rule(rows: ControlRows, finding: Finding, session: StoredSession | None) -> bool:
    """Whether the act came after people's word and broke a hard rule that they had not been told of."""
    since = None if session is None else session.restarted_at
    if since is None or finding.time <= since:
        return False
    try:
        told = rows.findings.page(
            {finding.tenant_id}, limit=_EARLIER, session_id=finding.session_id, kind=Kind.DRIFT.value
        )
    except ValidationError:  # another version wrote one of them: the next act accuses again, in the new epoch
        return False
    earlier = (each.view.finding for each in told if each.view.outcome.at <= since)
    named = {breach.name for each in earlier for breach in each.breaches}
    return any(breach.hard and breach.name not in named for breach in finding.breaches)


def _is_over(entry: LedgerEntry, at: datetime) -> bool:
    """Whether by this entry nothing is revoked then. At its expiry a revocation ends for every gateway; that it
    lapsed is written down some seconds later."""
    return entry.status == "reinstated" or entry.expires_at <= at
