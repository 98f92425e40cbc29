"""A finding looked up by its id alone, for monitors of different tenants may have chosen the same one; and its
purpose."""

from guardian.control.authority import Reach
from guardian.control.problems import Refusal, absent
from guardian.domain.finding import Finding
from guardian.store.columns import storable
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


def purpose_of(rows: ControlRows, finding: Finding) -> str:
    """The registered one, where there is one: that is control's record and not what a log says."""
    registered = rows.envelopes.newest(finding.key)
    if registered is not None:
        return storable(registered.envelope.purpose)
    return "" if finding.subject is None else storable(finding.subject.purpose)
