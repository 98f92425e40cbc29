"""The second person's word: an approval is decided once, and what was approved is done in the same transaction."""

import shlex
from dataclasses import replace
from datetime import datetime
from typing import Literal, assert_never

from guardian.alerting.buttons import kept_from_approval
from guardian.control.acts_under import in_words, revoked_with_it
from guardian.control.authority.asking import ask, denied, evidence_of
from guardian.control.authority.situation import situation
from guardian.control.deps import ControlDeps
from guardian.control.findings.superseded import weighed
from guardian.control.lapse import lapse_overdue
from guardian.control.people.acts import do_reinstate, do_revoke
from guardian.control.people.approvals import end_if_over
from guardian.control.people.granted import Act, Second
from guardian.control.people.modes import do_set_mode, widening
from guardian.control.people.overtaking import evidence_seen, finding_of, overtaken
from guardian.control.problems import Refusal, absent
from guardian.domain.identity import SessionKey
from guardian.policy.port import ActFacts
from guardian.store.control.approvals import StoredApproval
from guardian.store.control.rows import ControlRows
from guardian.wire.approvals import ApprovalDecision, ApprovalView
from guardian.wire.principal import Principal
from guardian.wire.sessions import ModeRequest

_ENDS: dict[str, Literal["approved", "denied", "withdrawn", "expired"]] = {
    "approve": "approved",
    "deny": "denied",
    "withdraw": "withdrawn",
}


def decide(
    deps: ControlDeps, principal: Principal, approval_id: str, word: ApprovalDecision, *, seen: str | None = None
) -> ApprovalView:
    """Approve, deny or withdraw what waits.

    Raises Refusal: 403 when policy refuses the decider, or by now refuses the act itself; 409 when it was
    decided or has expired, when nobody can be shown what would be done, or when what happened meanwhile made it
    another act; 412 when the case is not the one that `seen` names.
    """
    now = deps.clock()
    with deps.store.write() as rows:
        stored = rows.approvals.get(approval_id, principal.scope)
        if stored is None:
            raise absent("approval")
        lapse_overdue(deps, rows, now)
        refusal = _decide(deps, rows, principal, stored, word, now, seen)
        decided = rows.approvals.get(approval_id, principal.scope)
    if refusal is not None:  # raised only now: its audit record must be committed
        raise refusal
    assert decided is not None  # noqa: S101 - approvals are never removed
    return decided.view


def _decide(
    deps: ControlDeps,
    rows: ControlRows,
    principal: Principal,
    stored: StoredApproval,
    word: ApprovalDecision,
    now: datetime,
    seen: str | None,
) -> Refusal | None:
    view = stored.view
    own = principal.id == view.proposer
    asked = situation(
        deps,
        rows,
        principal,
        "propose" if word.decision == "withdraw" else "approve",  # who may put up may take back
        view.tenant_id,
        view.session_id,
        now,
        evidence=evidence_seen(stored),
        act=ActFacts(own=own, denies=word.decision == "deny"),
        target=view.action,
    )
    if asked.session is not None:  # of a session with a held call, maybe nothing but that call was heard
        named = {name for kind, name in stored.act.get("subjects", ()) if kind == "delegator"}
        session = replace(asked.session, told_delegators=asked.session.told_delegators | named)
        asked = replace(asked, session=session)
    act = Act(deps, rows, asked, ask(deps, asked), now, word.reason)
    told = {"approval_id": view.id, "target": view.action, "word": word.decision}
    refusal = None
    if not act.decision.allowed:
        refusal = denied(act.decision, act.asked)
    elif word.decision == "withdraw" and not own:
        refusal = Refusal(403, "only who put it up may withdraw it; deny it instead", code="not_yours")
    elif _elsewhere(principal, view) and (stale := act.stale(seen, **told)) is not None:
        return stale
    elif view.state != "pending":
        outcome = "" if view.result == view.state else f", {view.result}"
        said = f"{view.id} is decided already: {view.state} by {view.decided_by}{outcome}"
        refusal = Refusal(409, said, code="decided")
    elif view.expires_at <= now:
        end_if_over(deps, rows, stored, now)
        refusal = Refusal(409, f"{view.id} expired at {view.expires_at.isoformat()}; ask again", code="expired")
    elif word.decision == "approve" and (why := kept_from_approval(view)):
        refusal = Refusal(409, f"{view.id} can only be denied: {why}", code="not_shown")
    if refusal is not None:
        act.audit(**told, **(_because(refusal) if act.decision.allowed else {}), result="refused")
        return refusal
    state = _ENDS[word.decision]
    again = _again(deps, rows, stored, principal.id, now) if state == "approved" else None
    if again is not None and again.decision.errors:  # nobody could say whether it may be done: it still waits
        refusal = denied(again.decision, again.asked)
        act.audit(**told, **_because(refusal), result="refused")
        again.audit(result="refused")
        return refusal
    act.audit(**told, result=state)
    done = state if again is None else _apply(again, stored)
    result = f"not done: {done.detail}" if isinstance(done, Refusal) else done
    if isinstance(done, Refusal) and view.action == "permitCall":
        state = "expired"  # of a call the yes itself is what lets it through
    if not rows.approvals.decide(
        view.id, state, by=principal.id, reason=word.reason, result=result[:1000], now=now
    ):
        raise Refusal(409, f"{view.id} was decided by somebody else", code="decided")  # undoes what was applied
    deps.metrics.add("guardian_approvals_total", state="refused" if isinstance(done, Refusal) else state)
    return done if isinstance(done, Refusal) else None


