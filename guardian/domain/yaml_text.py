"""YAML as people write it for guardian: read safely, and with every key once."""

from typing import Any

import yaml

# libyaml, where the wheel has it, reads several times as fast, and every reload reads the policies' cases
_Safe: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Loader(_Safe):  # type: ignore[misc]
    """YAML itself lets the last of two equal keys win, so a second `monitor:` would undo the first unsaid."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._seen: set[yaml.MappingNode] = set()

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        """Looks at the keys as they were written: what `<<` merges comes now, and may be overridden."""
        if node not in self._seen:
            self._seen.add(node)
            names: set[tuple[str, str]] = set()
            for key, _ in node.value:
                name = (key.tag, str(key.value))
                if name in names:
                    raise yaml.constructor.ConstructorError(
                        None, None, f"{key.value!r} is there twice", key.start_mark
                    )
                names.add(name)
        super().flatten_mapping(node)


def read_yaml(text: str) -> Any:
    """Raises ValueError, which says in one line what is wrong, and in which line if that is known."""
    try:
        return yaml.load(text, Loader=_Loader)  # noqa: S506 - it is a safe loader
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # ValueError: a date that there is not
        what = getattr(error, "problem", None) or str(error).splitlines()[0]
        mark = getattr(error, "problem_mark", None)
        raise ValueError(f"{what}, in line {mark.line + 1}" if mark else what) from error
    except (AttributeError, LookupError) as error:  # the library's own, for `!!bool maybe` or `!!timestamp soon`
        raise ValueError("a value is not of the type that its tag names") from error
