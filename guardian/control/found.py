"""Look a finding up by its id alone: monitors of different tenants may have chosen the same one."""

from guardian.control.authority import Reach
from guardian.control.problems import Refusal, absent
from guardian.store.control.rows import ControlRows
from guardian.wire.findings import FindingView


def sole_finding(rows: ControlRows, scope: Reach, finding_id: str) -> FindingView:
    """The one finding of this id in these tenants. Raises Refusal: 404 for none, 409 for more than one."""
    tenants = rows.findings.tenants_of(finding_id, scope)
    if len(tenants) > 1:
        told = f"findings of several tenants have this id: {', '.join(tenants[:10])}; name one as tenant_id"
        raise Refusal(409, told, code="ambiguous")
    found = rows.findings.get(finding_id, tenants)
    if found is None:
        raise absent("finding")
    return found.view
