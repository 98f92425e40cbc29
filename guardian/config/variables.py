"""The `GUARDIAN_*` variables, where the library would not take them as they are meant."""

import json
import os
import re
from collections.abc import Mapping
from typing import Annotated, Any, get_args, get_origin

from pydantic import BaseModel

from guardian.config.explaining import below
from guardian.errors import ConfigurationError

_OTHERS = frozenset({"GUARDIAN_CONFIG", "GUARDIAN_TOKEN", "GUARDIAN_TENANT"})
_GUARDIANS = re.compile("^guardian_", re.IGNORECASE)
_SERVICE = re.compile(r"GUARDIAN_(\w+_)?(SERVICE_(HOST|PORT(_\w+)?)|PORT_\d+_(TCP|UDP|SCTP)(_\w+)?)")


def prepare(body: dict[str, Any], settings: type[BaseModel]) -> None:
    """For such settings: takes out of the file's body what a variable replaces. Raises ConfigurationError for a
    variable that is unknown, and for one with a name whose capitals would be lost."""
    unknown = sorted(
        name
        for name in os.environ
        if _GUARDIANS.match(name)
        and _GUARDIANS.sub("", name).split("__")[0].lower() not in settings.model_fields
        and name not in _OTHERS
        and not _of_kubernetes(name)
    )
    if unknown:
        known = ", ".join(f"GUARDIAN_{name.upper()}" for name in settings.model_fields)
        raise ConfigurationError(f"unknown variable {unknown[0]}; known ones start with: {known}")
    for name in filter(_GUARDIANS.match, os.environ):
        _says_something(name, settings)
        _names_keep_their_capitals(name, settings)
        _replaces_a_map(name, body, settings)


def variables_of(said: str) -> str:
    """Those of the field that the library could not read; it names no variable."""
    field = re.search(r'field "(\w+)"', said)
    own = re.compile(rf"GUARDIAN_{field[1]}(__.*)?" if field else r"GUARDIAN_.*", re.IGNORECASE)
    return " or ".join(sorted(name for name in os.environ if own.fullmatch(name)))


def spelt_out(variables: Mapping[str, str | None]) -> Mapping[str, str | None]:
    """A folder in GUARDIAN_ARCHIVE is archive.path; the rest of the section stays as configured. `null` is what it
    is in the file: none."""
    found = dict(variables)
    folder = found.get("guardian_archive")
    if folder and not folder.lstrip().startswith("{"):
        found = {"guardian_archive__path": found.pop("guardian_archive"), **found}
    return {name: None if value == "null" and "__" in name else value for name, value in found.items()}


def _of_kubernetes(name: str) -> bool:
    """Whether the variable is one of those that every pod is given beside a Service called guardian…"""
    if name.endswith("_PORT") and "://" in os.environ[name]:
        return True
    return _SERVICE.fullmatch(name) is not None


def _says_something(variable: str, settings: type[BaseModel]) -> None:
    """Raises ConfigurationError for a section that is `null`: the library passes over it. Archive: none."""
    section = variable.lower().removeprefix("guardian_")
    if os.environ[variable] == "null" and section in settings.model_fields and section != "archive":
        raise ConfigurationError(f"{variable}: null is no section; leave the variable out, or write it as JSON")


def _names_keep_their_capitals(variable: str, settings: type[BaseModel]) -> None:
    """Raises ConfigurationError for a name of the operator's, as of a tenant, whose capitals the library drops."""
    prefix, *parts = variable.split("__")
    place: Any = below(settings, prefix.lower().removeprefix("guardian_"))
    for count, part in enumerate(parts):
        if _of_own_names(place) and part != part.lower():
            whole = "__".join((prefix, *parts[:count]))
            raise ConfigurationError(
                f"{variable}: capitals in the name of a variable do not count, {part!r} would be {part.lower()!r};"
                f""" write {whole}='{{"{part}": …}}', or small letters where the name has no capitals"""
            )
        place = below(place, part.lower())


def _replaces_a_map(variable: str, body: dict[str, Any], settings: type[BaseModel]) -> None:
    """Take out of the file's settings a map of the operator's names that a variable gives whole, also one in the
    JSON of a section: the library would add to it, and a gateway that was left out would still be believed."""
    *sections, last = variable.lower().removeprefix("guardian_").split("__")
    place: Any = settings
    within: Any = body
    for section in sections:
        place, within = below(place, section), within.get(section) if isinstance(within, dict) else None
    try:
        told = json.loads(os.environ[variable])
    except (ValueError, RecursionError):
        told = None  # one value, or what the library refuses
    _leave_out(within, last, below(place, last), told)


def _leave_out(within: Any, name: str, place: Any, told: Any) -> None:
    """Of what stands under the name, whose type is `place`, every map of the operator's names that is told."""
    if isinstance(within, dict) and _of_own_names(place):
        within.pop(name, None)
    elif isinstance(within, dict) and isinstance(told, dict):
        for each, value in told.items():
            setting = each.lower()  # as the library reads it
            _leave_out(within.get(name), setting, below(place, setting), value)


def _of_own_names(place: Any) -> bool:
    """Whether it is a map whose names are the operator's."""
    return get_origin(place) is dict and get_origin(get_args(place)[0]) is Annotated
