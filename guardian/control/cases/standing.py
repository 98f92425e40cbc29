"""How a case stands now, as its message would show it, and a digest of that."""

import hashlib
from dataclasses import dataclass, replace
from datetime import datetime

from pydantic import ValidationError

from guardian.control.cases.view import case_view
from guardian.control.deps import ControlDeps
from guardian.control.people.overtaking import overtaken
from guardian.domain.identity import SessionKey
from guardian.store.control.approvals import StoredApproval
from guardian.store.control.cases import StoredCase
from guardian.store.control.rows import ControlRows
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

    @property
    def requests(self) -> tuple[ApprovalView, ...]:
        """What waits for a second person's word; of held calls there are messages of their own."""
        if self.view is not None:
            return tuple(each for each in self.view.approvals if each.action != "permitCall")
        return () if self.approval is None or self.approval.state != "pending" else (self.approval,)


def standing(deps: ControlDeps, rows: ControlRows, case: StoredCase, now: datetime) -> Standing:
    """The case with its digest as of now, stored if it changed."""
    try:
        stands, parts = _as_stored(deps, rows, case, now)
    except ValidationError:  # written by another version, say: its alert is shown all the same
        _log.error("case_unreadable", case=case.key)
        state = _as_far_as_known(rows, case)
        stands, parts = Standing(case._replace(state=state)), [str(case.findings), state]
    digest, state = hashlib.sha256("\x1f".join(parts).encode()).hexdigest()[:32], stands.case.state
    if (digest, state) != (case.digest, case.state):
        rows.cases.change(case.key, digest=digest, state=state)
    return replace(stands, case=case._replace(digest=digest, state=state))


def _asked(rows: ControlRows, stored: StoredApproval) -> ApprovalView:
    """The request; as one that is over where something that happened since makes it another act."""
    why = overtaken(rows, stored) if stored.view.state == "pending" else None
    return stored.view if why is None else stored.view.model_copy(update={"state": "expired", "result": why})


def _as_far_as_known(rows: ControlRows, case: StoredCase) -> str:
    """The state of a case that cannot be read: the one it had; open if it never had one, or begins anew."""
    if case.kind == "news":
        return case.state if case.digest else "waits"
    if rows.ledger.live_entry(case.tenant_id, case.session_id) is not None:
        return "revoked"
    if case.state == "revoked":
        return "lapsed" if case.acted_at is None else "reinstated"
    return case.state or "flagged"


def _as_stored(
    deps: ControlDeps, rows: ControlRows, case: StoredCase, now: datetime
) -> tuple[Standing, list[str]]:
    """How the case stands, and all that changes the look of its message. Raises ValidationError for what this
    version cannot read."""
    match case.kind:
        case "session":
            view = case_view(deps, rows, SessionKey(case.tenant_id, case.session_id))
            silent = case.snoozed_until if case.snoozed_until and case.snoozed_until > now else None
            parts = [] if view is None else [view.digest, str(view.findings), str(view.protected)]
            parts.append("" if silent is None else silent.isoformat())
            return Standing(case._replace(state="" if view is None else view.state), view), parts
        case "news":
            stored = rows.approvals.get(case.session_id, {case.tenant_id})
            approval = None if stored is None else _asked(rows, stored)
            stands = Standing(case, approval=approval)
            parts = [str(case.findings), "" if approval is None else approval.state]
            return replace(stands, case=case._replace(state="waits" if stands.requests else "")), parts
        case _:
            return Standing(case._replace(state="")), [str(case.events)]
