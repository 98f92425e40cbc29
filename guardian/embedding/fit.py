"""stub"""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FitRequest:
    purpose: str
    tool: str
    arguments: Mapping[str, object] | None = None
    before: tuple[str, ...] = ()
    earlier_values: frozenset[str] = frozenset()
    tool_description: str | None = None
