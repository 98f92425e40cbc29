"""What takes seconds to import is imported when a test asks something of it: each worker collects every test."""

from importlib import import_module
from typing import Any


class Later:
    """The module of this name, which is not imported yet. To patch it, name it: what is set here stays here."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, wanted: str) -> Any:
        if wanted == "_mock_name" or wanted.startswith("__"):  # pytest asks whether it is a mock or a wrapper
            raise AttributeError(wanted)
        return getattr(import_module(self._name), wanted)
