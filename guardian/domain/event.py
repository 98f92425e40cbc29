"""What a gateway says it decided: `guardian.decision/v1`, the canonical event.

The models are the format: `guardian schema` prints the JSON Schema they generate. Unknown extra fields
are kept; a missing optional field is named by `DecisionEvent.features_missing` and never counts as benign.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, FailFast, Field, JsonValue, StringConstraints

from guardian.domain.envelope import Envelope
from guardian.domain.fields import Count, EmptyIsNone, NullIs, OptionalIdentifier, Value
from guardian.domain.identity import Identifier, SessionKey, SessionName

SCHEMA = "guardian.decision/v1"

_Names = Annotated[tuple[str, ...] | None, FailFast()]
"""Of a list only the first wrong item is told, here and wherever a record may hold one: eight kilobytes, unpacked,
hold four million, and each would become an error of its own."""


class Resource(Value):
    """What the action touches."""

    type: Annotated[str, StringConstraints(max_length=512)] | None = None
    id: Annotated[str, StringConstraints(max_length=2048)] | None = None


class Action(Value):
    """One tool call as the agent asked for it."""

    tool: Identifier
    arguments: Mapping[str, JsonValue] | None = None
    resource: Resource | None = None
    data_classes: _Names = None
    records: Count | None = None
    credential_id: OptionalIdentifier = None


class Decision(Value):
    """What the gateway's policy said."""

    effect: Literal["allow", "deny"]
    policy_ids: Annotated[tuple[str, ...], FailFast(), NullIs(tuple)] = ()
    reason: Annotated[str, StringConstraints(max_length=8192), NullIs(str)] = ""


class Result(Value):
    """What came back, when the gateway logs it."""

    status: Annotated[str, StringConstraints(max_length=128), NullIs(str)] = ""
    records: Count | None = None
    data_classes: _Names = None


class Origin(Value):
    """How a record of another log format was read; guardian's own format has none.

    session_from   what the session is named after; "window" is an agent's and user's unbroken activity
    absent         names of the facts that the log did not carry or that were masked in it
    contradicted   fields in which an envelope said otherwise than the gateway beside it; such a one is left out
    another        a digest of that envelope
    tool, allowed_tools  tools as the log, or a registered envelope, spells them; None where that is not known, or
                   where the log gives the server's name beside the tool's
    """

    format: Annotated[str, StringConstraints(min_length=1, max_length=64)]
    session_from: SessionName = "gateway"
    absent: Annotated[tuple[str, ...], FailFast()] = ()
    contradicted: Annotated[tuple[str, ...], FailFast()] = ()
    another: str | None = None
    route: Annotated[str, StringConstraints(max_length=2048)] | None = None
    tool: Identifier | None = None
    allowed_tools: Annotated[tuple[Annotated[str, StringConstraints(max_length=512)], ...] | None, FailFast()] = (
        None
    )


class DecisionEvent(Value):
    """One gateway decision. Source: `guardian.decision/v1`; other log formats are adapted to it."""

    schema_: Literal["guardian.decision/v1"] = Field(alias="schema")
    id: Identifier
    time: AwareDatetime
    gateway: Identifier
    envelope: Envelope
    action: Action
    decision: Decision
    result: Result | None = None
    trace_id: Annotated[Annotated[str, StringConstraints(max_length=512)] | None, EmptyIsNone] = None
    envelope_jws: Annotated[Annotated[str, StringConstraints(max_length=65536)] | None, EmptyIsNone] = None
    agent_version: Annotated[Annotated[str, StringConstraints(max_length=512)] | None, EmptyIsNone] = None
    origin: Origin | None = None

    @property
    def key(self) -> SessionKey:
        return self.envelope.key

    @property
    def nameless(self) -> bool:
        """Whether its session has no name of its own. In guardian's own format each has one, whatever it begins
        with: an agent may have chosen it, and would else be another session after each pause."""
        return self.origin is not None and self.key.nameless

    @property
    def features_missing(self) -> tuple[str, ...]:
        """Names of the facts this record does not carry; a score made without them says so."""
        envelope, action = self.envelope, self.action
        absent = {
            "purpose": not envelope.purpose.strip(),
            "agent_id": envelope.agent_id is None,
            "arguments": action.arguments is None,
            "resource": action.resource is None,
            "data_classes": action.data_classes is None
            and (self.result is None or self.result.data_classes is None),
            "records": action.records is None and (self.result is None or self.result.records is None),
            "result": self.result is None,
            "trace_id": self.trace_id is None,
        }
        told = self.origin.absent if self.origin is not None else ()
        return tuple(dict.fromkeys([*(name for name, missing in absent.items() if missing), *told]))

    @property
    def has_envelope(self) -> bool:
        """False where neither the log nor a registration told the envelope: then only names are known."""
        return self.origin is None or "envelope" not in self.origin.absent

    @property
    def names_delegator(self) -> bool:
        """False where nobody told the delegator. By the name alone that cannot be known: an envelope may spell
        `UNTOLD` too."""
        return self.origin is None or "delegator_id" not in self.origin.absent

    @property
    def envelope_as_told(self) -> Envelope:
        """The envelope with its tools as the log spells them, which is how it was registered or signed."""
        told = None if self.origin is None else self.origin.allowed_tools
        return self.envelope if told is None else self.envelope.model_copy(update={"allowed_tools": told})

    @property
    def records(self) -> int:
        """Records touched: the larger of what was asked for and what came back; 0 when neither is known."""
        returned = self.result.records if self.result is not None else None
        return max(self.action.records or 0, returned or 0)

    @property
    def data_classes(self) -> frozenset[str]:
        """Data classes asked for or returned."""
        returned = self.result.data_classes if self.result is not None else None
        return frozenset(self.action.data_classes or ()) | frozenset(returned or ())


def json_schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of one log line."""
    schema = DecisionEvent.model_json_schema(by_alias=True)
    schema["properties"].pop("origin")  # guardian's own note; nobody writes it into a log
    schema["$defs"].pop("Origin")
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": SCHEMA}
