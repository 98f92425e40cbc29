"""What is left of an alert where a filter refuses what is in it: nothing that an agent wrote.

Otherwise an agent could keep the alert about itself from arriving, with an argument that every filter stops.
"""

import hashlib
import re
from collections.abc import Callable
from typing import TypeVar

from guardian.alerting.port import Alert
from guardian.domain.finding import Finding
from guardian.errors import AlertError
from guardian.telemetry import logger
from guardian.wire.findings import AlertOutcome

_HARMLESS = re.compile(r"[A-Za-z0-9_:-]{1,128}")
_log = logger("alerting")
_Sent = TypeVar("_Sent")


def in_full_or_bare(alert: Alert, send: Callable[[Alert], _Sent]) -> _Sent:
    """Send the alert. If `send` raises AlertError, send what is left of it; raises what that raises. Few refusals
    say whether they are about what is in it: a filter on the way may answer with any status. `send` gives both the
    id of the alert in full, for it is one alert."""
    try:
        return send(alert)
    except AlertError as refusal:
        _log.warning("alert_refused_in_full", finding=alert.finding.id, error=str(refusal))
        return send(bare(alert))


def bare(alert: Alert) -> Alert:
    """The same finding and effect, and where to read the rest. A session's name that may be an agent's text is a
    hash of it, and then there is no link, which holds it too."""
    full = alert.finding
    named = _HARMLESS.fullmatch(full.session_id) is not None
    session = full.session_id if named else hashlib.sha256(full.session_id.encode()).hexdigest()[:32]
    finding = Finding(
        id=full.id,
        kind=full.kind,
        tenant_id=full.tenant_id,
        session_id=session,
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
        link=alert.link if named else None,
        case=alert.case,
        attempt=alert.attempt,
    )
