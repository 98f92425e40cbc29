"""Who delegated to whom, as far as registered envelopes say: control's own record, never the monitor's word."""

from dataclasses import dataclass

from sqlalchemy import Connection, insert, select

from guardian.domain.event import Envelope
from guardian.store.control_tables import delegation


@dataclass(frozen=True, slots=True)
class DelegationRows:
    """Lines from parent to child within one tenant. A cycle in what was registered ends every walk."""

    connection: Connection

    def note(self, told: Envelope) -> None:
        """Remember the line that this envelope names, if it names one."""
        parent = told.parent_session_id
        if parent is None or parent in self._parents(told.tenant_id, told.session_id):
            return
        line = {"tenant_id": told.tenant_id, "parent_session_id": parent, "session_id": told.session_id}
        self.connection.execute(insert(delegation).values(**line))

    def descendants(self, tenant_id: str, session_id: str, most: int) -> list[str]:
        """Sessions below this one, the nearest first; at most `most`."""
        found: dict[str, None] = {}
        level = [session_id]
        while level and len(found) < most:
            below: list[str] = []
            for parent in level:
                for child in self._children(tenant_id, parent):
                    if child not in found and child != session_id:
                        found[child] = None
                        below.append(child)
            level = below
        return list(found)[:most]

    def ancestors(self, tenant_id: str, session_id: str, most: int = 64) -> list[str]:
        """Sessions above this one, the nearest first."""
        found: dict[str, None] = {}
        level = [session_id]
        while level and len(found) < most:
            level = [
                parent
                for child in level
                for parent in self._parents(tenant_id, child)
                if parent not in found and parent != session_id
            ]
            found.update(dict.fromkeys(level))
        return list(found)[:most]

    def _children(self, tenant_id: str, parent: str) -> list[str]:
        wanted = select(delegation.c.session_id).where(
            delegation.c.tenant_id == tenant_id, delegation.c.parent_session_id == parent
        )
        return list(self.connection.execute(wanted.order_by(delegation.c.session_id)).scalars())

    def _parents(self, tenant_id: str, child: str) -> list[str]:
        wanted = select(delegation.c.parent_session_id).where(
            delegation.c.tenant_id == tenant_id, delegation.c.session_id == child
        )
        return list(self.connection.execute(wanted.order_by(delegation.c.parent_session_id)).scalars())
