"""What people do to sessions: revoke, reinstate, protect, judge. One audited transaction each."""

from collections.abc import Callable

from guardian.control.deps import ControlDeps
from guardian.control.envelopes.recorded import revoked_until
from guardian.control.findings.found import finding_in, reached_finding
from guardian.control.findings.superseded import known_to_people, upheld, waved_through
from guardian.control.heard import unheard_session
from guardian.control.people.granted import Act, bound, once, permitted
from guardian.control.people.taking_back import answered, readable, take_back
from guardian.control.problems import Refusal, absent
from guardian.control.revocations.descendants import follow_down
from guardian.control.revocations.lifting import follow_back
from guardian.domain.finding import OPERATORS, Kind
from guardian.domain.identity import SessionKey
from guardian.domain.revocation import ReasonCode, Revision
from guardian.domain.session import HumanWord
from guardian.policy.port import PolicyAction
from guardian.wire.findings import Judged, PersonsVerdict, VerdictRequest
from guardian.wire.principal import Principal
from guardian.wire.sessions import ActResult


def revoke(
    deps: ControlDeps,
    principal: Principal,
    session: SessionKey,
    reason: str,
    key: str | None,
    *,
    seen: str | None = None,
) -> ActResult:
    """Revoke by hand. A session that is revoked already stays so, and `changed` says that.

    Raises Refusal (422) where that would revoke nothing.
    """

    def do(act: Act) -> ActResult | Refusal:
        return _elsewhere(act) or do_revoke(act)

    return _one_or_two(deps, principal, "revoke", session, reason, key, do, seen)


def reinstate(
    deps: ControlDeps,
    principal: Principal,
    session: SessionKey,
    reason: str,
    key: str | None,
    *,
    seen: str | None = None,
) -> ActResult:
    """Give a session back. Its evidence starts afresh; a session that nobody knows is absent.

    With `approval` in the answer it waits for a second person.
    """
    return _one_or_two(deps, principal, "reinstate", session, reason, key, do_reinstate, seen)


def do_revoke(act: Act) -> ActResult:
    """A person's revocation, by hand or by approving it: no budget is spent. Needs a permit."""
    unheard = unheard_session(act.rows, act.key)
    act.rows.sessions.meet(act.key, act.now)
    live = act.rows.ledger.live_entry(act.tenant_id, act.session_id)
    changed = live is None or live.cause is not None or live.expires_at <= act.now
    if live is None or changed:  # one that only follows from another, or is over, gets a word of its own
        live = act.rows.ledger.append(
            tenant_id=act.tenant_id,
            subject_id=act.session_id,
            status="revoked",
            reason_code=_code(act),
            reason=act.reason,
            actor=act.actor,
            now=act.now,
            expires_at=revoked_until(act.deps, act.rows, act.key, act.now),
            finding_id=None if act.second is None else act.second.approval.finding_id,
        )
        act.rows.sessions.say(act.key, HumanWord.REVOKED, act.now, human=True)
        follow_down(act.deps, act.rows, act.asked, live, act.now, **act.seconded)
        act.deps.metrics.add("guardian_revocations_total", status="revoked", reason=_code(act))
    return _acted(act, changed=changed, revision=live.revision, unheard=unheard)


def do_reinstate(act: Act) -> ActResult:
    """Needs a permit, unless there is nothing to do. Raises Refusal for a session that nobody knows."""
    if act.rows.sessions.get(act.key) is None:
        raise absent("session")
    live = act.rows.ledger.live_entry(act.tenant_id, act.session_id)
    if live is None:
        return _acted(act, changed=False, revision=None)
    entry = act.rows.ledger.append(
        tenant_id=act.tenant_id,
        subject_id=act.session_id,
        status="reinstated",
        reason_code=_code(act),
        reason=act.reason,
        actor=act.actor,
        now=act.now,
        expires_at=live.expires_at,
        finding_id=live.finding_id,
    )
    known = known_to_people(act.rows, act.key, act.now)
    act.rows.sessions.say(act.key, HumanWord.REINSTATED, act.now, human=True, detail=known)
    follow_back(act.deps, act.rows, entry, act.now)
    act.deps.metrics.add("guardian_revocations_total", status="reinstated", reason=_code(act))
    return _acted(act, changed=True, revision=entry.revision)


def protect(
    deps: ControlDeps,
    principal: Principal,
    session: SessionKey,
    reason: str,
    *,
    protected: bool,
    seen: str | None = None,
) -> ActResult:
    """Say whether a session may be revoked automatically; also one that has not been met yet."""

    def do(act: Act) -> ActResult:
        known, unheard = act.rows.sessions.get(session), unheard_session(act.rows, session)
        changed = (known is not None and known.view.protected) != protected
        act.rows.sessions.protect(session, act.now, protected=protected)
        return _acted(act, changed=changed, revision=None, unheard=unheard, protected=protected)

    return permitted(deps, principal, "protect", *session, reason, bound(seen, do))


