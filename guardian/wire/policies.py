"""What policy would say, on the wire."""

from typing import Any

from pydantic import Field

from guardian.domain.identity import Identifier
from guardian.wire.base import Body


class PolicyExplanation(Body):
    """The answer to "may ROLE do ACTION to this session now, and which policy decides?".

    `facts` is everything that policy was shown; its `evidence_from` is the finding that the evidence comes from,
    if there is one, and `evidence_counts_less` why not all of that counts any more, as after people's word.
    `needs_approval`: it would be permitted if a second person approved. `unheard`: whom or whose the question is
    about is not known here, so it may be a typing error.
    """

    actor: str
    role: str
    action: str
    tenant_id: Identifier
    session_id: Identifier | None = None
    unheard: bool = False
    allowed: bool
    needs_approval: bool = False
    policy_ids: tuple[str, ...] = ()
    reasons: dict[str, str] = Field(default_factory=dict)
    errors: tuple[str, ...] = ()
    policy_version: str
    facts: dict[str, Any]
