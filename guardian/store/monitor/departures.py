"""Whether traffic has left a calibration: a fold over finished sessions, kept by the calibration's version."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Engine, select

from guardian.domain.finding import Finding
from guardian.domain.identity import SessionKey
from guardian.domain.session import SessionState
from guardian.store.engine import reading
from guardian.store.inserts import upsert
from guardian.store.monitor.outbox import insert_findings
from guardian.store.monitor.tables import departures


@dataclass(frozen=True, slots=True)
class Ended:
    """A finished session; `word` is the last thing that people said of it."""

    key: SessionKey
    state: SessionState
    word: str | None


@dataclass(frozen=True, slots=True)
class Watched:
    """What a watch makes of finished sessions: its next state, plain JSON-able data, and what is to be told."""

    state: Mapping[str, Any]
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True)
class Watch:
    """`fold` is pure but for the numbers that break its ties: the state so far (None: none yet) and what ended."""

    calibration: str
    fold: Callable[[Mapping[str, Any] | None, Sequence[Ended]], Watched]


def watch_ended(connection: Connection, watch: Watch, ended: Sequence[Ended], now: datetime) -> None:
    """Fold the sessions into the watch's row, in the caller's transaction."""
    if not ended:
        return
    body = _row(connection, watch.calibration, lock=True)
    watched = watch.fold(body, ended)
    row = {"calibration": watch.calibration, "body": json.dumps(dict(watched.state)), "touched_at": now}
    upsert(connection, departures, [row])
    insert_findings(connection, watched.findings, now)


class Departures:
    """For those who want to look."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def state(self, calibration: str) -> Mapping[str, Any] | None:
        """The watch's state for this calibration; None before its first session ended."""
        with reading(self._engine) as connection:
            return _row(connection, calibration)


def _row(connection: Connection, calibration: str, *, lock: bool = False) -> dict[str, Any] | None:
    query = select(departures.c.body).where(departures.c.calibration == calibration)
    body = connection.execute(query.with_for_update() if lock else query).scalar()
    return None if body is None else dict(json.loads(body))
