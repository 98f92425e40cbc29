"""Who delegated to whom, as far as registered envelopes say: control's own record, never the monitor's word."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from sqlalchemy import ColumnElement, Connection, delete, insert, select

from guardian.domain.envelope import Envelope
from guardian.domain.identity import SessionKey
from guardian.store.control.tables import delegation, descent

_AT_ONCE = 500  # parents that one query asks for


class Descent(NamedTuple):
    """A walk that has not come to its end: so many of those below the session are `done`."""

    tenant_id: str
    session_id: str
    done: int

    @property
    def key(self) -> SessionKey:
        return SessionKey(self.tenant_id, self.session_id)


@dataclass(frozen=True, slots=True)
class DelegationRows:
    """Lines from parent to child within one tenant. A cycle in what was registered ends every walk."""

    connection: Connection

    def note(self, told: Envelope) -> None:
        """Remember the line that this envelope names, if it names one."""
        parent = told.parent_session_id
        if parent is None or parent in self._parents(told.key):
            return
        line = {"tenant_id": told.tenant_id, "parent_session_id": parent, "session_id": told.session_id}
        self.connection.execute(insert(delegation).values(**line))

    def descendants(self, key: SessionKey, most: int) -> list[str]:
        """Sessions below this one, the nearest first; at most `most`."""
        found: dict[str, None] = {}
        level = [key.session_id]
        while level and len(found) < most:
            below: list[str] = []
            for child in self._children(key.tenant_id, level):
                if child not in found and child != key.session_id:
                    found[child] = None
                    below.append(child)
            level = below
        return list(found)[:most]

    def ancestors(self, key: SessionKey, most: int = 64) -> list[str]:
        """Sessions above this one, the nearest first."""
        found: dict[str, None] = {}
        level = [key.session_id]
        while level and len(found) < most:
            level = [
                parent
                for child in level
                for parent in self._parents(SessionKey(key.tenant_id, child))
                if parent not in found and parent != key.session_id
            ]
            found.update(dict.fromkeys(level))
        return list(found)[:most]

    def unfinished(self, limit: int) -> list[Descent]:
        """Walks to go on with; the one that has come least far first, so that they take turns."""
        wanted = select(descent).order_by(descent.c.done, descent.c.tenant_id, descent.c.session_id).limit(limit)
        return [Descent(*row) for row in self.connection.execute(wanted)]

    def walk(self, key: SessionKey) -> Descent | None:
        row = self.connection.execute(select(descent).where(*_from(key))).one_or_none()
        return None if row is None else Descent(*row)

    def pause(self, at: Descent) -> None:
        """Go on from here later."""
        self.finish(at.key)
        self.connection.execute(insert(descent).values(**at._asdict()))

    def finish(self, key: SessionKey) -> None:
        self.connection.execute(delete(descent).where(*_from(key)))

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

    def _parents(self, child: SessionKey) -> list[str]:
        wanted = select(delegation.c.parent_session_id).where(
            delegation.c.tenant_id == child.tenant_id, delegation.c.session_id == child.session_id
        )
        return list(self.connection.execute(wanted.order_by(delegation.c.parent_session_id)).scalars())


def _from(key: SessionKey) -> tuple[ColumnElement[bool], ...]:
    return descent.c.tenant_id == key.tenant_id, descent.c.session_id == key.session_id
