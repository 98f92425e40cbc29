"""Acts that take two: put up by one principal, decided by another, applied when policy then says yes."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from datetime import datetime
from typing import Any, get_args

from pydantic import ValidationError

from guardian.control.authority.asking import ask, consider, record
from guardian.control.cases.case import evidence_link
from guardian.control.deps import ControlDeps
from guardian.control.findings.superseded import weighed, without_its_parent
from guardian.control.telling.news import tell
from guardian.domain.finding import Finding
from guardian.domain.identity import SessionKey
from guardian.domain.revocation import Revision
from guardian.domain.text import counted
from guardian.policy.port import EvidenceFacts, PolicyAction, PolicyDecision, PolicyRequest
from guardian.store.columns import storable
from guardian.store.control.approvals import StoredApproval, particulars
from guardian.store.control.rows import ControlRows
from guardian.wire.approvals import ApprovableAction, ApprovalView
from guardian.wire.sessions import ModeView

_APPROVABLE: Mapping[PolicyAction, ApprovableAction] = {action: action for action in get_args(ApprovableAction)}
_LOOKED_AT = 20  # of those that take all the room, the oldest, while every other write waits


def put_up(
    deps: ControlDeps,
    rows: ControlRows,
    asked: PolicyRequest,
    refused: PolicyDecision,
    *,
    act: Mapping[str, Any],
    reason: str,
    now: datetime,
    finding: Finding | None = None,
    shown: Mapping[str, str] | None = None,
    subjects: Sequence[tuple[str, str]] = (),
) -> ApprovalView | None:
    """Put a refused act up for a second person, if that is all that stands in its way.

    `act` names the act; `shown` is what else a person has to see of it. `subjects` (kind and name) are those whose
    revocation makes it another act.

    None when policy would refuse it also with a second person's word, when the asker may not propose, or when
    too many of the tenant's acts wait already. The same act that waits already is not put up twice: the one
    that waits is returned, unless the `finding` accuses the session of more than it rests on.
    """
    action, tenant_id = _APPROVABLE.get(asked.action), asked.tenant_id
    if action is None or tenant_id is None or refused.errors:
        return None
    if not permits(deps, asked.approved()):
        return None
    proposal = replace(asked.approved(by_another=False), action="propose", target=action)
    permitted = ask(deps, proposal)
    if not permitted.allowed:
        return None
    session_id = None if asked.session is None else asked.session.session_id
    wanted = dict(act) if action == "permitCall" else None  # two calls of one session are two acts
    waiting = rows.approvals.pending(tenant_id, session_id, action, now, wanted)
    if waiting is not None:
        why = overtaken(rows, waiting) or _outgrown(rows, waiting.view, finding)
        if why is None:
            return waiting.view
        _expire(deps, rows, waiting.view, now, why)  # and its place is taken by what follows
    elif no_room(deps, rows, asked, now):
        for each in rows.approvals.oldest(_LOOKED_AT, tenant_id=tenant_id):
            end_if_over(deps, rows, each, now)
        if no_room(deps, rows, asked, now):
            deps.metrics.add("guardian_approvals_total", state="no_room")
            return None
    view = ApprovalView(
        id=f"apr_{deps.new_id()}",
        tenant_id=tenant_id,
        session_id=session_id,
        action=action,
        proposer=asked.asker.id,
        reason=storable(reason)[:1000],
        particulars=particulars({**(shown or {}), **act}),
        finding_id=None if finding is None else finding.id,
        policy_ids=refused.policy_ids,
        created_at=now,
        expires_at=now + deps.settings.approval_life,
    )
    seen = {"act": dict(act), "shown": dict(shown or {}), "subjects": list(subjects)}
    seen |= _seen(rows, asked, tenant_id, session_id)
    rows.approvals.add(view, proposer_role=asked.asker.role, act=seen, policy_ids=refused.policy_ids)
    told = {"approval_id": view.id, "target": action, "reason": view.reason, "result": "waits"}
    if finding is not None:
        told["finding_id"] = finding.id
    record(rows, proposal, permitted, now, **told, until=view.expires_at.isoformat())
    deps.metrics.add("guardian_approvals_total", state="pending")
    if finding is None and action != "permitCall":  # else the finding, or the held call's own news, say it
        _tell(deps, rows, view, act, now)
    return view


def _tell(deps: ControlDeps, rows: ControlRows, view: ApprovalView, act: Mapping[str, Any], now: datetime) -> None:
    """Tell people that somebody asks for a second person. Where cases are kept, that of the session says it, if
    there is one."""
    wish = " ".join(str(value) for name, value in act.items() if value and name != "reason")
    link = None
    if view.session_id is not None:
        wish = f"session {view.session_id}"
        link = evidence_link(deps, SessionKey(view.tenant_id, view.session_id))
    tell(
        deps,
        rows,
        topic=topic_of(view.id),
        tenant_id=view.tenant_id,
        title=f"{view.proposer} asks for a second person: {view.action} {wish}",
        detail=f"{view.proposer} wants {view.action} {wish} for {view.tenant_id}: {view.reason}",
        severity="medium",
        once=view.id,
        now=now,
        facts={"approval": view.id},
        link=link,
    )


def no_room(deps: ControlDeps, rows: ControlRows, asked: PolicyRequest, now: datetime) -> str:
    """In words, that too many of the tenant's acts wait for this one to wait, too; empty if they are not too many.

    A monitor gone wrong must not take the places that people need, calls those of the monitor, or one session's
    calls those of others.
    """
    if asked.tenant_id is None or asked.action not in _APPROVABLE:
        return ""
    most, waiting = deps.settings.approvals_waiting, rows.approvals.waiting(asked.tenant_id, now)
    if asked.action == "permitCall" and asked.session is not None:
        its = rows.approvals.waiting(asked.tenant_id, now, asked.session.session_id)
        return _too_many(its, max(most // 10, 1), " of this session") or _too_many(waiting, (most + 1) // 2)
    if asked.asker.role == "monitor":
        most -= most // 10
    return _too_many(waiting, most)


def _too_many(waiting: int, most: int, whose: str = "") -> str:
    wait = "waits" if waiting == 1 else "wait"
    return f"nobody was asked: {counted(waiting, 'request')}{whose} {wait} already" if waiting >= most else ""


def topic_of(approval_id: str) -> str:
    """The topic of the news that an act on a tenant waits. Each such act has a case of its own."""
    return f"approval {approval_id}"


def permits(deps: ControlDeps, request: PolicyRequest) -> bool:
    """What policy would say; not a decision, so neither counted nor audited."""
    return consider(deps, request).allowed


def over(rows: ControlRows, stored: StoredApproval, now: datetime) -> str | None:
    """Why nobody is to be asked about it any more; None while it waits."""
    if stored.view.expires_at <= now:
        return "nobody decided in time"
    return overtaken(rows, stored)


def end_if_over(deps: ControlDeps, rows: ControlRows, stored: StoredApproval, now: datetime) -> None:
    """If it is surely over, and nobody has ended it yet, it ends now."""
    why = over(rows, stored, deps.sure(now))
    if why is not None:
        _expire(deps, rows, stored.view, now, why)


def _expire(deps: ControlDeps, rows: ControlRows, view: ApprovalView, now: datetime, why: str) -> None:
    if not rows.approvals.decide(view.id, "expired", by="guardian", reason="", result=why, now=now):
        return
    rows.audit.note(
        "expireApproval",
        at=now,
        tenant_id=view.tenant_id,
        session_id=view.session_id,
        approval_id=view.id,
        target=view.action,
        reason=why,
        result="expired",
    )
    state = "expired" if view.expires_at <= now else "overtaken"
    deps.metrics.add("guardian_approvals_total", state=state)


def evidence_seen(stored: StoredApproval) -> EvidenceFacts:
    """The evidence that policy was shown when the act was put up."""
    told = dict(stored.act["evidence"])
    return EvidenceFacts(**{**told, "breaches": frozenset(told["breaches"])})


def overtaken(rows: ControlRows, stored: StoredApproval) -> str | None:
    """What happened since the act was put up that makes it another act; None when nothing did.

    Who proposed, and who is asked now, spoke of things as they stood then. People's later word on the session,
    a new revocation of it, or another mode of the tenant is a decision that this one must not undo. And what was
    put up with a token that was then withdrawn may have been somebody else's wish all along.
    """
    view = stored.view
    if rows.tokens.withdrawn_since(view.proposer, view.created_at):
        return f"a token of {view.proposer} was withdrawn after this was put up; if it is still wanted, ask again"
    if view.session_id is None:
        known = rows.modes.get(view.tenant_id)
        if _mode_seen(known) != stored.act["mode"]:
            return "the tenant's mode was changed after this was put up; ask again from there"
        return None
    key = SessionKey(view.tenant_id, view.session_id)
    since = rows.ledger.of_session(key)[stored.act["entries"] :]
    anew = [entry for entry in since if entry.status == "revoked" and entry.reason_code != "renewed"]
    if view.action == "reinstate":  # which a verdict in its favour does not speak against
        if rows.ledger.live_entry(view.tenant_id, view.session_id) is None:
            return "the session is not revoked any more"
        return "the session was revoked anew after this was put up; ask again" if anew else None
    if view.action == "revoke" and any(entry.cause is None for entry in anew):  # not only with its parent
        return "the session was revoked after this was put up"
    if (revoked := revoked_since(rows, stored)) is not None:
        return revoked
    session = rows.sessions.get(key)
    found = finding_of(rows, view)
    spoken = (0 if session is None else session.restarts) != stored.act["restarts"]
    if spoken and (found is None or not _asks(weighed(rows, found, session)[0])):  # else it was of something else
        return "people decided about this session after this was put up; their word holds"
    if "parent_revoked" not in evidence_seen(stored).breaches:
        return None  # nothing else that it rests on ends by itself
    if found is None or not (less := weighed(rows, found)[1]) or _asks(weighed(rows, found, session)[0]):
        return None
    return less


def revoked_since(rows: ControlRows, stored: StoredApproval) -> str | None:
    """Which of the subjects that the act was put up with is revoked by now, or was since, in a sentence; None if
    none is."""
    view = stored.view
    held_before = [("session", view.session_id)] if view.action == "permitCall" else []  # by an older version
    since = stored.act.get("revision")
    for kind, name in stored.act.get("subjects", held_before):
        revoked = rows.ledger.live_entry(view.tenant_id, name, kind) is not None
        if revoked or (since and rows.ledger.revoked_after(Revision.parse(since), view.tenant_id, name, kind)):
            return f"the {kind} was revoked after this was put up"
    return None


def said_no(rows: ControlRows, finding: Finding, evidence: EvidenceFacts, now: datetime) -> ApprovalView | None:
    """People's latest word on revoking this session, if it is a no that still holds. It holds for as long as the
    request would have waited, and only until another rule is broken, one that asks for revocation is broken by
    something else, or there is ten times the evidence."""
    found = rows.approvals.decided(finding.tenant_id, finding.session_id, "revoke", {}, now)
    if found is None or found.view.state != "denied" or over(rows, found, now) is not None:
        return None
    then = evidence_seen(found)
    more = evidence.breaches - then.breaches or evidence.one_in >= 10 * then.one_in
    return None if more or _broken_by_more(rows, finding, found.view) else found.view


def _broken_by_more(rows: ControlRows, finding: Finding, asked: ApprovalView) -> bool:
    told = finding_of(rows, asked)
    if told is None:
        return False
    known = {entry for breach in told.breaches for entry in breach.told.remembered}
    return any(breach.revokes and not breach.told.waved(known) for breach in finding.breaches)


def _outgrown(rows: ControlRows, asked: ApprovalView, finding: Finding | None) -> str | None:
    """Why people are asked anew because of this finding: what waits would end with the revocation of the session's
    parent, and this one not."""
    told = finding_of(rows, asked)
    if told is None or finding is None or not _by_its_parent(rows, told) or _by_its_parent(rows, finding):
        return None
    return "the session broke more since than that its parent is revoked; people are asked anew"


def _by_its_parent(rows: ControlRows, finding: Finding) -> bool:
    """Whether all that asks for its revocation is that its parent is revoked."""
    counts, _ = weighed(rows, finding, rows.sessions.get(finding.key))
    alone = without_its_parent(counts)
    return alone is not counts and not _asks(alone)


def _asks(finding: Finding) -> bool:
    return any(breach.revokes for breach in finding.breaches)


def finding_of(rows: ControlRows, asked: ApprovalView) -> Finding | None:
    """The finding that it was put up for, if this version can read it."""
    with suppress(ValidationError):
        found = None if asked.finding_id is None else rows.findings.get(asked.finding_id, {asked.tenant_id})
        return None if found is None else found.view.finding
    return None


def _seen(rows: ControlRows, asked: PolicyRequest, tenant_id: str, session_id: str | None) -> dict[str, Any]:
    """What the proposal rests on, so that it can be told later whether it still does."""
    evidence = asdict(asked.evidence)
    seen: dict[str, Any] = {"evidence": {**evidence, "breaches": sorted(evidence["breaches"])}}
    if session_id is None:
        return {**seen, "mode": _mode_seen(rows.modes.get(tenant_id))}
    key = SessionKey(tenant_id, session_id)
    session, entries = rows.sessions.get(key), rows.ledger.of_session(key)
    seen |= {"restarts": 0 if session is None else session.restarts, "entries": len(entries)}
    return {**seen, "revision": str(rows.head().revision)}


def _mode_seen(stored: ModeView | None) -> dict[str, Any] | None:
    return None if stored is None else stored.model_dump(mode="json", exclude={"approval"})
