"""Exceptions on the wire: "this is fine", scoped, owned and expiring."""

from typing import Annotated

from pydantic import AwareDatetime, Field, StringConstraints

from guardian.domain.identity import Identifier
from guardian.wire.base import Ask, Body, Page, Why

ToolPattern = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.:/-]{3,200}\*?$")]
"""A tool's name, or at least three of its first characters and a star: `crm.*`, never `*`."""


class ExceptionView(Body):
    """Until `expires_at`, findings of this tenant, purpose and tool accuse nobody.

    It covers what statistics would flag in a session without other flags; never a hard breach, and never evidence
    that is strong enough to revoke on. `uses` counts the findings that it covered.
    """

    id: Identifier
    tenant_id: Identifier
    purpose: str
    tool: str
    owner: str
    reason: str
    finding_id: Identifier | None = None
    created_at: AwareDatetime
    expires_at: AwareDatetime
    ended_at: AwareDatetime | None = None
    ended_by: str | None = None
    uses: int = 0


class ExceptionRequest(Ask):
    """An exception is made from a finding and takes its tenant and purpose; `tool` defaults to its action's
    tool."""

    finding_id: Identifier
    tool: ToolPattern | None = None
    days: Annotated[int, Field(ge=1, le=365)] = 14
    reason: Why


class ExceptionEnd(Ask):
    reason: Why


class ListedException(ExceptionView):
    """`owner_withdrawn`: a token of its owner was withdrawn after it was made. It holds all the same; somebody
    should decide whether it was the owner's wish.
    """

    owner_withdrawn: bool = False


class ExceptionPage(Page[ListedException]):
    """Newest first."""
