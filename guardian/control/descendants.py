"""A revocation follows the lines of delegation downwards, and is taken back along them."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Literal

from guardian.control import breaker
from guardian.control.authority import ask, evidence_of, record
from guardian.control.bounds import beyond
from guardian.control.deps import ControlDeps
from guardian.control.envelopes import revoked_until
from guardian.control.facts import situation
from guardian.control.kin import revoked_above
from guardian.control.news import tell
from guardian.domain.revocation import LedgerEntry
from guardian.domain.session import HumanWord
from guardian.policy.port import ActFacts, PolicyDecision, PolicyRequest
from guardian.revocation.ledger import order
from guardian.store.control import ControlRows
from guardian.store.control_delegation import Descent
from guardian.wire.principal import Principal

MOST = 2000
"""Descendants that one revocation takes along; beyond it people are told."""
AT_ONCE = 50
"""Descendants asked about in one transaction, for which every write waits; `follow_on` takes the others."""

_Went = Literal["revoked", "spared", "passed", "undecided", "none more"]


class _Tally:
    """The tenant's sessions for policy's eyes: counted once in a transaction, and then kept in step."""

    def __init__(self, deps: ControlDeps, rows: ControlRows, tenant_id: str, now: datetime) -> None:
        self._rows, self._tenant_id, self._since = rows, tenant_id, now - deps.settings.budget_window
        self.sessions = rows.envelopes.registered_since(tenant_id, self._since)

    def took(self, session_id: str) -> None:
        _, more = self._rows.envelopes.registered_since(self._tenant_id, self._since, session_id)
        registered, revoked = self.sessions
        self.sessions = registered, revoked + more


def follow_down(
    deps: ControlDeps, rows: ControlRows, asked: PolicyRequest, entry: LedgerEntry, now: datetime, **seconded: str
) -> None:
    """Revoke what the session delegated, one by one, each if policy permits that.

    `asked` is the request that was permitted for the session itself, `seconded` by whose second word. That word
    was on this session: where the monitor asked, it speaks for no other one that is for people alone to decide.
    """
    if deps.settings.switch.descendants:
        _go_down(deps, rows, Descent(entry.tenant_id, entry.subject_id, 0), asked, entry, now, seconded)


def follow_above(deps: ControlDeps, rows: ControlRows, tenant_id: str, session_id: str, now: datetime) -> bool:
    """What is registered below a revoked session, or has served its own time there, is revoked as well, with what
    it delegated before.

    That is, if policy permits it to who revoked the upper one, and unless only people may decide, or gave it back
    since. Returns whether the session itself was revoked.
    """
    if not deps.settings.switch.descendants or rows.ledger.live_entry(tenant_id, session_id) is not None:
        return False
    if revoked_above(rows, tenant_id, session_id, now) is None:
        return False
    tally = _Tally(deps, rows, tenant_id, now)
    follows = _follow(deps, rows, tenant_id, session_id, now, tally)
    _go_below(deps, rows, Descent(tenant_id, session_id, 0), now, tally)
    return follows == "revoked"


def follow_on(deps: ControlDeps) -> bool:
    """Go on with one walk that did not come to its end at once. Returns whether there was one: call it again."""
    with deps.store.read() as rows:
        if not rows.delegations.unfinished(1):
            return False
    now = deps.clock()
    with deps.store.write() as rows:
        for at in rows.delegations.unfinished(1):
            root = rows.ledger.live_entry(at.tenant_id, at.session_id)
            breaker.heed(deps, rows, at.tenant_id, now)
            if not deps.settings.switch.descendants:
                rows.delegations.finish(at.tenant_id, at.session_id)
            elif root is None or root.cause is not None or root.expires_at <= now:
                _go_below(deps, rows, at, now, _Tally(deps, rows, at.tenant_id, now))
            else:
                asked, seconded = _as_then(deps, rows, root, at.session_id, now)
                _go_down(deps, rows, at, asked, root, now, seconded)
    return True


def _go_down(
    deps: ControlDeps,
    rows: ControlRows,
    at: Descent,
    asked: PolicyRequest,
    entry: LedgerEntry,
    now: datetime,
    seconded: Mapping[str, Any],
) -> None:
    """The next ones below a session that is revoked itself, asked for as it was."""
    tally = _Tally(deps, rows, at.tenant_id, now)
    who = Principal(asked.asker.id, asked.asker.role, asked.asker.tenants, jti="", expires_at=now)

    def step(child: str) -> _Went:
        if rows.ledger.live_entry(at.tenant_id, child) is not None or _given_back(rows, entry, child):
            return "passed"
        request = situation(
            deps,
            rows,
            who,
            "revoke",
            at.tenant_id,
            child,
            now,
            evidence=asked.evidence,
            act=asked.act,
            sessions=tally.sessions,
        )
        decision = ask(deps, request)
        follows = decision.allowed if who.role != "monitor" else _clear(request, decision)
        return _settle(deps, rows, request, decision, entry, now, seconded, tally, follows=follows)

    below = rows.delegations.descendants(at.tenant_id, at.session_id, MOST + 1)
    spared, rest = _go_on(rows, at, below[:MOST], step)
    if rest:
        root = {"tenant_id": at.tenant_id, "session_id": at.session_id, "follows": at.session_id}
        rows.audit.note("revoke", at=now, **root, result="spared", unasked=rest)
    if spared or below[MOST:]:
        tell(
            deps,
            rows,
            topic="descendants",
            tenant_id=at.tenant_id,
            title="Delegated sessions of a revoked one go on",
            detail="policy did not permit to revoke them with the session that delegated them, or they are too "
            "many; see the audit trail under action revoke, result spared",
            severity="high",
            once=str(_origin(rows, entry).revision),
            now=now,
        )


def _go_below(deps: ControlDeps, rows: ControlRows, at: Descent, now: datetime, tally: _Tally) -> None:
    """The next ones below a session that is below a revoked one: each follows what is above it."""
    below = rows.delegations.descendants(at.tenant_id, at.session_id, MOST)
    _go_on(rows, at, below, lambda child: _follow(deps, rows, at.tenant_id, child, now, tally))


def _go_on(rows: ControlRows, at: Descent, below: Sequence[str], step: Callable[[str], _Went]) -> tuple[bool, int]:
    """Take as many steps as one transaction may, and note where to go on. Returns whether any session is spared,
    and how many of these nobody need be asked about.

    A decision point that gave no answer is not asked again while everybody waits.
    """
    done, rest, spared = at.done, 0, False
    for child in below[at.done : at.done + AT_ONCE]:
        done += 1
        went = step(child)
        spared = spared or went not in ("revoked", "passed")
        if went == "none more":
            done, rest = len(below), len(below) - done
        if went in ("none more", "undecided"):
            break
    if done < len(below):
        rows.delegations.pause(at._replace(done=done))
    else:
        rows.delegations.finish(at.tenant_id, at.session_id)
    return spared, rest


def _follow(
    deps: ControlDeps, rows: ControlRows, tenant_id: str, session_id: str, now: datetime, tally: _Tally
) -> _Went:
    root = revoked_above(rows, tenant_id, session_id, now)
    revoked = rows.ledger.live_entry(tenant_id, session_id) is not None
    if revoked or root is None or _given_back(rows, root, session_id):
        return "passed"
    request, seconded = _as_then(deps, rows, root, session_id, now, tally.sessions)
    decision = ask(deps, request)
    follows = _clear(request, decision)
    went = _settle(deps, rows, request, decision, root, now, seconded, tally, follows=follows)
    if follows:
        breaker.heed(deps, rows, tenant_id, now)
    else:
        _tell_on(deps, rows, root, now)
    return "spared" if went == "none more" else went  # others below may follow another revocation


def _settle(
    deps: ControlDeps,
    rows: ControlRows,
    request: PolicyRequest,
    decision: PolicyDecision,
    root: LedgerEntry,
    now: datetime,
    seconded: Mapping[str, Any],
    tally: _Tally,
    *,
    follows: bool,
) -> _Went:
    """Revoke one that `follows`, and write down what became of it."""
    assert request.session is not None  # noqa: S101 - it is asked about a session
    child = request.session.session_id
    told = {**seconded, "follows": root.subject_id, "revision": None, "result": "spared"}
    if follows:
        automatic, hard = request.asker.role == "monitor", request.evidence.hard_breach
        made = _revoke(deps, rows, child, root, now, automatic=automatic, hard=hard)
        told |= {"revision": str(made.revision), "result": "revoke"}
        tally.took(child)
    record(rows, request, decision, now, **told)
    if follows:
        return "revoked"
    if beyond(replace(request, session=None, in_canary=True)):
        return "none more"
    return "undecided" if decision.errors else "spared"


def carried_on(deps: ControlDeps, rows: ControlRows, live: LedgerEntry, now: datetime) -> bool:
    """Whether what `live` follows from was renewed: then it lives on too, asking no policy and spending no budget.

    What lapsed, or was given back, and was revoked anew is another decision.
    """
    if live.cause is None or not deps.settings.switch.descendants:
        return False
    root = rows.ledger.live_entry(live.tenant_id, live.cause)
    if root is None or root.expires_at <= now:
        return False
    entries = rows.ledger.of_session(live.tenant_id, live.cause)
    if any(each.status != "revoked" and each.at > live.at for each in entries):
        return False
    rows.ledger.append(
        tenant_id=live.tenant_id,
        session_id=live.subject_id,
        status="revoked",
        reason_code="renewed",
        reason="the session that it was delegated by was renewed; its revocation lives on",
        actor="guardian",
        now=now,
        expires_at=root.expires_at,
        finding_id=live.finding_id,
        cause=live.cause,
    )
    return True


def _given_back(rows: ControlRows, root: LedgerEntry, session_id: str) -> bool:
    """Whether people's word on the session itself, while `root` was revoked, is the last of it."""
    entries = rows.ledger.of_session(root.tenant_id, session_id)
    if not entries or entries[-1].status != "reinstated" or entries[-1].reason_code not in ("manual", "approved"):
        return False
    return order(entries[-1].revision) > order(_origin(rows, root).revision)


