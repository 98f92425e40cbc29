"""The error tree that people read is the one there is."""

import re

from guardian import errors


def test_the_tree_shows_every_error_below_the_one_that_it_is_a_kind_of() -> None:
    drawn = {}
    above: list[str] = []
    for depth, name in re.findall(r"^([│├└─ ]*)(\w+)", (errors.__doc__ or "").partition("\n\n")[2], re.MULTILINE):
        above[len(depth) // 4 :] = [name]
        drawn[name] = above[-2] if len(above) > 1 else None
    there = {name: each for name, each in vars(errors).items() if isinstance(each, type)}
    assert set(there) <= set(drawn)
    for name, each in there.items():
        assert drawn[name] in (None, each.__base__.__name__), name
