"""What a gateway says it decided: `guardian.decision/v1`, the canonical event.

The models are the format: `guardian schema` prints the JSON Schema they generate. Unknown extra fields
are kept; a missing optional field is named by `DecisionEvent.features_missing` and never counts as benign.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    FailFast,
    Field,
    GetCoreSchemaHandler,
    JsonValue,
    StringConstraints,
    ValidationInfo,
    field_validator,
)
from pydantic_core import CoreSchema, core_schema

from guardian.domain.strict_json import canonical_json

SCHEMA = "guardian.decision/v1"
_EXACT = 2**53  # up to here every whole number has a double of its own

Identifier = Annotated[str, StringConstraints(min_length=1, max_length=512, pattern=r"^[^\x00-\x1f\x7f]+$")]
"""A name that other systems chose: bounded, and free of control characters."""


_EmptyIsNone = BeforeValidator(lambda value: None if value == "" else value)
"""For optional texts: many gateways write an empty one where they have none."""

OptionalIdentifier = Annotated[Identifier | None, _EmptyIsNone]


@dataclass(frozen=True, slots=True)
class _NullIs:
    """For optional texts, lists and objects: Go writes one that it has not as null. That says no more than an
    absent one, nor does an empty one: a list of tools that lists nothing is `tools_unlisted`."""

    empty: Callable[[], Any]

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Around the field's own schema: a validator before it would be handed Python's values for JSON's."""
        read = core_schema.nullable_schema(handler(source))
        return core_schema.no_info_after_validator_function(self._there, read)

    def _there(self, value: Any) -> Any:
        return self.empty() if value is None else value


_Names = Annotated[tuple[str, ...] | None, FailFast()]
"""Of a list only the first wrong item is told, here and wherever a record may hold one: eight kilobytes, unpacked,
hold four million, and each would become an error of its own."""

NO_SLASH = "a tenant's name has no slash: in a path it would name another tenant's session"


def _without_slash(name: str) -> str:
    if "/" in name:
        raise ValueError(f"{NO_SLASH}, got {name!r}")
    return name


TenantName = Annotated[Identifier, AfterValidator(_without_slash)]
"""What a tenant may be called where one is named for the first time: it is a segment of paths.

Models of what is stored take any Identifier: what was kept under another name before must still be readable.
"""

Purpose = Annotated[str, StringConstraints(max_length=8192)]
"""A slug (`review_customer_contract`) or a sentence; the empty string means that none was declared."""


@lru_cache(maxsize=1_024)
def purpose_family(purpose: str) -> str:
    """What stays the same when a purpose is declared for another customer: names and numbers left out.

    Baselines are kept per family. Numbered words and, in a sentence, capitalised words after the first go.

    >>> purpose_family("Review contract 7781 of Acme for renewal risk")
    'review contract of for renewal risk'
    >>> purpose_family("review_contract_for_renewal")
    'review_contract_for_renewal'
    """
    kept = [
        word.lower()
        for place, word in enumerate(purpose.split())
        if not any(c.isdigit() for c in word) and (place == 0 or not word[:1].isupper())
    ]
    return " ".join(kept) or purpose


NAMELESS = "window:"
"""Begins what a session is called that is known by agent and user only: see `begins_anew`. What is called so by
anybody else is taken for one, because an archive tells no more than the name."""


class SessionKey(NamedTuple):
    """Everything is keyed by tenant and session together: two tenants may use the same session id."""

    tenant_id: str
    session_id: str

    @property
    def nameless(self) -> bool:
        """Whether it has no name of its own, so that one key may stand for several sessions, one after another."""
        return self.session_id.startswith(NAMELESS)


def begins_anew(last: datetime | None, at: datetime, *, idle: timedelta) -> bool:
    """Whether the call at `at` begins another session of a nameless key whose last call was at `last`."""
    return last is not None and at - last > idle


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True, extra="allow", strict=True, ser_json_inf_nan="null")


def in_utc(at: datetime) -> datetime:
    """The same moment in UTC. The calendar's first and last hours have no UTC form in some zones: these become its
    first or last moment."""
    try:
        return at.astimezone(UTC)
    except OverflowError:
        return (datetime.max if at.year > 1 else datetime.min).replace(tzinfo=UTC)


def _moment(at: datetime) -> str:
    try:
        return at.astimezone(UTC).isoformat()
    except OverflowError:  # see `in_utc`; here two such moments must stay different
        return at.isoformat()


def _without_nulls(value: Any) -> Any:
    match value:
        case Mapping():
            return {name: _without_nulls(item) for name, item in value.items() if item is not None}
        case list() | tuple():
            return [_without_nulls(item) for item in value]
        case _:
            return value


def _plain(value: Any) -> Any:
    """Whole numbers as integers: JSON does not tell 25 from 25.0."""
    match value:
        case float() if value.is_integer() and abs(value) < _EXACT:
            return int(value)
        case Mapping():
            return {name: _plain(item) for name, item in value.items()}
        case list() | tuple():
            return [_plain(item) for item in value]
        case _:
            return value


Count = Annotated[int, Field(ge=0), BeforeValidator(_plain)]
"""Of records; also where a writer that knows doubles only spells 400 as 400.0."""


