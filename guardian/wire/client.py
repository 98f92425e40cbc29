"""The control API's client, for the monitor and the command line. Synchronous."""

from datetime import datetime
from typing import Literal
from urllib.parse import quote

from guardian.domain.envelope import Envelope
from guardian.domain.finding import Finding
from guardian.domain.revocation import SubjectType
from guardian.domain.session import HumanWord
from guardian.wire.approvals import (
    ApprovalDecision,
    ApprovalPage,
    ApprovalState,
    ApprovalView,
    BreakerReset,
    BreakerView,
    BreakGlassPage,
    BreakGlassRequest,
    BreakGlassTaken,
    BreakGlassView,
)
from guardian.wire.base import Mode, SessionOrder, SessionStatus
from guardian.wire.calls import ControlCalls
from guardian.wire.envelopes import EnvelopeHistory, EnvelopeRegistration, RegisteredEnvelope
from guardian.wire.findings import FindingOutcome, FindingPage, FindingView, Judged, Said, VerdictRequest
from guardian.wire.peers import Vitals, Watch
from guardian.wire.policies import PolicyExplanation
from guardian.wire.revocations import RevocationList, RevokedPage, SubjectAct, SubjectResult
from guardian.wire.sessions import (
    ActRequest,
    ActResult,
    ChangeList,
    ModeRequest,
    ModeView,
    ProtectionRequest,
    SessionDetail,
    SessionPage,
    WhoAmI,
)


