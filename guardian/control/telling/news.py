"""Control's own news for people: a breaker opened, glass was broken, policies were refused, a PDP is gone."""

from collections.abc import Mapping
from datetime import datetime

from guardian.control.deps import ControlDeps
from guardian.control.remembered import Turn
from guardian.domain.finding import OPERATORS, Effect, Finding, Kind, Reason, Severity, finding_id
from guardian.domain.text import moment
from guardian.store.control.rows import ControlRows
from guardian.wire.findings import AlertOutcome, AlertPayload, FindingOutcome

ABOUT_ITSELF = "guardian"
"""Stands where a session's id would: the news are about guardian."""
NEWS = "news_"
"""How the ids of news begin. No finding from outside may: it could take the place of news that are to come."""


def case_of_news(tenant_id: str, topic: str) -> str:
    """What the case of a topic is called."""
    return finding_id(Kind.CONTROL, tenant_id, ABOUT_ITSELF, topic)


def tell(
    deps: ControlDeps,
    rows: ControlRows,
    *,
    topic: str,
    tenant_id: str,
    title: str,
    detail: str,
    severity: Severity,
    once: str,
    now: datetime,
    facts: Mapping[str, str] | None = None,
    about: str = "",
    follows: str = "",
    link: str | None = None,
) -> None:
    """Store one piece of news as a finding and queue its alert, in this transaction.

    `topic` is a stable word (`breaker`, `break_glass`, ...). News with the same `once` within a topic and tenant
    are told one time only. `detail` is a sentence that this house wrote. `about` names what the topic has several
    of, as gateways: each has a message of its own, so that nothing said of one hides how another one is. What
    `follows` other news of the topic, by their `once`, belongs to their message, whoever told them. `link` is the
    page of the session that they ask about.
    """
    known = news_id(tenant_id, topic, once)
    if rows.findings.get(known, {tenant_id}) is not None:
        return
    finding = Finding(
        id=known,
        kind=Kind.CONTROL,
        tenant_id=tenant_id,
        session_id=ABOUT_ITSELF,
        wanted=Effect.FLAG,
        severity=severity,
        title=title[:300],
        reasons=(Reason(signal=topic, share=1.0, value=1.0, text=detail[:2000]),),
        versions={"policy": deps.policy_version, **(facts or {})},
        time=now,
    )
    mode = deps.mode_of(rows, tenant_id).mode
    outcome = FindingOutcome(
        finding_id=finding.id,
        tenant_id=tenant_id,
        session_id=ABOUT_ITSELF,
        wanted=Effect.FLAG,
        effect=Effect.FLAG,
        note=detail[:2000],
        policy_version=deps.policy_version,
        mode=mode,
        at=now,
    )
    rows.findings.add(finding, outcome, now)
    told = AlertOutcome(effect=Effect.FLAG, allowed=True, note=outcome.note, mode=mode)
    earlier = rows.alerts.case_of(news_id(tenant_id, topic, follows)) if follows else None
    case = earlier or case_of_news(tenant_id, f"{topic} {about}" if about else topic)
    payload = AlertPayload(finding=finding, outcome=told, link=link, case=case)
    rows.alerts.add(kind="news", case_key=case, idempotency_key=known, payload=payload.model_dump_json(), now=now)


def news_id(tenant_id: str, topic: str, once: str) -> str:
    """The id of that piece of news, which its alert is called by, too."""
    return NEWS + finding_id(Kind.CONTROL, tenant_id, ABOUT_ITSELF, topic, once).removeprefix("fnd_")


def tell_of_decision_point(deps: ControlDeps, rows: ControlRows, now: datetime) -> tuple[Turn, ...]:
    """Store what was not told yet of the decision point's coming and going, for whoever runs guardian.

    Returns what that was: `deps.outage.told` it after the commit.
    """
    turns = deps.outage.untold()
    for turn in turns:
        since = moment(turn.since)
        if turn.away:
            title = "Policy decisions fail: the monitor can only flag"
            detail = (
                f"since {since} the decision point gives no answer or a wrong one. What people do and read is"
                " refused too; while it is silent, gateways get the revocation list for policy.options.grace_s"
                f" (300 s, unless set) from its last permit on: {turn.why}"
            )
        else:
            title = "Policy decisions are made again"
            detail = f"the decision point, which failed from {since} on, answers"
        tell(
            deps,
            rows,
            topic="decision_point",
            tenant_id=OPERATORS,
            title=title,
            detail=detail,
            severity="critical" if turn.away else "info",
            once=f"{'away' if turn.away else 'back'} {turn.since.isoformat()}",
            now=now,
        )
    return turns


def spread(deps: ControlDeps) -> None:
    """The same in a transaction of its own, if there is anything to tell."""
    if not deps.outage.untold():
        return
    with deps.store.write() as rows:
        turns = tell_of_decision_point(deps, rows, deps.clock())
    deps.outage.told(turns)
