"""A revocation that follows from another one: what it stands on, and how it lives on."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from guardian.control.authority.asking import evidence_of
from guardian.control.authority.situation import origin_of, situation
from guardian.control.deps import ControlDeps
from guardian.control.revocations.by_itself import by_itself
from guardian.control.telling.news import tell
from guardian.domain.identity import SessionKey
from guardian.domain.revocation import LedgerEntry
from guardian.policy.port import ActFacts, EvidenceFacts, PolicyDecision, PolicyRequest
from guardian.store.control.rows import ControlRows
from guardian.wire.principal import Principal

AT_ONCE = 50
"""Sessions that follow another one, down or back, in one transaction: every other write waits for it."""
MOST = 2000
"""How many descendants one revocation takes along at most. If there are more, people are told."""
LONGEST_S = 1.0
"""Seconds after which a transaction takes no further session: a remote decision point may be slow."""
_MADE = frozenset({"changed", "revoke"})
"""Results of those who made the revision that their record names; others found it there."""


def carried_on(deps: ControlDeps, rows: ControlRows, live: LedgerEntry, now: datetime) -> bool:
    """Extend `live` if the revocation that it follows from was renewed. That asks no policy and spends no budget.

    Returns whether it was extended. A cause that lapsed, or was given back, and was then revoked anew is another
    decision.
    """
    if live.cause is None or not deps.settings.switch.descendants:
        return False
    root = rows.ledger.live_entry(live.tenant_id, live.cause)
    if root is None or root.expires_at <= now:
        return False
    entries = rows.ledger.of_session(SessionKey(live.tenant_id, live.cause))
    if any(each.status != "revoked" and each.at > live.at for each in entries):
        return False
    by_itself(
        rows,
        tenant_id=live.tenant_id,
        subject_id=live.subject_id,
        status="revoked",
        reason_code="renewed",
        reason="the session that it was delegated by was renewed; its revocation lives on",
        now=now,
        expires_at=root.expires_at,
        finding_id=live.finding_id,
        cause=live.cause,
    )
    return True


def given_back(rows: ControlRows, root: LedgerEntry, session_id: str) -> bool:
    """Whether people gave the session itself back while `root` was revoked, and nothing happened to it since."""
    entries = rows.ledger.of_session(SessionKey(root.tenant_id, session_id))
    if not entries or entries[-1].status != "reinstated" or entries[-1].reason_code not in ("manual", "approved"):
        return False
    return entries[-1].revision > origin_of(rows, root).revision


def older(rows: ControlRows, root: LedgerEntry, session_id: str) -> bool:
    """Whether the session was registered before `root` was revoked."""
    first = rows.envelopes.history(SessionKey(root.tenant_id, session_id), before=2)
    return bool(first) and first[0].at <= origin_of(rows, root).at


def clear(request: PolicyRequest, decision: PolicyDecision) -> bool:
    """Whether a session follows: policy permits it, and it is not for people alone to decide."""
    return decision.allowed and not (request.session is not None and request.session.protected)


def tell_on(deps: ControlDeps, rows: ControlRows, root: LedgerEntry, now: datetime) -> None:
    tell(
        deps,
        rows,
        topic="descendants",
        tenant_id=root.tenant_id,
        title="Sessions that are delegated by a revoked one go on",
        detail="they were registered after it was revoked, or their own revocation lapsed, or the one that "
        "they followed was taken back; and they are protected, or policy did not permit to revoke them with it; "
        "see the audit trail under action revoke, result spared",
        severity="high",
        once=f"born {root.revision}",
        now=now,
    )


@dataclass(frozen=True, slots=True)
class Then:
    """What a revocation was permitted on: who asked, the evidence, the act, and by whose second word."""

    who: Principal
    evidence: EvidenceFacts | None
    act: ActFacts
    seconded: Mapping[str, Any]

    def about(
        self,
        deps: ControlDeps,
        rows: ControlRows,
        tenant_id: str,
        session_id: str,
        now: datetime,
        sessions: tuple[int, int],
    ) -> PolicyRequest:
        """The same request, made about another session now. Who approved the monitor's wish about one session said
        nothing about this one; a person's own revocation is followed as it was permitted.
        """
        act = replace(self.act, approved=False) if self.who.role == "monitor" else self.act
        return situation(
            deps,
            rows,
            self.who,
            "revoke",
            tenant_id,
            session_id,
            now,
            evidence=self.evidence,
            act=act,
            sessions=sessions,
            follows=True,
        )


def as_then(rows: ControlRows, root: LedgerEntry, now: datetime) -> Then:
    """What `root` was revoked on. If the audit trail does not tell, it counts as the monitor's wish without
    evidence.
    """
    tenant_id, origin = root.tenant_id, origin_of(rows, root)
    revision = str(origin.revision)
    lines = rows.audit.naming(tenant_id, root.subject_id, revision)
    records = (json.loads(line.record) for line in reversed(lines))
    made = (each for each in records if each.get("revision") == revision and each.get("result") in _MADE)
    then: dict[str, Any] = next(made, {})
    found = None if origin.finding_id is None else rows.findings.get(origin.finding_id, {tenant_id})
    who = Principal(
        then.get("actor", origin.actor),
        then.get("role", "monitor"),
        frozenset({tenant_id}),
        jti="",
        expires_at=now,
    )
    seconded: dict[str, Any] = {name: then[name] for name in ("approval_id", "approved_by") if name in then}
    evidence = None if found is None else evidence_of(found.view.finding)
    return Then(who, evidence, ActFacts(approved=bool(seconded)), seconded)


def append_follower(
    rows: ControlRows,
    child: str,
    root: LedgerEntry,
    now: datetime,
    *,
    expires_at: datetime,
    automatic: bool = False,
) -> LedgerEntry:
    """Revoke `child` because of `root`. One that is revoked already and only changes its cause spends no budget:
    it is not `automatic`.
    """
    return rows.ledger.append(
        tenant_id=root.tenant_id,
        subject_id=child,
        status="revoked",
        reason_code="parent_revoked",
        reason="a session that it was delegated by is revoked",
        actor=origin_of(rows, root).actor,
        now=now,
        expires_at=expires_at,
        finding_id=root.finding_id,
        automatic=automatic,
        cause=root.subject_id,
    )