def _origin(rows: ControlRows, root: LedgerEntry) -> LedgerEntry:
    """The decision that `root` goes back to, however often it was renewed since."""
    entries = rows.ledger.of_session(root.tenant_id, root.subject_id)
    return next((each for each in reversed(entries) if each.reason_code != "renewed"), root)


def _clear(request: PolicyRequest, decision: PolicyDecision) -> bool:
    """Whether a session follows: policy permits it, and it is not for people alone to decide."""
    return decision.allowed and not (request.session is not None and request.session.protected)


def _tell_on(deps: ControlDeps, rows: ControlRows, root: LedgerEntry, now: datetime) -> None:
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


def _as_then(
    deps: ControlDeps,
    rows: ControlRows,
    root: LedgerEntry,
    session_id: str,
    now: datetime,
    sessions: tuple[int, int] | None = None,
) -> tuple[PolicyRequest, dict[str, Any]]:
    """The request that revoked `root`, made about another session now, and by whose second word it did. What the
    audit trail does not tell of it is the monitor's, without evidence.
    """
    tenant_id, origin = root.tenant_id, _origin(rows, root)
    lines = rows.audit.naming(tenant_id, root.subject_id, str(origin.revision))
    records = (json.loads(line.record) for line in lines)
    then: dict[str, Any] = next((each for each in records if each.get("revision") == str(origin.revision)), {})
    found = None if origin.finding_id is None else rows.findings.get(origin.finding_id, {tenant_id})
    who = Principal(
        then.get("actor", origin.actor),
        then.get("role", "monitor"),
        frozenset({tenant_id}),
        jti="",
        expires_at=now,
    )
    seconded: dict[str, Any] = {name: then[name] for name in ("approval_id", "approved_by") if name in then}
    request = situation(
        deps,
        rows,
        who,
        "revoke",
        tenant_id,
        session_id,
        now,
        evidence=None if found is None else evidence_of(found.view.finding),
        act=ActFacts(approved=bool(seconded)),
        sessions=sessions,
    )
    return request, seconded


