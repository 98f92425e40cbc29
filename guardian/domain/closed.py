"""What has no fields but its own."""

from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

_MOST_KEYS = 100


class Closed(BaseModel):
    """Frozen; an unknown field is a mistake and is refused.

    Not for models that are strict: in front of its validator these would be handed Python's values for JSON's.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _few_keys(cls, told: Any) -> Any:
        """A megabyte holds a hundred thousand unknown fields, and each becomes an error of its own."""
        if isinstance(told, dict) and len(told) > _MOST_KEYS:
            raise ValueError(f"an object here has {_MOST_KEYS} keys at most, got {len(told)}")
        return told


def first_of(error: ValidationError) -> str:
    """The first of what is wrong, and where, in one line for people."""
    told = error.errors(include_url=False, include_input=False)[0]
    where = ".".join(map(str, told["loc"]))
    match told["type"]:
        case "missing":
            return f"{where} is missing"
        case "extra_forbidden" | "unexpected_keyword_argument":
            return f"{where} is not known here"
    said = told["msg"].removeprefix("Value error, ")
    return f"{where}: {said}" if where else said