class ControlClient(ControlCalls):
    """One method per route that they use."""

    def submit(self, finding: Finding) -> FindingOutcome:
        """Idempotent: the same finding gets the same answer, however often it is sent."""
        return self._ask(FindingOutcome, "POST", "/v1/findings", body=finding)

    def findings(
        self,
        *,
        tenant_id: str | None = None,
        session_id: str | None = None,
        kind: str | None = None,
        effect: str | None = None,
        agent_id: str | None = None,
        breach: str | None = None,
        signal: str | None = None,
        judged: bool | None = None,
        digests: bool = False,
        limit: int = 50,
        cursor: str | None = None,
    ) -> FindingPage:
        """`judged`: only those with, or without, a person's verdict. `digests`: with those of the cases."""
        query = {"tenant_id": tenant_id, "session_id": session_id, "kind": kind, "effect": effect}
        more = {"agent_id": agent_id, "breach": breach, "signal": signal, "judged": judged}
        page = {"digests": digests or None, "limit": limit, "cursor": cursor}
        return self._ask(FindingPage, "GET", "/v1/findings", query=query | more | page)

    def finding(self, finding_id: str, *, tenant_id: str | None = None) -> FindingView:
        query = {"tenant_id": tenant_id}
        return self._ask(FindingView, "GET", f"/v1/findings/{segment(finding_id)}", query=query)

    def judge(
        self,
        finding_id: str,
        verdict: Said,
        *,
        reason: str,
        tenant_id: str | None = None,
        seen: str | None = None,
        case: bool = False,
    ) -> Judged:
        """`seen` is the digest of the case that the verdict is about: refused with 412 when it moved on. With
        `case`, a dismissal is of all that the case shows, and `withdrawn` of all that was said with it."""
        body = VerdictRequest(verdict=verdict, reason=reason, case=case)
        path = f"/v1/findings/{segment(finding_id)}/verdict"
        return self._ask(Judged, "POST", path, query={"tenant_id": tenant_id}, body=body, seen=seen)

    def sessions(
        self,
        *,
        tenant_id: str | None = None,
        status: SessionStatus | None = None,
        session_id: str | None = None,
        agent_id: str | None = None,
        delegator_id: str | None = None,
        task_id: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        order: SessionOrder | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> SessionPage:
        """`since` and `until` are aware times at which they were met."""
        times = {"since": since and since.isoformat(), "until": until and until.isoformat()}
        query = {"tenant_id": tenant_id, "status": status, "order": order, "limit": limit, "cursor": cursor}
        named = {"session_id": session_id, "agent_id": agent_id, "delegator_id": delegator_id, "task_id": task_id}
        return self._ask(SessionPage, "GET", "/v1/sessions", query=query | named | times)

    def session(self, tenant_id: str, session_id: str) -> SessionDetail:
        return self._ask(SessionDetail, "GET", _session(tenant_id, session_id))

    def revoke(
        self,
        tenant_id: str,
        session_id: str,
        *,
        reason: str,
        idempotency_key: str | None = None,
        seen: str | None = None,
    ) -> ActResult:
        """`seen` is the digest of the case that the act is about: refused with 412 when it moved on."""
        path, body = f"{_session(tenant_id, session_id)}/revoke", ActRequest(reason=reason)
        return self._ask(ActResult, "POST", path, body=body, seen=seen, idempotency_key=idempotency_key)

    def reinstate(
        self,
        tenant_id: str,
        session_id: str,
        *,
        reason: str,
        idempotency_key: str | None = None,
        seen: str | None = None,
    ) -> ActResult:
        """With `approval` in the answer it waits for a second person. `seen` as for `revoke`."""
        path, body = f"{_session(tenant_id, session_id)}/reinstate", ActRequest(reason=reason)
        return self._ask(ActResult, "POST", path, body=body, seen=seen, idempotency_key=idempotency_key)

    def revoke_subject(
        self,
        tenant_id: str,
        kind: SubjectType,
        subject_id: str,
        *,
        reason: str,
        seconds: int | None = None,
        idempotency_key: str | None = None,
    ) -> SubjectResult:
        """Everything that acts under this agent, delegator, task or token id, for a while."""
        path, body = f"{_subject(tenant_id, kind, subject_id)}/revoke", SubjectAct(reason=reason, seconds=seconds)
        return self._ask(SubjectResult, "POST", path, body=body, idempotency_key=idempotency_key)

    def reinstate_subject(
        self,
        tenant_id: str,
        kind: SubjectType,
        subject_id: str,
        *,
        reason: str,
        idempotency_key: str | None = None,
    ) -> SubjectResult:
        path, body = f"{_subject(tenant_id, kind, subject_id)}/reinstate", ActRequest(reason=reason)
        return self._ask(SubjectResult, "POST", path, body=body, idempotency_key=idempotency_key)

    def protect(
        self, tenant_id: str, session_id: str, *, protected: bool, reason: str, seen: str | None = None
    ) -> ActResult:
        """`seen` as for `revoke`."""
        body = ProtectionRequest(protected=protected, reason=reason)
        path = f"{_session(tenant_id, session_id)}/protection"
        return self._ask(ActResult, "PUT", path, body=body, seen=seen)

    def revocations(self, *, tenant_id: str | None = None, since: str | None = None) -> RevocationList:
        """The list, or with `since` what changed."""
        query = {"tenant_id": tenant_id, "since": since}
        return self._ask(RevocationList, "GET", "/v1/revocations", query=query)

    def revoked(
        self,
        *,
        tenant_id: str | None = None,
        kind: SubjectType | None = None,
        subject_id: str | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> RevokedPage:
        """What is revoked now, with by whom and why; gateways follow `revocations`."""
        query = {"tenant_id": tenant_id, "subject_type": kind, "subject_id": subject_id}
        return self._ask(RevokedPage, "GET", "/v1/revoked", query={**query, "limit": limit, "cursor": cursor})

    def changes(self, since: int) -> ChangeList:
        """What people said after entry `since` of the feed."""
        query, knows = {"since": since, "limit": 500}, HumanWord.WITHDRAWN.value
        return self._ask(ChangeList, "GET", "/v1/session-changes", query=query, knows=knows)

    def register_envelope(self, envelope: Envelope) -> RegisteredEnvelope:
        """At session start and whenever it is re-issued; the same envelope again changes nothing."""
        body = EnvelopeRegistration(envelope=envelope)
        return self._ask(RegisteredEnvelope, "POST", "/v1/envelopes", body=body)

    def envelopes(self, tenant_id: str, session_id: str, *, limit: int = 50) -> EnvelopeHistory:
        """The latest versions that were registered for a session, the newest last."""
        path = f"/v1/envelopes/{segment(tenant_id)}/{segment(session_id)}"
        return self._ask(EnvelopeHistory, "GET", path, query={"limit": limit})

    def mode(self, tenant_id: str) -> ModeView:
        return self._ask(ModeView, "GET", f"/v1/modes/{segment(tenant_id)}")

    def set_mode(self, tenant_id: str, mode: Mode, *, reason: str, canary_percent: int | None = None) -> ModeView:
        """With `approval` in the answer the change waits for a second person."""
        body = ModeRequest(mode=mode, canary_percent=canary_percent, reason=reason)
        return self._ask(ModeView, "PUT", f"/v1/modes/{segment(tenant_id)}", body=body)

    def approvals(
        self,
        *,
        tenant_id: str | None = None,
        session_id: str | None = None,
        state: ApprovalState | None = None,
        held: bool | None = None,
        digests: bool = False,
        limit: int = 50,
        cursor: str | None = None,
    ) -> ApprovalPage:
        """`held`: only the calls that are held, or only what else is asked. `digests`: with those of the cases."""
        query = {"tenant_id": tenant_id, "session_id": session_id, "state": state, "held": held}
        more = {"digests": digests or None, "limit": limit, "cursor": cursor}
        return self._ask(ApprovalPage, "GET", "/v1/approvals", query=query | more)

    def approval(self, approval_id: str) -> ApprovalView:
        return self._ask(ApprovalView, "GET", f"/v1/approvals/{segment(approval_id)}")

    def decide_approval(
        self,
        approval_id: str,
        decision: Literal["approve", "deny", "withdraw"],
        *,
        reason: str,
        seen: str | None = None,
    ) -> ApprovalView:
        """An approved act is done at once, and `result` says what came of it. `seen` as for `revoke`."""
        body = ApprovalDecision(decision=decision, reason=reason)
        path = f"/v1/approvals/{segment(approval_id)}/decision"
        return self._ask(ApprovalView, "POST", path, body=body, seen=seen)

    def break_glass(self, tenant_id: str, *, reason: str, minutes: int = 30) -> BreakGlassTaken:
        """Act without a second person in this tenant for some minutes; people are told at once."""
        body = BreakGlassRequest(tenant_id=tenant_id, reason=reason, minutes=minutes)
        return self._ask(BreakGlassTaken, "POST", "/v1/break-glass", body=body)

    def break_glass_grants(
        self, *, tenant_id: str | None = None, holding: bool = False, limit: int = 50, cursor: str | None = None
    ) -> BreakGlassPage:
        """`holding`: only those that hold now."""
        query = {"tenant_id": tenant_id, "open": holding or None, "limit": limit, "cursor": cursor}
        return self._ask(BreakGlassPage, "GET", "/v1/break-glass", query=query)

    def end_break_glass(self, grant_id: str) -> BreakGlassView:
        return self._ask(BreakGlassView, "POST", f"/v1/break-glass/{segment(grant_id)}/end")

    def breaker(self, tenant_id: str) -> BreakerView:
        return self._ask(BreakerView, "GET", f"/v1/breakers/{segment(tenant_id)}")

    def reset_breaker(self, tenant_id: str, *, reason: str) -> BreakerView:
        """Let the monitor revoke again before the breaker closes by itself."""
        path = f"/v1/breakers/{segment(tenant_id)}/reset"
        return self._ask(BreakerView, "POST", path, body=BreakerReset(reason=reason))

    def watch(self, *, tenant_id: str | None = None) -> Watch:
        """Gateways with the revision that they enforce, monitors with their lag, and the latest self-tests."""
        return self._ask(Watch, "GET", "/v1/watch", query={"tenant_id": tenant_id})

    def vitals(self, instance: str, lag_s: float | None, leaving: bool) -> None:
        """How far behind the topic a monitor is; None before it has read anything."""
        body = Vitals(instance=instance, lag_s=lag_s, leaving=leaving)
        self._send("POST", "/v1/monitors", body=body)

    def explain(
        self,
        tenant_id: str,
        session_id: str | None = None,
        *,
        action: str = "revoke",
        role: str = "monitor",
    ) -> PolicyExplanation:
        """May this role do that now, and which policy decides? Nothing is done."""
        query = {"tenant_id": tenant_id, "session_id": session_id, "action": action, "role": role}
        return self._ask(PolicyExplanation, "GET", "/v1/policy/explain", query=query)

    def whoami(self) -> WhoAmI:
        return self._ask(WhoAmI, "GET", "/v1/whoami")


def segment(name: str) -> str:
    """The name as one path segment; dots are encoded where they would mean a folder."""
    return name.replace(".", "%2E") if name in (".", "..") else quote(name, safe="")


def _session(tenant_id: str, session_id: str) -> str:
    return f"/v1/sessions/{segment(tenant_id)}/{segment(session_id)}"


def _subject(tenant_id: str, kind: SubjectType, subject_id: str) -> str:
    return f"/v1/subjects/{segment(tenant_id)}/{kind}/{segment(subject_id)}"
