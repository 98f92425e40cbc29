"""What people hear of one receiver: metrics, the log, and alerts that revocations do not reach it."""

from collections.abc import Callable
from datetime import datetime, timedelta

from guardian.control.deps import ControlDeps
from guardian.control.telling.news import tell
from guardian.domain.finding import OPERATORS
from guardian.domain.text import moment
from guardian.errors import GuardianError
from guardian.revocation.port import NeverTaken, Receiver
from guardian.telemetry import logger

_LATE = timedelta(minutes=5)
_log = logger("control")

Waits = Callable[[], tuple[datetime | None, str]]


class Trouble:
    """`waits` tells since when the receiver has taken nothing, and what ("nothing", "no flag"); None where nothing
    waits."""

    def __init__(self, deps: ControlDeps, receiver: Receiver, waits: Waits) -> None:
        self._deps, self._receiver, self._waits = deps, receiver, waits
        self._face = receiver.name.partition("/")[0]
        self._refused = list[str]()
        self.log = _log.bind(face=receiver.name, receiver=receiver.shown)

    def measure(self) -> None:
        """Show for how long an entry waits. Not for the thread that pushes: it may itself be what is held up."""
        name = self._receiver.name  # a face may have several receivers: one that is well must hide no other
        lag = self._lag(self._waits()[0])
        self._deps.metrics.set("guardian_push_lag_seconds", lag, face=self._face, receiver=name)

    def sent(self) -> None:
        self._count("sent")

    def set_aside(self, what: str, why: NeverTaken) -> None:
        """Said once, and the rest goes on."""
        self._count("refused")
        self.log.error("push_refused", entry=what, reason=str(why))
        self._refused.append(f"{what} ({why.code})")

    def tell_refused(self) -> None:
        """People hear of what was set aside since the last time."""
        refused, self._refused = self._refused, []
        if refused:
            more = f" and {len(refused) - 1} more" if len(refused) > 1 else ""
            detail = f"{self._face}: {self._receiver.shown} refused {refused[0]}{more} for good"
            self._tell("refused", detail, refused[0].partition(" ")[0])

    def failed(self, error: Exception, failures: int) -> None:
        """So often in a row. People hear of it once something has waited for long."""
        self._count("failed")
        reason = f"{type(error).__name__}: {error}"[:300]
        (self.log.warning if failures in (1, 5) or failures % 20 == 0 else self.log.debug)(
            "push_failed", failures=failures, error=reason
        )
        try:
            since, what = self._waits()
            if since is not None and self._lag(since) > _LATE.total_seconds():
                detail = f"{self._face}: {self._receiver.shown} has taken {what} since {moment(since)}"
                self._tell("away", f"{detail} ({type(error).__name__})", since.isoformat())
        except GuardianError as trouble:
            self.log.error("push_failed", error=str(trouble)[:300])

    def _lag(self, since: datetime | None) -> float:
        return 0.0 if since is None else (self._deps.clock() - since).total_seconds()

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

    def _count(self, outcome: str) -> None:
        self._deps.metrics.add("guardian_pushes_total", face=self._face, outcome=outcome)
