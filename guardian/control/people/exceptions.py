""" "This is fine", said once for all alike: scoped to purpose and tool, owned, expiring, and audited at every use.

An exception covers statistics alone: no broken rule but what is merely noted, no evidence that is strong enough to
revoke on, and no session that stands accused of anything else. What it would wave through then could be the cover
for something worse.
"""

import re
from datetime import datetime, timedelta

from guardian.control.deps import ControlDeps
from guardian.control.findings.found import purpose_of, reached_finding
from guardian.control.findings.superseded import waved_through
from guardian.control.people.granted import Act, bound, permitted
from guardian.control.problems import Refusal, absent
from guardian.control.telling.news import tell
from guardian.domain.envelope import purpose_family
from guardian.domain.finding import Effect, Finding, Kind
from guardian.domain.redacted import hashed
from guardian.domain.session import HumanWord
from guardian.domain.text import moment
from guardian.store.control.rows import ControlRows
from guardian.wire.exceptions import ExceptionRequest, ExceptionView
from guardian.wire.findings import FindingOutcome
from guardian.wire.principal import Principal

_EXACT = re.compile(r"[A-Za-z0-9_.:/-]{3,200}")  # an agent may call a tool anything, also a pattern
_MOST_IN_A_SESSION = 3
_TWICE = timedelta(minutes=5)
"""The same wish within this time is the same click."""
_CLOCKS_APART = timedelta(seconds=5)
"""A monitor's clock may be this far ahead of ours: the word must not seem older than the finding it is about."""


def make_exception(
    deps: ControlDeps,
    principal: Principal,
    wanted: ExceptionRequest,
    *,
    tenant_id: str | None = None,
    seen: str | None = None,
) -> ExceptionView:
    """From a finding, for its tenant and purpose. People are told, so that it is nobody's secret."""
    finding = reached_finding(deps, principal, "makeException", tenant_id, wanted.finding_id)

    def do(act: Act) -> ExceptionView | Refusal:
        purpose = purpose_of(act.rows, finding)
        tool = wanted.tool or ("" if finding.act is None else finding.act.tool)
        if trouble := _trouble(wanted, finding, purpose, deps.settings.exception_days):
            act.audit(result="refused", finding_id=finding.id)
            return Refusal(422, trouble)
        made = _in_force(act.rows, finding, purpose, act.now)
        said = (principal.id, finding.id, tool, wanted.reason, timedelta(days=wanted.days))
        for each in made:
            same = (each.owner, each.finding_id, each.tool, each.reason, each.expires_at - each.created_at)
            if said == same and act.now - each.created_at <= _TWICE:
                act.audit(result="unchanged", exception_id=each.id, finding_id=finding.id)
                return each
        view = ExceptionView(
            id=f"exc_{deps.new_id()}",
            tenant_id=finding.tenant_id,
            purpose=purpose_family(purpose),
            tool=tool,
            owner=principal.id,
            reason=wanted.reason,
            finding_id=finding.id,
            created_at=act.now,
            expires_at=act.now + timedelta(days=wanted.days),
        )
        act.rows.exceptions.add(view)
        until = view.expires_at.isoformat(timespec="minutes")
        act.audit(result="made", exception_id=view.id, tool=tool, until=until, finding_id=finding.id)
        told = (
            f"{view.id}: {tool} under {view.purpose} flags nobody until {moment(view.expires_at)}: {view.reason}"
        )
        _tell(deps, act, view, once=view.id, title=f"{principal.id} made an exception for {tool}", detail=told)
        return view

    return permitted(
        deps,
        principal,
        "makeException",
        finding.tenant_id,
        finding.session_id,
        wanted.reason,
        bound(seen, do),
    )


def _tell(deps: ControlDeps, act: Act, view: ExceptionView, *, once: str, title: str, detail: str) -> None:
    tell(
        deps,
        act.rows,
        topic="exception",
        tenant_id=view.tenant_id,
        title=title,
        detail=detail,
        severity="low",
        once=once,
        now=act.now,
        about=view.id,
    )


def _trouble(wanted: ExceptionRequest, finding: Finding, purpose: str, most_days: int) -> str:
    """Why no such exception can be made of this finding; empty if it can."""
    if wanted.days > most_days:
        return f"days: at most {most_days} at a time; it can be made again"
    if not purpose or finding.act is None or finding.kind is not Kind.DRIFT:
        return "an exception needs a drift finding with a declared purpose and an action"
    if _breaks_a_rule(finding):
        return (
            "no exception covers a hard breach or another broken rule, so its like would be flagged all the same: "
            "dismiss the finding, or mend the envelope or delegation that the rule is of"
        )
    if wanted.tool is None and not _EXACT.fullmatch(finding.act.tool):
        return "tool: the action's tool has an odd name; say which tools are meant"
    return ""


