"""A revocation follows the lines of delegation downwards."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Literal, NamedTuple

from guardian.control.authority.asking import ask, record
from guardian.control.authority.bounds import beyond
from guardian.control.authority.situation import origin_of
from guardian.control.deps import ControlDeps
from guardian.control.envelopes.recorded import revoked_until
from guardian.control.revocations.following import (
    AT_ONCE,
    LONGEST_S,
    MOST,
    Then,
    append_follower,
    as_then,
    clear,
    given_back,
    older,
    tell_on,
)
from guardian.control.revocations.kin import revoked_above
from guardian.control.telling.news import tell
from guardian.domain.identity import SessionKey
from guardian.domain.revocation import LedgerEntry
from guardian.domain.session import HumanWord
from guardian.policy.port import PolicyRequest
from guardian.store.control.delegation import Descent
from guardian.store.control.rows import ControlRows
from guardian.wire.principal import Principal

_PATIENCE = timedelta(minutes=10)
"""How long a decision point that gives no answer is asked about the same session: since that session, or one above
it, last changed."""

_ITSELF = -1
"""Where a walk begins if the session itself has to follow what is above it: one place before those below it."""

_Went = Literal["revoked", "spared", "passed", "undecided", "none more"]


def follow_down(
    deps: ControlDeps, rows: ControlRows, asked: PolicyRequest, entry: LedgerEntry, now: datetime, **seconded: str
) -> None:
    """Revoke what the session delegated, one session after the other, each if policy permits that.

    `asked` is the request that was permitted for the session itself; `seconded` says whose second word that took.
    That word was about this session alone: where the monitor asked, it permits nothing about those below.
    """
    if deps.settings.switch.descendants:
        who = Principal(asked.asker.id, asked.asker.role, asked.asker.tenants, asked.asker.jti, now)
        then = Then(who, asked.evidence, asked.act, seconded)
        below = Descent(entry.tenant_id, entry.subject_id, 0)
        _Followers(deps, rows, entry.tenant_id, now).go_down(below, then, entry)


def follow_above(deps: ControlDeps, rows: ControlRows, session: SessionKey, now: datetime) -> None:
    """Revoke a session that is registered below a revoked one, with what it delegated before.

    Policy must permit that to whoever revoked the upper one. A session that only people may decide on, or that
    they gave back since, is left alone.
    """
    if _has_to_follow(deps, rows, session, now):
        _Followers(deps, rows, session.tenant_id, now).go_below(Descent(*session, _ITSELF))


def follow_lapsed(deps: ControlDeps, rows: ControlRows, lapsed: Iterable[LedgerEntry], now: datetime) -> None:
    """The same for sessions whose own revocations lapsed, all in this transaction; `walk_on` goes on with what
    they delegated. People hear only of a lapse that ends something.
    """
    tenants: dict[str, _Followers] = {}
    for entry in lapsed:
        session, follows = SessionKey(entry.tenant_id, entry.subject_id), False
        if _has_to_follow(deps, rows, session, now):
            followers = tenants.get(entry.tenant_id) or _Followers(deps, rows, entry.tenant_id, now)
            tenants[entry.tenant_id] = followers
            went = followers.follow(session)
            follows = went == "revoked"
            if went == "undecided":
                rows.delegations.pause(Descent(*session, _ITSELF))
            elif rows.delegations.descendants(session, 1):
                rows.delegations.pause(Descent(*session, 0))
        if not follows:
            rows.sessions.say(session, HumanWord.LAPSED, now, human=False)


def _has_to_follow(deps: ControlDeps, rows: ControlRows, session: SessionKey, now: datetime) -> bool:
    free = deps.settings.switch.descendants and rows.ledger.live_entry(*session) is None
    return free and revoked_above(rows, session, deps.sure(now)) is not None


def walk_on(deps: ControlDeps, rows: ControlRows, at: Descent, now: datetime) -> bool:
    """Take the next steps of one walk. Returns whether it waits for the decision point."""
    waits, root = False, rows.ledger.live_entry(at.tenant_id, at.session_id)
    if not deps.settings.switch.descendants:
        rows.delegations.finish(at.key)
    else:
        followers = _Followers(deps, rows, at.tenant_id, now)
        if root is None or root.cause is not None or root.expires_at <= deps.sure(now):
            waits = followers.go_below(at)
        else:
            waits = followers.go_down(at._replace(done=max(0, at.done)), as_then(rows, root, now), root)
    return waits


class _Steps(NamedTuple):
    """What came of some steps of a walk. `unasked` sessions need not be asked about; `waits`: the last one will be
    asked about again."""

    spared: bool
    unasked: int
    waits: bool


class _Followers:
    """Sessions of one tenant that follow another session's revocation, within one transaction.

    Policy is shown how many of the tenant's sessions were registered lately, and how many of these are revoked.
    They are counted once, and the count is kept in step with what is revoked here.
    """

    def __init__(self, deps: ControlDeps, rows: ControlRows, tenant_id: str, now: datetime) -> None:
        self._deps, self._rows, self._tenant_id, self._now = deps, rows, tenant_id, now
        self._since = now - deps.settings.budget_window
        self._sessions = rows.envelopes.registered_since(tenant_id, self._since)

    def go_down(self, at: Descent, then: Then, entry: LedgerEntry) -> bool:
        """Take steps below a session that is revoked itself, by `entry`; each is asked for as that one was.

        A breaker that this revocation tripped does not end it for sessions that were there by then. Returns
        whether the walk waits for the decision point.
        """
        rows, tenant_id = self._rows, self._tenant_id

        def step(child: str) -> _Went:
            if rows.ledger.live_entry(tenant_id, child) is not None or given_back(rows, entry, child):
                return "passed"
            request = self._about(then, child)
            if at.done and request.harm.breaker_open and older(rows, entry, child):
                request = replace(request, harm=replace(request.harm, breaker_open=False))
            went = self._decide(request, entry, then, alone=then.who.role == "monitor")
            # the breaker that spares one that came later is lifted for the next one that was there
            return "spared" if went == "none more" and at.done and request.harm.breaker_open else went

        below = rows.delegations.descendants(at.key, MOST + 1)
        came = self._go_on(at, below[:MOST], step)
        if came.unasked:
            root = {"tenant_id": tenant_id, "session_id": at.session_id, "follows": at.session_id}
            rows.audit.note("revoke", at=self._now, **root, result="spared", unasked=came.unasked)
        if came.spared or below[MOST:]:
            tell(
                self._deps,
                rows,
                topic="descendants",
                tenant_id=tenant_id,
                title="Delegated sessions of a revoked one go on",
                detail="policy did not permit to revoke them with the session that delegated them, or they are "
                "too many; see the audit trail under action revoke, result spared",
                severity="high",
                once=str(origin_of(rows, entry).revision),
                now=self._now,
            )
        return came.waits

    def go_below(self, at: Descent) -> bool:
        """Take steps below a session that is itself below a revoked one: each session follows what is above it.

        Returns whether the walk waits for the decision point.
        """
        if at.done == _ITSELF:
            if self.follow(at.key) == "undecided" and self._is_patient(at, at.session_id):
                self._rows.delegations.pause(at)
                return True
            at = at._replace(done=0)
        below = self._rows.delegations.descendants(at.key, MOST)
        return self._go_on(at, below, lambda child: self.follow(SessionKey(at.tenant_id, child))).waits

    def follow(self, session: SessionKey) -> _Went:
        """Have one session follow what is revoked above it, as policy stands now. People hear if it does not."""
        deps, rows, now = self._deps, self._rows, self._now
        root = revoked_above(rows, session, deps.sure(now))
        revoked = rows.ledger.live_entry(*session) is not None
        if revoked or root is None or given_back(rows, root, session.session_id):
            return "passed"
        then = as_then(rows, root, now)
        went = self._decide(self._about(then, session.session_id), root, then, alone=True)
        if went != "revoked":
            tell_on(deps, rows, root, now)
        return "spared" if went == "none more" else went  # others below may follow another revocation

    def _go_on(self, at: Descent, below: Sequence[str], step: Callable[[str], _Went]) -> _Steps:
        """Take as many steps as one transaction may, and note where to go on.

        A decision point that gave no answer is not asked again while everybody waits.
        """
        ends = self._deps.stopwatch() + LONGEST_S
        done, unasked, spared, waits = at.done, 0, False, False
        for child in below[at.done : at.done + AT_ONCE]:
            done += 1
            went = step(child)
            spared = spared or went not in ("revoked", "passed")
            if went == "none more":
                done, unasked = len(below), len(below) - done
            if went in ("none more", "undecided"):
                waits = went == "undecided" and self._is_patient(at, child)
                done -= waits
                break
            if self._deps.stopwatch() > ends:
                break
        if done < len(below):
            self._rows.delegations.pause(at._replace(done=done))
        else:
            self._rows.delegations.finish(at.key)
        return _Steps(spared, unasked, waits)

    def _is_patient(self, at: Descent, child: str) -> bool:
        """Whether a decision point that gave no answer about `child` is asked again."""
        rows, key = self._rows, SessionKey(at.tenant_id, child)
        own = *rows.ledger.of_session(key)[-1:], rows.envelopes.newest(key)
        above = {at.session_id, *rows.delegations.ancestors(key)}
        upper = (rows.ledger.live_entry(at.tenant_id, each) for each in above)
        changed = [each.at for each in (*own, *upper) if each is not None]
        return bool(changed) and self._now - max(changed) < _PATIENCE

    def _about(self, then: Then, session_id: str) -> PolicyRequest:
        return then.about(self._deps, self._rows, self._tenant_id, session_id, self._now, self._sessions)

    def _decide(self, request: PolicyRequest, root: LedgerEntry, then: Then, *, alone: bool) -> _Went:
        """Revoke the session if policy permits that, and write down what became of it.

        `alone`: nobody's word about `root` makes a protected session follow.
        """
        assert request.session is not None  # noqa: S101 - it is asked about a session
        decision = ask(self._deps, request)
        follows = clear(request, decision) if alone else decision.allowed
        told = {**then.seconded, "follows": root.subject_id, "revision": None, "result": "spared"}
        if follows:
            made = self._revoke(request.session.session_id, root, request)
            told |= {"revision": str(made.revision), "result": "revoke"}
        record(self._rows, request, decision, self._now, **told)
        if follows:
            return "revoked"
        if beyond(replace(request, session=None, in_canary=True)):
            return "none more"
        never = beyond(request) or (alone and request.session.protected)
        return "undecided" if decision.errors and not never else "spared"

    def _revoke(self, child: str, root: LedgerEntry, request: PolicyRequest) -> LedgerEntry:
        deps, rows, tenant_id, now = self._deps, self._rows, self._tenant_id, self._now
        session = SessionKey(tenant_id, child)
        rows.sessions.meet(session, now)
        made = append_follower(
            rows,
            child,
            root,
            now,
            expires_at=max(revoked_until(deps, rows, session, now), root.expires_at),
            automatic=request.asker.role == "monitor",
        )
        rows.sessions.say(session, HumanWord.REVOKED, now, human=False)
        deps.metrics.add("guardian_revocations_total", status="revoked", reason="parent_revoked")
        registered, revoked = self._sessions
        _, more = rows.envelopes.registered_since(tenant_id, self._since, child)
        self._sessions = registered, revoked + more
        return made
