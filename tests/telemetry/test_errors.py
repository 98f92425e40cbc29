"""The error tree that people read is the one there is, and no exception stands outside of it unsaid."""

import builtins
import re
from pathlib import Path

from guardian import errors

ROOM = Path(errors.__file__).parent
BUILT_IN = {
    name for name, each in vars(builtins).items() if isinstance(each, type) and issubclass(each, BaseException)
}
DRAWN, TOLD = (errors.__doc__ or "").split("\n\n")[1::2]


def exceptions() -> dict[tuple[str, str], str]:
    """File and name of each class of guardian's that is an exception -> what it is a kind of."""
    classes = {
        (path.relative_to(ROOM).as_posix(), found[1]): found[2].split(", ")
        for path in ROOM.rglob("*.py")
        for found in re.finditer(r"^ *class (\w+)\(([^)]+)\):", path.read_text(encoding="utf-8"), re.MULTILINE)
    }
    there: dict[tuple[str, str], str] = {}
    while True:
        known = BUILT_IN | {name for _, name in there}
        more = {
            place: next(base for base in bases if base in known)
            for place, bases in classes.items()
            if place not in there and known.intersection(bases)
        }
        if not more:
            return there
        there |= more


def test_the_tree_shows_every_error_below_the_one_that_it_is_a_kind_of_and_every_flow_signal_is_told() -> None:
    drawn: dict[tuple[str, str], str] = {}
    above: list[str] = []
    for line in DRAWN.splitlines():
        depth, name, place = re.findall(r"^([│├└─ ]*)(\w+)(?:.*in `(.+)`)?", line)[0]
        above[len(depth) // 4 :] = [name]
        drawn[place or "errors.py", name] = above[-2] if len(above) > 1 else "Exception"
    told = {
        (place, name)
        for place, names in re.findall(r"^(\S+\.py) +([\w, ]+)", TOLD, re.MULTILINE)
        for name in names.split(", ")
    }
    there = exceptions()
    assert drawn == {place: base for place, base in there.items() if place not in told}
    assert told == there.keys() - drawn.keys()
    signals = {name for _, name in told}
    assert all(there[place] in signals | {"Exception"} for place in told)
