"""A revocation follows the lines of delegation downwards."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Literal

from guardian.control import breaker
from guardian.control.authority import ask, record
from guardian.control.bounds import beyond
from guardian.control.deps import ControlDeps
from guardian.control.envelopes import revoked_until
from guardian.control.following import (
    AT_ONCE,
    LONGEST_S,
    MOST,
    Then,
    append_follower,
    as_then,
    clear,
    given_back,
    older,
    origin_of,
    tell_on,
)
from guardian.control.kin import revoked_above
from guardian.control.news import tell
from guardian.domain.revocation import LedgerEntry
from guardian.domain.session import HumanWord
from guardian.policy.port import PolicyDecision, PolicyRequest
from guardian.store.control import ControlRows
from guardian.store.control_delegation import Descent
from guardian.wire.principal import Principal

_PATIENCE = timedelta(minutes=10)
"""So long after anything changed with it, or above it, a decision point that gives no answer is asked about the
same one."""

_ITSELF = -1
"""Where a walk below a session begins that has to follow what is above it: with the session itself."""

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
        who = Principal(asked.asker.id, asked.asker.role, asked.asker.tenants, jti="", expires_at=now)
        then = Then(who, asked.evidence, asked.act, seconded)
        _go_down(deps, rows, Descent(entry.tenant_id, entry.subject_id, 0), then, entry, now)


def follow_above(deps: ControlDeps, rows: ControlRows, tenant_id: str, session_id: str, now: datetime) -> None:
    """What is registered below a revoked session is revoked as well, with what it delegated before.

    That is, if policy permits it to who revoked the upper one, and unless only people may decide, or gave it back
    since.
    """
    if _has_to_follow(deps, rows, tenant_id, session_id, now):
        tally = _Tally(deps, rows, tenant_id, now)
        _go_below(deps, rows, Descent(tenant_id, session_id, _ITSELF), now, tally)


def follow_lapsed(deps: ControlDeps, rows: ControlRows, lapsed: Iterable[LedgerEntry], now: datetime) -> None:
    """The same of sessions whose own revocations lapsed, all of them in this transaction; `follow_on` goes on with
    what they delegated. People hear only of a lapse that ends something."""
    tallies: dict[str, _Tally] = {}
    for entry in lapsed:
        tenant_id, session_id, follows = entry.tenant_id, entry.subject_id, False
        if _has_to_follow(deps, rows, tenant_id, session_id, now):
            tally = tallies.get(tenant_id) or _Tally(deps, rows, tenant_id, now)
            tallies[tenant_id] = tally
            went = _follow(deps, rows, tenant_id, session_id, now, tally)
            follows = went == "revoked"
            if went == "undecided":
                rows.delegations.pause(Descent(tenant_id, session_id, _ITSELF))
            elif rows.delegations.descendants(tenant_id, session_id, 1):
                rows.delegations.pause(Descent(tenant_id, session_id, 0))
        if not follows:
            rows.sessions.say(tenant_id, session_id, HumanWord.LAPSED, now, human=False)


def _has_to_follow(deps: ControlDeps, rows: ControlRows, tenant_id: str, session_id: str, now: datetime) -> bool:
    free = deps.settings.switch.descendants and rows.ledger.live_entry(tenant_id, session_id) is None
    return free and revoked_above(rows, tenant_id, session_id, now) is not None


def walk_on(deps: ControlDeps, rows: ControlRows, at: Descent, now: datetime) -> bool:
    """The next ones of one walk. Returns whether it waits for the decision point."""
    waits, root = False, rows.ledger.live_entry(at.tenant_id, at.session_id)
    if not deps.settings.switch.descendants:
        rows.delegations.finish(at.tenant_id, at.session_id)
    elif root is None or root.cause is not None or root.expires_at <= now:
        waits = _go_below(deps, rows, at, now, _Tally(deps, rows, at.tenant_id, now))
    else:
        at = at._replace(done=max(0, at.done))
        waits = _go_down(deps, rows, at, as_then(rows, root, now), root, now)
    breaker.heed(deps, rows, at.tenant_id, now)
    return waits


def _go_down(
    deps: ControlDeps, rows: ControlRows, at: Descent, then: Then, entry: LedgerEntry, now: datetime
) -> bool:
    """The next ones below a session that is revoked itself, asked for as it was: what its own beginning did to the
    breaker does not end it for those that were there by then. Returns whether it waits for the decision point.
    """
    tally = _Tally(deps, rows, at.tenant_id, now)

    def step(child: str) -> _Went:
        if rows.ledger.live_entry(at.tenant_id, child) is not None or given_back(rows, entry, child):
            return "passed"
        request = then.about(deps, rows, at.tenant_id, child, now, tally.sessions)
        if at.done and request.harm.breaker_open and older(rows, entry, child):
            request = replace(request, harm=replace(request.harm, breaker_open=False))
        decision = ask(deps, request)
        alone = then.who.role == "monitor"
        follows = clear(request, decision) if alone else decision.allowed
        told = then.seconded
        went = _settle(deps, rows, request, decision, entry, now, told, tally, follows=follows, alone=alone)
        # the breaker that spares one that came later is lifted for the next one that was there
        return "spared" if went == "none more" and at.done and request.harm.breaker_open else went

    below = rows.delegations.descendants(at.tenant_id, at.session_id, MOST + 1)
    spared, rest, waits = _go_on(deps, rows, at, below[:MOST], step, now)
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
            once=str(origin_of(rows, entry).revision),
            now=now,
        )
    return waits


def _go_below(deps: ControlDeps, rows: ControlRows, at: Descent, now: datetime, tally: _Tally) -> bool:
    """The next ones below a session that is below a revoked one: each follows what is above it, as policy stands
    now. Returns whether it waits for the decision point.
    """
    if at.done == _ITSELF:
        went = _follow(deps, rows, at.tenant_id, at.session_id, now, tally)
        if went == "undecided" and _patient(rows, at, at.session_id, now):
            rows.delegations.pause(at)
            return True
        at = at._replace(done=0)
    below = rows.delegations.descendants(at.tenant_id, at.session_id, MOST)
    _, _, waits = _go_on(
        deps, rows, at, below, lambda child: _follow(deps, rows, at.tenant_id, child, now, tally), now
    )
    return waits


def _patient(rows: ControlRows, at: Descent, child: str, now: datetime) -> bool:
    own = *rows.ledger.of_session(at.tenant_id, child)[-1:], rows.envelopes.newest(at.tenant_id, child)
    above = {at.session_id, *rows.delegations.ancestors(at.tenant_id, child)}
    upper = (rows.ledger.live_entry(at.tenant_id, each) for each in above)
    changed = [each.at for each in (*own, *upper) if each is not None]
    return bool(changed) and now - max(changed) < _PATIENCE


def _go_on(
    deps: ControlDeps,
    rows: ControlRows,
    at: Descent,
    below: Sequence[str],
    step: Callable[[str], _Went],
    now: datetime,
) -> tuple[bool, int, bool]:
    """Take as many steps as one transaction may, and note where to go on. Returns whether any session is spared,
    how many of these nobody need be asked about, and whether the last one is asked about again.

    A decision point that gave no answer is not asked again while everybody waits.
    """
    done, rest, spared, waits, ends = at.done, 0, False, False, deps.stopwatch() + LONGEST_S
    for child in below[at.done : at.done + AT_ONCE]:
        done += 1
        went = step(child)
        spared = spared or went not in ("revoked", "passed")
        if went == "none more":
            done, rest = len(below), len(below) - done
        if went in ("none more", "undecided"):
            waits = went == "undecided" and _patient(rows, at, child, now)
            done -= waits
            break
        if deps.stopwatch() > ends:
            break
    if done < len(below):
        rows.delegations.pause(at._replace(done=done))
    else:
        rows.delegations.finish(at.tenant_id, at.session_id)
    return spared, rest, waits


def _follow(
    deps: ControlDeps, rows: ControlRows, tenant_id: str, session_id: str, now: datetime, tally: _Tally
) -> _Went:
    root = revoked_above(rows, tenant_id, session_id, now)
    revoked = rows.ledger.live_entry(tenant_id, session_id) is not None
    if revoked or root is None or given_back(rows, root, session_id):
        return "passed"
    then = as_then(rows, root, now)
    request = then.about(deps, rows, tenant_id, session_id, now, tally.sessions)
    decision = ask(deps, request)
    follows = clear(request, decision)
    told = then.seconded
    went = _settle(deps, rows, request, decision, root, now, told, tally, follows=follows, alone=True)
    if follows:
        breaker.heed(deps, rows, tenant_id, now)
    else:
        tell_on(deps, rows, root, now)
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
    alone: bool,
) -> _Went:
    """Revoke one that `follows`, and write down what became of it. `alone`: nobody's word makes a protected one
    follow."""
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
    never = beyond(request) or (alone and request.session.protected)
    return "undecided" if decision.errors and not never else "spared"


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
    until = max(ends, root.expires_at)
    made = append_follower(rows, child, root, now, expires_at=until, automatic=automatic, hard=hard)
    rows.sessions.say(tenant_id, child, HumanWord.REVOKED, now, human=False)
    deps.metrics.add("guardian_revocations_total", status="revoked", reason="parent_revoked")
    return made
