"""A finding as the alert of its case would tell it now, for whoever looks at it before a channel does."""

from guardian.alerting.port import Alert
from guardian.control.desk import alert_of
from guardian.domain.finding import Kind
from guardian.wire.evidence import EvidenceClient
from guardian.wire.findings import AlertOutcome

_CASE = "preview"


def alert_about(finding_id: str, control: EvidenceClient) -> Alert:
    """Raises ControlError where control does not know of it, or of its case."""
    found = control.finding(finding_id)
    told = found.finding
    if told.kind is Kind.CONTROL:  # news of guardian are of no session, and so of no case of one
        outcome = AlertOutcome(effect=found.outcome.effect, allowed=True)
        return Alert(finding=told, outcome=outcome, case=_CASE)
    return alert_of(_CASE, control.case(told.tenant_id, told.session_id))
