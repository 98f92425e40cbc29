"""A snoozed case reminds nobody for a while. What guardian does about the session does not change."""

from datetime import timedelta

from guardian.control.case import case_key
from guardian.control.case_view import case_view, with_similar
from guardian.control.deps import ControlDeps
from guardian.control.granted import Act, bound, permitted
from guardian.control.problems import Refusal, absent
from guardian.wire.cases import CaseView, SnoozeRequest
from guardian.wire.principal import Principal


def snooze(
    deps: ControlDeps,
    principal: Principal,
    tenant_id: str,
    session_id: str,
    wanted: SnoozeRequest,
    *,
    seen: str | None = None,
) -> CaseView:
    """No reminders and no replies until then, or a more severe finding. A later snooze replaces an earlier one."""

    def do(act: Act) -> CaseView | Refusal:
        view = case_view(deps, act.rows, tenant_id, session_id)
        if view is None:
            act.audit(result="refused")
            return absent("case")
        until = act.now + timedelta(hours=wanted.hours)
        finding = view.shown.finding
        name = case_key(tenant_id, session_id)
        act.rows.cases.open(name, kind="session", tenant_id=tenant_id, session_id=session_id, now=act.now)
        act.rows.cases.change(name, snoozed_until=until, snoozed_by=principal.id)
        act.audit(result="snoozed", until=until.isoformat(), finding_id=finding.id)
        return with_similar(act.rows, view).model_copy(update={"snoozed_until": until, "snoozed_by": principal.id})

    return permitted(deps, principal, "snooze", tenant_id, session_id, wanted.reason, bound(seen, do))
