"""One session's judged actions, in their order: what a person reads to see what happened and why."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import NamedTuple, Protocol


class Point(NamedTuple):
    """The evidence after one action: `one_in` honest sessions per one that gathers as much, as promised or not."""

    at: datetime
    one_in: float
    promised: bool
    wanted: str  # the effect that the finding made at this action asked for; "none" where there was none


@dataclass(frozen=True, slots=True)
class Step:
    """One action with its verdict. None where the log, or the archive's rules, say nothing.

    `signals` are the values of those that spoke, in [0, 1]; `arguments` is JSON text after redaction,
    `resource` its kind and its name with a slash between them.
    """

    at: datetime
    tool: str
    effect: str
    gateway: str
    decision_id: str
    arguments: str | None = None
    resource: str | None = None
    data_classes: tuple[str, ...] | None = None
    records: int | None = None
    reason: str = ""
    score: float | None = None
    one_in: float = 1.0
    promised: bool = True
    signals: Mapping[str, float] | None = None
    breaches: tuple[str, ...] = ()
    features_missing: tuple[str, ...] = ()
    finding_id: str | None = None
    wanted: str = "none"


@dataclass(frozen=True, slots=True)
class Granted:
    """The envelope as the log carried it at the session's latest action."""

    delegator_id: str
    agent_id: str | None
    task_id: str | None
    purpose: str
    parent_session_id: str | None
    allowed_tools: tuple[str, ...]
    constraints: Mapping[str, object]
    expires_at: datetime | None


class Timeline(Protocol):
    """What an archive knows of one session, oldest action first.

    `first` and `last` are the days (UTC) that were looked at, both included; `points` has one entry an action.
    `steps(start, stop)` are those of the given positions, fewer at the end. `granted` is None without an action.
    Both are read when they are asked for, and raise ArchiveError where they cannot be.
    """

    @property
    def first(self) -> date: ...
    @property
    def last(self) -> date: ...
    @property
    def points(self) -> Sequence[Point]: ...
    @property
    def granted(self) -> Granted | None: ...
    def steps(self, start: int, stop: int) -> Sequence[Step]: ...


class Timelines(Protocol):
    """Where a session's actions are found; an archive, or what stands for one.

    `of` looks at the days from `since` to `until`, and further in both directions while the next day has
    something, so that a session that ran past midnight is whole. Raises ArchiveError for files that cannot be
    read. It does not know who asks: the caller checks who may see the tenant's sessions. `empty`: there is nothing
    at all, of any tenant.
    """

    def empty(self) -> bool: ...
    def of(self, tenant_id: str, session_id: str, *, since: date, until: date) -> Timeline: ...
