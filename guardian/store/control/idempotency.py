"""Answers that are kept for requests that come again."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, delete, insert, select

from guardian.store.control.tables import idempotency


class KeptAnswer(NamedTuple):
    request_digest: str
    answer: str


@dataclass(frozen=True, slots=True)
class IdempotencyRows:
    connection: Connection

    def get(self, principal_id: str, key: str) -> KeptAnswer | None:
        wanted = select(idempotency).where(idempotency.c.principal_id == principal_id, idempotency.c.key == key)
        row: Any = self.connection.execute(wanted).one_or_none()
        return None if row is None else KeptAnswer(row.request_digest, row.answer)

    def put(self, principal_id: str, key: str, request_digest: str, answer: str, now: datetime) -> None:
        values = {"principal_id": principal_id, "key": key, "request_digest": request_digest}
        self.connection.execute(insert(idempotency).values(**values, answer=answer, at=now))

    def forget(self, before: datetime) -> None:
        """Drop answers that nobody will ask for again."""
        self.connection.execute(delete(idempotency).where(idempotency.c.at < before))
