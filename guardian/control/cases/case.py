"""What people are told of a session: every alert about it belongs to one case."""

import hashlib
from datetime import datetime
from urllib.parse import quote

from guardian.control.deps import ControlDeps
from guardian.domain.finding import Finding
from guardian.domain.identity import SessionKey
from guardian.store.control.rows import ControlRows
from guardian.wire.findings import AlertOutcome, AlertPayload, FindingOutcome

_LONGEST_LINK = 2000


def case_key(session: SessionKey) -> str:
    """What a session's case is called; alerts about the session carry it."""
    return _key(*session)


def told(outcome: FindingOutcome) -> AlertOutcome:
    """What an alert says of what became of a finding."""
    return AlertOutcome(
        effect=outcome.effect,
        allowed=outcome.effect is outcome.wanted,
        note=outcome.note[:2000],
        policy_ids=outcome.policy_ids,
        mode=outcome.mode,
    )


def queue(
    deps: ControlDeps, rows: ControlRows, finding: Finding, outcome: AlertOutcome, now: datetime, *once: str
) -> None:
    """Queue an alert with everything in it, so that delivery needs no other look-up.

    `once` names the alert among those of its tenant. The same name is refused a second time.
    """
    link = evidence_link(deps, finding.key)
    case = case_key(finding.key)
    payload = AlertPayload(finding=finding, outcome=outcome, link=link, case=case).model_dump_json()
    name = alert_name(finding.tenant_id, *once)
    rows.alerts.add(kind="finding", case_key=case, idempotency_key=name, payload=payload, now=now)


def alert_name(tenant_id: str, *once: str) -> str:
    """What an alert is called; that about a finding by the finding's id."""
    return _key(tenant_id, *once)


def evidence_link(deps: ControlDeps, session: SessionKey) -> str | None:
    """The page where a person reads the evidence; what the API answers is for no browser, which has no token."""
    pages = deps.settings.console
    if deps.settings.public_url is None or pages is None:
        return None
    tenant, name = (quote(part, safe="") for part in session)
    link = f"{pages.url}/session?tenant={tenant}&id={name}"
    return link if len(link) <= _LONGEST_LINK else None


def _key(*parts: str) -> str:
    """One short name for several, none of which can pass for another's."""
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()
