"""The thread that makes checkpoints and exports them: a failure delays a checkpoint and loses none."""

import math
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime

from guardian.audit.making import make_checkpoint
from guardian.audit.sinks import Sink, export
from guardian.errors import GuardianError, StoreError
from guardian.keys.signing import SigningKeys
from guardian.store.control.audit import stored_json
from guardian.store.control.store import ControlStore
from guardian.telemetry import Metrics, logger

_AGAIN_S = 30.0
_PATIENCE = 3
"""After how many failures in a row of a sink people are called: a broker that is started anew is back by then."""

_KNOWN = GuardianError, OSError

_log = logger("audit")


class Checkpoints:
    """Every `every_s` seconds, when there are new entries: a checkpoint into the database and to every sink.

    After a failure it is tried again within half a minute. `base` is `origin_base(issuer)`.
    """

    def __init__(
        self,
        store: ControlStore,
        keys: SigningKeys,
        sinks: Sequence[Sink] = (),
        *,
        base: str,
        every_s: float,
        metrics: Metrics,
        clock: Callable[[], datetime],
        close: Callable[[], None] = lambda: None,
    ) -> None:
        self._store, self._keys, self._sinks, self._base = store, keys, tuple(sinks), base
        self._every, self._metrics, self._clock, self._close = every_s, metrics, clock, close
        self._reached: dict[str, int] = {}
        self._failed, self._why = 0, ""
        self._away: dict[str, tuple[int, str]] = {}  # by sink: how often it failed in a row, and why
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        self._stop.clear()
        self._thread = threading.Thread(target=self._run, name="guardian-checkpoints", daemon=True)
        self._thread.start()

    def stop(self) -> bool:
        """Make a last checkpoint if there are new entries; False if that took longer than ten seconds."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(10.0)
        return self._thread is None or not self._thread.is_alive()

    def step(self) -> bool:
        """Make one if there are new entries, and export what waits; False if any of it must be tried again."""
        done = self._made()
        reached = [self._exported(sink) for sink in self._sinks]
        if all(size is not None for size in reached):
            self._tell([size for size in reached if size is not None])
        else:
            done = False
        return done

    def trouble(self) -> str:
        """Why no checkpoint is made, where that failed more than once though the database works; else empty."""
        return self._why if self._failed > 1 else ""

    def kept_in(self) -> str:
        """Which sinks take no checkpoints, where one failed again and again, and why; else empty."""
        away = [f"{name}: {why}" for name, (count, why) in self._away.copy().items() if count > _PATIENCE]
        return "; ".join(away)

    def measure(self) -> None:
        """Show the age of the oldest entry that lacks a checkpoint in any sink: without end where the entry is
        missing, or does not say when it was made."""
        with self._store.read() as rows:
            latest, told = rows.checkpoints.latest(), rows.checkpoints.progress().exported
            signed = latest.size if latest is not None else 0
            names = [sink.name for sink in self._sinks]
            size = min((self._reached.get(name, told.get(name, 0)) for name in names), default=signed)
            first, end = next(rows.audit.raw(size), None), rows.audit.end().seq
        waits = math.inf
        if first is None and end == size:
            waits = 0.0
        elif first is not None and first.seq == size + 1:
            with suppress(ValueError, KeyError, TypeError):
                at = datetime.fromisoformat(stored_json(first.record)["at"])
                waits = (self._clock() - at).total_seconds()
        self._metrics.set("guardian_audit_unsigned_seconds", waits)

    def _made(self) -> bool:
        try:
            made = make_checkpoint(self._store, self._keys.current(), base=self._base, now=self._clock())
        except Exception as error:  # one that nobody thought of must be heard of, too
            why = _told(error)
            _log.error("audit_checkpoint_failed", error=why, exc_info=not isinstance(error, _KNOWN))
            if self._works():
                self._failed, self._why = self._failed + 1, why
            return False
        self._failed = 0
        if made is not None:
            _log.info("audit_checkpoint", size=made.size)
        return True

    def _works(self) -> bool:
        """Whether the database takes writes: that nothing is signed while it is away says nothing of the trail."""
        try:
            with self._store.write():
                return True
        except StoreError:
            return False

    def _exported(self, sink: Sink) -> int | None:
        try:
            reached = export(self._store, sink, self._clock, self._reached)
        except Exception as error:  # as above
            why = _told(error)
            unknown = not isinstance(error, _KNOWN)
            _log.error("audit_checkpoint_not_exported", sink=sink.name, error=why, exc_info=unknown)
            if not isinstance(error, StoreError):
                self._away[sink.name] = self._away.get(sink.name, (0, ""))[0] + 1, why
            return None
        self._away.pop(sink.name, None)
        return reached

    def _tell(self, reached: Sequence[int]) -> None:
        """What every sink holds; without sinks, what the database holds."""
        if not reached:
            with self._store.read() as rows:
                latest = rows.checkpoints.latest()
            reached = [latest.size if latest is not None else 0]
        self._metrics.set("guardian_audit_checkpoint_size", min(reached))

    def _run(self) -> None:
        try:
            while True:
                stopping = self._stop.is_set()
                try:
                    done = self.step()
                except Exception as error:  # a bug must delay checkpoints, never end them
                    _log.exception("audit_checkpoint_failed", error=type(error).__name__)
                    done = False
                if stopping:
                    return
                self._stop.wait(self._every if done else min(self._every, _AGAIN_S))
        finally:
            self._close()


def _told(error: Exception) -> str:
    known = isinstance(error, _KNOWN)
    return (str(error) if known else f"unexpected error {type(error).__name__}: {error}")[:500]
