"""What the fields of a gateway's record may hold, however it spells what it has not."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

from guardian.domain.identity import Identifier

_EXACT = 2**53  # up to here every whole number has a double of its own


class Value(BaseModel):
    """A part of a record: frozen, strict about types; a field that it does not know is kept."""

    model_config = ConfigDict(frozen=True, extra="allow", strict=True, ser_json_inf_nan="null")


EmptyIsNone = BeforeValidator(lambda value: None if value == "" else value)
"""For optional texts: many gateways write an empty one where they have none."""

OptionalIdentifier = Annotated[Identifier | None, EmptyIsNone]


@dataclass(frozen=True, slots=True)
class NullIs:
    """For optional texts, lists and objects: Go writes one that it has not as null. That says no more than an
    absent one, nor does an empty one: a list of tools that lists nothing is `tools_unlisted`."""

    empty: Callable[[], Any]

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Around the field's own schema: a validator before it would be handed Python's values for JSON's."""
        read = core_schema.nullable_schema(handler(source))
        return core_schema.no_info_after_validator_function(self._there, read)

    def _there(self, value: Any) -> Any:
        return self.empty() if value is None else value


def plain(value: Any) -> Any:
    """Whole numbers as integers: JSON does not tell 25 from 25.0."""
    match value:
        case float() if value.is_integer() and abs(value) < _EXACT:
            return int(value)
        case Mapping():
            return {name: plain(item) for name, item in value.items()}
        case list() | tuple():
            return [plain(item) for item in value]
        case _:
            return value


Count = Annotated[int, Field(ge=0), BeforeValidator(plain)]
"""Of records; also where a writer that knows doubles only spells 400 as 400.0."""


def in_utc(at: datetime) -> datetime:
    """The same moment in UTC. The calendar's first and last hours have no UTC form in some zones: these become its
    first or last moment."""
    try:
        return at.astimezone(UTC)
    except OverflowError:
        return (datetime.max if at.year > 1 else datetime.min).replace(tzinfo=UTC)