class Envelope(_Value):
    """The delegated identity: who may do what, for whom, for which purpose, until when. Never a credential."""

    delegator_id: Identifier
    tenant_id: Identifier
    session_id: Identifier
    task_id: OptionalIdentifier = None
    purpose: Annotated[Purpose, _NullIs(str)] = ""
    allowed_tools: Annotated[
        tuple[Annotated[str, StringConstraints(max_length=512)], ...], FailFast(), _NullIs(tuple)
    ] = ()
    resource_constraints: Annotated[Mapping[str, JsonValue], _NullIs(dict)] = Field(default_factory=dict)
    expires_at: AwareDatetime | None = None
    agent_id: OptionalIdentifier = None
    parent_session_id: OptionalIdentifier = None

    @field_validator("parent_session_id")
    @classmethod
    def _of_another(cls, parent: str | None, told: ValidationInfo) -> str | None:
        """A session that names itself as its parent claims no more than to be a root."""
        return None if parent == told.data.get("session_id") else parent

    @property
    def key(self) -> SessionKey:
        return SessionKey(self.tenant_id, self.session_id)

    @property
    def parent_key(self) -> SessionKey | None:
        """The session that delegated to this one, of the same tenant; None for a root."""
        return None if self.parent_session_id is None else SessionKey(self.tenant_id, self.parent_session_id)

    @property
    def digest(self) -> str:
        """sha256 over the named fields, in one order and with times in UTC; extra fields do not count.

        Two systems that describe the same grant agree on it: neither the order of tools matters, nor whether
        a limit is spelt 25 or 25.0. Raises nothing, whatever the envelope holds.
        """
        return hashlib.sha256(canonical_json(self._grant()).encode()).hexdigest()

    def same_as(self, other: "Envelope") -> bool:
        """Whether both say the same, extra fields included. As with the digest the spelling does not count; here
        an absent field and a null one say the same too, also within constraints."""
        mine, theirs = ({**_plain(each.model_extra or {}), **each._grant()} for each in (self, other))
        return canonical_json(_without_nulls(mine)) == canonical_json(_without_nulls(theirs))

    def lasting(self, other: "Envelope") -> "Envelope":
        """This envelope, with the other's expiry if that is later."""
        mine, theirs = self.expires_at, other.expires_at
        longer = mine is not None and (theirs is None or theirs > mine)
        return self.model_copy(update={"expires_at": theirs}) if longer else self

    def differs_from(self, other: "Envelope") -> tuple[str, ...]:
        """Names of the fields that make the digests differ; empty where these are equal."""
        mine, theirs = self._grant(), other._grant()
        return tuple(name for name in mine if canonical_json(mine[name]) != canonical_json(theirs[name]))

    def _grant(self) -> dict[str, Any]:
        told = {name: getattr(self, name) for name in Envelope.model_fields}
        told["allowed_tools"] = sorted(set(self.allowed_tools))
        told["expires_at"] = None if self.expires_at is None else _moment(self.expires_at)
        told["resource_constraints"] = _plain(self.resource_constraints)
        return told


class Grant(NamedTuple):
    """An envelope that was registered for a session: redacted, with the digest of the one that was registered."""

    envelope: Envelope
    digest: str


class Resource(_Value):
    """What the action touches."""

    type: Annotated[str, StringConstraints(max_length=512)] | None = None
    id: Annotated[str, StringConstraints(max_length=2048)] | None = None


class Action(_Value):
    """One tool call as the agent asked for it."""

    tool: Identifier
    arguments: Mapping[str, JsonValue] | None = None
    resource: Resource | None = None
    data_classes: _Names = None
    records: Count | None = None
    credential_id: OptionalIdentifier = None


class Decision(_Value):
    """What the gateway's policy said."""

    effect: Literal["allow", "deny"]
    policy_ids: Annotated[tuple[str, ...], FailFast(), _NullIs(tuple)] = ()
    reason: Annotated[str, StringConstraints(max_length=8192), _NullIs(str)] = ""


class Result(_Value):
    """What came back, when the gateway logs it."""

    status: Annotated[str, StringConstraints(max_length=128), _NullIs(str)] = ""
    records: Count | None = None
    data_classes: _Names = None


UNTOLD = "-"
"""The delegator of records whose log names none; then `Origin.absent` lists it."""

SessionName = Literal["gateway", "token", "conversation", "trace", "window"]
"""What a session is named after, in the order in which names are looked for."""


class Origin(_Value):
    """How a record of another log format was read; guardian's own format has none.

    session_from   what the session is named after; "window" is an agent's and user's unbroken activity
    absent         names of the facts that the log did not carry or that were masked in it
    tool, allowed_tools  tools as the log, or a registered envelope, spells them; None where that is not known, or
                   where the log gives the server's name beside the tool's
    """

    format: Annotated[str, StringConstraints(min_length=1, max_length=64)]
    session_from: SessionName = "gateway"
    absent: Annotated[tuple[str, ...], FailFast()] = ()
    route: Annotated[str, StringConstraints(max_length=2048)] | None = None
    tool: Identifier | None = None
    allowed_tools: Annotated[tuple[Annotated[str, StringConstraints(max_length=512)], ...] | None, FailFast()] = (
        None
    )


class DecisionEvent(_Value):
    """One gateway decision. Source: `guardian.decision/v1`; other log formats are adapted to it."""

    schema_: Literal["guardian.decision/v1"] = Field(alias="schema")
    id: Identifier
    time: AwareDatetime
    gateway: Identifier
    envelope: Envelope
    action: Action
    decision: Decision
    result: Result | None = None
    trace_id: Annotated[Annotated[str, StringConstraints(max_length=512)] | None, _EmptyIsNone] = None
    envelope_jws: Annotated[Annotated[str, StringConstraints(max_length=65536)] | None, _EmptyIsNone] = None
    agent_version: Annotated[Annotated[str, StringConstraints(max_length=512)] | None, _EmptyIsNone] = None
    origin: Origin | None = None

    @property
    def key(self) -> SessionKey:
        return self.envelope.key

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
