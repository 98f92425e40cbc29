"""What sessions are tied to by name: a tenant, and the task, agent or delegator that their envelopes and findings
give. There is no table of those: a name is known by the sessions that have it."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    Table,
    Text,
    and_,
    cast,
    exists,
    func,
    literal,
    or_,
    select,
    union,
)

from guardian.store.columns import in_key
from guardian.store.control.scope import NoIndex
from guardian.store.control.sessions import REVOKED
from guardian.store.control.tables import envelope, mode, session


def _walked(table: Table) -> Select[Any]:
    """The tenants of a table: each look-up skips all rows of one."""
    walk = select(cast(literal(""), Text).label("name")).cte(f"walk_{table.name}", recursive=True)
    following = select(func.min(table.c.tenant_id)).where(table.c.tenant_id > walk.c.name)
    walk = walk.union_all(select(cast(following.scalar_subquery(), Text)).where(walk.c.name.is_not(None)))
    return select(walk.c.name).where(walk.c.name != "")


_TENANTS = union(*map(_walked, (session, envelope, mode)))


@dataclass(frozen=True, slots=True)
class SessionNames:
    connection: Connection

    def perhaps_protected(self, tenant_id: str, field: str, name: str, agents: Collection[str]) -> set[str]:
        """Sessions that a finding or a version of their envelope tied to `name` in `field`, and that were
        protected one by one or acted as one of these agents. The caller asks whether that still holds."""
        own = and_(envelope.c.tenant_id == session.c.tenant_id, envelope.c.session_id == session.c.session_id)
        met = select(session.c.session_id).where(
            session.c.tenant_id == tenant_id,
            or_(session.c.protected, session.c.agent_id.in_(agents)),
            or_(session.c[field] == name, exists().where(own, envelope.c[field] == name)),
        )
        mine = envelope.c.tenant_id == tenant_id, envelope.c[field] == name, envelope.c.agent_id.in_(agents)
        return set(self.connection.execute(union(met, select(envelope.c.session_id).where(*mine))).scalars())

    def registered_under(self, tenant_id: str, field: str, name: str) -> list[str]:
        """Sessions of which a version of their envelope has `name` in `field`; the caller asks whether the newest
        does."""
        mine = envelope.c.tenant_id == tenant_id, envelope.c[field] == name
        wanted = select(envelope.c.session_id).where(*mine)  # sorted there, SQLite would walk along all of them
        return sorted(set(self.connection.execute(wanted).scalars()))

    def last_seq(self) -> int:
        """The highest `seq`; 0 where there is no session."""
        return int(self.connection.execute(select(func.max(session.c.seq))).scalar_one() or 0)

    def accused_under(self, tenant_id: str, field: str, name: str, after: int, upto: int) -> list[tuple[int, str]]:
        """Of the sessions whose `seq` is above `after`, at most `upto`, those that are flagged, not revoked
        themselves, and that a finding or a version of their envelope tied to `name` in `field`: seq and id."""
        among = NoIndex(session.c.tenant_id) == tenant_id, session.c.seq > after, session.c.seq <= upto
        own = envelope.c.tenant_id == session.c.tenant_id, envelope.c.session_id == session.c.session_id
        tied = or_(
            session.c[f"{field}_key"] == name, exists().where(*own, NoIndex(envelope.c[field]) == in_key(name))
        )
        wanted = select(session.c.seq, session.c.session_id).where(*among, session.c.flagged, tied)
        rows = self.connection.execute(wanted.where(~exists().where(REVOKED)).order_by(session.c.seq))
        return [(row.seq, row.session_id) for row in rows]

    def delegated(self, tenant_id: str, field: str, name: str, delegator_id: str) -> bool:
        """Whether a version of some session's envelope has `name` in `field` and this delegator."""
        mine = envelope.c.tenant_id == tenant_id, envelope.c[field] == name
        wanted = select(envelope.c.version).where(*mine, envelope.c.delegator_id == delegator_id).limit(1)
        return self.connection.execute(wanted).first() is not None

    def has_name(self, tenant_id: str, field: str, name: str) -> bool:
        """Whether a version of some session's envelope, or a finding on one, has `name` in `field`."""
        registered = (envelope.c.tenant_id == tenant_id) & (envelope.c[field] == name)
        tenant = NoIndex(session.c.tenant_id)  # its index would lead through all that the tenant has
        return self._any(registered, (tenant == tenant_id) & (session.c[f"{field}_key"] == name))

    def has_tenant(self, tenant_id: str) -> bool:
        """Whether it has a session or a registered envelope."""
        return self._any(*(table.c.tenant_id == tenant_id for table in (envelope, session)))

    def _any(self, *where: ColumnElement[bool]) -> bool:
        return bool(self.connection.execute(select(or_(*(exists().where(each) for each in where)))).scalar_one())

    def tenants(self) -> set[str]:
        """Tenants that have a session, a registered envelope or a mode of their own."""
        return set(self.connection.execute(_TENANTS).scalars())
