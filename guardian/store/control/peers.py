"""Gateways and monitors as they were last heard of, and the self-tests that watch them."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime, timedelta
from typing import Any, Literal

from sqlalchemy import Connection, Row, delete, func, insert, literal_column, or_, select, update

from guardian.domain.revocation import Revision
from guardian.store.control.scope import Scope, within
from guardian.store.control.tables import peer, self_test
from guardian.store.inserts import upsert

PeerRole = Literal["gateway", "monitor"]
STOPPED = "stopped"
"""The transport of a monitor that said good-bye while no other one was there."""
UNREAD = "unread"
"""The transport of a monitor that has read nothing yet: how far behind it is nobody knows."""
STOPPED_UNREAD = "stopped_unread"
"""The transport of a monitor that said good-bye before it had read anything."""
_SKEW = timedelta(seconds=10)  # by which clocks of control's processes may differ
TestKind = Literal["canary", "planted_breach", "planted_drift"]


@dataclass(frozen=True, slots=True)
class Peer:
    """One instance of a gateway or monitor.

    `revision` is what a gateway enforces; `lag_s` how far behind the topic a monitor was when it last reported.
    `tenants` None is every tenant.
    """

    role: PeerRole
    principal_id: str
    instance: str
    tenants: frozenset[str] | None
    revision: Revision
    transport: str
    first_seen: datetime
    last_seen: datetime
    lag_s: int = 0

    @property
    def key(self) -> tuple[PeerRole, str, str]:
        return self.role, self.principal_id, self.instance

    @property
    def stopped(self) -> bool:
        return self.transport in (STOPPED, STOPPED_UNREAD)

    @property
    def unread(self) -> bool:
        return self.transport in (UNREAD, STOPPED_UNREAD)

    def reaches(self, tenant_id: str | None) -> bool:
        """Whether it serves this tenant; None asks for all of them, also those to come."""
        return self.tenants is None or tenant_id in self.tenants


@dataclass(frozen=True, slots=True)
class PeerRows:
    connection: Connection

    def put(self, heard: Sequence[Peer], now: datetime) -> None:
        """Note what was heard last, unless another process heard it later; when a peer was heard first stays.

        What was noted of a time that is still to come goes: the clock was fast, and it would stand until then.
        """
        seen = peer.c.last_seen
        over = (seen <= literal_column("excluded.last_seen")) | (seen > now + _SKEW)
        upsert(self.connection, peer, [_peer_values(each) for each in heard], over=over, keep=("first_seen",))

    def all(self, role: PeerRole) -> list[Peer]:
        """By principal and instance."""
        wanted = select(peer).where(peer.c.role == role).order_by(peer.c.principal_id, peer.c.instance)
        return [_peer(row) for row in self.connection.execute(wanted)]

    def heard_last(self, until: datetime) -> datetime | None:
        """When any of them was heard of last, but not after `until`: what a fast clock noted stands until they are
        heard again."""
        wanted = select(func.max(peer.c.last_seen)).where(peer.c.last_seen <= until)
        heard: datetime | None = self.connection.execute(wanted).scalar_one()
        return heard

    def forget(self, gone: Iterable[Peer]) -> None:
        for each in gone:
            self.connection.execute(
                delete(peer).where(
                    peer.c.role == each.role,
                    peer.c.principal_id == each.principal_id,
                    peer.c.instance == each.instance,
                )
            )


@dataclass(frozen=True, slots=True)
class SelfTest:
    """One test of the switch. `result` is open, passed or failed; `missing` says what had not happened in time.

    `place` is the partition for a planted decision. `decided` is what policy made of the finding.
    """

    id: str
    kind: TestKind
    tenant_id: str
    session_id: str
    place: str
    started_at: datetime
    deadline_at: datetime
    found_at: datetime | None = None
    decided: str | None = None
    revision: Revision | None = None
    refused_at: datetime | None = None
    result: Literal["open", "passed", "failed"] = "open"
    missing: str = ""


@dataclass(frozen=True, slots=True)
class SelfTestRows:
    connection: Connection

    def add(self, test: SelfTest) -> None:
        self.connection.execute(insert(self_test).values(**_values(test)))

    def put(self, test: SelfTest) -> None:
        fresh = {name: value for name, value in _values(test).items() if name != "id"}
        self.connection.execute(update(self_test).where(self_test.c.id == test.id).values(**fresh))

    def open(self) -> list[SelfTest]:
        wanted = select(self_test).where(self_test.c.result == "open").order_by(self_test.c.started_at)
        return [_test(row) for row in self.connection.execute(wanted)]

    def of_session(self, tenant_id: str, session_id: str) -> SelfTest | None:
        """The planted test that this session is, if it is one."""
        wanted = select(self_test).where(
            self_test.c.tenant_id == tenant_id, self_test.c.session_id == session_id, self_test.c.kind != "canary"
        )
        row = self.connection.execute(wanted.limit(1)).one_or_none()
        return None if row is None else _test(row)

    def recent(self, scope: Scope, limit: int) -> list[SelfTest]:
        """The latest first."""
        wanted = select(self_test).where(within(self_test.c.tenant_id, scope))
        rows = self.connection.execute(wanted.order_by(self_test.c.started_at.desc()).limit(limit))
        return [_test(row) for row in rows]

    def latest_start(self, kinds: tuple[TestKind, ...], *, until: datetime) -> datetime | None:
        """What began later has its time from a clock that was ahead."""
        wanted = select(self_test.c.started_at).where(self_test.c.kind.in_(kinds), self_test.c.started_at <= until)
        newest = self.connection.execute(wanted.order_by(self_test.c.started_at.desc()).limit(1))
        return newest.scalar_one_or_none()

    def forget(self, *, before: datetime, after: datetime) -> None:
        """Forget the tests that ended long ago, or began by a clock that was ahead; their sessions are ordinary
        ones from then on."""
        ended, at = self_test.c.result != "open", self_test.c.started_at
        self.connection.execute(delete(self_test).where(or_(at < before, at > after), ended))


def heard_again(known: Peer | None, now: Peer) -> Peer:
    """The same peer with the time it was first seen; in one epoch and reach a revision never runs backwards."""
    if known is None:
        return now
    same = known.revision.epoch == now.revision.epoch and known.tenants == now.tenants
    behind = same and known.revision.n > now.revision.n
    return replace(now, first_seen=known.first_seen, revision=known.revision if behind else now.revision)


def _values(told: Peer | SelfTest) -> dict[str, Any]:
    """Its columns: its fields by name, its revision as two."""
    values = {each.name: getattr(told, each.name) for each in fields(told)}
    at = values.pop("revision")
    return values | {"epoch": at and at.epoch, "n": at and at.n}


def _fields(row: Row[Any]) -> dict[str, Any]:
    told = row._asdict()
    epoch, n = told.pop("epoch"), told.pop("n")
    return told | {"revision": None if epoch is None else Revision(epoch=epoch, n=n)}


def _peer_values(heard: Peer) -> dict[str, Any]:
    return _values(heard) | {"tenants": json.dumps(None if heard.tenants is None else sorted(heard.tenants))}


def _peer(row: Row[Any]) -> Peer:
    tenants = json.loads(row.tenants)
    return Peer(**_fields(row) | {"tenants": None if tenants is None else frozenset(tenants)})


def _test(row: Row[Any]) -> SelfTest:
    return SelfTest(**_fields(row))
