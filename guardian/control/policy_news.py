"""What came of a policy reload: audited, counted, and told to people when it was refused."""

from guardian.control.deps import ControlDeps
from guardian.control.news import tell
from guardian.domain.finding import OPERATORS
from guardian.policy.reload import ReloadOutcome


def policy_reloaded(deps: ControlDeps, outcome: ReloadOutcome) -> None:
    """One transaction: the audit record and, for refused files, the alert. Told once for each reason."""
    now = deps.clock()
    deps.metrics.add("guardian_policy_reloads_total", result=outcome.result)
    with deps.store.write() as rows:
        rows.audit.note(
            "policyReload",
            at=now,
            result=outcome.result,
            before=outcome.before,
            after=outcome.after,
            reason=outcome.reason[:1000],
        )
        if outcome.result == "refused":
            tell(
                deps,
                rows,
                topic="policy_reload",
                tenant_id=OPERATORS,
                title="Changed policies were refused; the old ones stay in force",
                detail=outcome.reason[:2000],
                severity="high",
                once=f"{now.isoformat()}",
                now=now,
            )