def _because(refusal: Refusal) -> dict[str, str]:
    """For the audit trail: why policy's yes was not followed."""
    return {"code": refusal.code, "because": refusal.detail[:300]}


def _elsewhere(principal: Principal, view: ApprovalView) -> bool:
    """Whether somebody else may have changed the case; on a second click it was the same person's first one."""
    return view.session_id is not None and view.decided_by != principal.id


def _again(deps: ControlDeps, rows: ControlRows, stored: StoredApproval, by: str, now: datetime) -> Act:
    """The original act, asked for again on the facts as they are now."""
    view = stored.view
    wish = _mode_wished(stored)
    finding = finding_of(rows, view)
    key = None if view.session_id is None else SessionKey(view.tenant_id, view.session_id)
    session = None if key is None else rows.sessions.get(key)
    proposer = Principal(
        view.proposer,
        stored.proposer_role,
        frozenset({view.tenant_id}),
        jti="",
        expires_at=view.expires_at,
    )
    asked = situation(
        deps,
        rows,
        proposer,
        view.action,
        view.tenant_id,
        view.session_id,
        now,
        evidence=evidence_seen(stored) if finding is None else evidence_of(weighed(rows, finding, session)[0]),
        agent_id=None if finding is None or finding.subject is None else finding.subject.agent_id,
        act=None if wish is None else widening(deps, rows, view.tenant_id, wish),
    )
    asked = asked.approved()
    second = Second(view, by, machine=stored.proposer_role == "monitor")
    return Act(deps, rows, asked, ask(deps, asked), now, view.reason, second)


def _apply(act: Act, stored: StoredApproval) -> str | Refusal:
    """Do what policy permits and nothing has overtaken. Returns what came of it."""
    stale = overtaken(act.rows, stored)
    if stale is not None:
        refusal = Refusal(409, stale, code="overtaken")
        act.audit(result="refused", **_because(refusal))
        return refusal
    if not act.decision.allowed:
        act.audit(result="refused")
        refusal = denied(act.decision, act.asked)
        refusal.detail += f". The request has ended with this yes and waits no more; {_all_the_same(stored.view)}"
        return refusal
    match stored.view.action:
        case "revoke":
            done = do_revoke(act)
            return f"revoked at revision {done.revision}" if done.changed else "it was revoked already"
        case "reinstate":
            done = do_reinstate(act)
            also = revoked_with_it(act.rows, act.key, act.deps.sure(act.now))
            return "; but ".join(filter(None, (f"reinstated at revision {done.revision}", in_words(also))))
        case "setMode":
            wish = _mode_wished(stored)
            assert wish is not None  # noqa: S101 - written with every such act
            mode = do_set_mode(act, wish)
            share = f" for {mode.canary_percent} % of the sessions" if mode.mode == "canary" else ""
            return f"the mode is {mode.mode}{share}"
        case "permitCall":
            return "the call may go through"
        case _:
            assert_never(stored.view.action)


def _all_the_same(view: ApprovalView) -> str:
    """What is left to do for who wants an act that policy refused though a person had approved it."""
    if view.action != "revoke" or view.session_id is None:
        return "if it is still wanted, ask again"
    command = shlex.join(("guardian", "revoke", view.tenant_id, view.session_id, "--reason", "…"))
    return f"a person may revoke all the same: {command}"


def _mode_wished(stored: StoredApproval) -> ModeRequest | None:
    if stored.view.action != "setMode":
        return None
    told = stored.act["act"]
    return ModeRequest(mode=told["mode"], canary_percent=told["canary_percent"] or None, reason=stored.view.reason)
