"""What is left of an alert where a filter refuses what is in it: nothing that an agent wrote.

Otherwise an agent could keep the alert about itself from arriving, with an argument that every filter stops.
"""

import re
from collections import OrderedDict
from collections.abc import Callable
from typing import TypeVar

from guardian.alerting.delivered import message_id
from guardian.alerting.port import Alert, RetryLater
from guardian.domain.finding import Finding, Kind
from guardian.errors import AlertError
from guardian.telemetry import logger
from guardian.wire.findings import AlertOutcome

_HARMLESS = re.compile(r"[A-Za-z0-9_:-]{1,128}")
_NO_NAME = "left out"
_PATIENCE = 4
"""So often an alert fails that may have been refused for its words before it is tried without them."""
_MOST = 10_000
_log = logger("alerting")
_Sent = TypeVar("_Sent")


class InFullOrBare:
    """For one channel. Few refusals say whether they are about what is in an alert: a filter on the way may answer
    with any status, or hang up. What arrives bare right after it failed in full was stopped for its words; of a
    receiver that is down neither arrives."""

    def __init__(self) -> None:
        self._failed: OrderedDict[str, int] = OrderedDict()  # how often, by alert; the oldest are forgotten

    def __call__(self, alert: Alert, send: Callable[[Alert], _Sent]) -> _Sent:
        """Send the alert. If `send` raises AlertError, or RetryLater with `perhaps_refused` once too often, send
        what is left of it; raises what that raises. `send` gives both the id of the alert in full, for it is one
        alert."""
        name = message_id(alert)
        try:
            sent = send(alert)
        except AlertError as refusal:
            _log.warning("alert_refused_in_full", finding=alert.finding.id, error=str(refusal))
            sent = send(bare(alert))
        except RetryLater as trouble:
            if not trouble.perhaps_refused or self._note(name) < _PATIENCE:
                raise
            sent = send(bare(alert))
            told = f"{trouble}, {self._failed[name]} times"
            _log.warning("alert_refused_in_full", finding=alert.finding.id, error=told)
        self._failed.pop(name, None)
        return sent

    def _note(self, name: str) -> int:
        self._failed[name] = self._failed.pop(name, 0) + 1
        if len(self._failed) > _MOST:
            self._failed.popitem(last=False)
        return self._failed[name]


def bare(alert: Alert) -> Alert:
    """The same finding and effect, and where to read the rest. A session's name that may be an agent's text is
    left out, and so is the link, which holds it too."""
    full = alert.finding
    named = _HARMLESS.fullmatch(full.session_id) is not None
    finding = Finding(
        id=full.id,
        kind=full.kind,
        tenant_id=full.tenant_id,
        session_id=full.session_id if named else _NO_NAME,
        epoch=full.epoch,
        transition=full.transition,
        wanted=full.wanted,
        severity=full.severity,
        title=f"The full alert was refused; `guardian alerts preview {full.id}` shows it"[:300],
        evidence=full.evidence,
        time=full.time,
    )
    outcome = AlertOutcome(effect=alert.outcome.effect, allowed=alert.outcome.allowed, mode=alert.outcome.mode)
    return Alert(
        finding=finding,
        outcome=outcome,
        link=alert.link if named and full.kind is not Kind.CONTROL else None,
        case=alert.case,
        attempt=alert.attempt,
        nameless=not named,
        became=None if alert.became is None else alert.became.model_copy(update={"why": ""}),
        digest=alert.digest,
    )
