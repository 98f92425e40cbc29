"""YAML as guardian reads it: safely, and with every key once."""

from typing import Any

import yaml


class _Loader(yaml.SafeLoader):
    """YAML itself lets the last of two equal keys win, so a second `monitor:` would undo the first unsaid."""

    def compose_mapping_node(self, anchor: dict[Any, Any]) -> yaml.MappingNode:
        node = super().compose_mapping_node(
            anchor
        )  # as written: what `<<` merges comes later, and may be overridden
        names: set[tuple[str, str]] = set()
        for key, _ in node.value:
            name = (key.tag, str(key.value))
            if name in names:
                raise yaml.composer.ComposerError(None, None, f"{key.value!r} is there twice", key.start_mark)
            names.add(name)
        return node


def read_yaml(text: str) -> Any:
    """Raises yaml.YAMLError, or ValueError for a date that there is not."""
    return yaml.load(text, Loader=_Loader)  # noqa: S506 - it is a safe loader
