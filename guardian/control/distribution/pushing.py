"""Faces that leave the process: each receiver follows the ledger in order, at least once, from where it stopped.

The ledger is append-only, so it is the outbox: all that is kept per receiver is how far it came. A receiver that
is away is tried again with growing pauses, and people hear of it; nothing after an entry is sent before it.
Where it cannot take what is one tenant's, that tenant is left to a pusher of its own, and the others' go on.
A flag on which it fails holds up other flags at most, with pauses of its own, and is set aside in the end where
the receiver takes others.

Two control processes may push to one receiver and share its place. What one of them sends late can arrive after
what the other sent meanwhile: then the place goes back, and what may have been undone is sent again.
"""

import random
import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial

from guardian.control.deps import ControlDeps
from guardian.control.news import tell
from guardian.domain.backoff import Backoff
from guardian.domain.finding import OPERATORS, Effect, Finding, Kind
from guardian.domain.revocation import LedgerEntry, Revision
from guardian.domain.text import moment
from guardian.errors import GuardianError
from guardian.revocation.port import Apart, NeverTaken, Receiver, Separable
from guardian.store.control.cursors import Cursor
from guardian.store.control.rows import ControlRows
from guardian.telemetry import logger
from guardian.wire.findings import FindingView

_BATCH = 200
_LATE = timedelta(minutes=5)
_LOOK_S = 1.0
_PAUSE = Backoff(1.0, 60.0)
_LOOK_APART_S = 60.0
_TRIES = 5
"""So often a flag is sent before it is asked whether the receiver takes another one."""
_log = logger("control")


@dataclass(frozen=True, slots=True)
class _Begin:
    """The live set as it was at `revision`, brought up to the entry `after`. A restart begins it anew."""

    revision: Revision
    after: Revision


@dataclass(frozen=True, slots=True)
class _Work:
    """What is next: entries (with `begin` those of the live set), flags; and where that leads. `head` is how far
    the ledger had come."""

    head: Revision
    begin: _Begin | None
    entries: tuple[LedgerEntry, ...]
    flags: tuple[tuple[int, Finding], ...]
    ledger: Cursor
    findings: Cursor


@dataclass(slots=True)
class _Flags:
    """How often in a row the next flag, `seq`, failed, since when, and until when (on the stopwatch) it rests."""

    seq: int | None = None
    failures: int = 0
    since: datetime | None = None
    rest_until: float = 0.0


