"""What an act that waits for a second person rests on, and what has overtaken it since."""

from contextlib import suppress
from dataclasses import asdict
from datetime import datetime
from typing import Any

from pydantic import ValidationError

from guardian.control.findings.superseded import weighed, without_its_parent
from guardian.domain.finding import Finding
from guardian.domain.identity import SessionKey
from guardian.domain.revocation import Revision
from guardian.policy.port import EvidenceFacts, PolicyRequest
from guardian.store.control.approvals import StoredApproval
from guardian.store.control.rows import ControlRows
from guardian.wire.approvals import ApprovalView
from guardian.wire.sessions import ModeView


def over(rows: ControlRows, stored: StoredApproval, now: datetime) -> str | None:
    """Why nobody is to be asked about it any more; None while it waits."""
    if stored.view.expires_at <= now:
        return "nobody decided in time"
    return overtaken(rows, stored)


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


def outgrown(rows: ControlRows, asked: ApprovalView, finding: Finding | None) -> str | None:
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


def seen_by(rows: ControlRows, asked: PolicyRequest, tenant_id: str, session_id: str | None) -> dict[str, Any]:
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
