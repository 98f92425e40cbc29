"""A rule of redaction leads where its path leads, whether the names on it are keys or stand in one."""

import pytest

from guardian.domain.redacted import below


@pytest.mark.parametrize(
    ("rule", "name", "left"),
    [
        ("a.b.c", "a", ["b.c"]), ("*.b.c", "x", ["b.c"]), ("a.b.c", "b", []), ("", "x", [""]), ("", "x.y", [""]),
        ("a.b.c", "a.b", ["c"]), ("a.b", "a.b", [""]), ("a", "a.b", [""]), ("a.b.c", "a.c", []), ("0", "0", [""]),
        ("*.c", "a.b", ["c"]), ("*.b.c", "a.b", ["b.c", "c"]), ("*", "a.b", [""]), ("a.*.c", "a.b", ["c"]),
    ],
)  # fmt: skip
def test_what_is_left_of_a_rule_below_a_name(rule: str, name: str, left: list[str]) -> None:
    def path(said: str) -> tuple[str, ...]:
        return tuple(said.split(".")) if said else ()

    assert below([path(rule)], name) == tuple(map(path, left))


def test_each_rest_of_several_rules_is_there_once() -> None:
    assert below([("a", "b"), ("*", "b"), ("c",)], "a") == (("b",),)
