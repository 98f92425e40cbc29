"""Advice before the act: may this proposed call go through? Same signals, model and policy; nothing is kept.

The adviser weighs the call on the session's present state and forgets it: the call counts once the decision log
confirms it. Only a call that is held leaves a trace, the approval that somebody is asked for: it is used up by
the one call that it lets through.
"""

import math
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Literal

from pydantic import ValidationError
from starlette.concurrency import run_in_threadpool

from guardian.alerting.buttons import kept_from_approval
from guardian.control.advice.patience import Patience
from guardian.control.advice.proposed import ProposedCall, call_of, envelope_of, subjects_of
from guardian.control.authority.asking import ask, explain, may_read, must_reach, record, whole
from guardian.control.authority.situation import situation
from guardian.control.cases.case import evidence_link
from guardian.control.deps import ControlDeps
from guardian.control.people.approvals import no_room, permits, put_up, topic_of
from guardian.control.people.overtaking import revoked_since
from guardian.control.problems import Refusal
from guardian.control.telling.news import tell
from guardian.domain.text import cut_off, moment
from guardian.errors import AdviserError
from guardian.policy.port import EvidenceFacts, PolicyDecision, PolicyRequest
from guardian.store.control.approvals import StoredApproval
from guardian.store.control.rows import ControlRows
from guardian.wire.advice import UNREADABLE, Advice, AdviceContext, EvaluationRequest, HeldFor, Weighing
from guardian.wire.approvals import ApprovalView
from guardian.wire.principal import Principal

ADVISER = "guardian-adviser"
_SHOWN = ("agent", "purpose", "resource", "records", "arguments")
_LONGEST = 8100  # characters of each; the monitor has cut them already
_OF_A_SESSION, _OF_A_TENANT = 3, 20
"""So many held calls have a message of their own while they wait: an agent can have any number of its calls held,
and each message may call somebody."""


async def advise(
    deps: ControlDeps,
    patience: Patience,
    turn: AbstractAsyncContextManager[None],
    principal: Principal,
    proposed: EvaluationRequest,
    *,
    since: float,
) -> Advice:
    """Permit, deny or hold, for a request that arrived at `since`, on the stopwatch. What is not permitted is
    written down, in its `turn` to write. Raises Refusal for a question that makes no sense or is not
    this caller's to ask."""
    context = await _advise(deps, patience, turn, principal, proposed, since)
    took = deps.stopwatch() - since
    deps.metrics.observe("guardian_advice_seconds", took)
    answer = "fallback" if context.fallback else context.advice
    deps.metrics.add("guardian_advice_total", answer=answer)
    context = context.model_copy(update={"elapsed_ms": round(took * 1000, 3)})
    return Advice(decision=context.advice == "permit", context=context)


async def _advise(
    deps: ControlDeps,
    patience: Patience,
    turn: AbstractAsyncContextManager[None],
    principal: Principal,
    proposed: EvaluationRequest,
    since: float,
) -> AdviceContext:
    now = deps.clock()
    call, told = await run_in_threadpool(_begun, deps, principal, proposed, now)
    if told.reason:
        return told
    try:
        weighed = UNREADABLE if call.too_large else await patience.weigh(call.line, since)
        evidence = _weighed_evidence(weighed)
    except AdviserError as error:
        return _fallback(deps, told, str(error))
    except ValidationError:  # of an adviser in this process, whose numbers are none
        return _fallback(deps, told, "the adviser's answer is none")
    told = told.model_copy(
        update={
            "breaches": tuple(sorted({*weighed.breaches, *weighed.hard_breaches})),
            "one_in": weighed.one_in,
            "score": weighed.score,
        }
    )
    decided = await run_in_threadpool(_decide, deps, call, told, evidence, now, shown=_shown(call, weighed))
    if isinstance(decided, AdviceContext):
        return decided
    async with turn:
        return await run_in_threadpool(decided)


