"""What became of many findings by one act, for a channel that people read: one message."""

from collections import Counter
from collections.abc import Sequence

from guardian.alerting.port import Alert, Digest
from guardian.alerting.rules import rank
from guardian.alerting.standing import stands_now
from guardian.control.cases.digests import doer
from guardian.domain.finding import SEVERITIES, Effect, Kind
from guardian.domain.text import counted
from guardian.wire.cases import CaseEvent

_LINES = 200  # cases that it has a line for


def gathered(told: Sequence[Alert]) -> Alert:
    """One alert for all of these, of one tenant: it is about the worst, and the first of those. Where they are of
    more than one case, it is a digest."""
    cases: dict[str, list[Alert]] = {}
    for each in sorted(told, key=_weight, reverse=True):
        cases.setdefault(each.case, []).append(each)
    worst = next(iter(cases.values()))[0]
    if len(cases) == 1 or worst.became is None:
        return worst
    found = Counter(of_it[0].finding.severity for of_it in cases.values())
    digest = Digest(
        tenant_id=worst.finding.tenant_id,
        since=worst.became.at,
        total=len(cases),
        severities={name: found[name] for name in reversed(SEVERITIES) if found[name]},
    )
    events = tuple(_line(of_it[0], many=len(of_it)) for of_it in [*cases.values()][:_LINES])
    return worst.model_copy(update={"digest": digest, "events": events, "link": None})


def _weight(alert: Alert) -> tuple[bool, int]:
    return alert.finding.wanted is Effect.REVOKE, rank(alert.finding.severity)


def _line(alert: Alert, many: int) -> CaseEvent:
    """What an agent named stands last, that it cannot keep the rest from being read."""
    finding = alert.finding
    news = finding.kind is Kind.CONTROL
    stands = "" if alert.became is None else stands_now(alert.became)
    more = [] if many == 1 else [counted(many, "finding")]
    what = [finding.severity, stands, *more, finding.title if news else doer(finding)]
    by = "guardian" if news else finding.session_id
    return CaseEvent(at=finding.time, by=by, what=" · ".join(what), finding_id=finding.id)