def judge(
    deps: ControlDeps,
    principal: Principal,
    finding_id: str,
    ask_for: VerdictRequest,
    *,
    tenant_id: str | None = None,
    seen: str | None = None,
) -> Judged:
    """A person's verdict on a finding goes back to the monitor. The same verdict again changes nothing. A
    dismissal is of this finding alone; of whoever judges a `case`, of every drift in it that nobody has judged.
    `withdrawn` takes back what was said."""
    told = ask_for.verdict
    if told == "withdrawn":
        return take_back(deps, principal, finding_id, ask_for, tenant_id=tenant_id, seen=seen)
    dismissed = told != "confirmed"
    action: PolicyAction = "dismiss" if dismissed else "confirm"
    finding = reached_finding(deps, principal, action, tenant_id, finding_id)
    session, drift = finding.key, finding.kind is Kind.DRIFT

    def do(act: Act) -> Judged | Refusal:
        view = finding_in(act.rows, {finding.tenant_id}, finding_id)
        said = view.verdict
        others = [each for each in act.rows.findings.unjudged(session) if each != finding_id]
        also = readable(act.rows, finding.tenant_id, others) if ask_for.case and dismissed and drift else []
        if also or said is None or (said.verdict, said.actor) != (told, principal.id):
            stale = act.stale(seen, finding_id=finding_id)  # a second click's case was changed by the first one
            if stale is not None:
                return stale
        again = said is not None and said.verdict == told
        if again and not also:
            act.audit(finding_id=finding_id, result=told)
            return answered(act, view, unjudged=len(others))
        with_it = {"with_it": [each.id for each in also]} if also else {}
        act.audit(finding_id=finding_id, result=told, **with_it)
        verdict = PersonsVerdict(verdict=told, reason=ask_for.reason, actor=principal.id, at=act.now)
        for each in also if again else (*also, finding):
            act.rows.findings.set_verdict(each.tenant_id, each.id, verdict)
            if drift:  # a verdict on a grant or a gateway says nothing of the session's evidence
                word = HumanWord.FALSE_POSITIVE if dismissed else HumanWord.CONFIRMED
                rules = waved_through(each) if dismissed else upheld(view, act.rows.sessions.get(session))
                detail = f"{each.id} {rules}"
                act.rows.sessions.say(session, word, act.now, human=True, detail=detail)
        if dismissed or said is not None:  # a first confirmation leaves it as it stands
            act.rows.sessions.weigh(session)
        if not again:
            view = view.model_copy(update={"verdict": verdict})
        return answered(act, view, also=tuple(each.id for each in also), unjudged=len(others) - len(also))

    return permitted(deps, principal, action, *session, ask_for.reason, do)


def _one_or_two(
    deps: ControlDeps,
    principal: Principal,
    action: PolicyAction,
    session: SessionKey,
    reason: str,
    key: str | None,
    do: Callable[[Act], ActResult | Refusal],
    seen: str | None,
) -> ActResult:
    """Done at once where policy permits that; where only a second person is missing, put up for one."""

    def waits(act: Act) -> ActResult | Refusal | None:
        return once(key, ActResult.model_validate_json, bound(seen, _wait))(act) if act.two_may else None

    doing = once(key, ActResult.model_validate_json, bound(seen, do))
    return permitted(deps, principal, action, *session, reason, doing, waits=waits)


def _wait(act: Act) -> ActResult | Refusal | None:
    """Have the act wait, unless there is nothing to do: nobody should be asked about that."""
    if act.asked.action == "revoke" and (refusal := _elsewhere(act)) is not None:
        return refusal
    if act.asked.action == "reinstate" and act.rows.ledger.live_entry(act.tenant_id, act.session_id) is None:
        return do_reinstate(act)
    approval, unheard = act.put_up({}), unheard_session(act.rows, act.key)
    if approval is None:
        return None
    view = act.rows.sessions.meet(act.key, act.now).view
    return ActResult(session=view, changed=False, unheard=unheard, approval=approval)


def _elsewhere(act: Act) -> Refusal | None:
    """The refusal, audited, of a session that only records of gateways without a grant named: the operators hear
    of them under their own tenant, and no gateway would look there for a session of another."""
    known = act.rows.sessions.get(act.key)
    acted_for = known is not None and known.view.delegator_id is not None
    granted = act.rows.envelopes.newest(act.key) or act.rows.delegations.descendants(act.key, 1)
    if act.tenant_id != OPERATORS or acted_for or granted:
        return None
    act.audit(result="refused")
    return Refusal(
        422,
        f"nothing was revoked: under tenant {OPERATORS} the operators hear of records whose gateway may not speak"
        " for the tenant that they name; the finding says which one that is, revoke it there",
    )


def _code(act: Act) -> ReasonCode:
    return "manual" if act.second is None else "approved"


def _acted(
    act: Act,
    *,
    changed: bool,
    revision: Revision | None,
    unheard: bool = False,
    **told: bool,
) -> ActResult:
    """Audit what came of the act, with what else is `told` of it, and answer."""
    result = "changed" if changed else "unchanged"
    act.audit(result=result, revision=None if revision is None else str(revision), **told)
    view = act.rows.sessions.meet(act.key, act.now).view
    return ActResult(session=view, changed=changed, unheard=unheard, revision=revision)
