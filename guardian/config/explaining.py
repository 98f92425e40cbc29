"""What is wrong with a value, in words of the file or the variable that it came from."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

_EXPECTED = {
    "dict_type": "names and values, such as {name: value}",
    "model_type": "names and values, such as {name: value}",
    "mapping_type": "names and values, such as {name: value}",
    "list_type": "a list, such as [a, b]",
    "tuple_type": "a list, such as [a, b]",
    "sequence_type": "a list, such as [a, b]",
    "too_short": "at least one, such as [a]",
}


def explain(error: ValidationError, path: Path | None, settings: type[BaseModel]) -> str:
    """Every wrong value of such settings, by its place and what is expected."""
    where = str(path) if path is not None else "the settings"
    lines = []
    for problem in error.errors(include_url=False):
        name = ".".join(str(part) or "''" for part in problem["loc"]).removesuffix(".[key]")
        name += _set_by(problem["loc"])
        if problem["type"] == "extra_forbidden":
            said = f"unknown setting{_known_beside(problem['loc'], settings)}"
        else:
            said = in_words(problem["type"], problem["msg"], empty=problem["input"] is None)
        lines.append(f"{name}: {said}" if name else said)
    return f"{where}: " + "; ".join(lines)


def _set_by(loc: tuple[int | str, ...]) -> str:
    """Who looks for it in the file would not find it there."""
    variable = "GUARDIAN_" + "__".join(map(str, loc)).upper()
    return f" (set by {variable})" if variable in map(str.upper, os.environ) else ""


def in_words(kind: str, said: str, *, empty: bool) -> str:
    """What is wrong with a value, by pydantic's name and words for it."""
    expected = _EXPECTED.get(kind)
    if expected is None:
        return said.removeprefix("Value error, ")
    return f"there is nothing below it; leave it out, or give it {expected}" if empty else f"takes {expected}"


def _known_beside(loc: tuple[int | str, ...], settings: type[BaseModel]) -> str:
    place: Any = settings
    for part in loc[:-1]:
        place = below(place, part)
    known = _fields(place)
    return f" (known here: {', '.join(sorted(known))})" if known else ""


def below(place: Any, name: int | str) -> Any:
    """The type of what stands under a name in a section, a map or a list; None where nothing does."""
    if get_origin(place) in (dict, list):
        return get_args(place)[-1]
    field = _fields(place).get(name)
    return None if field is None else field.annotation


def _fields(place: Any) -> Mapping[Any, FieldInfo]:
    """What a section takes, also of one that may be left out; of anything else nothing."""
    sections = (each for each in (place, *get_args(place)) if hasattr(each, "model_fields"))
    return getattr(next(sections, None), "model_fields", {})
