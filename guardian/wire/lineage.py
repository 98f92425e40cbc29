"""Who delegated to whom, on the wire."""

from typing import Literal

from guardian.domain.identity import Identifier
from guardian.wire.base import Body


class Kin(Body):
    """A session above or below another. `unknown`: control knows nothing of it but its envelope."""

    session_id: Identifier
    status: Literal["active", "flagged", "revoked", "unknown"]
    agent_id: str | None = None
    purpose: str = ""


class Lineage(Body):
    """By registered envelopes. `ancestors` and `descendants` have the nearest first; `more`: some were left
    out."""

    ancestors: tuple[Kin, ...]
    descendants: tuple[Kin, ...]
    more: bool = False
