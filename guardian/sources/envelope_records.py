"""`guardian.envelope/v1`: envelopes on a topic of their own, for logs that carry none.

    {"schema": "guardian.envelope/v1", "gateway": "delegation-1", "envelope": {…}, "envelope_jws": "…"}

`gateway` is who says so, and must be entitled to the envelope's tenant; a header `gateway` does as well. An empty
value is a tombstone of a compacted topic and says nothing.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from guardian.domain.event import SCHEMA
from guardian.domain.record import Record
from guardian.errors import DecodeError
from guardian.sources.guardian import GuardianDecisions, event_of, explain, name_of
from guardian.sources.hostile import kind
from guardian.sources.port import Told

ENVELOPE_SCHEMA = "guardian.envelope/v1"
NO_ACT = "-"


@dataclass(frozen=True)
class EnvelopeRecords:
    """A Source like those of logs, so that entitlement, signatures and redaction work the same: each record
    becomes an event in which nothing is done."""

    max_bytes: int = 131_072

    def read(self, record: Record) -> Sequence[Told | DecodeError]:
        """The envelope of one record, or why it cannot be taken."""
        if not record.value:
            return ()
        try:
            return (self._read(record),)
        except DecodeError as error:
            return (error,)

    def _read(self, record: Record) -> Told:
        body = GuardianDecisions(max_bytes=self.max_bytes).parse(record.value)
        if not isinstance(body, dict) or body.get("schema") != ENVELOPE_SCHEMA:
            raise DecodeError(
                "unknown_schema", f"expected schema {ENVELOPE_SCHEMA!r}, got {kind(body)} of another"
            )
        told: Any = body.get("envelope")
        event = {
            "schema": SCHEMA,
            "id": "envelope",
            "time": "2000-01-01T00:00:00Z",
            "gateway": body.get("gateway") or record.header("gateway"),
            "envelope": told,
            "envelope_jws": body.get("envelope_jws"),
            "action": {"tool": NO_ACT},
            "decision": {"effect": "allow"},
        }
        try:
            read = event_of(json.dumps(event), event)
        except ValidationError as error:
            named = told if isinstance(told, dict) else {}
            raise DecodeError(
                "invalid",
                explain(error),
                tenant_id=name_of(named.get("tenant_id")),
                session_id=name_of(named.get("session_id")),
            ) from None
        return Told(read, hashlib.sha256(record.value).hexdigest())
