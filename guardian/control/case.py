"""What people are told of a session: every alert about it belongs to one case."""

import hashlib
from urllib.parse import quote

from guardian.control.deps import ControlDeps
from guardian.domain.finding import Finding
from guardian.wire.findings import AlertOutcome, AlertPayload

_LONGEST_LINK = 2000


def case_of(finding: Finding) -> str:
    return key(finding.tenant_id, finding.session_id)


def alert(deps: ControlDeps, finding: Finding, outcome: AlertOutcome) -> str:
    """The alert as it will be delivered, with everything in it, so that delivery needs no other look-up."""
    base = deps.settings.public_url
    path = f"/v1/sessions/{quote(finding.tenant_id, safe='')}/{quote(finding.session_id, safe='')}"
    link = None if base is None or len(base) + len(path) > _LONGEST_LINK else base.rstrip("/") + path
    return AlertPayload(finding=finding, outcome=outcome, link=link, case=case_of(finding)).model_dump_json()


def key(*parts: str) -> str:
    """One short name for several, none of which can pass for another's."""
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()
