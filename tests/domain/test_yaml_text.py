"""YAML is read as its safe loader reads it, but for keys that are there twice."""

import pytest
import yaml

from guardian.domain.yaml_text import read_yaml

MERGED = "base: &base\n  x: 1\ndeep:\n  a: &a\n    <<: *base\n    x: 2\nb:\n  <<: *a\n"


@pytest.mark.parametrize("text", ["", "a: [1, yes, 2026-05-12, ~]", "- {a: 1}\n- {a: 2}", "1: x\n'1': y", MERGED])
def test_what_is_sound_is_read_as_by_the_safe_loader(text: str) -> None:
    """A key that overrides a merged one is not there twice."""
    assert read_yaml(text) == yaml.safe_load(text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: 1\nb: 2\na: 3", "^'a' is there twice, in line 3$"),
        ("- x: {y: {a: 1,\n    a: 2}}", "^'a' is there twice, in line 2$"),
        ("a: &a {x: 1, x: 2}\nb: {<<: *a}", "^'x' is there twice, in line 1$"),
        ("b: {<<: {x: 1, x: 2}}", "^'x' is there twice, in line 1$"),
        ("a: [1\nb: 2", "in line 2$"),
        ("a: !!python/object:os.system x", "python/object:os.system', in line 1$"),
        ("? [a]\n: b", "unhashable key, in line 1$"),
        ("a: 2026-13-45", "^month must be in"),
        ("a: \0", "^unacceptable character #x0000"),
        ("[" * 5_000, "."),
        ("a: !!timestamp soon", "not of the type that its tag names$"),
        ("a: !!bool maybe", "not of the type that its tag names$"),
        ("a: \ud83d", "surrogates not allowed|unacceptable character"),
    ],
)
def test_what_is_not_is_refused_in_one_line_with_its_place(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said) as refused:
        read_yaml(text)
    assert "\n" not in str(refused.value)
