"""Flags on their way to one receiver: news, not history, which may rest, be passed over and be set aside.

One on which the receiver fails holds up other flags at most, with pauses of its own, and is set aside in the end
where the receiver takes others.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from guardian.control.deps import ControlDeps
from guardian.control.distribution.place import Place
from guardian.control.distribution.trouble import Trouble
from guardian.domain.backoff import Backoff
from guardian.domain.finding import Effect, Finding, Kind
from guardian.domain.revocation import Revision
from guardian.revocation.port import NeverTaken, Receiver
from guardian.store.control.cursors import Cursor
from guardian.store.control.rows import ControlRows
from guardian.wire.findings import FindingView

_BATCH = 200
_PAUSE = Backoff(1.0, 60.0)
_TRIES = 5
"""So often a flag is sent before it is asked whether the receiver takes another one."""

Flags = Sequence[tuple[int, Finding]]
Arrived = Sequence[tuple[int, FindingView | None]]


@dataclass(frozen=True, slots=True)
class Read:
    """What came since the place that is stored as `known`: `start`, where there is none yet the newest finding."""

    known: Cursor | None
    start: int
    arrived: Arrived
    flags: Flags


@dataclass(slots=True)
class Due:
    """Flags to be sent now, beyond the place `known`; up to `done` they are done with."""

    known: Cursor
    flags: Flags
    done: int | None = None


@dataclass(slots=True)
class _Failing:
    """How often in a row the next flag, `seq`, failed, since when, and until when (on the stopwatch) it rests."""

    seq: int | None = None
    failures: int = 0
    since: datetime | None = None
    rest_until: float = 0.0


class FlagFeed:
    """One receiver and its place among the findings."""

    def __init__(self, deps: ControlDeps, receiver: Receiver, trouble: Trouble) -> None:
        self._deps, self._receiver, self._trouble = deps, receiver, trouble
        self._place = Place(deps.store, f"{receiver.name}#findings")
        self._failing = _Failing()

    @property
    def fails_since(self) -> datetime | None:
        return self._failing.since

    def read(self, rows: ControlRows) -> Read:
        known = rows.cursors.get(self._place.name)
        start = rows.findings.newest_seq() if known is None else known.revision.n
        arrived = rows.findings.after(start, _BATCH)
        return Read(known, start, arrived, self._among(rows, arrived))

    def due(self, read: Read) -> Due:
        """What of it is to be sent now. The place goes on over what is no flag; of what this version cannot read
        the log tells: no revocation waits for it."""
        for seq in (seq for seq, view in read.arrived if view is None):
            self._trouble.log.error("finding_unreadable", finding=seq)
        known, flags = read.known or Cursor(self._place.name, _at(read.start)), read.flags
        if read.known is None or (read.arrived and not flags):
            passed = _at(read.arrived[-1][0] if read.arrived and not flags else read.start)
            self._place.keep(read.known, passed, passed)
            known = Cursor(self._place.name, passed)
        if self._failing.seq != (flags[0][0] if flags else None):
            self._failing = _Failing()  # another process may have brought what failed here
        elif self._deps.stopwatch() < self._failing.rest_until:
            flags = ()
        return Due(known, flags)

    def bring(self, due: Due, head: Revision) -> None:
        """One after the other, until one fails or the ledger is no longer at `head`: a revocation waits for one of
        them at most."""
        for seq, finding in due.flags:
            try:
                self._receiver.flagged(finding)
            except NeverTaken as refusal:
                self._trouble.set_aside(finding.id, refusal)
            except Exception as error:
                if not self._fails_alone(seq, head):
                    self._failed(seq, error)
                    return
                why = NeverTaken("failed", f"{_TRIES} times or more, as others did not")
                self._trouble.set_aside(finding.id, why)
            else:
                self._trouble.sent()
            self._failing = _Failing()
            due.done = seq
            if self._deps.store.head().revision != head:
                return

    def keep(self, due: Due) -> None:
        if due.done is not None:
            self._place.keep(due.known, _at(due.done), _at(due.done))

    def _failed(self, seq: int, error: Exception) -> None:
        failing = self._failing
        failing.seq, failing.failures = seq, failing.failures + 1
        failing.since = failing.since or self._deps.clock()
        pause = _PAUSE.after(failing.failures - 1, jitter=random.random())
        failing.rest_until = self._deps.stopwatch() + pause
        self._trouble.failed(error, failing.failures)

    def _fails_alone(self, seq: int, head: Revision) -> bool:
        """Whether this flag failed often, and the receiver has just taken a later one, which it will get again."""
        if self._failing.failures + 1 < _TRIES or self._deps.store.head().revision != head:
            return False
        later = self._later(seq)
        if not later:
            return False
        try:
            self._receiver.flagged(later[self._failing.failures % len(later)][1])
        except Exception as error:
            return isinstance(error, NeverTaken)
        return True

    def _later(self, seq: int) -> Flags:
        """Some of the flags after that one."""
        with self._deps.store.read() as rows:
            while arrived := rows.findings.after(seq, _BATCH):
                flags = self._among(rows, arrived)
                if flags:
                    return flags
                seq = arrived[-1][0]
        return ()

    def _among(self, rows: ControlRows, arrived: Arrived) -> Flags:
        return tuple(
            (seq, view.finding) for seq, view in arrived if view is not None and self._is_flag(rows, view)
        )

    def _is_flag(self, rows: ControlRows, view: FindingView) -> bool:
        """A flag of a session within reach, and no test of our own."""
        finding, reach = view.finding, self._receiver.reach
        return (
            finding.kind is Kind.DRIFT
            and (reach is None or finding.tenant_id in reach)
            and view.outcome.effect is Effect.FLAG
            and rows.self_tests.of_session(finding.tenant_id, finding.session_id) is None
        )


def _at(seq: int) -> Revision:
    return Revision(epoch=0, n=seq)
