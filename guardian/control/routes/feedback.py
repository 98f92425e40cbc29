"""`/v1/feedback`: people's verdicts as labelled data."""

from fastapi import APIRouter

from guardian.control.authentication.caller import Before, Caller, Deps, Limit, TenantFilter
from guardian.control.authority.asking import may_read
from guardian.control.problems import READS
from guardian.domain.identity import SessionKey
from guardian.evaluation.labels import of_a_rule_alone
from guardian.store.control.rows import ControlRows
from guardian.wire.feedback import FeedbackPage, FeedbackRow
from guardian.wire.findings import FindingView

router = APIRouter(prefix="/v1/feedback", tags=["feedback"])


@router.get("", responses=READS)
def list_feedback(
    deps: Deps, caller: Caller, before: Before, tenant_id: TenantFilter = None, limit: Limit = 50
) -> FeedbackPage:
    """Findings that people judged, within reach, the newest first."""
    scope = may_read(deps, caller, "read", tenant_id)
    with deps.store.read() as rows:
        shown, more = rows.findings.judged(scope, limit=limit, before=before)
        items = tuple(_row(rows, each.view) for each in shown)
    return FeedbackPage(items=items, next=str(shown[-1].seq) if more else None)


def _row(rows: ControlRows, view: FindingView) -> FeedbackRow:
    finding, verdict = view.finding, view.verdict
    assert verdict is not None  # noqa: S101 - only judged ones are asked for
    subject, act = finding.subject, finding.act
    drifted = finding.drifted(confirmed=verdict.verdict == "confirmed")
    return FeedbackRow(
        finding_id=finding.id,
        tenant_id=finding.tenant_id,
        session_id=finding.session_id,
        kind=finding.kind.value,
        label=verdict.verdict,
        drift=None if drifted and of_a_rule_alone(finding) else drifted,
        session_honest=_honest(rows, finding.key),
        reason=verdict.reason,
        judged_by=verdict.actor,
        judged_at=verdict.at,
        found_at=finding.time,
        effect=view.outcome.effect.value,
        purpose="" if subject is None else subject.purpose,
        agent_id=None if subject is None else subject.agent_id,
        tool="" if act is None else act.tool,
        arguments="" if act is None else act.arguments,
        signals={reason.signal: reason.value for reason in finding.reasons},
        shares={reason.signal: reason.share for reason in finding.reasons},
        breaches=tuple(breach.name for breach in finding.breaches),
        one_in=finding.evidence.one_in,
        score=finding.evidence.score,
        versions=finding.versions,
    )


def _honest(rows: ControlRows, session: SessionKey) -> bool:
    """Whether people judged every drift of the session, and confirmed nothing."""
    return not rows.findings.unjudged(session) and not rows.findings.confirmed(session)
