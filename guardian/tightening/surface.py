"""The privilege surface: how many (tool, kind of resource, data class) an agent could touch, before and after."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from guardian.domain.restriction import Restriction, Scope
from guardian.domain.rules import ForbidDataClass, ForbidTool
from guardian.tightening.grants import Grant
from guardian.tightening.scope_history import ScopeHistory

Count = Annotated[int, Field(ge=0, lt=2**63)]


@dataclass(frozen=True, slots=True)
class Surface:
    """Counts of triples. A missing list of tools or data classes (no limit) counts as one, and so does a wildcard,
    and the resource of a tool for which none is known."""

    before: Count = 0
    after: Count = 0

    @property
    def removed(self) -> float:
        """The share that the proposal takes away."""
        return 1 - self.after / self.before if self.before else 0.0

    def __add__(self, other: "Surface") -> "Surface":
        return Surface(self.before + other.before, self.after + other.after)


def surface(
    grants: Mapping[Scope, Grant],
    resources: Mapping[Scope, Mapping[str, int]],
    restrictions: Iterable[Restriction],
) -> Surface:
    """Summed over the scopes. A tool that one agent of the role keeps is not counted as removed."""
    gone: dict[Scope, tuple[set[str], set[str]]] = {}
    for restriction in restrictions:
        tools, classes = gone.setdefault(restriction.scope, (set(), set()))
        match restriction.rule:
            case ForbidTool(tool, except_agents=()):
                tools.add(tool)
            case ForbidDataClass(name):
                classes.add(name)
            case _:
                pass
    total = Surface()
    for scope, grant in grants.items():
        tools, classes = gone.get(scope, (set(), set()))
        kinds = resources.get(scope, {})
        listed = grant.tools or ("*",)
        before = sum(kinds.get(tool, 1) for tool in listed)
        after = sum(kinds.get(tool, 1) for tool in listed if tool not in tools)
        had = grant.data_classes
        has = None if had is None else [name for name in had if name not in classes]
        total += Surface(before * max(1, len(had or ())), after * (1 if has is None or not had else len(has)))
    return total


def resources_of(history: ScopeHistory) -> dict[str, int]:
    """How many kinds of resource each tool was seen to touch, by anybody; at least one."""
    found: dict[str, set[str]] = {}
    for use in (history.early, history.late, history.doubted, history.flagged, history.accused):
        for tool, called in use.tools.items():
            found.setdefault(tool, set()).update(called.resource_types)
    return {tool: max(1, len(kinds)) for tool, kinds in found.items()}
