"""The configuration that `guardian init` writes: every setting is in it, with its default."""

import re
from collections.abc import Iterator
from pathlib import Path
from types import UnionType
from typing import Any, Union, get_args, get_origin

import yaml
from pydantic import BaseModel

from guardian.bootstrap.checking import check_plugins
from guardian.bootstrap.resources import resource
from guardian.config import Settings, load

TEXT = (resource("config") / "guardian.yaml").read_text(encoding="utf-8")
TOLD = yaml.safe_load(TEXT)
SET_HERE = {"gateways", "store.monitor", "store.control", "store.epoch_file", "archive.path"}
"""What differs from its default, for the reason that the file gives."""

Path_ = tuple[str, ...]


def fields(model: type[BaseModel], above: Path_ = ()) -> Iterator[tuple[Path_, Any]]:
    """Every setting with its default; of what is not there by default, or has names of your own, None."""
    for name, field in model.model_fields.items():
        at, default = (*above, name), field.get_default(call_default_factory=True)
        yield at, None if isinstance(default, BaseModel) else default
        for inner in sections_in(field.annotation):
            there = isinstance(default, BaseModel)
            yield from ((path, value if there else None) for path, value in fields(inner, at))


def sections_in(annotation: Any) -> Iterator[type[BaseModel]]:
    """The sections that a setting is, or may be, or holds."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    elif get_origin(annotation) in (Union, UnionType, dict, list):
        for part in get_args(annotation):
            yield from sections_in(part)


def block(section: str) -> str:
    """The file from a section's name to the next one's; all of it for what is no section."""
    parts = re.split(r"(?m)^(?=(?:# )?[a-z]+:)", TEXT)
    return "".join(part for part in parts if re.match(rf"(?:# )?{section}:", part)) or TEXT


ALL = dict(fields(Settings))
SCALARS = {
    path: value for path, value in ALL.items() if isinstance(value, int | float | str | Path) and value != ""
}


def is_named(path: Path_) -> bool:
    named = re.compile(rf"(?:(?<![A-Za-z_])|(?<=__)){path[-1]}(?![A-Za-z_])", re.IGNORECASE)
    return bool(named.search(TEXT if path[0] == "slack" else block(path[0])))  # its secrets stand above its name


def test_every_setting_is_in_the_file() -> None:
    assert [path for path in ALL if not is_named(path)] == []


def is_shown(path: Path_, default: object) -> bool:
    shown = re.findall(rf"""(?<![A-Za-z_]){path[-1]}: ("[^"]*"|[^\s,}}]+)""", block(path[0]))
    return (str(default) if isinstance(default, Path) else default) in map(yaml.safe_load, shown)


def test_a_setting_with_a_default_is_shown_with_it() -> None:
    asked = {path: default for path, default in SCALARS.items() if ".".join(path) not in SET_HERE}
    assert asked
    assert [path for path, default in asked.items() if not is_shown(path, default)] == []


def test_nothing_differs_from_its_default_but_what_is_set_here() -> None:
    assert set(differing(TOLD, Settings().model_dump(mode="json"))) == SET_HERE
    assert len(re.findall(r"set here: ", TEXT)) == 3


def differing(told: dict[str, Any], default: dict[str, Any], above: Path_ = ()) -> Iterator[str]:
    for name, value in told.items():
        known = default[name]
        if isinstance(value, dict) and isinstance(known, dict) and known:
            yield from differing(value, known, (*above, name))
        elif value != known:
            yield ".".join((*above, name))


def test_it_loads_and_every_name_in_it_is_known(tmp_path: Path) -> None:
    (tmp_path / "guardian.yaml").write_text(TEXT, encoding="utf-8")
    check_plugins(load(tmp_path / "guardian.yaml"))


def test_it_permits_nothing_that_the_defaults_deny() -> None:
    assert TOLD["advice"]["fallback"] == {}


def test_a_restored_backup_is_noticed_whatever_database_is_named() -> None:
    """A server's database has no epoch file but the one that is named; for SQLite it is the one beside it."""
    store = TOLD["store"]
    assert store["epoch_file"] == f"{store['control'].removeprefix('sqlite:///')}.epoch"
