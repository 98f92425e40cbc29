"""Revoking more than one session: an agent, a delegator, a task, a token's id. For a while, and audited."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Literal

from guardian.control.acts_under import KINDS, in_words, named
from guardian.control.authority.asking import ask, record
from guardian.control.authority.situation import session_facts
from guardian.control.deps import ControlDeps
from guardian.control.envelopes.recorded import lasts_until
from guardian.control.heard import unheard_of
from guardian.control.people.granted import Act, Do, Whom, once, permitted
from guardian.control.problems import Refusal
from guardian.control.telling.news import tell
from guardian.domain.envelope import Envelope
from guardian.domain.finding import Finding, Severity, Subject
from guardian.domain.identity import SessionKey
from guardian.domain.redacted import hashed
from guardian.domain.revocation import LedgerEntry, SubjectType
from guardian.domain.text import moment
from guardian.policy.port import ActFacts, PolicyAction, PolicyRequest, WhomFacts
from guardian.store.control.rows import ControlRows
from guardian.wire.principal import Principal
from guardian.wire.revocations import SubjectResult

_HASHED = "subject_id: a redacted name; gateways ask by the real one, so this would stop nobody"


def revoke_subject(
    deps: ControlDeps,
    principal: Principal,
    tenant_id: str,
    whom: Whom,
    reason: str,
    key: str | None = None,
    *,
    seconds: int | None,
) -> SubjectResult:
    """Revoke a subject for `seconds` (None: as configured); one that is revoked for longer stays so. With a `key`,
    the same request again is no act of its own."""
    rule = deps.settings.switch
    life = rule.subject_life if seconds is None else timedelta(seconds=seconds)

    def do(act: Act) -> SubjectResult | Refusal:
        hidden = whom.kind in KINDS and hashed(whom.id)
        if hidden and not act.rows.session_names.registered_under(tenant_id, f"{whom.kind}_id", whom.id):
            act.audit(result="refused")
            return Refusal(422, _HASHED)
        if life > rule.subject_most:
            act.audit(result="refused", seconds=seconds)
            most = int(rule.subject_most.total_seconds())
            return Refusal(422, f"seconds: a subject is revoked for {most} at most")
        ends = act.now + life
        live = act.rows.ledger.live_entry(tenant_id, whom.id, whom.kind)
        changed = live is None or live.expires_at < ends
        if live is None or changed:
            live = _append(act.rows, tenant_id, *whom, reason, act.actor, act.now, ends)
            _tell(act, whom, live, "medium", f"may not act until {moment(ends)}")
            deps.metrics.add("guardian_revocations_total", status="revoked", reason="manual")
        return _acted(act, whom, live, changed=changed, revoked=True)

    doing = once(key, SubjectResult.model_validate_json, do, str(seconds))
    return _permitted(deps, principal, "revokeSubject", tenant_id, whom, reason, doing)


def reinstate_subject(
    deps: ControlDeps, principal: Principal, tenant_id: str, whom: Whom, reason: str, key: str | None = None
) -> SubjectResult:
    """Give a subject back; one that is not revoked stays so."""

    def do(act: Act) -> SubjectResult:
        live = act.rows.ledger.live_entry(tenant_id, whom.id, whom.kind)
        if live is None:
            return _acted(act, whom, None, changed=False, revoked=False)
        ends = live.expires_at
        entry = _append(act.rows, tenant_id, *whom, reason, act.actor, act.now, ends, status="reinstated")
        _tell(act, whom, entry, "high", f"may act again; it was revoked until {moment(ends)}")
        deps.metrics.add("guardian_revocations_total", status="reinstated", reason="manual")
        return _acted(act, whom, entry, changed=True, revoked=False)

    doing = once(key, SubjectResult.model_validate_json, do)
    return _permitted(deps, principal, "reinstateSubject", tenant_id, whom, reason, doing)


def _permitted(
    deps: ControlDeps,
    principal: Principal,
    action: PolicyAction,
    tenant_id: str,
    whom: Whom,
    reason: str,
    do: Do[SubjectResult],
) -> SubjectResult:
    """Sessions have routes of their own. For policy, a revocation is the own matter of the delegator that it stops
    as well as of whoever made it.
    """
    if whom.kind == "session":
        raise Refusal(422, "subject_type: a session is revoked under /v1/sessions")

    def facts(rows: ControlRows) -> ActFacts:
        live = rows.ledger.live_entry(tenant_id, whom.id, whom.kind)
        itself = whom == ("delegator", principal.id)
        return ActFacts(own=itself or (live is not None and live.actor == principal.id))

    return permitted(deps, principal, action, tenant_id, None, reason, do, facts=facts, whom=whom)


def _tell(act: Act, whom: Whom, entry: LedgerEntry, severity: Severity, what: str) -> None:
    """Many sessions stop, or go on, with one act: that is no secret between one person and the audit trail."""
    name = f"the {'token' if whom.kind == 'jti' else whom.kind} {whom.id}"
    tell(
        act.deps,
        act.rows,
        topic="subject",
        tenant_id=act.tenant_id,
        title=f"{act.actor} {entry.status} {name}"[:300],
        detail=f"{name} {what} (revision {entry.revision}): {act.reason}",
        severity=severity,
        once=str(entry.revision),
        now=act.now,
        about=f"{whom.kind} {whom.id}",
    )


def _acted(act: Act, whom: Whom, entry: LedgerEntry | None, *, changed: bool, revoked: bool) -> SubjectResult:
    revision = None if entry is None else entry.revision
    act.audit(result="changed" if changed else "unchanged", revision=None if revision is None else str(revision))
    return SubjectResult(
        tenant_id=act.tenant_id,
        subject_type=whom.kind,
        subject_id=whom.id,
        revoked=revoked,
        changed=changed,
        revision=revision,
        unheard=unheard_of(act),
        expires_at=entry.expires_at if entry is not None and revoked else None,
    )


def keep_from_coming_back(
    deps: ControlDeps,
    rows: ControlRows,
    asked: PolicyRequest,
    finding: Finding,
    entry: LedgerEntry,
    now: datetime,
) -> str:
    """After a session was revoked, revoke its task or agent too: for as long as configured, where policy permits.

    Names come from the registered envelope; where there is none, from the finding, and policy is told that. A
    subject that a protected session acts under as well is left to people, whatever policy says; so is a task on
    which others work. Returns what people have to know who give the session back; empty where nothing else is
    revoked.
    """
    also: list[LedgerEntry] = []
    known = rows.envelopes.newest(SessionKey(entry.tenant_id, entry.subject_id))
    for kind, life in deps.settings.switch.comes_back.items():
        name = named(kind, finding.subject if known is None else known.envelope)
        if name is None or (known is None and hashed(name)):  # gateways ask by the real one
            continue
        live = rows.ledger.live_entry(entry.tenant_id, name, kind)
        if live is not None and live.expires_at >= now + life:
            also.append(live)
            continue
        request = replace(
            asked, action="revokeSubject", session=None, whom=WhomFacts(kind, registered=known is not None)
        )
        decision = ask(deps, request)
        told = {"subject_type": kind, "subject_id": name, "finding_id": finding.id, "result": "refused"}
        spared, why = None, ""
        if decision.allowed:
            spared = _protected(deps, rows, entry.tenant_id, kind, name, now)
            why = "a protected session acts under it as well"
        if decision.allowed and spared is None and kind == "task":
            spared = _foreign(rows, entry, name, finding.subject if known is None else known.envelope, now)
            why = "another person's session, of another delegation, works on it as well"
        if spared is not None:
            told |= {"result": "spared", "protects": spared}
            _tell_on(deps, rows, kind, entry, why, now)
        elif decision.allowed:
            actor = asked.asker.id
            reason = "so that a revoked session does not come back under a new id"
            back = _append(
                rows, entry.tenant_id, kind, name, reason, actor, now, now + life, finding_id=finding.id
            )
            also.append(back)
            told |= {"result": "revoke", "revision": str(back.revision)}
            deps.metrics.add("guardian_revocations_total", status="revoked", reason="comes_back")
        record(rows, request, decision, now, **told)
    return in_words(also)


def _protected(
    deps: ControlDeps, rows: ControlRows, tenant_id: str, kind: SubjectType, name: str, now: datetime
) -> str | None:
    """A session that only people may stop and that would be stopped with the subject; None: there is none."""
    listed = deps.settings.protected.get(tenant_id, frozenset())  # agents as well as sessions
    for session_id in sorted(listed | rows.session_names.perhaps_protected(tenant_id, f"{kind}_id", name, listed)):
        key = SessionKey(tenant_id, session_id)
        facts, _ = session_facts(deps, rows, key, None)
        ends = lasts_until(rows, key)
        if not facts.protected or facts.revoked or (ends is not None and ends <= now):
            continue
        registered, known = rows.envelopes.newest(key), rows.sessions.get(key)
        if named(kind, registered.envelope if registered else known.view if known else None) == name:
            return session_id
    return None


def _foreign(
    rows: ControlRows, entry: LedgerEntry, task: str, mine: Envelope | Subject | None, now: datetime
) -> str | None:
    """A registered session that works on the task now for another person, and in another tree of delegation. Who
    delegates to a child may call its task anything, so such a task is left to people."""
    tenant_id = entry.tenant_id
    family = {entry.subject_id, *rows.delegations.ancestors(SessionKey(tenant_id, entry.subject_id))}
    for session_id in rows.session_names.registered_under(tenant_id, "task_id", task):
        key = SessionKey(tenant_id, session_id)
        registered, ends = rows.envelopes.newest(key), lasts_until(rows, key)
        over = (ends is not None and ends <= now) or rows.ledger.live_entry(*key) is not None
        if registered is None or over or registered.envelope.task_id != task:
            continue
        ours = mine is not None and registered.envelope.delegator_id == mine.delegator_id
        if not ours and family.isdisjoint({session_id, *rows.delegations.ancestors(key)}):
            return session_id
    return None


def _tell_on(
    deps: ControlDeps, rows: ControlRows, kind: SubjectType, entry: LedgerEntry, why: str, now: datetime
) -> None:
    tell(
        deps,
        rows,
        topic="comes_back",
        tenant_id=entry.tenant_id,
        title=f"The {kind} of a revoked session goes on",
        detail=f"{why}, so people decide; see the audit trail under action revokeSubject, result spared",
        severity="high",
        once=f"{kind} {entry.revision}",
        now=now,
    )


def _append(
    rows: ControlRows,
    tenant_id: str,
    kind: SubjectType,
    subject_id: str,
    reason: str,
    actor: str,
    now: datetime,
    ends: datetime,
    *,
    status: Literal["revoked", "reinstated"] = "revoked",
    finding_id: str | None = None,
) -> LedgerEntry:
    return rows.ledger.append(
        tenant_id=tenant_id,
        subject_id=subject_id,
        subject_type=kind,
        status=status,
        reason_code="manual" if finding_id is None else "comes_back",
        reason=reason,
        actor=actor,
        now=now,
        expires_at=ends,
        finding_id=finding_id,
    )
