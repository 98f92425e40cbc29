"""A finding looked up by its id alone, for monitors of different tenants may have chosen the same one; and its
purpose."""

from guardian.control.authority.asking import Reach, must_reach
from guardian.control.deps import ControlDeps
from guardian.control.problems import Refusal, absent
from guardian.domain.finding import Finding
from guardian.policy.port import PolicyAction
from guardian.store.columns import storable
from guardian.store.control.rows import ControlRows
from guardian.store.control.scope import Scope
from guardian.wire.findings import FindingView
from guardian.wire.principal import Principal


def sole_finding(rows: ControlRows, scope: Reach, finding_id: str) -> FindingView:
    """The one finding of this id in these tenants. Raises Refusal: 404 for none, 409 for more than one."""
    tenants = rows.findings.tenants_of(finding_id, scope)
    if len(tenants) > 1:
        told = f"findings of several tenants have this id: {', '.join(tenants[:10])}; name one as tenant_id"
        raise Refusal(409, told, code="ambiguous")
    return finding_in(rows, tenants, finding_id)


def finding_in(rows: ControlRows, tenants: Scope, finding_id: str) -> FindingView:
    """The finding of this id, which at most one of these tenants has. Raises Refusal: 404 for none."""
    found = rows.findings.get(finding_id, tenants)
    if found is None:
        raise absent("finding")
    return found.view


def reached_finding(
    deps: ControlDeps, principal: Principal, action: PolicyAction, tenant_id: str | None, finding_id: str
) -> Finding:
    """As `sole_finding`, of `tenant_id` or else of all tenants that the caller's token covers, before policy is
    asked about the session that it is on."""
    scope = must_reach(deps, principal, action, tenant_id)
    with deps.store.read() as rows:
        return sole_finding(rows, scope, finding_id).finding


def purpose_of(rows: ControlRows, finding: Finding) -> str:
    """The registered one, where there is one: that is control's record and not what a log says."""
    registered = rows.envelopes.newest(finding.key)
    if registered is not None:
        return storable(registered.envelope.purpose)
    return "" if finding.subject is None else storable(finding.subject.purpose)
