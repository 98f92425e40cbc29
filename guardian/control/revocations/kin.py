"""A session's place in the tree of delegation, from control's own record."""

from datetime import datetime

from guardian.domain.identity import SessionKey
from guardian.domain.revocation import LedgerEntry
from guardian.store.control.rows import ControlRows
from guardian.wire.lineage import Kin, Lineage

_ABOVE, _BELOW = 16, 50


def lineage(rows: ControlRows, session: SessionKey) -> Lineage:
    above = rows.delegations.ancestors(session, _ABOVE)
    below = rows.delegations.descendants(session, _BELOW + 1)
    return Lineage(
        ancestors=tuple(_kin(rows, SessionKey(session.tenant_id, each)) for each in above),
        descendants=tuple(_kin(rows, SessionKey(session.tenant_id, each)) for each in below[:_BELOW]),
        more=len(below) > _BELOW,
    )


def revoked_above(rows: ControlRows, session: SessionKey, now: datetime) -> LedgerEntry | None:
    """The revocation that a session has to follow: of its nearest revoked ancestor, or what that one follows.

    What follows from the session itself (in a circle), or is about to be given back, does not count.
    """
    for name in rows.delegations.ancestors(session):
        live = rows.ledger.live_entry(session.tenant_id, name)
        if live is not None and live.expires_at > now:
            first = _followed(rows, live)
            if session.session_id not in (first.subject_id, first.cause) and not rows.ledger.goes_back(first):
                return first
    return None


def _followed(rows: ControlRows, live: LedgerEntry) -> LedgerEntry:
    """What this entry follows from in the end: itself, where its cause holds no longer."""
    seen: set[str] = set()
    while live.cause is not None and live.cause not in seen:
        upper = rows.ledger.live_entry(live.tenant_id, live.cause)
        if upper is None:
            break
        seen.add(live.cause)
        live = upper
    return live


def _kin(rows: ControlRows, session: SessionKey) -> Kin:
    """The envelope says who it is; whether it was flagged or revoked, the session does."""
    known = rows.sessions.get(session)
    told = rows.envelopes.newest(session)
    agent = purpose = None
    if told is not None:
        agent, purpose = told.envelope.agent_id, told.envelope.purpose
    if known is not None:
        agent, purpose = agent or known.view.agent_id, purpose or known.view.purpose
    status = "unknown" if known is None else known.view.status
    return Kin(session_id=session.session_id, status=status, agent_id=agent, purpose=purpose or "")
