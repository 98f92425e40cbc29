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
from guardian.wire.findings import AlertPayload, Became

_LINES = 200  # cases that it has a line for


def gathered(told: Sequence[tuple[AlertPayload, Became]]) -> Alert:
    """One alert for all of these, of one tenant: it is about the worst, and the first of those. Where they are of
    more than one case, it is a digest."""
    cases: dict[str, list[tuple[AlertPayload, Became]]] = {}
    for each in sorted(told, key=_weight, reverse=True):
        cases.setdefault(each[0].case, []).append(each)
    worst, became = next(iter(cases.values()))[0]
    alert = Alert(finding=worst.finding, outcome=worst.outcome, link=worst.link, case=worst.case, became=became)
    if len(cases) == 1:
        return alert
    found = Counter(of_it[0][0].finding.severity for of_it in cases.values())
    digest = Digest(
        tenant_id=worst.finding.tenant_id,
        since=became.at,
        total=len(cases),
        severities={name: found[name] for name in reversed(SEVERITIES) if found[name]},
    )
    events = tuple(_line(*of_it[0], many=len(of_it)) for of_it in [*cases.values()][:_LINES])
    return alert.model_copy(update={"digest": digest, "events": events, "link": None})


def _weight(told: tuple[AlertPayload, Became]) -> tuple[bool, int]:
    finding = told[0].finding
    return finding.wanted is Effect.REVOKE, rank(finding.severity)


def _line(payload: AlertPayload, became: Became, many: int) -> CaseEvent:
    finding = payload.finding
    news = finding.kind is Kind.CONTROL
    what = [finding.severity, stands_now(became), finding.title if news else doer(finding)]
    more = [] if many == 1 else [counted(many, "finding")]
    by = "guardian" if news else finding.session_id
    return CaseEvent(at=finding.time, by=by, what=" · ".join(what + more), finding_id=finding.id)