def _begun(
    deps: ControlDeps, principal: Principal, proposed: EvaluationRequest, now: datetime
) -> tuple[ProposedCall, AdviceContext]:
    """The call, and what is known of it without the adviser: with a reason where that decides."""
    if principal.role != "gateway":  # whoever holds no calls must not fill the places of those that are held
        may_read(deps, principal, "readRevocations")  # whoever may not even read is audited
        raise Refusal(403, "only a gateway asks for advice", code="denied")
    with deps.store.read() as rows:
        envelope = envelope_of(rows, principal, proposed)
        must_reach(deps, principal, "permitCall", envelope.tenant_id)
        registered = rows.envelopes.newest(envelope.key)
        tellers = (envelope,) if registered is None else (envelope, registered.envelope)
        subjects = tuple(dict.fromkeys(whom for each in tellers for whom in subjects_of(each, proposed)))
        revoked = rows.ledger.live_among(envelope.tenant_id, subjects, deps.sure(now))
    may_read(deps, principal, "readRevocations", envelope.tenant_id)
    call = call_of(deps.settings.advice, principal, proposed, envelope, subjects, now)
    told = AdviceContext(advice="deny", reason="", risk=call.risk)
    if revoked:
        entry = revoked[0]
        reason = f"the {entry.subject_type} is revoked ({entry.reason_code}), at revision {entry.revision}"
        told = told.model_copy(update={"reason": reason})
    return call, told


def _decide(
    deps: ControlDeps,
    call: ProposedCall,
    told: AdviceContext,
    evidence: EvidenceFacts,
    now: datetime,
    *,
    shown: Mapping[str, str],
) -> AdviceContext | Callable[[], AdviceContext]:
    """The advice; or, where the call is not permitted, what writes that down and says it."""
    machine = Principal(ADVISER, "monitor", frozenset({call.envelope.tenant_id}), jti="", expires_at=now)
    with deps.store.read() as rows:
        approval = _word(rows, call, "approved", now)
        agent = call.envelope.agent_id
        asked = situation(
            deps, rows, machine, "permitCall", *call.envelope.key, now, evidence=evidence, agent_id=agent
        )
    if approval is not None and not permits(deps, asked):
        asked = asked.approved()
    decision = ask(deps, asked)
    if (
        approval is not None
        and asked.act.approved
        and decision.allowed
        and not _used(deps, call, approval, asked, decision, now)
    ):
        asked = asked.approved(by_another=False)
        decision = ask(deps, asked)
    told = told.model_copy(update={"policy_ids": decision.policy_ids})
    if decision.errors:
        return _fallback(deps, told, explain(decision))
    if decision.allowed:
        approved = asked.act.approved
        would = asked.mode == "enforce" or approved or permits(deps, replace(asked, mode="enforce"))
        reason = "a person let this call through" if approved else "nothing speaks against it"
        reason = reason if would else f"the tenant is in mode {asked.mode}; in enforce it would not have passed"
        return told.model_copy(update={"advice": "permit", "reason": reason})
    return partial(_refuse_or_hold, deps, call, told, asked, decision, now, shown=shown)


def _refuse_or_hold(
    deps: ControlDeps,
    call: ProposedCall,
    told: AdviceContext,
    asked: PolicyRequest,
    decision: PolicyDecision,
    now: datetime,
    *,
    shown: Mapping[str, str],
) -> AdviceContext:
    with deps.store.write() as rows:
        refused = _word(rows, call, "denied", now)
        act = {"call": call.digest, "tool": call.tool}
        reason = f"one call of {call.tool}"[:200]
        held, earlier, why = None, None, "a person said no to this call"
        if not refused:
            why = explain(decision)
            earlier = rows.approvals.pending(*call.envelope.key, "permitCall", now, act)
            held = put_up(
                deps, rows, asked, decision, act=act, reason=reason, now=now, shown=shown, subjects=call.subjects
            )
            full = "" if held is not None else no_room(deps, rows, asked, now)
            if full and permits(deps, asked.approved()):
                why += f"; {full}"
        advice = "deny" if held is None else "hold"
        approval = held or refused
        name = None if approval is None else approval.id
        record(rows, asked, decision, now, result=advice, call=call.digest, tool=call.tool, approval_id=name)
        if held is not None and (earlier is None or earlier.view.id != held.id):
            rows.sessions.meet(call.envelope.key, now)  # so that there is a page to look at
            _tell(deps, rows, call, held, now)
    update = {"advice": advice, "reason": why, "approval": None if held is None else held_for(held)}
    return told.model_copy(update=update)


