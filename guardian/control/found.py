"""Look a finding up by its id alone: monitors of different tenants may have chosen the same one."""

from guardian.control.problems import Refusal, absent
from guardian.store.control import ControlRows
from guardian.wire.findings import FindingView
from guardian.wire.principal import Principal


def sole_finding(rows: ControlRows, principal: Principal, finding_id: str, tenant_id: str | None) -> FindingView:
    """The one within reach, or `tenant_id`'s. Raises Refusal: 404 for none, 409 for more than one."""
    if tenant_id is not None and not principal.reaches(tenant_id):
        raise absent("tenant")
    scope = principal.scope if tenant_id is None else {tenant_id}
    tenants = rows.findings.tenants_of(finding_id, scope)
    if len(tenants) > 1:
        told = f"findings of several tenants have this id: {', '.join(tenants[:10])}; name one as tenant_id"
        raise Refusal(409, told, code="ambiguous")
    found = rows.findings.get(finding_id, tenants)
    if found is None:
        raise absent("finding")
    return found.view
