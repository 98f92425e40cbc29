"""A small, real pipeline: it decodes, counts a session's actions, and finds something at every third."""

import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from until import until

from guardian.bus.memory import MemoryBroker, MemoryConsumer
from guardian.domain.backoff import Backoff
from guardian.domain.batch import (
    Change,
    ChangePage,
    DeadLetter,
    Decoded,
    Judgement,
    Memory,
    ScoredDecision,
    Wanted,
)
from guardian.domain.finding import Effect, Finding, Kind
from guardian.domain.record import Record
from guardian.domain.session import SessionState
from guardian.errors import ControlError, DecodeError, Unstorable
from guardian.sources.guardian import plugin
from guardian.store.engine import open_engine
from guardian.store.monitor.store import MonitorStore
from guardian.stream.commit import Committer
from guardian.stream.fuse import Fuse
from guardian.stream.worker import Worker, WorkerOptions
from guardian.telemetry import Metrics

START = datetime(2026, 5, 12, 17, tzinfo=UTC)


@dataclass
class Clock:
    now: datetime = START

    def __call__(self) -> datetime:
        return self.now

    def forward(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


def event(n: int, session: str = "s1", tool: str = "read", gateway: str = "gw") -> bytes:
    return json.dumps(
        {
            "schema": "guardian.decision/v1", "id": f"d{n}", "time": "2026-05-12T17:00:00Z", "gateway": gateway,
            "envelope": {"delegator_id": "u", "tenant_id": "acme", "session_id": session},
            "action": {"tool": tool}, "decision": {"effect": "allow"},
        }
    ).encode()  # fmt: skip


def _finding(kind: Kind, session: str, name: str) -> Finding:
    return Finding(
        id=name, kind=kind, tenant_id="acme", session_id=session, wanted=Effect.FLAG, severity="low",
        title="t", time=START,
    )  # fmt: skip


@dataclass
class Counting:
    """`explode(tool)` may raise, or end the process, for a tool that is judged."""

    explode: Callable[[str], None] = lambda tool: None
    judged: list[str] = field(default_factory=list)

    def each(self, record: Record) -> Iterator[Decoded | DeadLetter]:
        try:
            yield Decoded(record, plugin().decode(record), "digest", START, False)
        except DecodeError as error:
            yield DeadLetter(record, error.code, error.reason, error.tenant_id, error.session_id)

    def wanted(self, decoded: Sequence[Decoded], letters: Sequence[DeadLetter] = ()) -> Wanted:
        keys = frozenset(d.event.key for d in decoded)
        return Wanted(keys, frozenset(d.decision for d in decoded), frozenset(), frozenset())

    def judge(self, decoded: Sequence[Decoded], letters: Sequence[DeadLetter], memory: Memory) -> Judgement:
        states, seen = dict(memory.sessions), {}
        findings, scored, duplicates = [], [], 0
        for d in decoded:
            if d.decision in memory.seen or d.decision in seen:
                duplicates += 1
                continue
            self.explode(d.event.action.tool)
            self.judged.append(d.event.id)
            seen[d.decision] = d.digest
            count = states.get(d.event.key, SessionState()).actions + 1
            states[d.event.key] = states.get(d.event.key, SessionState()).model_copy(update={"actions": count})
            scored.append(ScoredDecision(d, None))  # type: ignore[arg-type]
            if count % 3 == 0:
                session = d.event.key.session_id
                findings.append(_finding(Kind.DRIFT, session, f"{session}-{count}"))
        for letter in letters:
            if letter.session_id:
                name = f"unscorable-{letter.record.partition}-{letter.record.offset}"
                findings.append(_finding(Kind.UNSCORABLE, letter.session_id, name))
        touched = {d.event.key: states[d.event.key] for d in decoded if d.event.key in states}
        return Judgement(tuple(scored), tuple(findings), touched, seen, {}, tuple(letters), duplicates)


@dataclass
class Control:
    """Control in memory: idempotent by finding id; `answers` are raised first, one per call."""

    answers: list[Exception] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    got: dict[str, Finding] = field(default_factory=dict)
    feed: list[Change] = field(default_factory=list)
    name: str = ""  # of its database; older versions do not say
    refuse: dict[str, int] = field(default_factory=dict)
    code: str = "refused"  # of what is refused; a proxy gives none
    takes: Callable[[], None] = lambda: None  # how long it takes to answer

    def submit(self, finding: Finding) -> dict[str, object]:
        self.calls.append(finding.id)
        self.takes()
        if self.answers:
            raise self.answers.pop(0)
        if finding.id in self.refuse:
            raise ControlError("no", status=self.refuse[finding.id], code=self.code)
        self.got.setdefault(finding.id, finding)
        return {"effect": "flag"}

    def changes(self, since: int) -> ChangePage:
        if self.answers:
            raise self.answers.pop(0)
        shown = [change for change in self.feed if change.seq > since][:2]
        ends = max((change.seq for change in self.feed), default=0)
        end = shown[-1].seq if shown else min(since, ends) if self.name else since
        return ChangePage(shown, end, self.name)


@dataclass
class Rig:
    """A broker, a store and workers on them; everything that a process would hold."""

    url: str
    clock: Clock = field(default_factory=Clock)
    metrics: Metrics = field(default_factory=Metrics)

    def __post_init__(self) -> None:
        self.broker = MemoryBroker(clock=self.clock)
        self.stores: list[Any] = []
        self.store, self._looking = self.open(), self.open()

    def open(self) -> MonitorStore:
        """The store as a fresh process would open it."""
        self.stores.append(open_engine(self.url))
        return MonitorStore(self.stores[-1], seal=lambda b: b"sealed:" + b, hear=lambda state, change: state)

    def worker(
        self, pipeline: Any = None, *, fuse: Fuse | None = None, consumer: Any = None, **more: Any
    ) -> Worker:
        options = WorkerOptions(
            max_records=more.pop("max_records", 50), poll_timeout_s=0.01, backoff=Backoff(0.001, 0.01),
            max_outbox_depth=more.pop("max_outbox_depth", None),
        )  # fmt: skip
        store, lateness = more.pop("store", self.store), more.pop("lateness", None)
        timer, begin = more.pop("timer", time.monotonic), more.pop("begin", lambda: None)
        committer = Committer(
            pipeline=pipeline or Counting(), store=store, clock=self.clock, timer=lambda: 0.0,
            metrics=self.metrics, fuse=fuse, lateness=lateness, **more,
        )  # fmt: skip
        return Worker(
            consumer=consumer or MemoryConsumer(self.broker, ["log"]), store=store, committer=committer,
            clock=self.clock, options=options, lateness=lateness, timer=timer, begin=begin,
        )  # fmt: skip

    def read(self, worker: Any, holds: Callable[[], bool]) -> None:
        """Run the worker, or whatever else runs until it is stopped, in a thread until the condition holds."""
        stop, failed = threading.Event(), []

        def run() -> None:
            try:
                worker.run(stop)
            except BaseException as error:
                failed.append(error)

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        try:
            until(lambda: holds() or not thread.is_alive())
        finally:
            stop.set()
            thread.join(90)
        assert not thread.is_alive(), "the worker did not stop"
        if failed:
            raise failed[0]
        assert holds(), "the condition never held"

    def drained(self) -> bool:
        """Whether the store is past everything in the topic."""
        ends: dict[Any, int] = {}
        for record in self.broker.records("log"):
            ends[record.place] = record.offset + 1
        return self._looking.positions(ends) == ends

    def findings(self) -> list[str]:
        """Ids of everything in the outbox, without leasing it for long."""
        items = self.store.outbox.due(self.clock(), 1000, lease=timedelta(0))
        return sorted(item.finding.id for item in items if item.finding is not None)


@pytest.fixture
def rig(tmp_path):
    made = Rig(f"sqlite:///{tmp_path}/monitor.db")
    yield made
    for engine in made.stores:
        engine.dispose()


@pytest.fixture
def refuses(monkeypatch):
    """A store that takes nothing of this name (a decision or an envelope), as PostgreSQL takes no too wide key."""

    def refuse(store, name):
        commit = store.commit

        def checked(judged, *, heard=(), **more):
            names = {key[2] for key in judged.seen} | {each.grant.envelope.session_id for each in heard}
            if name in names:
                raise Unstorable("index row size exceeds maximum")
            commit(judged, heard=heard, **more)

        monkeypatch.setattr(store, "commit", checked)

    return refuse


@pytest.fixture
def make_event():
    return event


@pytest.fixture
def counting():
    return Counting


@pytest.fixture
def control():
    return Control()