def follow_back(
    deps: ControlDeps, rows: ControlRows, entry: LedgerEntry, now: datetime, lifted: frozenset[str] = frozenset()
) -> None:
    """Lift what followed from the revocation that `entry` takes back, and only that.

    What is below another revoked session as well stays revoked, and follows from that one now, if policy permits
    that. `lifted` are the sessions further up that are given back together with this one.
    """
    lifted |= {entry.subject_id}
    for live in rows.ledger.following(entry.tenant_id, entry.subject_id):
        other = revoked_above(rows, live.tenant_id, live.subject_id, now, lifted)
        if other is not None and deps.settings.switch.descendants and _passed_on(deps, rows, live, other, now):
            continue
        back = rows.ledger.append(
            tenant_id=live.tenant_id,
            session_id=live.subject_id,
            status="reinstated",
            reason_code="parent_reinstated",
            reason="the revocation that this one followed from was taken back",
            actor=entry.actor,
            now=now,
            expires_at=live.expires_at,
            cause=entry.subject_id,
        )
        word, why = HumanWord.LAPSED, "parent_reinstated"
        rows.sessions.say(live.tenant_id, live.subject_id, word, now, human=False, detail=why)
        follow_back(deps, rows, back, now, lifted)


def _passed_on(deps: ControlDeps, rows: ControlRows, live: LedgerEntry, other: LedgerEntry, now: datetime) -> bool:
    """Whether what is revoked follows from `other` now. Bounds on how many more are revoked do not speak of it."""
    request, seconded = _as_then(deps, rows, other, live.subject_id, now)
    request = replace(
        request,
        budget=replace(request.budget, used=0, used_general=0),
        harm=replace(request.harm, breaker_open=False, revoked_permille=0),
    )
    decision = ask(deps, request)
    told = {**seconded, "follows": other.subject_id, "revision": None, "result": "spared"}
    follows = _clear(request, decision)
    if follows:
        ends = max(live.expires_at, other.expires_at)
        made = _append(rows, live.subject_id, other, now, expires_at=ends)
        told |= {"revision": str(made.revision), "result": "revoke"}
    else:
        _tell_on(deps, rows, other, now)
    record(rows, request, decision, now, **told)
    return follows


