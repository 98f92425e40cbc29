"""Findings on their way out: stored once, and queued for delivery in the same transaction."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from sqlalchemy import Connection, select

from guardian.domain.finding import Finding
from guardian.store.inserts import insert_new
from guardian.store.monitor_keys import chunks
from guardian.store.monitor_outbox import enqueue
from guardian.store.monitor_tables import findings


def known_findings(connection: Connection, ids: Iterable[str]) -> frozenset[str]:
    """Those of the ids under which a finding is stored."""
    found: set[str] = set()
    for part in chunks(ids):
        found.update(connection.execute(select(findings.c.id).where(findings.c.id.in_(part))).scalars())
    return frozenset(found)


def insert_findings(connection: Connection, found: Sequence[Finding], now: datetime) -> None:
    """A finding that is there already stays as it was."""
    insert_new(
        connection,
        findings,
        [
            {"id": finding.id, "tenant_id": finding.tenant_id, "session_id": finding.session_id}
            | {"kind": finding.kind.value, "body": finding.model_dump_json(), "at": now}
            for finding in found
        ],
    )
    enqueue(connection, "finding", [finding.id for finding in found], now)