class Pusher:
    """One receiver and its place in the ledger. `run` is the loop of one thread; those of `apart`, for tenants
    that the receiver has left, run in threads of their own."""

    def __init__(self, deps: ControlDeps, receiver: Receiver) -> None:
        self._deps, self._receiver = deps, receiver
        self._face = receiver.name.partition("/")[0]
        self._log = _log.bind(face=receiver.name, receiver=receiver.shown)
        self._bell = threading.Event()
        self._begun: _Begin | None = None
        self._brought: Revision | None = None  # by this step, whose place is kept at its end
        self._flags = _Flags()
        self._fails_since: datetime | None = None  # without a step in between that did not
        self.apart: list[Pusher] = []
        self._looks_apart: float | None = None  # when next, on the stopwatch

    def wake(self) -> None:
        """The ledger moved, or it is time to stop."""
        self._bell.set()
        for each in tuple(self.apart):
            each.wake()

    def run(self, stop: threading.Event) -> None:
        self._log.info("push_begins")
        failures, threads = 0, list[threading.Thread]()
        while not stop.is_set():
            self._bell.clear()
            try:
                while self.step() and not stop.is_set():
                    pass
                failures, self._fails_since = 0, None
            except Exception as error:  # a receiver may fail in any way; the place in the ledger stays
                failures, self._fails_since = failures + 1, self._fails_since or self._deps.clock()
                self._failed(error, failures)
            for each in self.apart[len(threads) :]:
                threads.append(threading.Thread(target=each.run, args=(stop,), name="guardian-push", daemon=True))
                threads[-1].start()
            if failures:
                stop.wait(_PAUSE.after(failures - 1, jitter=random.random()))
            else:
                self._bell.wait(_LOOK_S)
        self.wake()  # one that was begun after whoever stops has rung
        for thread in threads:
            thread.join()
        self._receiver.close()

    def step(self) -> bool:
        """Bring over one batch; False when there was none. Raises what the receiver raises of entries, its place
        kept. Of flags it brings no more where the ledger has moved: a revocation waits for one of them at most."""
        self._brought = None
        self._resume()
        work = self._next()
        if self._flags.seq != (work.flags[0][0] if work.flags else None):
            self._flags = _Flags()  # another process may have brought what failed here
        elif self._deps.stopwatch() < self._flags.rest_until:
            work = replace(work, flags=())
        if not (work.begin or work.entries or work.flags):
            return False
        begin, at, flags_at, flagged = work.begin, work.ledger, work.findings, False
        refused: list[str] = []
        try:
            for entry in work.entries:
                if begin is None:
                    self._bring(partial(self._receiver.deliver, entry), str(entry.revision), refused)
                    at = replace(at, revision=entry.revision)
                    self._brought = entry.revision
                else:
                    standing = partial(self._receiver.begin, entry, begin.revision)
                    self._bring(standing, str(entry.revision), refused)
                    begin = replace(begin, after=entry.revision)
            if begin is not None and len(work.entries) < _BATCH:
                self._end_begin(begin.revision)
                at = replace(at, revision=begin.revision)
                begin = None
            for seq in self._bring_flags(work, refused) if len(work.entries) < _BATCH else ():
                flagged = True
                flags_at = replace(flags_at, revision=Revision(epoch=0, n=seq))
        finally:
            self._tell_refused(refused)  # first: what is not told now will be refused again
            self._begun = begin
            if work.begin or work.entries:
                self._keep(work.ledger, at, at.revision if begin is None else begin.revision)
            if flagged:
                self._keep(work.findings, flags_at, flags_at.revision)
        return True

    def measure(self) -> None:
        """Show for how long an entry waits. Not for the thread that pushes: it may itself be what is held up."""
        name = self._receiver.name  # a face may have several receivers: one that is well must hide no other
        lag = self._lag(self._waits_since())
        self._deps.metrics.set("guardian_push_lag_seconds", lag, face=self._face, receiver=name)
        for each in tuple(self.apart):
            each.measure()

    def _bring(self, deliver: Callable[[], None], what: str, refused: list[str]) -> None:
        try:
            deliver()
        except NeverTaken as refusal:
            self._set_aside(what, refusal, refused)
        except Apart as apart:
            self._leave(apart.tenant_id)
        else:
            self._count("sent", 1)

    def _end_begin(self, revision: Revision) -> None:
        while True:
            try:
                self._receiver.begun(revision)
            except Apart as apart:
                self._leave(apart.tenant_id)
            else:
                return

    def _leave(self, tenant_id: str) -> None:
        """To a pusher of its own, for good, which begins the tenant's list anew. That is kept before this one's
        place goes on, and before the receiver passes the tenant over."""
        receiver = self._separable()
        part = receiver.apart(tenant_id)
        with self._deps.store.write() as rows:
            rows.cursors.put(Cursor(part.name, Revision(epoch=0, n=0)))
        self._log.warning("push_apart", tenant_id=tenant_id, left_to=part.shown)
        self._go_on_apart(tenant_id, part)

    def _resume(self) -> None:
        """Those that were left before a restart, and now and then those that another process left: it may be gone
        for good."""
        now = self._deps.stopwatch()
        if self._looks_apart is not None and now < self._looks_apart:
            return
        if isinstance(self._receiver, Separable):
            parts = self._receiver.parts()
            here = {each._receiver.name for each in self.apart}
            with self._deps.store.read() as rows:
                left = [told for name, told in parts.items() if name not in here and rows.cursors.get(name)]
            for tenant_id in left:
                self._go_on_apart(tenant_id, self._receiver.apart(tenant_id))
        self._looks_apart = now + _LOOK_APART_S

    def _go_on_apart(self, tenant_id: str, part: Receiver) -> None:
        self.apart.append(Pusher(self._deps, part))
        self._separable().leave(tenant_id)

    def _separable(self) -> Separable:
        assert isinstance(self._receiver, Separable)  # noqa: S101 - no other raises Apart
        return self._receiver

    def _set_aside(self, what: str, why: NeverTaken, refused: list[str]) -> None:
        """Said once, and the rest goes on."""
        self._count("refused", 1)
        self._log.error("push_refused", entry=what, reason=str(why))
        refused.append(f"{what} ({why.code})")

    def _bring_flags(self, work: _Work, refused: list[str]) -> Iterator[int]:
        """Each that is done with."""
        for seq, finding in work.flags:
            try:
                self._bring(partial(self._receiver.flagged, finding), finding.id, refused)
            except Exception as error:
                if not self._fails_alone(seq, work.head):
                    self._flags.seq, self._flags.failures = seq, self._flags.failures + 1
                    self._flags.since = self._flags.since or self._deps.clock()
                    pause = _PAUSE.after(self._flags.failures - 1, jitter=random.random())
                    self._flags.rest_until = self._deps.stopwatch() + pause
                    self._failed(error, self._flags.failures)
                    return
                self._set_aside(
                    finding.id, NeverTaken("failed", f"{_TRIES} times or more, as others did not"), refused
                )
            self._flags = _Flags()
            yield seq
            if self._deps.store.head().revision != work.head:
                return

    def _fails_alone(self, seq: int, head: Revision) -> bool:
        """Whether this flag failed often, and the receiver has just taken a later one, which it will get again."""
        if self._flags.failures + 1 < _TRIES or self._deps.store.head().revision != head:
            return False
        later = self._later(seq)
        if not later:
            return False
        try:
            self._receiver.flagged(later[self._flags.failures % len(later)][1])
        except Exception as error:
            return isinstance(error, NeverTaken)
        return True

    def _later(self, seq: int) -> Sequence[tuple[int, Finding]]:
        """Some of the flags after that one."""
        with self._deps.store.read() as rows:
            while arrived := rows.findings.after(seq, _BATCH):
                flags = self._flags_among(rows, arrived)
                if flags:
                    return flags
                seq = arrived[-1][0]
        return ()

    def _flags_among(
        self, rows: ControlRows, arrived: Sequence[tuple[int, FindingView | None]]
    ) -> tuple[tuple[int, Finding], ...]:
        reach = self._receiver.reach
        return tuple(
            (seq, view.finding) for seq, view in arrived if view is not None and _is_flag(rows, view, reach)
        )

    def _next(self) -> _Work:
        name, reach = self._receiver.name, self._receiver.reach
        with self._deps.store.read() as rows:
            head = rows.head().revision
            known, seen = rows.cursors.get(name), rows.cursors.get(f"{name}#findings")
            begin = None
            if known is not None and known.revision.epoch == head.epoch:
                entries = tuple(rows.ledger.since(known.revision, reach, _BATCH))
            else:
                begin = self._begun
                if begin is None or begin.revision.epoch != head.epoch:
                    begin = _Begin(head, after=Revision(epoch=0, n=0))
                live = rows.ledger.live(reach, after=begin.after, limit=_BATCH)
                entries = tuple(each for each in live if each.revision <= begin.revision)
            start = rows.findings.newest_seq() if seen is None else seen.revision.n  # flags are news, not history
            arrived = rows.findings.after(start, _BATCH)
            flags = self._flags_among(rows, arrived)
        for seq in (seq for seq, view in arrived if view is None):  # passed over: no revocation waits for it
            self._log.error("finding_unreadable", finding=seq)
        at = known or Cursor(name, Revision(epoch=0, n=0))
        place = seen or Cursor(f"{name}#findings", Revision(epoch=0, n=start))
        if seen is None or (arrived and not flags):
            last = arrived[-1][0] if arrived and not flags else start
            place = replace(place, revision=Revision(epoch=0, n=last))
            self._keep(seen, place, place.revision)
        return _Work(head, begin, entries, flags, at, place)

    def _keep(self, known: Cursor | None, at: Cursor, brought: Revision) -> None:
        """The place is `at`. Where another pusher moved it from `known`, it is the lower of there and `brought`.

        `brought` is how the list stood that was sent here: at `at`, or when a begin began that is not over.
        """
        with self._deps.store.write() as rows:
            stands = rows.cursors.get(at.name)
            if stands is not None and stands != known:
                at = replace(at, revision=min(stands.revision, brought))
            rows.cursors.put(at)

    def _failed(self, error: Exception, failures: int) -> None:
        self._count("failed", 1)
        reason = f"{type(error).__name__}: {error}"[:300]
        level = self._log.warning if failures in (1, 5) or failures % 20 == 0 else self._log.debug
        level("push_failed", failures=failures, error=reason)
        try:
            waits = self._waits_since()
            if waits is not None and self._lag(waits) > _LATE.total_seconds():
                what = "no flag" if waits == self._flags.since else "nothing"
                detail = f"{self._face}: {self._receiver.shown} has taken {what} since {moment(waits)}"
                self._tell("away", f"{detail} ({type(error).__name__})", waits.isoformat())
        except GuardianError as trouble:
            self._log.error("push_failed", error=str(trouble)[:300])

    def _waits_since(self) -> datetime | None:
        """When the first entry was made that this receiver does not have; or since when it takes no flag, or not
        the list of an epoch that has no entry yet."""
        with self._deps.store.read() as rows:
            known, head = rows.cursors.get(self._receiver.name), rows.head().revision
            held, fails = Revision(epoch=head.epoch, n=0), self._fails_since
            if known is not None and known.revision.epoch == head.epoch:
                held, fails = max(known.revision, self._brought or known.revision), None
            missing = rows.ledger.since(held, self._receiver.reach, 1)
        waits = (missing[0].at if missing else None, self._flags.since, fails)
        return min((each for each in waits if each is not None), default=None)

    def _lag(self, since: datetime | None) -> float:
        return 0.0 if since is None else (self._deps.clock() - since).total_seconds()

    def _tell_refused(self, refused: Sequence[str]) -> None:
        if refused:
            more = f" and {len(refused) - 1} more" if len(refused) > 1 else ""
            detail = f"{self._face}: {self._receiver.shown} refused {refused[0]}{more} for good"
            self._tell("refused", detail, refused[0].partition(" ")[0])

    def _tell(self, what: str, detail: str, once: str) -> None:
        with self._deps.store.write() as rows:
            tell(
                self._deps,
                rows,
                topic="push",
                tenant_id=OPERATORS,
                title=f"Revocations do not reach a receiver ({self._face})",
                detail=detail,
                severity="high",
                once=f"{self._receiver.name} {what} {once}",
                now=self._deps.clock(),
            )

    def _count(self, outcome: str, amount: int) -> None:
        self._deps.metrics.add("guardian_pushes_total", amount, face=self._face, outcome=outcome)


def _is_flag(rows: ControlRows, view: FindingView, reach: Collection[str] | None) -> bool:
    """A flag of a session within reach, and no test of our own."""
    finding = view.finding
    return (
        finding.kind is Kind.DRIFT
        and (reach is None or finding.tenant_id in reach)
        and view.outcome.effect is Effect.FLAG
        and rows.self_tests.of_session(finding.tenant_id, finding.session_id) is None
    )
