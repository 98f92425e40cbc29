"""How a case stands now, as its message would show it, and a digest of that."""

import hashlib
from dataclasses import dataclass
from datetime import datetime

from pydantic import ValidationError

from guardian.control.case_view import case_view
from guardian.control.deps import ControlDeps
from guardian.store.control import ControlRows
from guardian.store.control_cases import StoredCase
from guardian.telemetry import logger
from guardian.wire.approvals import ApprovalView
from guardian.wire.cases import CaseView

_log = logger("control")


@dataclass(frozen=True, slots=True)
class Standing:
    """A case as it stands now, with what its message needs."""

    case: StoredCase
    view: CaseView | None = None
    approval: ApprovalView | None = None


def _view(deps: ControlDeps, rows: ControlRows, case: StoredCase) -> CaseView | None:
    """None also where what is stored cannot be read, by another version say: its alert is shown all the same."""
    try:
        return case_view(deps, rows, case.tenant_id, case.session_id, similar=False)
    except ValidationError:
        _log.error("case_unreadable", case=case.key)
        return None


def standing(deps: ControlDeps, rows: ControlRows, case: StoredCase, now: datetime) -> Standing:
    """The case with its digest as of now, stored if it changed."""
    view, approval, state = None, None, ""
    match case.kind:
        case "session":
            view = _view(deps, rows, case)
            state = "" if view is None else view.state
            silent = case.snoozed_until if case.snoozed_until and case.snoozed_until > now else None
            parts = [] if view is None else [view.digest, str(view.findings), str(view.protected)]
            parts.append("" if silent is None else silent.isoformat())
        case "news":
            stored = rows.approvals.get(case.session_id, {case.tenant_id})
            approval = None if stored is None else stored.view
            state = "waits" if approval is not None and approval.state == "pending" else ""
            parts = [str(case.findings), "" if approval is None else approval.state]
        case _:
            parts = [str(case.events)]
    digest = hashlib.sha256("\x1f".join(parts).encode()).hexdigest()[:32]
    if (digest, state) != (case.digest, case.state):
        rows.cases.change(case.key, digest=digest, state=state)
    return Standing(case._replace(digest=digest, state=state), view, approval)
