"""People's verdicts as data: labels for calibration, training and notebooks."""

from typing import Literal

from pydantic import AwareDatetime, Field

from guardian.domain.identity import Identifier
from guardian.wire.base import Body, Page
from guardian.wire.findings import Verdict


class FeedbackRow(Body):
    """One judged finding, flat.

    drift           the label for training: 1 for confirmed, else 0; null where the verdict does not say whether
                    the session left its purpose: on a grant, or confirmed for a broken rule alone
    session_honest  every drift of its session was judged, and none confirmed: such sessions may calibrate
    signals, shares  the values that the finding was made of, and their parts of the score
    """

    finding_id: Identifier
    tenant_id: Identifier
    session_id: Identifier
    kind: str
    label: Verdict
    drift: Literal[0, 1] | None
    session_honest: bool
    reason: str
    judged_by: str
    judged_at: AwareDatetime
    found_at: AwareDatetime
    effect: str
    purpose: str = ""
    agent_id: str | None = None
    tool: str = ""
    arguments: str = ""
    signals: dict[str, float] = Field(default_factory=dict)
    shares: dict[str, float] = Field(default_factory=dict)
    breaches: tuple[str, ...] = ()
    one_in: float = 1.0
    score: float = 0.0
    versions: dict[str, str] = Field(default_factory=dict)


class FeedbackPage(Page[FeedbackRow]):
    """Newest finding first."""
