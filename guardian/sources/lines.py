"""The way back: what a format writes of a decision, as its gateway would have logged it."""

import json
from collections.abc import Mapping
from typing import Any

from guardian.domain.envelope import UNTOLD, Envelope


def line(body: Mapping[str, Any]) -> bytes:
    """Compact JSON."""
    return json.dumps(body, separators=(",", ":")).encode()


def without_nulls(body: Mapping[str, Any]) -> dict[str, Any]:
    """The body without its null fields, which gateways leave out."""
    return {name: value for name, value in body.items() if value is not None}


def delegator_of(envelope: Envelope) -> str | None:
    """The delegating person; None where the log named nobody."""
    return envelope.delegator_id if envelope.delegator_id != UNTOLD else None