def _tell(deps: ControlDeps, rows: ControlRows, call: ProposedCall, held: ApprovalView, now: datetime) -> None:
    """Tell people that this call waits, in a message that can be answered while there are few of them."""
    tenant_id, session_id = call.envelope.key
    of_it = rows.approvals.of_session(tenant_id, session_id, now, _OF_A_SESSION + 1)
    own = len(of_it) <= _OF_A_SESSION and rows.approvals.waiting(tenant_id, now) <= _OF_A_TENANT
    why = kept_from_approval(held)
    answer = f'`guardian approve {held.id} --reason "why"` lets it through.'
    tell(
        deps,
        rows,
        topic=topic_of(held.id) if own else "held_call",
        tenant_id=tenant_id,
        title=f"A person is asked about one call of {call.tool[:100]} in session {session_id[:150]}",
        detail=f"with this call session {session_id} would have left its purpose; the gateway holds it until "
        f"{moment(held.expires_at)}. {f'Nobody can let it through: {why}.' if why else answer}",
        severity="high",
        once=held.id,
        now=now,
        facts={"approval": held.id} if own else None,
        link=evidence_link(deps, call.envelope.key),
    )


def held_for(approval: ApprovalView) -> HeldFor:
    return HeldFor(id=approval.id, wait_at=f"/v1/advise/{approval.id}", expires_at=approval.expires_at)


def _shown(call: ProposedCall, weighed: Weighing) -> dict[str, str]:
    """What the person who is asked sees of the call, besides its tool. Nobody is to take what is not told for
    none."""
    shown = {name: cut_off(weighed.shown[name], _LONGEST) for name in _SHOWN if weighed.shown.get(name)}
    if call.argued and "arguments" not in shown:
        shown["arguments"] = "not shown: redacted, or of a monitor of another version"
    if call.unseen:
        shown["more"] = f"not shown: {', '.join(call.unseen)}"
    return shown


def _weighed_evidence(weighed: Weighing) -> EvidenceFacts:
    """As with findings, numbers are rounded down. Raises AdviserError for one that is not finite."""
    numbers = (weighed.one_in, weighed.session_evidence, weighed.score)
    if not all(math.isfinite(number) for number in numbers):
        raise AdviserError("the adviser's answer is none")
    return EvidenceFacts(
        one_in=whole(weighed.one_in),
        session_evidence_milli=whole(weighed.session_evidence * 1000),
        score_permille=whole(weighed.score * 1000),
        independent_signals=weighed.independent_signals,
        hard_breach=bool(weighed.hard_breaches),
        breaches=frozenset(name[:128] for name in (*weighed.breaches, *weighed.hard_breaches)[:64]),
        promised=weighed.promised,
    )


def _fallback(deps: ControlDeps, told: AdviceContext, why: str) -> AdviceContext:
    """Nobody could say in time: what the operator configured for tools of this risk."""
    answer = deps.settings.advice.without_answer(told.risk)
    return told.model_copy(update={"advice": answer, "reason": why[:300], "fallback": True})


def _word(
    rows: ControlRows, call: ProposedCall, state: Literal["approved", "denied"], now: datetime
) -> ApprovalView | None:
    """The approval with people's latest word on exactly this call, if that is `state` and may still be used."""
    act = {"call": call.digest, "tool": call.tool}
    found = rows.approvals.decided(*call.envelope.key, "permitCall", act, now)
    if found is None or found.view.state != state:
        return None
    return None if state == "approved" and undone(rows, found) else found.view


def undone(rows: ControlRows, stored: StoredApproval) -> str | None:
    """Why a held call, or a person's yes to it, is worth nothing by now; None while it stands.

    What was approved with a token that was then withdrawn may have been somebody else's yes all along.
    """
    view = stored.view
    if view.decided_by and view.decided_at and rows.tokens.withdrawn_since(view.decided_by, view.decided_at):
        return f"a token of {view.decided_by} was withdrawn after it let this call through; ask again"
    return revoked_since(rows, stored)


def _used(
    deps: ControlDeps,
    call: ProposedCall,
    approval: ApprovalView,
    asked: PolicyRequest,
    decision: PolicyDecision,
    now: datetime,
) -> bool:
    """Use the approval up: it lets one call through. False when another call was quicker."""
    with deps.store.write() as rows:
        if not rows.approvals.use(approval.id, result=f"the call was let through at {now.isoformat()}"):
            return False
        told = {"call": call.digest, "tool": call.tool, "approval_id": approval.id}
        record(rows, asked, decision, now, **told, approved_by=approval.decided_by, result="used")
    deps.metrics.add("guardian_approvals_total", state="used")
    return True
