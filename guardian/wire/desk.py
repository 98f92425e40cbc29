"""The control API as the security team's queue uses it: with cases, exceptions and feedback."""

from guardian.wire.cases import CaseHistory, CaseView, NoteRequest, SnoozeRequest, TakeRequest
from guardian.wire.client import ControlClient, segment
from guardian.wire.exceptions import ExceptionEnd, ExceptionPage, ExceptionRequest, ExceptionView
from guardian.wire.feedback import FeedbackPage


class DeskClient(ControlClient):
    """One method per further route."""

    def case(self, tenant_id: str, session_id: str) -> CaseView:
        return self._ask(CaseView, "GET", _case(tenant_id, session_id))

    def case_history(self, tenant_id: str, session_id: str) -> CaseHistory:
        return self._ask(CaseHistory, "GET", _case(tenant_id, session_id, "case-history"))

    def snooze(
        self, tenant_id: str, session_id: str, *, hours: int, reason: str, seen: str | None = None
    ) -> CaseView:
        """Quiet in the channel for a while; `seen` as for `revoke`."""
        path, body = f"{_case(tenant_id, session_id)}/snooze", SnoozeRequest(hours=hours, reason=reason)
        return self._ask(CaseView, "POST", path, body=body, seen=seen)

    def take(
        self, tenant_id: str, session_id: str, *, reason: str | None = None, seen: str | None = None
    ) -> CaseView:
        """Work on the case, so that nobody is called unless it becomes worse; `seen` as for `revoke`."""
        path, body = f"{_case(tenant_id, session_id)}/take", TakeRequest(reason=reason)
        return self._ask(CaseView, "POST", path, body=body, seen=seen)

    def note(self, tenant_id: str, session_id: str, *, reason: str, seen: str | None = None) -> CaseView:
        """Leave words on the case; `seen` as for `revoke`."""
        path, body = f"{_case(tenant_id, session_id)}/note", NoteRequest(reason=reason)
        return self._ask(CaseView, "POST", path, body=body, seen=seen)

    def exceptions(
        self, *, tenant_id: str | None = None, ended: bool = False, limit: int = 50, cursor: str | None = None
    ) -> ExceptionPage:
        """Those in force; with `ended` also those that are over."""
        query = {"tenant_id": tenant_id, "ended": str(ended).lower(), "limit": limit, "cursor": cursor}
        return self._ask(ExceptionPage, "GET", "/v1/exceptions", query=query)

    def make_exception(
        self,
        finding_id: str,
        *,
        reason: str,
        days: int = 14,
        tool: str | None = None,
        tenant_id: str | None = None,
        seen: str | None = None,
    ) -> ExceptionView:
        body = ExceptionRequest(finding_id=finding_id, tool=tool, days=days, reason=reason)
        query = {"tenant_id": tenant_id}
        return self._ask(ExceptionView, "POST", "/v1/exceptions", query=query, body=body, seen=seen)

    def end_exception(self, exception_id: str, *, reason: str) -> ExceptionView:
        path = f"/v1/exceptions/{segment(exception_id)}/end"
        return self._ask(ExceptionView, "POST", path, body=ExceptionEnd(reason=reason))

    def feedback(
        self, *, tenant_id: str | None = None, limit: int = 200, cursor: str | None = None
    ) -> FeedbackPage:
        query = {"tenant_id": tenant_id, "limit": limit, "cursor": cursor}
        return self._ask(FeedbackPage, "GET", "/v1/feedback", query=query)


def _case(tenant_id: str, session_id: str, noun: str = "cases") -> str:
    return f"/v1/{noun}/{segment(tenant_id)}/{segment(session_id)}"
