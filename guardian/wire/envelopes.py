"""Registered envelopes on the wire: control's own record of what was delegated."""

from pydantic import AwareDatetime, BaseModel, ConfigDict

from guardian.domain.envelope import Envelope
from guardian.domain.identity import Identifier
from guardian.wire.base import Body, Page


class EnvelopeRegistration(BaseModel):
    """The body of POST /v1/envelopes. The same envelope again changes nothing; another one is a new version."""

    model_config = ConfigDict(frozen=True, extra="forbid")  # no `Closed`: an envelope is strict

    envelope: Envelope


class RegisteredEnvelope(Body):
    """One version. An identical envelope in a decision log has the same `digest`.

    `superseded`: a later version is in force, and registering this one again does not bring it back.
    """

    tenant_id: Identifier
    session_id: Identifier
    version: int
    digest: str
    envelope: Envelope
    registered_by: str
    at: AwareDatetime
    superseded: bool = False


class EnvelopeHistory(Page[RegisteredEnvelope]):
    """The versions of one session's envelope, the newest last. `next` leads to older ones; absent at the first."""