def _revoke(
    deps: ControlDeps,
    rows: ControlRows,
    child: str,
    root: LedgerEntry,
    now: datetime,
    *,
    automatic: bool,
    hard: bool,
) -> LedgerEntry:
    tenant_id = root.tenant_id
    rows.sessions.meet(tenant_id, child, now)
    ends = revoked_until(deps, rows, tenant_id, child, now)
    made = _append(rows, child, root, now, expires_at=max(ends, root.expires_at), automatic=automatic, hard=hard)
    rows.sessions.say(tenant_id, child, HumanWord.REVOKED, now, human=False)
    deps.metrics.add("guardian_revocations_total", status="revoked", reason="parent_revoked")
    return made


def _append(
    rows: ControlRows,
    child: str,
    root: LedgerEntry,
    now: datetime,
    *,
    expires_at: datetime,
    automatic: bool = False,
    hard: bool = False,
) -> LedgerEntry:
    """One that is revoked already and now follows from another session spends nothing: it is not `automatic`."""
    return rows.ledger.append(
        tenant_id=root.tenant_id,
        session_id=child,
        status="revoked",
        reason_code="parent_revoked",
        reason="a session that it was delegated by is revoked",
        actor=root.actor,
        now=now,
        expires_at=expires_at,
        finding_id=root.finding_id,
        automatic=automatic,
        hard=hard,
        cause=root.subject_id,
    )
