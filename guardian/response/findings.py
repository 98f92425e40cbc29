"""Turn a verdict that climbed the ladder into a Finding: bounded, redacted, explained."""

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from guardian.domain.breach import Breach
from guardian.domain.drift import Drift
from guardian.domain.event import DecisionEvent
from guardian.domain.fields import in_utc
from guardian.domain.finding import (
    Act,
    Effect,
    Evidence,
    Finding,
    Kind,
    NamedBreach,
    Reason,
    Severity,
    Subject,
    finding_id,
)
from guardian.domain.session import SessionState

_INDEPENDENT_FROM = 0.5
"""A signal of at least this value counts as a voice of its own."""

_RARE = 0.05
_RAREST = 0.01
"""Between these p-values a finding says how rare the call's score is; below, it only says that it is rarer."""

_NOT_OF_A_SESSION = frozenset({Kind.HYGIENE, Kind.GATEWAY, Kind.ENTITLEMENT, Kind.BUS})
"""Told once, of a gateway's gap once a day, however many sessions show the same thing."""


def drift_finding(
    event: DecisionEvent,
    drift: Drift,
    state: SessionState,
    *,
    wanted: Effect,
    now: datetime,
    argument: str | None,
    versions: Mapping[str, str],
    title: str,
    asks: Callable[[Breach], Effect] | None = None,
    envelope_digest: str | None = None,
    odder: str | None = None,
) -> Finding:
    """The finding for one step up the ladder.

    `state` is the session after the step, `title` comes from `title_of`, `asks` from the ladder: what each broken
    rule asks for. `odder` names another tool, fit to be shown, where an earlier call of it was odder than this
    one.

    Its id also covers the session's beginning and the act: once a session is forgotten its steps are counted from
    1 again, and control must not take a new step for an old one.
    """
    breaches = drift.breaches
    began = "" if state.first_seen is None else state.first_seen.isoformat()
    return Finding(
        id=finding_id(Kind.DRIFT, *event.key, state.epoch, state.transition, began, event.gateway, event.id),
        kind=Kind.DRIFT,
        tenant_id=event.envelope.tenant_id,
        session_id=event.envelope.session_id,
        epoch=state.epoch,
        transition=state.transition,
        wanted=wanted,
        severity=_severity(wanted, breaches),
        title=title,
        subject=subject_of(event, envelope_digest),
        act=act_of(event, argument=argument),
        reasons=_reasons(drift, odder),
        breaches=named(breaches, asks),
        evidence=Evidence(
            score=drift.score,
            p_value=drift.p_value,
            session_evidence=drift.session_evidence,
            one_in=drift.one_in,
            promised=drift.promised,
            independent_signals=sum(
                not s.silent and s.value >= _INDEPENDENT_FROM and drift.shares.get(s.name, 0.0) > 0.0
                for s in drift.signals
            ),
            actions_seen=state.actions,
        ),
        features_missing=drift.features_missing,
        versions=dict(versions),
        correlation_id=event.trace_id or event.id,
        time=now,
    )


def side_finding(
    kind: Kind,
    *,
    tenant_id: str,
    session_id: str,
    identity: Sequence[object],
    title: str,
    severity: Severity,
    now: datetime,
    event: DecisionEvent | None = None,
    breaches: Sequence[Breach] = (),
    versions: Mapping[str, str] | None = None,
    envelope_digest: str | None = None,
) -> Finding:
    """A finding that is not a step of the ladder; it only ever flags. `identity` makes its id."""
    return Finding(
        id=finding_id(kind, tenant_id, "" if kind in _NOT_OF_A_SESSION else session_id, *identity),
        kind=kind,
        tenant_id=tenant_id,
        session_id=session_id,
        wanted=Effect.FLAG,
        severity=severity,
        title=title[:300],
        subject=subject_of(event, envelope_digest) if event is not None else None,
        act=act_of(event) if event is not None else None,
        breaches=named(breaches),
        features_missing=event.features_missing if event is not None else (),
        versions=dict(versions or {}),
        correlation_id=(event.trace_id or event.id) if event is not None else "",
        time=now,
    )


def subject_of(event: DecisionEvent, envelope_digest: str | None = None) -> Subject:
    """`envelope_digest` is that of the envelope in the log: the event may have been redacted since."""
    envelope = event.envelope
    return Subject(
        delegator_id=envelope.delegator_id,
        agent_id=envelope.agent_id,
        task_id=envelope.task_id,
        purpose=envelope.purpose,
        expires_at=None if envelope.expires_at is None else in_utc(envelope.expires_at),
        parent_session_id=envelope.parent_session_id,
        envelope_digest=envelope_digest,
    )


def act_of(event: DecisionEvent, *, argument: str | None = None) -> Act:
    arguments = json.dumps(event.action.arguments, ensure_ascii=False) if event.action.arguments else ""
    return Act(
        decision_id=event.id,
        gateway=event.gateway,
        tool=event.action.tool,
        arguments=arguments if len(arguments) <= 2000 else arguments[:1999] + "…",
        argument=argument,
        effect=event.decision.effect,
        time=in_utc(event.time),
    )


def named(breaches: Sequence[Breach], asks: Callable[[Breach], Effect] | None = None) -> tuple[NamedBreach, ...]:
    def one(breach: Breach) -> NamedBreach:
        wanted = Effect.FLAG if asks is None else asks(breach)
        detail = breach.detail[:2000]
        return NamedBreach(name=breach.name, detail=detail, hard=breach.hard, about=breach.about, wanted=wanted)

    return tuple(map(one, breaches))


def _reasons(drift: Drift, odder: str | None) -> tuple[Reason, ...]:
    told = [
        Reason(signal=s.name, share=drift.shares.get(s.name, 0.0), value=s.value, text=s.reason[:2000])
        for s in drift.signals
        if s.breaches or (not s.silent and s.value > 0.0)
    ]
    told.sort(key=lambda reason: (-reason.share, reason.signal))
    if not told:
        return ()
    said = told[0].text
    if told[0].share > 0.0 and drift.p_value <= _RARE:
        rate = (
            f"about 1 in {1 / drift.p_value:,.0f}"
            if drift.p_value >= _RAREST
            else f"fewer than 1 in {1 / _RAREST:,.0f}"
        )
        said = f"{said[:1900]}; {rate} honest calls scores so high"
    if odder is not None:
        said = f"an earlier {odder} was odder than this call; {said}"
    return told[0].model_copy(update={"text": said[:2000]}), *told[1:]


def _severity(wanted: Effect, breaches: Sequence[Breach]) -> Severity:
    if wanted is Effect.REVOKE:
        return "critical" if any(b.hard for b in breaches) else "high"
    return "high" if any(b.hard for b in breaches) else "medium"


def title_of(breaches: Sequence[Breach], titles: Mapping[str, str]) -> str:
    """The title of a finding whose effect these rules asked for. It is that of the first hard rule, else of the
    first, in `titles`, or the rule's name in words where `titles` lack it. Where no rule asked for as much, it
    speaks of the evidence."""
    first = min(breaches, key=lambda b: not b.hard, default=None)
    if first is None:
        return "Actions no longer fit the declared purpose"
    return titles.get(first.name, first.name.replace("_", " ").capitalize())
