"""Acts that take two: put up by one principal, decided by another, applied when policy then says yes."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from guardian.control.deps import ControlDeps
from guardian.policy.port import PolicyDecision, PolicyRequest
from guardian.store.control import ControlRows
from guardian.wire.approvals import ApprovalView


def put_up(
    deps: ControlDeps,
    rows: ControlRows,
    asked: PolicyRequest,
    refused: PolicyDecision,
    *,
    act: Mapping[str, Any],
    reason: str,
    now: datetime,
    finding_id: str | None = None,
) -> ApprovalView | None:
    """Put a refused act up for a second person, if that is all that stands in its way.

    None when policy would refuse it also with a second person's word, when the asker may not propose, or when
    too many of the tenant's acts wait already. The same act that waits already is not put up twice: the one
    that waits is returned.
    """
    raise NotImplementedError
