"""What a scope's sessions used. A session is one sample: whatever it did ten times counts once."""

import sys
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from guardian.domain.identity import SessionKey
from guardian.domain.past import LIST, OBJECT, PastCall, envelope_values, flat_arguments
from guardian.domain.restriction import Scope
from guardian.domain.rules import Placed, Scalar
from guardian.tightening.grants import Grant, class_name
from guardian.tightening.redacted import hashed, lost, shaped

MOST_VALUES = 48
"""So many distinct values of an argument are kept; of more, only what they have in common."""
_LONGEST_VALUE = 128
MOST_ARGUMENTS = 1024
"""If a tool has more arguments than this, agents choose their names: then none of them is remembered."""


@dataclass(slots=True)
class ArgumentUse:
    """One argument of one tool, in one session or over many. `values` is None once there were too many of them."""

    sessions: int = 0
    calls: int = 0
    values: Counter[Scalar] | None = field(default_factory=Counter)  # sessions by value
    largest: Counter[int] = field(default_factory=Counter)  # sessions by their largest number, rounded up
    kinds: set[str] = field(default_factory=set)
    bound: frozenset[str] | None = None  # the constraints that hold every value; None: no value yet
    prefix: str | None = None
    suffix: str | None = None
    shortest: int = sys.maxsize  # text, in characters

    def merge(self, other: "ArgumentUse") -> None:
        """Add another session's, or another part's."""
        self.sessions += other.sessions
        self.calls += other.calls
        self.kinds |= other.kinds
        for number, count in other.largest.items():  # quicker than Counter.update, and called for every argument
            self.largest[number] += count
        if other.bound is not None:
            self.bound = other.bound if self.bound is None else self.bound & other.bound
        if other.prefix is not None and other.suffix is not None:
            self.prefix = other.prefix if self.prefix is None else common_prefix(self.prefix, other.prefix)
            self.suffix = other.suffix if self.suffix is None else common_suffix(self.suffix, other.suffix)
            self.shortest = min(self.shortest, other.shortest)
        if self.values is None or other.values is None:
            self.values = None
            return
        for value, count in other.values.items():
            self.values[value] += count
        if len(self.values) > MOST_VALUES:
            self.values = None


@dataclass(slots=True)
class ToolUse:
    """One tool over sessions. `agents` counts sessions by agent id."""

    sessions: int = 0
    calls: int = 0
    last: datetime | None = None
    agents: Counter[str] = field(default_factory=Counter)
    resource_types: set[str] = field(default_factory=set)
    arguments: dict[str, ArgumentUse] = field(default_factory=dict)
    unlogged: int = 0  # calls whose arguments the log did not carry

    def merge(self, other: "ToolUse") -> None:
        self.sessions += other.sessions
        self.calls += other.calls
        self.last = later(self.last, other.last)
        self.agents.update(other.agents)
        self.resource_types |= other.resource_types
        self.unlogged += other.unlogged
        for path, use in other.arguments.items():
            mine = self.arguments.get(path)
            if mine is None:
                mine = self.arguments[path] = ArgumentUse()
            mine.merge(use)
        self.forget_made_up()

    def forget_made_up(self) -> None:
        """Treat the arguments as not logged once there are too many of them."""
        if len(self.arguments) > MOST_ARGUMENTS:
            self.arguments.clear()
            self.unlogged += 1


@dataclass(slots=True)
class Use:
    """What sessions of one scope did, in one part of the window. Counters count sessions."""

    sessions: int = 0
    actions: int = 0
    days: set[int] = field(default_factory=set)
    tools: dict[str, ToolUse] = field(default_factory=dict)
    classes: Counter[str] = field(default_factory=Counter)  # as the log spells them
    touched: Counter[str] = field(default_factory=Counter)  # the same by `class_name`
    classes_unlogged: int = 0  # calls that did not say their data classes
    records: Counter[int] = field(default_factory=Counter)  # by the records of all their calls, rounded up
    records_unlogged: int = 0  # of these, sessions in which some calls did not say theirs: they took more
    hours: Counter[int] = field(default_factory=Counter)  # of the day, UTC
    durations: Counter[int] = field(default_factory=Counter)  # in seconds, rounded up
    agents: Counter[str] = field(default_factory=Counter)
    lone: dict[tuple[str, str], object] = field(default_factory=dict)
    """The tools and data classes (`("tool", name)`, `("class", name)`) that one session alone used, with a mark of
    that session."""

    def merge(self, other: "Use") -> None:
        """Add another part's."""
        self.sessions += other.sessions
        self.actions += other.actions
        self.days |= other.days
        self.classes_unlogged += other.classes_unlogged
        self.classes.update(other.classes)
        self.touched.update(other.touched)
        self.records.update(other.records)
        self.records_unlogged += other.records_unlogged
        self.hours.update(other.hours)
        self.durations.update(other.durations)
        self.agents.update(other.agents)
        for tool, use in other.tools.items():
            self.tools.setdefault(tool, ToolUse()).merge(use)
        self.lone |= other.lone
        self._keep_lone([*self.lone])

    def add(self, session: "SessionUse") -> None:
        """Count one session that is over."""
        self.sessions += 1
        self.actions += session.actions
        self.days |= session.days
        self.classes_unlogged += session.classes_unlogged
        self.classes.update(session.classes)
        self.touched.update(set(map(class_name, session.classes)))
        self.hours.update(session.hours)
        if session.records >= 0:
            self.records[rounded(session.records)] += 1
            self.records_unlogged += session.records_unlogged
        self.durations[rounded(session.duration)] += 1
        self.agents[session.agent] += 1
        for tool, use in session.tools.items():
            self.tools.setdefault(tool, ToolUse()).merge(use)
        used = [("tool", tool) for tool in session.tools]
        used += [("class", class_name(name)) for name in session.classes]
        self.lone |= dict.fromkeys(used, object())
        self._keep_lone(used)  # the others are as they were, however many there are

    def _keep_lone(self, looked_at: Iterable[tuple[str, str]]) -> None:
        for kind, name in looked_at:
            if (self.tools[name].sessions if kind == "tool" else self.touched[name]) > 1:
                self.lone.pop((kind, name), None)


