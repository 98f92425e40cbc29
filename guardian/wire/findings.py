"""Findings on the wire. The request body of `POST /v1/findings` is the domain's Finding itself."""

from typing import Annotated, Literal

from pydantic import AwareDatetime, StringConstraints

from guardian.domain.finding import Effect, Finding, Text
from guardian.domain.identity import Identifier
from guardian.domain.revocation import Revision, SubjectType
from guardian.wire.base import Ask, Body, Mode, Page, Why


class FindingOutcome(Body):
    """What policy made of a finding.

    `effect` was applied, `wanted` was asked for. `would_revoke`: only the mode stood in the way. `policy_ids` are
    the policies that decided, `note` says why in a sentence; `revision` is the ledger entry, if one was made.
    """

    finding_id: Identifier
    tenant_id: Identifier
    session_id: Identifier
    wanted: Effect
    effect: Effect
    would_revoke: bool = False
    note: str = ""
    policy_ids: tuple[str, ...] = ()
    policy_errors: tuple[str, ...] = ()
    policy_version: str = ""
    approval_id: str | None = None  # a person is asked; the finding is flagged until somebody answers
    mode: Mode
    revision: Revision | None = None
    at: AwareDatetime


Verdict = Literal["false_positive", "benign", "confirmed"]
"""`benign`: unusual but all right. It clears the session like a false positive, and is a label of its own."""


Said = Literal[Verdict, "withdrawn"]
"""What people may say: `withdrawn` takes back what they said. It is no verdict, and never stands as one."""


class PersonsVerdict(Body):
    """What a person made of a finding."""

    verdict: Verdict
    reason: str
    actor: str
    at: AwareDatetime


class VerdictRequest(Ask):
    """`case`: who dismisses a drift has seen the session's whole case, and dismisses what else it is accused of
    with it; who withdraws a verdict, every one that was given with it."""

    verdict: Said
    reason: Why
    case: bool = False


class FindingView(Body):
    """A finding, what policy made of it, and what people made of that."""

    finding: Finding
    outcome: FindingOutcome
    verdict: PersonsVerdict | None = None

    @property
    def dismissed(self) -> bool:
        return self.verdict is not None and self.verdict.verdict != "confirmed"


class ListedFinding(FindingView):
    """As a list shows it; `digest` names the case of its session as it stands now, where that is asked for."""

    digest: str | None = None


class Judged(FindingView):
    """`also` are the findings of the session that were dismissed with this one, or are judged no longer, as it is;
    `unjudged` is of how many other
    drifts that people were told of it nobody has said what they were. `digest` names the case as it stands after
    that; empty where it cannot be read."""

    digest: str = ""

    also: tuple[Identifier, ...] = ()
    unjudged: int = 0


class FindingPage(Page[ListedFinding]):
    """Newest first."""


class AlertOutcome(Body):
    """What policy made of a finding: the effect it granted, whether that is what was wanted, and why."""

    effect: Effect
    allowed: bool
    note: Text = ""
    policy_ids: tuple[str, ...] = ()
    mode: Mode = "shadow"


class Became(Body):
    """What became of a finding since people were told of it: who did what (`by`, `what`, and `why` in that
    person's words), and how it stands now.

    `state` is its case's, a CaseState, or of what asked for a second person an ApprovalState. `also_revoked`: the
    kinds of what the session acts under and is revoked, whatever its state: gateways that know it refuse calls.
    `over`: nobody is expected to do anything about it any more.
    """

    at: AwareDatetime
    by: str
    what: str
    why: str = ""
    state: Annotated[str, StringConstraints(max_length=32)]
    verdict: Verdict | None = None
    over: bool
    also_revoked: tuple[SubjectType, ...] = ()


class AlertPayload(Body):
    """What waits in the alert outbox. `case` is one per session; `link` leads to its evidence. With `became` it is
    what became of a finding that was told before."""

    finding: Finding
    outcome: AlertOutcome
    link: str | None = None
    case: Identifier
    became: Became | None = None
