"""The way back: what a format writes of a decision, as its gateway would have logged it."""

import json
from collections.abc import Mapping
from typing import Any

from guardian.domain.event import UNTOLD, Envelope


def line(body: Mapping[str, Any]) -> bytes:
    """JSON without a space too much."""
    return json.dumps(body, separators=(",", ":")).encode()


def without_nulls(body: Mapping[str, Any]) -> dict[str, Any]:
    """A gateway leaves out what it has nothing to say of."""
    return {name: value for name, value in body.items() if value is not None}


def delegator_of(envelope: Envelope) -> str | None:
    """On whose behalf, where the log named somebody."""
    return envelope.delegator_id if envelope.delegator_id != UNTOLD else None
