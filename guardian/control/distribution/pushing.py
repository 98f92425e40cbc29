"""Faces that leave the process: each receiver follows the ledger in order, at least once, from where it stopped.

The ledger is append-only, so it is the outbox: all that is kept per receiver is how far it came. A receiver that
is away is tried again with growing pauses, and people hear of it; nothing after an entry is sent before it.
Where it cannot take what is one tenant's, that tenant is left to a pusher of its own, and the others' go on.
Flags follow behind the entries, and never hold them up.

Two control processes may push to one receiver and share its place. What one of them sends late can arrive after
what the other sent meanwhile: then the place goes back, and what may have been undone is sent again.
"""

import random
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from functools import partial

from guardian.control.deps import ControlDeps
from guardian.control.distribution.apart import Partings
from guardian.control.distribution.flags import FlagFeed
from guardian.control.distribution.place import Begin, Came, Entries, Place, next_entries
from guardian.control.distribution.trouble import Trouble
from guardian.domain.backoff import Backoff
from guardian.domain.revocation import Revision
from guardian.revocation.port import Apart, NeverTaken, Receiver

_LOOK_S = 1.0
_PAUSE = Backoff(1.0, 60.0)


class Pusher:
    """One receiver and its place in the ledger. `run` is the loop of one thread; those of `apart`, for tenants
    that the receiver has left, run in threads of their own."""

    def __init__(self, deps: ControlDeps, receiver: Receiver) -> None:
        self._deps, self._receiver = deps, receiver
        self._bell = threading.Event()
        self._place = Place(deps.store, receiver.name)
        self._trouble = Trouble(deps, receiver, self._waits)
        self._flags = FlagFeed(deps, receiver, self._trouble)
        self._partings = Partings(deps, receiver)
        self.apart: list[Pusher] = []
        self._begun: Begin | None = None
        self._brought: Revision | None = None  # by this step, whose place is kept at its end
        self._fails_since: datetime | None = None  # without a step in between that did not

    def wake(self) -> None:
        """The ledger moved, or it is time to stop."""
        self._bell.set()
        for each in tuple(self.apart):
            each.wake()

    def run(self, stop: threading.Event) -> None:
        self._trouble.log.info("push_begins")
        failures, threads = 0, list[threading.Thread]()
        while not stop.is_set():
            self._bell.clear()
            try:
                while self.step() and not stop.is_set():
                    pass
                failures, self._fails_since = 0, None
            except Exception as error:  # a receiver may fail in any way; the place in the ledger stays
                failures, self._fails_since = failures + 1, self._fails_since or self._deps.clock()
                self._trouble.failed(error, failures)
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
        for part in self._partings.found():
            self.apart.append(Pusher(self._deps, part))
        with self._deps.store.read() as rows:
            work = next_entries(rows, self._place.name, self._receiver.reach, self._begun)
            read = self._flags.read(rows)
        due = self._flags.due(read)
        if not (work.begin or work.entries or due.flags):
            return False
        came = Came(work.at.revision, work.begin)
        try:
            self._bring(work, came)
            if work.last:
                self._flags.bring(due, work.head)
        finally:
            self._trouble.tell_refused()  # first: what is not told now will be refused again
            self._begun = came.begin
            if work.begin or work.entries:
                self._place.keep(work.at, came.at, came.brought)
            self._flags.keep(due)
        return True

    def measure(self) -> None:
        self._trouble.measure()
        for each in tuple(self.apart):
            each.measure()

    def _bring(self, work: Entries, came: Came) -> None:
        for entry in work.entries:
            if work.begin is None:
                self._send(partial(self._receiver.deliver, entry), entry.revision)
                came.at = self._brought = entry.revision
            else:
                self._send(partial(self._receiver.begin, entry, work.begin.revision), entry.revision)
                came.begin = replace(work.begin, after=entry.revision)
        if work.begin is not None and work.last:
            self._end_begin(work.begin.revision)
            came.at, came.begin = work.begin.revision, None

    def _send(self, deliver: Callable[[], None], revision: Revision) -> None:
        try:
            deliver()
        except NeverTaken as refusal:
            self._trouble.set_aside(str(revision), refusal)
        except Apart as apart:
            self._leave(apart.tenant_id)
        else:
            self._trouble.sent()

    def _end_begin(self, revision: Revision) -> None:
        while True:
            try:
                self._receiver.begun(revision)
            except Apart as apart:
                self._leave(apart.tenant_id)
            else:
                return

    def _leave(self, tenant_id: str) -> None:
        part = self._partings.leave(tenant_id)
        self._trouble.log.warning("push_apart", tenant_id=tenant_id, left_to=part.shown)
        self.apart.append(Pusher(self._deps, part))

    def _waits(self) -> tuple[datetime | None, str]:
        """When the first entry was made that this receiver does not have; or since when it takes no flag, or not
        the list of an epoch that has no entry yet. And which."""
        with self._deps.store.read() as rows:
            known, head = rows.cursors.get(self._place.name), rows.head().revision
            held, fails = Revision(epoch=head.epoch, n=0), self._fails_since
            if known is not None and known.revision.epoch == head.epoch:
                held, fails = max(known.revision, self._brought or known.revision), None
            missing = rows.ledger.since(held, self._receiver.reach, 1)
        no_flag = self._flags.fails_since
        since = min((at for at in (missing[0].at if missing else None, no_flag, fails) if at), default=None)
        return since, "no flag" if since == no_flag else "nothing"
