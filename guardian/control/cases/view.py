"""One session's case as it stands inside a transaction."""

import math
import re
from collections.abc import Sequence
from datetime import datetime
from itertools import islice

from guardian.alerting.rules import rank
from guardian.control.acts_under import revoked_with_it
from guardian.control.cases.picture import digest_of, shows
from guardian.control.deps import ControlDeps
from guardian.control.people.overtaking import overtaken
from guardian.control.problems import Refusal
from guardian.domain.finding import Effect, Kind, Severity
from guardian.domain.identity import SessionKey
from guardian.store.control.cases import StoredCase
from guardian.store.control.rows import ControlRows
from guardian.store.control.sessions import StoredSession
from guardian.wire.approvals import ApprovalView
from guardian.wire.cases import NO_CASE, CaseState, CaseView, TrendPoint
from guardian.wire.findings import FindingView

LATEST, _SEARCHED = 20, 200
_MOST_APPROVALS = 10


def case_view(deps: ControlDeps, rows: ControlRows, key: SessionKey) -> CaseView | None:
    """The case, or None for a session without a finding that people were told of."""
    tenant_id, session_id = key
    page = rows.findings.page({tenant_id}, limit=LATEST, session_id=session_id)
    if len(page) == LATEST:  # what it did is not to be buried
        of_it = rows.findings.page({tenant_id}, limit=LATEST, session_id=session_id, kind=Kind.DRIFT.value)
        page += [each for each in of_it if each.seq < page[-1].seq]
    session = rows.sessions.get(key)
    found = as_it_went([each.view for each in page], session)
    told = [view for view in found if view.outcome.effect is not Effect.NONE] or found
    if not told or session is None:
        return None
    shown = _shown(told, session)
    asked_for = rows.approvals.of_session(tenant_id, session_id, deps.clock(), _SEARCHED)
    live = rows.ledger.live_entry(tenant_id, session_id)
    waiting = tuple(islice((each.view for each in asked_for if overtaken(rows, each) is None), _MOST_APPROVALS))
    kept = rows.cases.of_session(key)
    ends = None if kept is None else kept.snoozed_until
    silent = kept if ends is not None and ends > deps.clock() else None
    asked = any(view.action == "revoke" for view in waiting)
    state = state_of(session, shown, revoked=live is not None, asked=asked)
    unjudged, holder = rows.findings.unjudged(key), taken_by(kept, session)
    view = CaseView(
        tenant_id=tenant_id,
        session_id=session_id,
        state=state,
        digest="",
        shown=_as_it_stands(shown, waiting),
        findings=session.view.findings,
        unjudged=len(unjudged),
        approvals=waiting,
        revision=None if live is None else live.revision,
        also_revoked=revoked_with_it(rows, key, deps.sure(deps.clock())),
        ignored=None if live is None else _ignored(rows, key),
        protected=session.view.protected,
        trend=_trend(found),
        snoozed_until=None if silent is None else silent.snoozed_until,
        snoozed_by=None if silent is None else silent.snoozed_by,
        taken_by=holder,
    )
    return view.model_copy(update={"digest": digest_of(rows, view, session, unjudged)})


def taken_by(kept: StoredCase | None, session: StoredSession) -> str | None:
    """Who works on the session's case. Where people made its evidence start afresh since, and it was accused after
    that, it is another case."""
    if kept is None or kept.taken_at is None:
        return None
    spoken = session.restarted_at
    anew = spoken is not None and kept.taken_at < spoken < session.view.last_seen
    return None if anew else kept.taken_by


def as_it_went(found: Sequence[FindingView], session: StoredSession | None) -> list[FindingView]:
    """Newest first, as these are by arrival, but for what was delivered late: it goes behind the steps of the
    session that its monitor took after it. Not behind those that people cleared before they were told of it."""
    cleared = None if session is None else session.cleared_at
    ordered: list[FindingView] = []
    for view in reversed(found):
        later = (place for place, other in enumerate(ordered) if _is_earlier(view, other, cleared))
        ordered.insert(next(later, len(ordered)), view)
    return ordered[::-1]


def _is_earlier(view: FindingView, other: FindingView, cleared: datetime | None) -> bool:
    """By the monitor's count of a session's steps. Once a session is forgotten they are counted from 1 again: what
    is of a later time is none of the earlier steps. What is dated after its own arrival is of that moment, or
    nothing that comes until then would go before it."""
    step, later = view.finding, other.finding
    drift = step.kind is later.kind is Kind.DRIFT
    if not drift or step.epoch != later.epoch or step.transition >= later.transition:
        return False
    spoken = [cleared] if cleared is not None and other.outcome.at <= cleared else []
    if other.verdict is not None and other.dismissed:
        spoken.append(other.verdict.at)
    between = any(at < view.outcome.at for at in spoken)
    return step.time <= min(later.time, other.outcome.at) and not between


