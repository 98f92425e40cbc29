"""Cases on the wire: everything about one session that people decide on, as it stands now."""

import math
from typing import Annotated, Literal

from pydantic import AwareDatetime, Field

from guardian.domain.finding import Effect, Kind, Severity
from guardian.domain.identity import Identifier
from guardian.domain.revocation import LedgerEntry, Revision
from guardian.wire.approvals import ApprovalView
from guardian.wire.base import Ask, Body, Why
from guardian.wire.findings import FindingView

CaseState = Literal[
    "flagged", "revoke_requested", "revoked", "reinstated", "dismissed", "confirmed", "lapsed", "noted"
]
"""Where a case stands. `revoke_requested` waits for a person's approval; `noted` asks for nothing."""


class CaseEvent(Body):
    """One thing that happened: `what` is guardian's own sentence, `why` a person's words, if any."""

    at: AwareDatetime
    by: str
    what: str
    why: str = ""
    finding_id: str | None = None


class TrendPoint(Body):
    """The session's evidence at one finding: log10 of `one_in`, after how many actions, whether promised."""

    weight: float
    actions: int
    promised: bool = True

    @property
    def one_in(self) -> float:
        """The finding's own figure: what is lost by the logarithm is far below these six places."""
        return round(math.pow(10.0, max(0.0, min(self.weight, 300.0))), 6)


class SimilarCase(Body):
    """An earlier session of the tenant with a similar accusation, and how it ended."""

    session_id: Identifier
    finding_id: Identifier
    at: AwareDatetime
    tool: str = ""
    ended: CaseState
    verdict: str = ""


MOST_HOURS = 24
"""So long a case may be snoozed."""

NO_CASE = "none"
"""Instead of a case's digest: whoever decides was shown that there is no case."""


class CaseView(Body):
    """One session's case. `digest` names exactly this state: an act with another one in If-Match is refused, but a
    revocation only where the case is no longer open or people have said something since.

    `shown` is the finding that people decide on. `unjudged` is how many drifts that people were told of nobody has
    judged. `approvals` are the acts that wait for a second
    person. `also_revoked` are the live revocations of what the session acts under, its task, agent or delegator:
    gateways that check these refuse its calls, whatever the state. `ignored` is how severe the worst finding is
    that says that a gateway lets the revoked session act (`critical`) or may. `trend` runs from the oldest finding
    to the newest. `taken_by` works on it.
    """

    tenant_id: Identifier
    session_id: Identifier
    state: CaseState
    digest: str
    shown: FindingView
    findings: int
    unjudged: int = 0
    approvals: tuple[ApprovalView, ...] = ()
    revision: Revision | None = None
    also_revoked: tuple[LedgerEntry, ...] = ()
    ignored: Severity | None = None
    protected: bool = False
    trend: tuple[TrendPoint, ...] = ()
    similar: tuple[SimilarCase, ...] = ()
    snoozed_until: AwareDatetime | None = None
    snoozed_by: str | None = None
    taken_by: str | None = None

    @property
    def others_unjudged(self) -> int:
        """How many drifts nobody has judged beside the one that is shown, and go with it when it is dismissed."""
        return self.unjudged_beside(self.shown)

    def unjudged_beside(self, view: FindingView) -> int:
        """How many others than this drift; 0 for another finding, whose dismissal concerns none of them."""
        if view.finding.kind is not Kind.DRIFT:
            return 0
        return self.unjudged - (view.verdict is None and view.outcome.effect is not Effect.NONE)

    @property
    def excusable(self) -> bool:
        """Whether an exception can be made from it: only for an act that drifted, and for no broken rule."""
        finding = self.shown.finding
        drifted = finding.kind is Kind.DRIFT and finding.act is not None
        return drifted and not any(breach.asks for breach in finding.breaches)


class CaseHistory(Body):
    """What happened in a case, oldest first, as far as people were told."""

    items: tuple[CaseEvent, ...]


class TakeRequest(Ask):
    """Whoever takes a case works on it, and is shown to all others. A reason may be given."""

    reason: Why | None = None


class NoteRequest(Ask):
    """Words for whoever looks at the case next; `reason` holds them."""

    reason: Why


class SnoozeRequest(Ask):
    """Quiet in the channel for a while: no reminders, no replies. Guardian goes on judging and revoking."""

    hours: Annotated[int, Field(ge=1, le=MOST_HOURS)]
    reason: Why
