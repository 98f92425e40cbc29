"""Whether control ever heard of what a person names. To act ahead is meant; a slip of the pen looks the same."""

from collections.abc import Set
from datetime import datetime

from guardian.control.acts_under import KINDS
from guardian.control.people.granted import Act
from guardian.domain.identity import SessionKey
from guardian.store.control.rows import ControlRows


def unheard_session(rows: ControlRows, this: SessionKey) -> bool:
    """Whether neither a finding nor a person's word nor an envelope ever named the session."""
    return not (rows.sessions.get(this) or rows.envelopes.newest(this) or rows.delegations.descendants(this, 1))


def unheard_tenant(rows: ControlRows, tenant_id: str, reach: Set[str], now: datetime) -> bool:
    """Whether no session, envelope or live token of a machine names the tenant, nor the caller's token, whose
    `reach` it is. A mode says nothing: the same slip may have set it."""
    if tenant_id in reach or rows.session_names.has_tenant(tenant_id):
        return False
    return all(tenant_id not in each.tenants for each in rows.tokens.of_machines(now))


def unheard_of(act: Act) -> bool:
    """Whether no envelope and no session of the tenant names whom the act is about; where it is about the tenant,
    or a token's id, of which control hears nothing, the tenant is looked for."""
    if act.whom is not None and act.whom.kind in KINDS:
        return not act.rows.session_names.has_name(act.tenant_id, f"{act.whom.kind}_id", act.whom.id)
    return unheard_tenant(act.rows, act.tenant_id, act.asked.asker.tenants, act.now)
