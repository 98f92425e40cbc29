"""Decisions seen, and purposes per agent identity: loaded by key, in few queries."""

import json
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from datetime import datetime, timedelta

from sqlalchemy import Connection, bindparam, select, update

from guardian.domain.batch import PURPOSES_KEPT, AgentKey, DecisionKey
from guardian.store.columns import in_key
from guardian.store.inserts import Row, insert_new
from guardian.store.monitor.keys import among, asked
from guardian.store.monitor.tables import agents, seen

_DAY = timedelta(days=1)
_DECISION = seen.c.tenant_id, seen.c.gateway, seen.c.decision_id
_SEEN = select(*_DECISION, seen.c.digest).where(among(*_DECISION))
_AGENT = agents.c.tenant_id, agents.c.agent_id
_AGENTS = select(*_AGENT, agents.c.purposes).where(among(*_AGENT))
_STANDING = select(*_AGENT, agents.c.purposes, agents.c.touched_at).where(among(*_AGENT))
_LOCKED = _AGENTS.order_by(*_AGENT).with_for_update()  # in the order in which every other member locks them
_TOUCH = update(agents).where(among(*_AGENT), agents.c.touched_at < bindparam("old"))


def load_seen(connection: Connection, wanted: AbstractSet[DecisionKey]) -> dict[DecisionKey, str]:
    """The digests of those decisions that were judged before."""
    keys = {(key.tenant_id, in_key(key.gateway), in_key(key.decision_id)): key for key in wanted}
    rows = connection.execute(_SEEN, asked(keys)) if keys else ()
    return {keys[tenant, gateway, decision]: digest for tenant, gateway, decision, digest in rows}


def has_seen(connection: Connection, gateway: str) -> bool:
    """Whether any decision of this gateway was judged."""
    theirs = select(seen.c.digest).where(seen.c.gateway == in_key(gateway)).limit(1)
    return connection.execute(theirs).first() is not None


def save_seen(connection: Connection, digests: Mapping[DecisionKey, str], now: datetime) -> None:
    """Remember the decisions; the first digest of a decision stays."""
    rows: list[Row] = [
        {"tenant_id": key[0], "gateway": in_key(key[1]), "decision_id": in_key(key[2])}
        | {"digest": digest, "at": now}
        for key, digest in digests.items()
    ]
    insert_new(connection, seen, rows)


def load_agents(
    connection: Connection, wanted: Iterable[AgentKey], *, lock: bool = False
) -> dict[AgentKey, tuple[str, ...]]:
    """The purposes that each agent identity served, newest last."""
    keys = {(key.tenant_id, in_key(key.agent_id)): key for key in wanted}
    rows = connection.execute(_LOCKED if lock else _AGENTS, asked(keys)) if keys else ()
    return {keys[tenant, agent]: tuple(json.loads(purposes)) for tenant, agent, purposes in rows}


def _touch(connection: Connection, known: Iterable[AgentKey], now: datetime) -> None:
    """They are in use, whether or not anything about them is new; to the day is enough."""
    keys = asked((key.tenant_id, in_key(key.agent_id)) for key in known)
    connection.execute(_TOUCH, keys | {"old": now - _DAY, "touched_at": now})


def _due(
    connection: Connection, wanted: Mapping[AgentKey, tuple[str, ...]], now: datetime
) -> dict[AgentKey, tuple[str, ...]]:
    keys = {(key.tenant_id, in_key(key.agent_id)): key for key in wanted}
    due = dict(wanted)
    for tenant, agent, purposes, touched_at in connection.execute(_STANDING, asked(keys)):
        key = keys[tenant, agent]
        if touched_at >= now - _DAY and {*wanted[key]} <= {*json.loads(purposes)}:
            del due[key]
    return due


def save_agents(connection: Connection, wanted: Mapping[AgentKey, tuple[str, ...]], now: datetime) -> None:
    """Merge rather than overwrite: another partition's member may have seen other purposes meanwhile. What holds
    nothing new, and was touched within a day, is neither written nor locked."""
    wanted = _due(connection, wanted, now) if wanted else {}
    if not wanted:
        return
    current = load_agents(connection, wanted, lock=True)
    new: list[Row] = []
    changed: list[Row] = []
    for key, purposes in wanted.items():
        known, tenant, agent = current.get(key), key.tenant_id, in_key(key.agent_id)
        merged = (tuple(p for p in known or () if p not in purposes) + tuple(purposes))[-PURPOSES_KEPT:]
        if known is None:
            new.append({"tenant_id": tenant, "agent_id": agent, "purposes": json.dumps(merged), "touched_at": now})
        elif merged != known:
            changed.append({"k_tenant": tenant, "k_agent": agent, "v": json.dumps(merged), "at": now})
    insert_new(connection, agents, new)
    _touch(connection, current, now)
    if changed:
        statement = update(agents).where(
            agents.c.tenant_id == bindparam("k_tenant"), agents.c.agent_id == bindparam("k_agent")
        )
        connection.execute(statement.values(purposes=bindparam("v"), touched_at=bindparam("at")), changed)
