"""Decisions seen, and purposes per agent identity: loaded by key, in few queries."""

import json
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, bindparam, select, update

from guardian.store.monitor_tables import Row, agents, in_key, insert_new, lots, seen

_DAY = timedelta(days=1)
_AGENTS = select(agents.c.agent_id, agents.c.purposes).where(
    agents.c.tenant_id == bindparam("tenant"), agents.c.agent_id.in_(bindparam("ids", expanding=True))
)


def load_seen(
    connection: Connection, wanted: AbstractSet[tuple[str, str, str]]
) -> dict[tuple[str, str, str], str]:
    """The digests of those decisions that were judged before."""
    found: dict[tuple[str, str, str], str] = {}
    for (tenant, gateway), keys in lots(wanted, in_key):
        query = select(seen.c.decision_id, seen.c.digest).where(
            seen.c.tenant_id == tenant, seen.c.gateway == in_key(gateway), seen.c.decision_id.in_(keys)
        )
        for decision, digest in connection.execute(query):
            found[keys[decision]] = digest
    return found


def save_seen(connection: Connection, digests: Mapping[Any, str], now: datetime) -> None:
    """Remember the decisions; the first digest of a decision stays."""
    rows: list[Row] = [
        {"tenant_id": key[0], "gateway": in_key(key[1]), "decision_id": in_key(key[2])}
        | {"digest": digest, "at": now}
        for key, digest in digests.items()
    ]
    insert_new(connection, seen, rows)


def load_agents(
    connection: Connection, wanted: Iterable[tuple[str, str]], *, lock: bool = False
) -> dict[tuple[str, str], tuple[str, ...]]:
    """The purposes that each agent identity served, newest last."""
    found: dict[tuple[str, str], tuple[str, ...]] = {}
    query = _AGENTS.with_for_update() if lock else _AGENTS
    for (tenant,), keys in lots(sorted(wanted), in_key):
        for agent, purposes in connection.execute(query, {"tenant": tenant, "ids": list(keys)}):
            found[keys[agent]] = tuple(json.loads(purposes))
    return found


def _touch(connection: Connection, known: Iterable[tuple[str, str]], now: datetime) -> None:
    """They are in use, whether or not anything about them is new; to the day is enough."""
    for (tenant,), keys in lots(known, in_key):
        old = (agents.c.tenant_id == tenant) & agents.c.agent_id.in_(keys) & (agents.c.touched_at < now - _DAY)
        connection.execute(update(agents).where(old).values(touched_at=now))


def save_agents(connection: Connection, wanted: Mapping[Any, tuple[str, ...]], limit: int, now: datetime) -> None:
    """Merge rather than overwrite: another partition's member may have seen other purposes meanwhile."""
    if not wanted:
        return
    current = load_agents(connection, wanted, lock=True)
    new: list[Row] = []
    changed: list[Row] = []
    for (tenant, agent), purposes in wanted.items():
        known = current.get((tenant, agent))
        merged = (tuple(p for p in known or () if p not in purposes) + tuple(purposes))[-limit:]
        if known is None:
            new.append(
                {"tenant_id": tenant, "agent_id": in_key(agent), "purposes": json.dumps(merged), "touched_at": now}
            )
        elif merged != known:
            changed.append({"k_tenant": tenant, "k_agent": in_key(agent), "v": json.dumps(merged), "at": now})
    insert_new(connection, agents, new)
    _touch(connection, current, now)
    if changed:
        statement = update(agents).where(
            agents.c.tenant_id == bindparam("k_tenant"), agents.c.agent_id == bindparam("k_agent")
        )
        connection.execute(statement.values(purposes=bindparam("v"), touched_at=bindparam("at")), changed)
