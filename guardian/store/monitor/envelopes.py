"""Envelopes that were registered for sessions whose log carries none, as far as the monitor has heard of them."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Literal, NamedTuple

from sqlalchemy import ColumnElement, Connection, Engine, Select, literal_column, select

from guardian.domain.batch import Known
from guardian.domain.envelope import Envelope, Grant
from guardian.domain.identity import SessionKey
from guardian.store.engine import reading
from guardian.store.inserts import Row, upsert
from guardian.store.monitor.keys import among, asked
from guardian.store.monitor.sessions import BARE, NOT_ACTED
from guardian.store.monitor.tables import envelopes, sessions, waiting

Source = Literal["control", "topic"]
_TOLD_AT: ColumnElement[datetime] = literal_column("excluded.at")
_KEY = envelopes.c.tenant_id, envelopes.c.session_id
_ENVELOPES = select(*_KEY, envelopes.c.body, envelopes.c.digest).where(among(*_KEY))
_WAITING = select(waiting.c.tenant_id, waiting.c.session_id).where(
    among(waiting.c.tenant_id, waiting.c.session_id)
)
_BEGUN = select(sessions.c.tenant_id, sessions.c.session_id).where(
    among(sessions.c.tenant_id, sessions.c.session_id), sessions.c.learned.not_in((NOT_ACTED, BARE))
)

_LATE = timedelta(days=1)


class Heard(NamedTuple):
    """An envelope to keep: redacted, with the digest of the untouched one, and who told of it, when (None: now).
    One that people sent `again` is as old as when it came first, and replaces none that was told since."""

    grant: Grant
    source: Source
    told_at: datetime | None = None
    again: bool = False

    def at(self, now: datetime) -> datetime:
        """When it was told, as rows have it: by this time they are forgotten too, so one that is read late still
        counts as young."""
        told_at = min(self.told_at or now, now)
        return told_at if self.again else max(told_at, now - _LATE)

    def replaces(self, other: "Heard", now: datetime) -> bool:
        """Whether it does, where the other was read before it."""
        if "control" in (self.source, other.source):
            return self.source == "control"
        return not self.again or other.at(now) <= self.at(now)


class Registry:
    """What is known of sessions before their records are judged."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def known(self, wanted: Iterable[SessionKey]) -> Known:
        """Registered envelopes, sessions with waiting records, and sessions that acted before; one snapshot."""
        keys = sorted(set(wanted))
        with reading(self._engine) as connection:
            return Known(
                envelopes=load_envelopes(connection, keys),
                waiting=_found(connection, keys, _WAITING),
                begun=_found(connection, keys, _BEGUN),
            )


def save_envelopes(connection: Connection, heard: Sequence[Heard], now: datetime) -> None:
    """Keep the newest of each session. Control's word is final: a topic does not replace it."""
    newest: dict[SessionKey, Heard] = {}
    for each in heard:
        key = each.grant.envelope.key
        if key not in newest or each.replaces(newest[key], now):
            newest[key] = each
    rows: dict[tuple[Source, bool], list[Row]] = defaultdict(list)
    for key, each in newest.items():
        rows[each.source, each.again].append(
            {
                "tenant_id": key.tenant_id,
                "session_id": key.session_id,
                "body": each.grant.envelope.model_dump_json(),
                "digest": each.grant.digest,
                "source": each.source,
                "at": each.at(now),
            }
        )
    of_topic = envelopes.c.source != "control"
    upsert(connection, envelopes, rows["control", False])
    upsert(connection, envelopes, rows["topic", False], over=of_topic)
    upsert(connection, envelopes, rows["topic", True], over=of_topic & (envelopes.c.at <= _TOLD_AT))


def load_envelopes(connection: Connection, keys: Iterable[SessionKey]) -> dict[SessionKey, Grant]:
    wanted = list(keys)
    rows = connection.execute(_ENVELOPES, asked(wanted)) if wanted else ()
    return {
        SessionKey(tenant, session): Grant(Envelope.model_validate_json(body), digest)
        for tenant, session, body, digest in rows
    }


def _found(connection: Connection, keys: Sequence[SessionKey], query: Select[str, str]) -> frozenset[SessionKey]:
    """Those of the keys that the query finds."""
    return frozenset(SessionKey(*row) for row in connection.execute(query, asked(keys))) if keys else frozenset()
