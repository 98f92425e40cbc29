"""What guardian logs can be searched and counted: events are stable words, rooms are folders."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest

import guardian
from guardian.telemetry.logs import Room

PACKAGE = Path(guardian.__file__).parent
LEVELS = {"debug", "info", "warning", "error", "exception", "critical"}
WORD = re.compile(r"'[a-z][a-z0-9_]*'")
LOGGER = re.compile(r"(self\.)?_?log|logger\(.*\)")


Files = list[tuple[Path, ast.Module]]


@pytest.fixture(scope="module")
def files() -> Files:
    """`gateway/` is copied into gateways, and logs as the standard library does."""
    ours = [path for path in sorted(PACKAGE.rglob("*.py")) if "gateway" not in path.relative_to(PACKAGE).parts]
    return [(path.relative_to(PACKAGE), ast.parse(path.read_text("utf-8"))) for path in ours]


def is_a_line(call: ast.Call) -> bool:
    """`_log.info(…)`, or `(_log.error if … else _log.info)(…)`."""
    spoken = call.func.body if isinstance(call.func, ast.IfExp) else call.func
    return (
        isinstance(spoken, ast.Attribute)
        and spoken.attr in LEVELS
        and LOGGER.fullmatch(ast.unparse(spoken.value)) is not None
    )


def lines(tree: ast.Module) -> Iterator[ast.Call]:
    return (each for each in ast.walk(tree) if isinstance(each, ast.Call) and is_a_line(each))


def handed_on(tree: ast.Module) -> Iterator[tuple[str, int]]:
    """Functions whose caller gives the event, each with which of its arguments that is."""
    for each in ast.walk(tree):
        if isinstance(each, ast.FunctionDef):
            names = [arg.arg for arg in each.args.args if arg.arg != "self"]
            for line in lines(ast.Module(each.body, [])):
                if isinstance(line.args[0], ast.Name):
                    yield each.name, names.index(line.args[0].id)


def said(files: Files) -> Iterator[tuple[str, str]]:
    given = {place for _, tree in files for place in handed_on(tree)}
    for path, tree in files:
        for call in (each for each in ast.walk(tree) if isinstance(each, ast.Call)):
            if is_a_line(call):
                asked = [] if isinstance(call.args[0], ast.Name) else [call.args[0]]
            else:
                name = call.func.attr if isinstance(call.func, ast.Attribute) else ""
                asked = [call.args[at] for known, at in given if known == name and at < len(call.args)]
            for event in asked:
                if isinstance(event, ast.Constant) or is_a_line(call):
                    yield f"{path}:{call.lineno}", ast.unparse(event)


@pytest.fixture(scope="module")
def events(files: Files) -> list[tuple[str, str]]:
    return list(said(files))


def test_every_event_is_a_stable_word(events: list[tuple[str, str]]) -> None:
    assert len(events) > 100
    assert not [(place, event) for place, event in events if not WORD.fullmatch(event)]


def test_no_event_is_logged_by_a_method_that_was_kept_for_later(files: Files) -> None:
    """`level = _log.info`, then `level(…)`: what it says would be read by none of these tests."""
    for path, tree in files:
        called = {id(part) for line in lines(tree) for part in ast.walk(line.func)}
        for each in ast.walk(tree):
            if (
                isinstance(each, ast.Attribute)
                and each.attr in LEVELS
                and LOGGER.fullmatch(ast.unparse(each.value))
            ):
                assert id(each) in called, f"{path}:{each.lineno}"


def test_the_events_that_operators_are_told_of_are_logged(events: list[tuple[str, str]]) -> None:
    told = (PACKAGE.parent / "config" / "README.md").read_text("utf-8")
    (named,) = re.findall(r"^- \*\*The log\*\*: [^\n]*Worth an alert: (.*?)^- ", told, re.MULTILINE | re.DOTALL)
    words = {repr(word) for word in re.findall(r"`(\w+)`", named)}
    assert len(words) > 10
    assert words <= {event for _, event in events}


def test_every_room_of_the_log_is_the_folder_that_speaks(files: Files) -> None:
    found = {
        (path.parts[0], ast.unparse(each.args[0]))
        for path, tree in files
        for each in ast.walk(tree)
        if isinstance(each, ast.Call) and ast.unparse(each.func) == "logger"
    }
    assert found == {(room, repr(room)) for room in get_args(Room)}
