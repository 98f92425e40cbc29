"""The kinds of narrowing, one frozen value each. Every one answers for itself whether a call breaks it."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC
from typing import Any, ClassVar, NamedTuple

from pydantic import ConfigDict

from guardian.domain.past import LIST, OBJECT, PastCall, flat_arguments

Scalar = str | int | bool
LARGEST = 2**63 - 1
"""The largest number that policy languages know: a limit beyond it limits nothing."""
ROOT = ""
"""The parent role of a session that nobody delegated to."""
UNKNOWN_PARENT = "?"


class Placed(NamedTuple):
    """A call and its place: the parent session's role, seconds since the session's first call, and how many
    records the session's allowed calls had taken by then."""

    call: PastCall
    parent_role: str
    age_s: int
    taken: int = 0


class _Rule(ABC):
    """`broken_by` answers None where the log does not say enough for any policy to judge."""

    kind: ClassVar[str]
    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    @property
    @abstractmethod
    def subject(self) -> str:
        """What it is about, without the numbers: stays the same when the evidence grows."""

    @abstractmethod
    def broken_by(self, placed: Placed) -> bool | None: ...


@dataclass(frozen=True, slots=True)
class ForbidTool(_Rule):
    """The tool may not be called, but by `except_agents` (agent ids, who alone needed it)."""

    kind: ClassVar[str] = "forbid_tool"
    tool: str
    except_agents: tuple[str, ...] = ()

    @property
    def subject(self) -> str:
        return self.tool

    def broken_by(self, placed: Placed) -> bool | None:
        return placed.call.tool == self.tool and placed.call.agent_id not in self.except_agents


@dataclass(frozen=True, slots=True)
class ForbidDataClass(_Rule):
    """Data of this class may not be touched."""

    kind: ClassVar[str] = "forbid_data_class"
    data_class: str

    @property
    def subject(self) -> str:
        return self.data_class

    def broken_by(self, placed: Placed) -> bool | None:
        known = placed.call.data_classes
        return None if known is None else self.data_class in known


@dataclass(frozen=True, slots=True)
class MaxRecords(_Rule):
    """At most so many records in one call; in an envelope, which binds a session, in all its calls together."""

    kind: ClassVar[str] = "max_records"
    limit: int

    @property
    def subject(self) -> str:
        return "records"

    def broken_by(self, placed: Placed) -> bool | None:
        records = placed.call.records
        return None if records is None else records > self.limit

    def exhausted_by(self, placed: Placed) -> bool:
        """Whether an envelope with this limit refuses the call, for what the session took before."""
        records = placed.call.records or 0
        return records > 0 and placed.taken + records > self.limit


@dataclass(frozen=True, slots=True)
class OnlyHours(_Rule):
    """Only in these hours of the day, UTC."""

    kind: ClassVar[str] = "only_hours"
    hours: tuple[int, ...]

    @property
    def subject(self) -> str:
        return "hours"

    def broken_by(self, placed: Placed) -> bool | None:
        return placed.call.at.astimezone(UTC).hour not in self.hours


@dataclass(frozen=True, slots=True)
class MaxLifetime(_Rule):
    """A session may act for at most so many seconds after its first call."""

    kind: ClassVar[str] = "max_lifetime"
    seconds: int

    @property
    def subject(self) -> str:
        return "lifetime"

    def broken_by(self, placed: Placed) -> bool | None:
        return placed.age_s > self.seconds


@dataclass(frozen=True, slots=True)
class _ArgumentRule(_Rule):
    """About one argument of one tool. `required`: a call without it is refused too, as there never was one."""

    tool: str
    argument: str
    required: bool

    @property
    def subject(self) -> str:
        return f"{self.tool}:{self.argument}"

    def broken_by(self, placed: Placed) -> bool | None:
        call = placed.call
        if call.tool != self.tool:
            return False
        if call.arguments is None:
            return None
        value = argument(call.arguments, self.argument)
        if value is None:
            return self.required
        return not self.permits(value, call)

    @abstractmethod
    def permits(self, value: Any, call: PastCall) -> bool: ...


@dataclass(frozen=True, slots=True)
class PinArgument(_ArgumentRule):
    """The argument must carry a value that the envelope holds under `constraint`."""

    kind: ClassVar[str] = "pin_argument"
    constraint: str

    def permits(self, value: Any, call: PastCall) -> bool:
        return isinstance(value, str) and f"{self.argument}={self.constraint}" in call.bound


@dataclass(frozen=True, slots=True)
class ArgumentIn(_ArgumentRule):
    """The argument must be one of these."""

    kind: ClassVar[str] = "argument_in"
    values: tuple[Scalar, ...]

    def permits(self, value: Any, call: PastCall) -> bool:  # noqa: ARG002
        return any(type(value) is type(known) and value == known for known in self.values)


@dataclass(frozen=True, slots=True)
class ArgumentAtMost(_ArgumentRule):
    """The argument must be a whole number, at most this: 12.0 and `true` are none."""

    kind: ClassVar[str] = "argument_at_most"
    limit: int

    def permits(self, value: Any, call: PastCall) -> bool:  # noqa: ARG002
        return isinstance(value, int) and not isinstance(value, bool) and value <= self.limit


@dataclass(frozen=True, slots=True)
class ArgumentLike(_ArgumentRule):
    """The argument must be text that begins and ends so."""

    kind: ClassVar[str] = "argument_like"
    prefix: str
    suffix: str

    def permits(self, value: Any, call: PastCall) -> bool:  # noqa: ARG002
        return (
            isinstance(value, str)
            and len(value) >= len(self.prefix) + len(self.suffix)
            and value.startswith(self.prefix)
            and value.endswith(self.suffix)
        )


Rule = (
    ForbidTool | ForbidDataClass | MaxRecords | OnlyHours | MaxLifetime
    | PinArgument | ArgumentIn | ArgumentAtMost | ArgumentLike
)  # fmt: skip
RULES: Mapping[str, type[Rule]] = {
    rule.kind: rule
    for rule in (
        ForbidTool, ForbidDataClass, MaxRecords, OnlyHours, MaxLifetime,
        PinArgument, ArgumentIn, ArgumentAtMost, ArgumentLike,
    )
}  # fmt: skip


def argument(arguments: Mapping[str, Any], path: str) -> Any:
    """What a policy sees at a dotted path; None where there is nothing."""
    if "." in path or "\\" in path:
        return flat_arguments(arguments).get(path)
    found = arguments.get(path)
    return OBJECT if isinstance(found, Mapping) else LIST if isinstance(found, list | tuple) else found
