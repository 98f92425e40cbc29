"""What came of a policy reload: audited, counted, and told to people when it was refused or changed something."""

from guardian.control.deps import ControlDeps
from guardian.control.telling.news import tell
from guardian.domain.finding import OPERATORS
from guardian.policy.reload import ReloadOutcome

_SWAPPED = "Other policies are in force: guardian and people may do what these permit"


def policy_reloaded(deps: ControlDeps, outcome: ReloadOutcome) -> None:
    """One transaction: the audit record and, unless nothing changed, the alert. Told once for each reason.

    Whether a set of policies permits more or less than the one before it cannot be seen from here, so a swap is as
    severe as if it took something away.
    """
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
        if outcome.result == "unchanged":
            return
        refused = outcome.result == "refused"
        tell(
            deps,
            rows,
            topic="policy_reload",
            tenant_id=OPERATORS,
            title="Changed policies were refused; the old ones stay in force" if refused else _SWAPPED,
            detail=(outcome.reason if refused else str(outcome))[:2000],
            severity="high",
            once=f"{now.isoformat()}",
            now=now,
        )