@dataclass(slots=True)
class SessionUse:
    """One session in progress: only calls that the gateway allowed are use."""

    agent: str
    first: datetime
    last: datetime
    grant: Grant  # what its envelope granted at its first call
    left_s: float | None = None  # and how long that was to last
    actions: int = 0
    days: set[int] = field(default_factory=set)
    hours: set[int] = field(default_factory=set)
    classes: set[str] = field(default_factory=set)
    classes_unlogged: int = 0
    records: int = -1
    records_unlogged: bool = False  # whether some call did not say its records
    duration: int = 0
    tools: dict[str, ToolUse] = field(default_factory=dict)
    parent: SessionKey | None = None
    above: Scope | None = None  # the parent's

    @classmethod
    def begin(cls, call: PastCall) -> "SessionUse":
        up, ends = call.parent_session_id, call.expires_at
        parent = None if up is None else SessionKey(call.tenant_id, up)
        left_s = None if ends is None else (ends - call.at).total_seconds()
        return cls(call.agent_id or "", call.at, call.at, Grant.of(call), left_s, parent=parent)

    def note(self, placed: Placed) -> None:
        """One call."""
        call = placed.call
        at = call.at
        self.actions += 1
        self.days.add(at.toordinal())
        self.hours.add(at.astimezone(UTC).hour)
        self.duration = max(self.duration, placed.age_s)
        if call.data_classes is None:
            self.classes_unlogged += 1
        else:
            self.classes |= call.data_classes
        if call.records is None:
            self.records_unlogged = True
        else:
            self.records = max(self.records, placed.taken + call.records)
        tool = self.tools.get(call.tool)
        if tool is None:
            tool = self.tools[call.tool] = ToolUse(sessions=1, agents=Counter({self.agent: 1}))
        tool.calls += 1
        tool.last = at
        if call.resource_type is not None:
            tool.resource_types.add(call.resource_type)
        if call.arguments is None:
            tool.unlogged += 1
        else:
            _note_arguments(tool.arguments, call)
            tool.forget_made_up()


def _note_arguments(uses: dict[str, ArgumentUse], call: PastCall) -> None:
    held: dict[str, set[str]] = {}
    for pair in call.bound:
        bound, _, constraint = pair.rpartition("=")
        held.setdefault(bound, set()).add(constraint)
    values = envelope_values(call.constraints) if held else {}
    for path, value in flat_arguments(call.arguments or {}).items():
        if shaped(path):
            continue
        use = uses.get(path)
        if use is None:
            use = uses[path] = ArgumentUse(sessions=1)
        use.calls += 1
        kind = kind_of(value)
        use.kinds.add(kind)
        # what the log names `resource.id` may be the resource's own, beside an argument that is called so
        carried = frozenset(
            name for name in held.get(path, ()) if kind == "hidden" or value in values.get(name, ())
        )
        use.bound = carried if use.bound is None else use.bound & carried
        if kind == "str":
            use.prefix = value if use.prefix is None else common_prefix(use.prefix, value)
            use.suffix = value if use.suffix is None else common_suffix(use.suffix, value)
            use.shortest = min(use.shortest, len(value))
        elif kind == "int" and all(value > known for known in use.largest):
            use.largest = Counter((rounded(value),))
        if use.values is not None:
            if kind == "other" or (kind == "str" and len(value) > _LONGEST_VALUE):
                use.values = None
            else:
                use.values[value] = 1
                if len(use.values) > MOST_VALUES:
                    use.values = None


def kind_of(value: Any) -> str:
    """The type of a scalar; `hidden` if redaction replaced the value but kept equal ones equal; `other` for what
    nothing can be learnt from."""
    match value:
        case bool():
            return "bool"
        case int():
            return "int"
        case str() if value in (LIST, OBJECT) or lost(value):
            return "other"
        case str():
            return "hidden" if hashed(value) else "str"
        case _:
            return "other"


def rounded(number: int) -> int:
    """Up to two significant digits, so that counts by number stay few.

    >>> rounded(7), rounded(1234), rounded(0), rounded(-5)
    (7, 1300, 0, 0)
    """
    if number < 100:
        return max(0, number)
    unit: int = 10 ** (len(str(number)) - 2)
    return -(-number // unit) * unit


def common_prefix(one: str, other: str) -> str:
    if other.startswith(one):
        return one
    size = next((at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), len(other))
    return one[:size]


def common_suffix(one: str, other: str) -> str:
    return one if other.endswith(one) else common_prefix(one[::-1], other[::-1])[::-1]


def later(one: datetime | None, other: datetime | None) -> datetime | None:
    return max((at for at in (one, other) if at is not None), default=None)
