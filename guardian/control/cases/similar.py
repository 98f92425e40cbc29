"""Cases that ended like another: what a person who decides on one wants to know of those before it."""

from contextlib import suppress

from pydantic import ValidationError

from guardian.control.cases.view import state_of
from guardian.domain.envelope import purpose_family
from guardian.domain.finding import Finding
from guardian.store.control.rows import ControlRows
from guardian.wire.cases import CaseState, CaseView, SimilarCase
from guardian.wire.findings import FindingView

_SEARCHED, _SIMILAR = 200, 3


def with_similar(rows: ControlRows, view: CaseView) -> CaseView:
    """The view with other sessions that were accused of something similar, the newest first. Finding them is what
    costs most, and no decision depends on them."""
    finding = view.shown.finding
    mine, seen = _traits(finding), {finding.session_id}
    alike: list[SimilarCase] = []
    with suppress(ValidationError):  # one of another version, say: no case is held up for what is only beside it
        newest = rows.findings.page({finding.tenant_id}, limit=_SEARCHED, kind=finding.kind.value) if mine else ()
        for other in (stored.view for stored in newest):
            if other.finding.session_id in seen or len(mine & _traits(other.finding)) < 2:
                continue
            seen.add(other.finding.session_id)
            alike.append(_ended(rows, other))
            if len(alike) == _SIMILAR:
                break
    return view.model_copy(update={"similar": tuple(alike)})


def _traits(finding: Finding) -> frozenset[str]:
    """Purpose, tool, strongest signal and broken rules: two of them in common make two cases alike."""
    traits = {f"rule {breach.name}" for breach in finding.breaches[:10]}
    if finding.subject is not None and finding.subject.purpose:
        traits.add(f"purpose {purpose_family(finding.subject.purpose)}")
    if finding.act is not None:
        traits.add(f"tool {finding.act.tool}")
    if finding.reasons:
        traits.add(f"signal {max(finding.reasons, key=lambda reason: reason.share).signal}")
    return frozenset(traits)


def _ended(rows: ControlRows, view: FindingView) -> SimilarCase:
    finding = view.finding
    session = rows.sessions.get(finding.key)
    live = rows.ledger.live_entry(finding.tenant_id, finding.session_id) is not None
    state: CaseState = "noted"
    if session is not None:
        state = state_of(session, view, revoked=live, asked=False)
    return SimilarCase(
        session_id=finding.session_id,
        finding_id=finding.id,
        at=finding.time,
        tool="" if finding.act is None else finding.act.tool,
        ended=state,
        verdict="" if view.verdict is None else view.verdict.verdict,
    )
