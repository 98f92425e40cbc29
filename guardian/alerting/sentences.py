"""What a finding is about, what guardian did and how rare that is, in words that every channel shows. Pure."""

from collections.abc import Callable

from guardian.alerting.neutralise import prose
from guardian.alerting.port import Alert
from guardian.domain.finding import Effect, Evidence, Finding, Kind
from guardian.domain.text import as_name, one_in
from guardian.wire.findings import AlertOutcome

SIGNS = {"critical": "⛔", "high": "🔺", "medium": "🔶", "low": "🔹", "info": "▫"}  # five shapes
_ABOUT = {
    Kind.DRIFT: "the session left its purpose",
    Kind.GATEWAY: "the gateway allowed what it should have refused",
    Kind.HYGIENE: "the envelope carries a careless grant",
    Kind.UNSCORABLE: "a record of this session could not be read",
    Kind.IDENTITY: "one decision id came with two different contents",
    Kind.ENTITLEMENT: "a gateway reported for a tenant that it does not serve",
    Kind.BUS: "something is wrong with what the monitor reads",
    Kind.ENVELOPE: "the envelope in the log is not the registered one",
    Kind.CALIBRATION: "traffic no longer looks like what guardian was calibrated on",
    Kind.CONTROL: "guardian about itself",
}
UNSAID = "decision"
"""Among what a log lacks: whether the gateway let the call through, so that it is judged as if it had."""
SIGNALS = {
    "purpose_fit": "does not fit the declared purpose",
    "object_mismatch": "is about another object than the purpose names",
    "envelope_breach": "breaks the envelope",
    "delegation_widening": "holds more than it was delegated",
    "envelope_hygiene": "carries a careless grant",
    "credential_exposure": "carries what looks like a credential",
    "denial_pressure": "keeps asking for what it is denied",
    "purpose_baseline": "is unusual for this purpose",
    "chain_exposure": "could carry out what was read before",
}


def fallback(alert: Alert, standing: str = "") -> str:
    """One line for notifications, screen readers and clients without blocks.

    It ends with how the case stands, or where that is not known with what guardian did.
    """
    return f"{SIGNS[alert.finding.severity]} {one_line(alert, prose, 200, standing)}"


def one_line(alert: Alert, shown: Callable[[str, int], str], room: int, standing: str = "") -> str:
    """The same in words alone, each text `shown` as the place of the line needs it, the title in so much room."""
    finding, subject = alert.finding, alert.finding.subject
    parts = [f"{finding.severity.upper()}: {shown(finding.title, room) or about(finding)}"]
    tenant = shown(as_name(finding.tenant_id), 80)
    if finding.kind is Kind.CONTROL:
        return " · ".join([*parts, tenant])
    if subject is None:
        parts.append(tenant)
    else:
        agent = shown(as_name(subject.agent_id or "an unnamed agent"), 80)
        parts.append(f"{agent} for {shown(as_name(subject.delegator_id), 80)} in {tenant}")
    return " · ".join([*parts, standing or done(finding, alert.outcome)])


def done(finding: Finding, outcome: AlertOutcome) -> str:
    match outcome.effect, finding.wanted:
        case Effect.REVOKE, _:
            return "session revoked"
        case Effect.FLAG, Effect.REVOKE:
            return "flagged only: policy did not let guardian revoke"
        case Effect.FLAG, _:
            return "flagged"
        case _:
            return "nothing was done: policy did not allow it" if not outcome.allowed else "noted"


def about(finding: Finding) -> str:
    """What it is about, in a few words. A hard breach goes first, as in the title: it is a fact. A soft one goes
    before the statistics where it asks for all that is wanted."""
    if finding.kind is Kind.DRIFT and any(breach.hard for breach in finding.breaches):
        return "the session broke a hard rule"
    if finding.kind is Kind.DRIFT and any(breach.wanted is finding.wanted for breach in finding.breaches):
        return "the session may have broken a rule"
    if finding.kind is Kind.GATEWAY and UNSAID in finding.features_missing:
        return "the gateway's log does not say what it allowed"
    return _ABOUT[finding.kind]


def rarity(evidence: Evidence) -> str:
    """How few honest sessions gather this much evidence, and whether the calibration covers that figure."""
    figure = one_in(evidence.one_in)
    if not figure:
        return "nothing unusual by the statistics"
    share, covered = ("at most", "covered") if evidence.promised else ("an estimated", "not covered")
    return f"{share} 1 in {figure} honest sessions gathers this much evidence ({covered} by the calibration)"
