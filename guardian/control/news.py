"""Control's own news for people: a breaker opened, glass was broken, policies were refused, a PDP is gone."""

from collections.abc import Mapping
from datetime import datetime

from guardian.control.deps import ControlDeps
from guardian.domain.finding import Effect, Finding, Kind, Reason, Severity, finding_id
from guardian.store.control import ControlRows
from guardian.wire.findings import AlertOutcome, AlertPayload, FindingOutcome
from guardian.wire.sessions import ModeView

OPERATORS = "guardian"
"""The tenant of news that concern the deployment as a whole."""
ABOUT_ITSELF = "guardian"
"""Stands where a session's id would: the news are about guardian."""


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
) -> bool:
    """Store one piece of news as a finding and queue its alert, in this transaction.

    `topic` is a stable word (`breaker`, `break_glass`, ...). The same `once` within a topic and tenant is told
    once; returns whether it was new. `detail` is a sentence that this house wrote.
    """
    known = finding_id(Kind.CONTROL, tenant_id, ABOUT_ITSELF, topic, once)
    if rows.findings.get(known, {tenant_id}) is not None:
        return False
    finding = Finding(
        id=known,
        kind=Kind.CONTROL,
        tenant_id=tenant_id,
        session_id=ABOUT_ITSELF,
        wanted=Effect.FLAG,
        severity=severity,
        title=title[:300],
        reasons=(Reason(signal=topic, share=1.0, value=1.0, text=detail[:2000]),),
        versions={"policy": deps.pdp.version, **(facts or {})},
        time=now,
    )
    mode = rows.modes.get(tenant_id) or ModeView(tenant_id=tenant_id, mode=deps.settings.default_mode)
    outcome = FindingOutcome(
        finding_id=finding.id,
        tenant_id=tenant_id,
        session_id=ABOUT_ITSELF,
        wanted=Effect.FLAG,
        effect=Effect.FLAG,
        note=detail[:2000],
        policy_version=deps.pdp.version,
        mode=mode.mode,
        at=now,
    )
    rows.findings.add(finding, outcome, now)
    told = AlertOutcome(effect=Effect.FLAG, allowed=True, note=outcome.note, mode=mode.mode)
    case = finding_id(Kind.CONTROL, tenant_id, ABOUT_ITSELF, topic)
    payload = AlertPayload(finding=finding, outcome=told, case=case)
    rows.alerts.add(kind="news", case_key=case, idempotency_key=known, payload=payload.model_dump_json(), now=now)
    return True
