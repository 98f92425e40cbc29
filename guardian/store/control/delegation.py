"""Who delegated to whom, as far as registered envelopes say: control's own record, never the monitor's word."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from sqlalchemy import Connection, delete, insert, select

from guardian.domain.event import Envelope
from guardian.store.control.tables import delegation, descent

_AT_ONCE = 500  # parents that one query asks for


class Descent(NamedTuple):
    """A walk that has not come to its end: so many of those below the session are `done`."""

    tenant_id: str
    session_id: str
    done: int


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
            for child in self._children(tenant_id, level):
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

    def unfinished(self, limit: int) -> list[Descent]:
        """Walks to go on with; the one that has come least far first, so that they take turns."""
        wanted = select(descent).order_by(descent.c.done, descent.c.tenant_id, descent.c.session_id).limit(limit)
        return [Descent(*row) for row in self.connection.execute(wanted)]

    def walk(self, tenant_id: str, session_id: str) -> Descent | None:
        wanted = select(descent).where(descent.c.tenant_id == tenant_id, descent.c.session_id == session_id)
        row = self.connection.execute(wanted).one_or_none()
        return None if row is None else Descent(*row)

    def pause(self, at: Descent) -> None:
        """Go on from here later."""
        self.finish(at.tenant_id, at.session_id)
        self.connection.execute(insert(descent).values(**at._asdict()))

    def finish(self, tenant_id: str, session_id: str) -> None:
        self.connection.execute(
            delete(descent).where(descent.c.tenant_id == tenant_id, descent.c.session_id == session_id)
        )

    def _children(self, tenant_id: str, parents: Sequence[str]) -> list[str]:
        """Of each parent in turn."""
        found = defaultdict[str, list[str]](list)
        for start in range(0, len(parents), _AT_ONCE):
            wanted = select(delegation.c.parent_session_id, delegation.c.session_id).where(
                delegation.c.tenant_id == tenant_id,
                delegation.c.parent_session_id.in_(parents[start : start + _AT_ONCE]),
            )
            for parent, child in self.connection.execute(wanted.order_by(delegation.c.session_id)):
                found[parent].append(child)
        return [child for parent in parents for child in found[parent]]

    def _parents(self, tenant_id: str, child: str) -> list[str]:
        wanted = select(delegation.c.parent_session_id).where(
            delegation.c.tenant_id == tenant_id, delegation.c.session_id == child
        )
        return list(self.connection.execute(wanted.order_by(delegation.c.parent_session_id)).scalars())