def end_exception(deps: ControlDeps, principal: Principal, exception_id: str, reason: str) -> ExceptionView:
    """From now on guardian looks again. One that is over stays as it ended."""
    with deps.store.read() as rows:
        found = rows.exceptions.get(exception_id, principal.scope)
    if found is None:
        raise absent("exception")

    def do(act: Act) -> ExceptionView:
        changed = act.rows.exceptions.end(exception_id, by=principal.id, now=act.now)
        act.audit(result="ended" if changed else "unchanged", exception_id=exception_id)
        ended = act.rows.exceptions.get(exception_id, None)
        assert ended is not None  # noqa: S101 - exceptions are never removed
        if changed:
            title = f"{principal.id} ended the exception of {ended.owner} for {ended.tool}"
            said = f"{ended.id}: {ended.tool} under {ended.purpose} is flagged again: {reason}"
            _tell(deps, act, ended, once=f"{ended.id} ended", title=title, detail=said)
        return ended

    return permitted(deps, principal, "endException", found.tenant_id, None, reason, do)


def excused(
    rows: ControlRows, finding: Finding, outcome: FindingOutcome, now: datetime, *, solo: bool = False
) -> FindingOutcome:
    """The outcome, without effect if an exception in force covers the finding.

    An exception does not clear sessions that act on behalf of its owner, except if `solo`: there is nobody else.
    Where the delegator is hashed and nothing is registered, it may be the owner.
    """
    delegator = None if solo else _delegator(rows, finding)
    covering = None if hashed(delegator) else _covering(rows, finding, now, delegator)
    if covering is None:
        return outcome
    rows.exceptions.used(covering.id)
    note = f"covered by exception {covering.id} of {covering.owner}: {covering.reason}"
    rows.audit.note(
        "useException",
        at=now,
        tenant_id=finding.tenant_id,
        session_id=finding.session_id,
        exception_id=covering.id,
        finding_id=finding.id,
        result="covered",
    )
    # The owner's standing word: the session's evidence starts afresh, as when somebody dismisses the finding.
    spoke = max(now, min(finding.time, now + _CLOCKS_APART))
    word, detail = HumanWord.FALSE_POSITIVE, f"{finding.id} {waved_through(finding)}"
    rows.sessions.say(finding.key, word, spoke, human=False, detail=detail)
    return outcome.model_copy(update={"effect": Effect.NONE, "note": note[:2000]})


def _covering(rows: ControlRows, finding: Finding, now: datetime, delegator: str | None) -> ExceptionView | None:
    act, purpose = finding.act, purpose_of(rows, finding)
    if finding.kind is not Kind.DRIFT or finding.wanted is not Effect.FLAG or act is None or not purpose:
        return None
    if _breaks_a_rule(finding):
        return None
    in_force = _in_force(rows, finding, purpose, now)
    meant = (each for each in in_force if each.owner != delegator and _means(each.tool, act.tool))
    covering = next(meant, None)
    if covering is None:
        return None
    session = rows.sessions.get(finding.key)
    accused = session is not None and session.view.status != "active"
    return None if accused or _often(rows, finding) else covering


def _in_force(rows: ControlRows, finding: Finding, purpose: str, now: datetime) -> list[ExceptionView]:
    """Also those of before 0.3.0 for a purpose in which every word has a digit: they are kept under all of it."""
    return rows.exceptions.in_force(finding.tenant_id, {purpose_family(purpose), purpose}, now)


def _breaks_a_rule(finding: Finding) -> bool:
    """Whether it would be flagged, or more, without any statistics."""
    return any(breach.asks for breach in finding.breaches)


def _means(pattern: str, tool: str) -> bool:
    return tool.startswith(pattern[:-1]) if pattern.endswith("*") else tool == pattern


def _often(rows: ControlRows, finding: Finding) -> bool:
    """Whether exceptions covered this session so often that people should see it."""
    unflagged = rows.findings.page(
        {finding.tenant_id},
        limit=20,
        session_id=finding.session_id,
        kind=Kind.DRIFT.value,
        effect=Effect.NONE.value,
    )
    covered = [each for each in unflagged if each.view.finding.wanted is Effect.FLAG]
    return len(covered) >= _MOST_IN_A_SESSION


def _delegator(rows: ControlRows, finding: Finding) -> str | None:
    registered = rows.envelopes.newest(finding.key)
    if registered is not None:
        return registered.envelope.delegator_id
    return None if finding.subject is None else finding.subject.delegator_id