def _ignored(rows: ControlRows, key: SessionKey) -> Severity | None:
    """How severe the worst is of what was told of gateways that ignore the revocation. What came since, of the
    session itself say, does not make that good."""
    entries = rows.ledger.of_session(key)
    began = max((entry.at for entry in entries if entry.status != "revoked"), default=None)
    found = rows.findings.page(
        {key.tenant_id}, limit=_SEARCHED, session_id=key.session_id, kind=Kind.GATEWAY.value
    )
    told = [
        each.view.finding.severity
        for each in found
        if each.view.finding.ignores_revocation
        and not each.view.dismissed
        and (began is None or each.view.finding.time > began)
    ]
    return max(told, key=rank, default=None)


def severity_of(rows: ControlRows, view: CaseView) -> Severity:
    """How severe the worst is of what accuses the session: a lesser finding after it makes no case less severe."""
    session = rows.sessions.get(SessionKey(view.tenant_id, view.session_id))
    shown = view.shown.finding.severity
    worst = None if session is None else session.worst
    return max(shown, worst or shown, key=rank)


def moved_on(
    deps: ControlDeps, rows: ControlRows, key: SessionKey, seen: str | None, *, revoking: bool = False
) -> Refusal | None:
    """A Refusal (412) when the case is not the one that `seen` names any more (`shows`). It says how the case
    stands, so it is for those whom policy permits the act.

    NO_CASE names that there is none; None asks for nothing.
    """
    if seen is None:
        return None
    view = case_view(deps, rows, key)
    if (seen == NO_CASE) if view is None else shows(view, seen, revoking=revoking):
        return None
    now = "gone" if view is None else view.state
    return Refusal(412, f"the case has changed since it was shown: it is {now}; look again", code="stale")


def state_of(session: StoredSession, shown: FindingView, *, revoked: bool, asked: bool) -> CaseState:
    """How the case stands: `shown` is the finding that people decide on."""
    verdict = None if shown.verdict is None else shown.verdict.verdict
    if revoked:
        return "revoked"
    if asked:
        return "revoke_requested"
    if verdict in ("false_positive", "benign"):
        return "dismissed"
    if session.view.last_word == "reinstated" and not _after(session, shown):
        return "reinstated"
    if verdict == "confirmed":
        return "confirmed"
    if session.view.status == "flagged" or shown.outcome.effect is not Effect.NONE:
        return "lapsed" if shown.outcome.effect is Effect.REVOKE else "flagged"
    return "noted"


def _shown(told: Sequence[FindingView], session: StoredSession) -> FindingView:
    """The finding that people decide on: the newest, which is the first of these, with three exceptions.

    A finding about the gateway, its log or the grant gives way to one about what the session did, unless people
    spoke between the two. So does any other finding that they dismissed: that was no word on what the session did.
    And a drift that they dismissed gives way to one that still accuses the session.
    """
    since = session.cleared_at
    accused = any(
        _is_drift(view) and not view.dismissed and (since is None or view.outcome.at > since) for view in told
    )
    left = [view for view in told if not view.dismissed or (_is_drift(view) and not accused)] or told
    for place, view in enumerate(left):
        drift = next(filter(_is_drift, left[place:]), view)
        last = None if session.view.last_word is None else session.view.last_word_at
        spoke = (last, since, None if drift.verdict is None else drift.verdict.at)
        between = any(at is not None and drift.outcome.at <= at < view.outcome.at for at in spoke)
        if drift is view or between or not _is_beside(view):
            return view
    return left[0]


def _as_it_stands(shown: FindingView, waiting: Sequence[ApprovalView]) -> FindingView:
    """Without the words that a person is asked, which were written down with it, once nobody is any more."""
    asked = shown.outcome.approval_id
    if asked is None or any(approval.id == asked for approval in waiting):
        return shown
    words = rf"; a person is asked, until [^;]* \(approval {re.escape(asked)}\)"
    outcome = shown.outcome.model_copy(update={"note": re.sub(words, "", shown.outcome.note)})
    return shown.model_copy(update={"outcome": outcome})


def _is_beside(view: FindingView) -> bool:
    finding = view.finding
    beside = (Kind.HYGIENE, Kind.IDENTITY)
    return finding.kind in beside or (finding.kind is Kind.GATEWAY and bool(finding.breaches))


def _is_drift(view: FindingView) -> bool:
    return view.finding.kind is Kind.DRIFT


def _after(session: StoredSession, shown: FindingView) -> bool:
    """Whether the finding came after people gave the session back."""
    return session.cleared_at is not None and shown.outcome.at > session.cleared_at


def _trend(found: Sequence[FindingView]) -> tuple[TrendPoint, ...]:
    told = [view.finding.evidence for view in found if _is_drift(view)]
    return tuple(
        TrendPoint(
            weight=math.log10(evidence.one_in) if 1 <= evidence.one_in < math.inf else 0.0,
            actions=evidence.actions_seen,
            promised=evidence.promised,
        )
        for evidence in reversed(told)
    )
