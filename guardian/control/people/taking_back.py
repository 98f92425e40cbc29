"""A verdict is taken back: the finding is as if nobody had judged it, and what it was about accuses again."""

from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime

from pydantic import ValidationError

from guardian.control.cases.view import case_view
from guardian.control.deps import ControlDeps
from guardian.control.findings.found import finding_in, reached_finding
from guardian.control.findings.superseded import NOTHING, taken_back
from guardian.control.people.granted import Act, permitted
from guardian.control.problems import Refusal
from guardian.domain.finding import Finding, Kind
from guardian.domain.identity import SessionKey
from guardian.domain.session import HumanWord
from guardian.store.control.rows import ControlRows
from guardian.store.control.sessions import StoredSession
from guardian.wire.findings import FindingView, Judged, PersonsVerdict, VerdictRequest
from guardian.wire.principal import Principal

_BY_PEOPLE = frozenset({"manual", "approved"})


def take_back(
    deps: ControlDeps,
    principal: Principal,
    finding_id: str,
    ask_for: VerdictRequest,
    *,
    tenant_id: str | None = None,
    seen: str | None = None,
) -> Judged:
    """Of this finding alone; of whoever saw the `case`, of all to which that very verdict was given. Where nobody
    has judged it, nothing changes.

    Policy is asked as for a dismissal: whoever may not clear a session may not take back what accuses it either.
    What was revoked stays revoked, and the evidence does not come back: it gathers anew from the dismissal on.
    """
    finding = reached_finding(deps, principal, "dismiss", tenant_id, finding_id)
    session, drift = finding.key, finding.kind is Kind.DRIFT

    def do(act: Act) -> Judged | Refusal:
        view = finding_in(act.rows, {finding.tenant_id}, finding_id)
        said = view.verdict
        if said is None:  # a second click, say
            act.audit(finding_id=finding_id, result="not_judged")
            return answered(act, view, unjudged=_left(act, finding_id))
        stale = act.stale(seen, finding_id=finding_id)
        if stale is not None:
            return stale
        alike = act.rows.findings.judged_with(session, said) if ask_for.case else []
        also = readable(act.rows, finding.tenant_id, [each for each in alike if each != finding_id])
        with_it = {"with_it": [each.id for each in also]} if also else {}
        act.audit(finding_id=finding_id, result="withdrawn", **with_it)
        for each in (*also, finding):
            act.rows.findings.set_verdict(each.tenant_id, each.id, None)
        known, dismissed = act.rows.sessions.get(session), said.verdict != "confirmed"
        left = act.rows.findings.of_drift(session)
        confirmed = f" {HumanWord.CONFIRMED.value}" if any(each.verdict == "confirmed" for each in left) else ""
        for each in (*also, finding) if drift else ():
            rules = taken_back(act.rows, each, known) if dismissed else NOTHING
            detail = f"{each.id} {rules}{confirmed}"
            act.rows.sessions.say(session, HumanWord.WITHDRAWN, act.now, human=False, detail=detail)
        if known is not None and finding.kind is not Kind.CONTROL:  # which is about no session
            stands = _last_word(act.rows, session, left) if drift else known.view.last_word
            cleared = _cleared(left, known) if drift else known.restarted_at
            act.rows.sessions.unsay(session, stands, cleared, act.now)
            act.rows.sessions.weigh(session)
        view = view.model_copy(update={"verdict": None})
        names = tuple(each.id for each in also)
        return answered(act, view, also=names, unjudged=_left(act, finding_id, *names))

    word = "take back the verdict"
    return permitted(deps, principal, "dismiss", *session, ask_for.reason, do, word=word)


def readable(rows: ControlRows, tenant_id: str, names: Sequence[str]) -> list[Finding]:
    """Those of the findings that this version can read; another one wrote the rest."""
    found = list[Finding]()
    for name in names:
        with suppress(ValidationError):
            stored = rows.findings.get(name, {tenant_id})
            found += [] if stored is None else [stored.view.finding]
    return found


def answered(act: Act, view: FindingView, *, also: tuple[str, ...] = (), unjudged: int) -> Judged:
    """The finding as it stands after the act, with the digest that its session's case has by then."""
    digest = ""
    with suppress(ValidationError):  # another version wrote one of its findings
        case = case_view(act.deps, act.rows, act.key)
        digest = "" if case is None else case.digest
    return Judged(**dict(view), also=also, unjudged=unjudged, digest=digest)


def _left(act: Act, *named: str) -> int:
    """How many other drifts nobody has judged."""
    return sum(each not in named for each in act.rows.findings.unjudged(act.key))


def _cleared(left: Sequence[PersonsVerdict], session: StoredSession) -> datetime | None:
    """When people last gave the session back or dismissed a drift of it, as far as that stands: what else they
    were told of it by then accuses it no longer."""
    spoken = [said.at for said in left if said.verdict != "confirmed"]
    return max(spoken + ([] if session.cleared_at is None else [session.cleared_at]), default=None)


def _last_word(rows: ControlRows, session: SessionKey, left: Sequence[PersonsVerdict]) -> HumanWord | None:
    """The last that stands of what people said of the session, of whose drifts these verdicts do."""
    entries = rows.ledger.of_session(session)
    told = [(each.at, HumanWord(each.status)) for each in entries if each.reason_code in _BY_PEOPLE]
    for said in left:
        told.append((said.at, HumanWord.CONFIRMED if said.verdict == "confirmed" else HumanWord.FALSE_POSITIVE))
    return max(told)[1] if told else None
