"""A revocation is taken back, and with it what followed from it."""

from dataclasses import replace
from datetime import datetime
from typing import Literal

from guardian.control.authority.asking import ask, record
from guardian.control.deps import ControlDeps
from guardian.control.envelopes.recorded import revoked_until
from guardian.control.revocations.by_itself import by_itself
from guardian.control.revocations.following import (
    AT_ONCE,
    LONGEST_S,
    MOST,
    append_follower,
    as_then,
    clear,
    tell_on,
)
from guardian.control.revocations.kin import revoked_above
from guardian.domain.identity import SessionKey
from guardian.domain.revocation import LedgerEntry
from guardian.domain.session import HumanWord
from guardian.store.control.delegation import Descent
from guardian.store.control.rows import ControlRows

_Went = Literal["passed on", "lifted", "undecided"]


def follow_back(deps: ControlDeps, rows: ControlRows, back: LedgerEntry, now: datetime) -> None:
    """Lift what followed from the revocation that `back` takes back, and only that.

    What is below another revoked session as well stays revoked, and follows from that one now, if policy permits
    that. `lift_on` does what is more than one transaction should.
    """
    rows.ledger.begin_lifting(back)
    lift_on(deps, rows, back, now)


def lift_on(deps: ControlDeps, rows: ControlRows, back: LedgerEntry, now: datetime) -> None:
    """Lift the next ones, or pass them on; where that was not all, what is left stays noted.

    A decision point that gave no answer is not asked again while everybody waits: `follow_on` asks again about the
    one that is lifted meanwhile.
    """
    room, waiting, ends = AT_ONCE, [back], deps.stopwatch() + LONGEST_S
    sessions: tuple[int, int] | None = None
    while waiting:
        upper = waiting.pop()
        found = rows.ledger.following(upper, room + 1)
        for live in found[:room]:
            other = revoked_above(rows, SessionKey(live.tenant_id, live.subject_id), deps.sure(now))
            went: _Went = "lifted"
            if other is not None and deps.settings.switch.descendants:
                since = now - deps.settings.budget_window
                sessions = sessions or rows.envelopes.registered_since(back.tenant_id, since)
                went = _pass_on(deps, rows, live, other, now, sessions)
                if went == "undecided":
                    _walk_again(rows, other, live.subject_id)
            if went != "passed on":
                lower = _lift(deps, rows, live, upper, now)
                if rows.ledger.following(lower, 1):
                    rows.ledger.begin_lifting(lower)
                    waiting.append(lower)
            if went == "undecided" or deps.stopwatch() > ends:
                return
        if len(found) > room:
            return
        room -= len(found)
        rows.ledger.end_lifting(upper)


def _lift(
    deps: ControlDeps, rows: ControlRows, live: LedgerEntry, upper: LedgerEntry, now: datetime
) -> LedgerEntry:
    back = by_itself(
        rows,
        tenant_id=live.tenant_id,
        subject_id=live.subject_id,
        status="reinstated",
        reason_code="parent_reinstated",
        reason="the revocation that this one followed from was taken back",
        actor=upper.actor,
        now=now,
        expires_at=live.expires_at,
        cause=upper.subject_id,
    )
    word, why = HumanWord.LAPSED, "parent_reinstated"
    rows.sessions.say(SessionKey(live.tenant_id, live.subject_id), word, now, human=False, detail=why)
    deps.metrics.add("guardian_revocations_total", status="reinstated", reason=why)
    return back


def _pass_on(
    deps: ControlDeps,
    rows: ControlRows,
    live: LedgerEntry,
    other: LedgerEntry,
    now: datetime,
    sessions: tuple[int, int],
) -> _Went:
    """Have a revoked session follow from `other` instead, if policy permits. Bounds on how many are revoked do not
    apply: this one is already.
    """
    then = as_then(rows, other, now)
    request = then.about(deps, rows, live.tenant_id, live.subject_id, now, sessions)
    request = replace(
        request,
        budget=replace(request.budget, used=0, used_general=0),
        harm=replace(request.harm, breaker_open=False, revoked_permille=0),
    )
    decision = ask(deps, request)
    told = {**then.seconded, "follows": other.subject_id, "revision": None, "result": "spared"}
    follows = clear(request, decision)
    if follows:
        session = SessionKey(live.tenant_id, live.subject_id)
        ends = max(revoked_until(deps, rows, session, now), other.expires_at)  # it may have been renewed
        made = append_follower(rows, live.subject_id, other, now, expires_at=ends)
        told |= {"revision": str(made.revision), "result": "revoke"}
    else:
        tell_on(deps, rows, other, now)
    record(rows, request, decision, now, **told)
    if follows:
        return "passed on"
    return "undecided" if decision.errors else "lifted"


def _walk_again(rows: ControlRows, other: LedgerEntry, session_id: str) -> None:
    """The walk below `other` may have passed this session while it was revoked: it goes on from there."""
    upper = SessionKey(other.tenant_id, other.subject_id)
    below = rows.delegations.descendants(upper, MOST)
    if session_id in below:
        done, at = below.index(session_id), rows.delegations.walk(upper)
        done = done if at is None else min(done, at.done)
        rows.delegations.pause(Descent(*upper, done))
