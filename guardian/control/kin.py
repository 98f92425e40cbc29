"""A session's place in the tree of delegation, from control's own record."""

from guardian.store.control import ControlRows
from guardian.wire.lineage import Kin, Lineage

_ABOVE, _BELOW = 16, 50


def lineage(rows: ControlRows, tenant_id: str, session_id: str) -> Lineage:
    above = rows.delegations.ancestors(tenant_id, session_id, _ABOVE)
    below = rows.delegations.descendants(tenant_id, session_id, _BELOW + 1)
    return Lineage(
        ancestors=tuple(_kin(rows, tenant_id, each) for each in above),
        descendants=tuple(_kin(rows, tenant_id, each) for each in below[:_BELOW]),
        more=len(below) > _BELOW,
    )


def _kin(rows: ControlRows, tenant_id: str, session_id: str) -> Kin:
    """The envelope says who it is; whether it was flagged or revoked, the session does."""
    known = rows.sessions.get(tenant_id, session_id)
    told = rows.envelopes.newest(tenant_id, session_id)
    agent = purpose = None
    if told is not None:
        agent, purpose = told.envelope.agent_id, told.envelope.purpose
    if known is not None:
        agent, purpose = agent or known.view.agent_id, purpose or known.view.purpose
    status = "unknown" if known is None else known.view.status
    return Kin(session_id=session_id, status=status, agent_id=agent, purpose=purpose or "")
