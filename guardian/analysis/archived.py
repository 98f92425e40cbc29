"""An archive as frames, for the tenants that the handle was opened for and no other."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from guardian.analysis import neutral
from guardian.analysis.schema import EVENTS, frame
from guardian.analysis.sessions import FOLDED, IDLE, KEY, ONE, begins, sessions_of
from guardian.analysis.vectors import CALLED, VECTORS, Sums, matrix, of_a_model
from guardian.archive.reader import Archive, Window
from guardian.archive.schema import EVENTS as ARCHIVED
from guardian.commands.archived_sessions import OF_FINDINGS, for_rules
from guardian.domain.identity import SessionKey
from guardian.domain.past import Label, PastCall, standing, verdicts
from guardian.errors import ConfigurationError
from guardian.tightening.redacted import marked
from guardian.tightening.sessions import Apart
from guardian.wire.principal import EVERY_TENANT

_FOLDED = tuple(column for column in EVENTS if column.name in FOLDED)
_OF_SESSIONS = [column.name for column in _FOLDED if column.name in ARCHIVED.names]


@dataclass(frozen=True, slots=True)
class ArchiveView:
    """`scope` are the tenants that it sees, None all of them. Times are UTC; `until` is exclusive.

    `planted` is the gateway of what guardian plants to test itself, empty where it plants nothing. That is
    nobody's work, and it is guardian that confirms it: its calls and words are left out.

    A session that is known by agent and user only begins anew after `idle` without a call, as for the monitor.

    `asks_at`: flagged and revoked is at 1 in so many, as the configuration says it; None where none is known.

    `rejections` is the file of restrictions that people said no to, None where none is known.

    `redact` are the configuration's `source.redact`: of what lost its value nothing is proposed.

    Everything is read anew from the files at every call, a day of a tenant at a time, and then held in memory:
    narrow large archives with `since` and `until`, and events with `columns`.
    """

    archive: Archive
    scope: frozenset[str] | None
    planted: str = ""
    idle: timedelta = IDLE
    asks_at: tuple[float, float] | None = None
    rejections: Path | None = None
    redact: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        archive: Archive,
        tenant: str | Collection[str],
        *,
        planted: str = "",
        idle: timedelta = IDLE,
        asks_at: tuple[float, float] | None = None,
        rejections: Path | None = None,
        redact: Mapping[str, str] = MappingProxyType({}),
    ) -> "ArchiveView":
        """Raises ConfigurationError for no tenant at all."""
        wanted = frozenset([tenant] if isinstance(tenant, str) else tenant)
        if not wanted or "" in wanted:
            raise ConfigurationError('say whose sessions: tenant="tenant_acme", several of them, or "*" for all')
        scope = None if EVERY_TENANT in wanted else wanted
        return cls(archive, scope, planted, idle, asks_at, rejections, redact)

    def reaches(self, tenant_id: str) -> bool:
        return self.scope is None or tenant_id in self.scope

    def only(self, *tenants: str) -> "ArchiveView":
        """A handle for fewer tenants, named as they are or as `tenants` shows them. Raises ConfigurationError for
        one that this handle does not see."""
        meant = frozenset(map(self._meant, tenants))
        beyond = sorted(tenant for tenant in meant if not self.reaches(tenant))
        if beyond or not tenants:
            raise ConfigurationError(f"{', '.join(beyond) or 'no tenant'}: this handle was not opened for that")
        return replace(self, scope=meant)

    def _meant(self, tenant: str) -> str:
        if neutral.name(tenant) == tenant:
            return tenant
        return next((each for each in self._tenants() if neutral.name(each) == tenant), tenant)

    @property
    def tenants(self) -> list[str]:
        """Those that it sees and of which something lies here."""
        return sorted(map(neutral.name, self._tenants()))

    def _tenants(self) -> list[str]:
        told: list[str] = pc.unique(self.arrow(["tenant_id"]).column("tenant_id")).to_pylist()
        return told

    @property
    def days(self) -> list[pd.Timestamp]:
        """The days (UTC) of which something lies here, oldest first. The last is one on which somebody worked."""
        folders = {None if self.scope is None else tenant for tenant in self.scope or {None}}
        found = {part.day for tenant in folders for part in self.archive.partitions(Window(tenant))}
        days = [pd.Timestamp(day, tz="UTC") for day in sorted(found)]
        while self.planted and days and not self._worked(days[-1]):
            days.pop()
        return days

    def _worked(self, day: pd.Timestamp) -> bool:
        batches = self._batches(["at"], day.to_pydatetime(), (day + timedelta(days=1)).to_pydatetime())
        return any(batch.num_rows for batch in batches)

    def arrow(
        self, columns: Sequence[str] | None = None, *, since: datetime | None = None, until: datetime | None = None
    ) -> pa.Table:
        """The archive's own columns (`archive.schema.EVENTS`), each decision once: for polars, DuckDB and others.

        Agents' text is untouched here. Raises ArchiveError for a column that the archive does not have.
        """
        wanted = list(columns or ARCHIVED.names)
        return _table(self._batches(wanted, since, until), wanted)

    def _batches(
        self, read: list[str], since: datetime | None, until: datetime | None
    ) -> Iterator[pa.RecordBatch]:
        if not self.planted:
            yield from self._stored(read, since, until)
            return
        for batch in self._stored([*dict.fromkeys([*read, "gateway"])], since, until):
            theirs = pc.not_equal(batch.column("gateway"), self.planted)
            yield batch.filter(pc.fill_null(theirs, fill_value=True)).select(read)

    def _stored(
        self, read: list[str], since: datetime | None = None, until: datetime | None = None
    ) -> Iterator[pa.RecordBatch]:
        for tenant in [None] if self.scope is None else sorted(self.scope):
            yield from self.archive.batches(read, Window(tenant, since, until))

    def events(
        self,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        session: str | Collection[str] | None = None,
        columns: Collection[str] | None = None,
    ) -> pd.DataFrame:
        """Every decision of the window in time; columns `schema.EVENTS`, or those of them that are asked for.
        `session` keeps that session only, or those: of the others nothing is held in memory.

        Raises ConfigurationError for a column that there is not.
        """
        asked = None if session is None else frozenset([session] if isinstance(session, str) else session)
        shown = tuple(column for column in EVENTS if columns is None or column.name in columns)
        names = [column.name for column in shown]
        if unknown := sorted({*(columns or ())}.difference(names)):
            raise ConfigurationError(f"{', '.join(unknown)}: no column of schema.EVENTS")
        read = [name for name in dict.fromkeys([*KEY, "at", *names]) if name in ARCHIVED.names]
        table = self._asked(read, since, until, asked)
        told = [name for name in read if name != "signals"]
        rows = table.select(told).to_pandas()
        if "signals" in read:
            pairs = table.column("signals").to_pylist()
            rows["signals"] = [None if each is None else dict(each) for each in pairs]
        rows = self._ordered(rows)
        if "act" in names:
            rows["act"] = rows.groupby(ONE, sort=False).cumcount() + 1
        return frame(rows, shown, raw=True)

    def _asked(
        self,
        read: list[str],
        since: datetime | None,
        until: datetime | None,
        sessions: Collection[str] | None = None,
    ) -> pa.Table:
        batches = self._batches(read, since, until)
        return _table(batches if sessions is None else (_only(batch, sessions) for batch in batches), read)

    def _ordered(self, rows: pd.DataFrame) -> pd.DataFrame:
        """By time, each with when its session began."""
        rows = rows.sort_values(["at", "tenant_id", "session_id"], kind="stable")
        rows["begin"] = begins(rows, self.idle)
        return rows

    def sessions(self, *, since: datetime | None = None, until: datetime | None = None) -> pd.DataFrame:
        """Every session that acted in the window, by its beginning; columns `schema.SESSIONS`."""
        rows = self._ordered(self._asked(_OF_SESSIONS, since, until).to_pandas())
        return sessions_of(frame(rows, _FOLDED, raw=True), self.words())

    def words(self) -> pd.DataFrame:
        """What people said of sessions, oldest first: tenant_id, session_id, word, at, the finding_id that they
        judged (missing where that is not known), whether it is the judgement that stands of the session, or of
        the finding where the name may stand for several, and whether it was taken back."""
        said = self._theirs([label for label in self.archive.labels() if self.reaches(label.key.tenant_id)])
        apart = [replace(label, key=_one(label)) for label in said]
        stands, kept = set(verdicts(apart).values()), set(standing(apart))
        rows = {
            "tenant_id": pd.Series([neutral.name(label.key.tenant_id) for label in said], dtype="string"),
            "session_id": pd.Series([neutral.name(label.key.session_id) for label in said], dtype="string"),
            "word": pd.Series([label.word.value for label in said], dtype="string"),
            "at": pd.to_datetime(pd.Series([label.at for label in said]), utc=True).astype("datetime64[us, UTC]"),
            "finding_id": pd.Series([label.finding_id or None for label in said], dtype="string"),
            "stands": pd.Series([label in stands for label in apart], dtype="bool"),
            "taken_back": pd.Series([label not in kept for label in apart], dtype="bool"),
        }
        return pd.DataFrame(rows)

    def ruled(self) -> set[str]:
        """The ids of the findings that a broken rule alone led to."""
        return set().union(*map(for_rules, self._stored(["finding_id", *OF_FINDINGS])))

    def _theirs(self, said: list[Label]) -> list[Label]:
        """Without what was said of sessions of which every call was planted."""
        if not self.planted or not said:
            return said
        planted, real = set[SessionKey](), set[SessionKey]()
        spoken = pa.array({label.key.session_id for label in said}, pa.string())
        names = ["tenant_id", "session_id", "gateway"]
        for batch in self._stored(names):
            rows = batch.filter(pc.is_in(batch.column("session_id"), spoken))
            for tenant, session, gateway in zip(*(rows.column(name).to_pylist() for name in names), strict=True):
                (planted if gateway == self.planted else real).add(SessionKey(tenant, session))
        return [label for label in said if label.key not in planted - real]

    def vectors(
        self,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        of: Callable[[pd.DataFrame], NDArray[np.bool_]] | None = None,
    ) -> tuple[pd.DataFrame, NDArray[np.float32], NDArray[np.float32]]:
        """Decisions whose vectors were kept, and their purpose's and action's, of shape (n, dimensions) each.

        The frame has tenant_id, session_id, begin, at, tool, purpose_family, agent_id and vector_model. Vectors of
        different models cannot be compared: those of the newest are taken, or of the newest that the rows have for
        which `of` is true, if there are any.
        """
        read = self.arrow([*CALLED, *VECTORS], since=since, until=until)
        rows, table = of_a_model(read, "action_vector", of, self.idle)
        purposes, actions = (matrix(table.column(name)).astype(np.float32) for name in VECTORS[1:])
        return rows, purposes, actions

    def summed_vectors(
        self, *, since: datetime | None = None, of: Callable[[pd.DataFrame], NDArray[np.bool_]] | None = None
    ) -> tuple[pd.DataFrame, NDArray[np.float32]]:
        """The frame of `vectors`, and the sum of the actions' of each of its sessions, in the order in which they
        begin there. Single vectors are not held in memory."""
        sums = Sums()
        for batch in self._batches([*CALLED, "vector_model", "action_vector"], since, None):
            sums.add(batch)
        return sums.of_sessions(of, self.idle)

    def past_calls(self, *, since: datetime, until: datetime) -> Iterator[PastCall]:
        """The same decisions as values, as proposals are made from: each session that is known by agent and user
        only has a name of its own, and what was redacted to its shape is marked."""
        for tenant in [None] if self.scope is None else sorted(self.scope):
            calls = self.archive.past_calls(Window(tenant, since, until))
            theirs = (call for call in calls if not self.planted or call.gateway != self.planted)
            yield from marked(Apart(self.idle).calls(theirs), self.redact)


def _one(label: Label) -> SessionKey:
    """Whose judgement it is: of a name that may stand for several sessions, the one finding's."""
    key = label.key
    return SessionKey(key.tenant_id, f"{key.session_id}\x1f{label.finding_id}") if key.nameless else key


def _table(batches: Iterable[pa.RecordBatch], columns: list[str]) -> pa.Table:
    return pa.Table.from_batches(batches, pa.schema([ARCHIVED.field(name) for name in columns]))


def _only(batch: pa.RecordBatch, sessions: Collection[str]) -> pa.RecordBatch:
    """The rows of these sessions, named as they are or as they are shown."""
    known = pc.unique(batch.column("session_id")).to_pylist()
    meant = [each for each in known if each in sessions or neutral.name(each) in sessions]
    return batch.filter(pc.is_in(batch.column("session_id"), pa.array(meant, pa.string())))


def last_days(view: ArchiveView, days: int) -> datetime:
    """The beginning of the last so many days of which something lies here: a `since`."""
    known = view.days
    if not known:
        raise ConfigurationError(f"{view.archive.root}: this archive holds nothing of these tenants")
    begin: datetime = (known[-1] - timedelta(days=days - 1)).to_pydatetime()
    return begin
