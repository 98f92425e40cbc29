"""What waits for a second person: who asks for what, with the buttons that decide it. Pure."""

from collections.abc import Sequence
from typing import assert_never

from guardian.alerting.blocks import Block, moment, section
from guardian.alerting.buttons import button, can_be_approved, value_of
from guardian.alerting.neutralise import code, prose
from guardian.wire.approvals import ApprovalView

_ASKED = 3
_ROOM = {"arguments": 600}


def approvals(case: str, waiting: Sequence[ApprovalView], digest: str, share: float) -> list[Block]:
    """The first requests, each with its buttons. They belong to the case as it was with this digest."""
    shown: list[Block] = []
    for approval in waiting[:_ASKED]:
        until = moment(approval.expires_at)
        shown.append(
            section(
                f"*Approval needed* · {asked(approval)} (expires {until})\n"
                f"{prose(approval.reason, int(400 * share))}"
            )
        )
        told = value_of(case, digest, approval.id)
        pair = [button("approve", "Approve …", told, style="primary")] if can_be_approved(approval) else []
        pair.append(button("deny", "Deny …", told))
        shown.append({"type": "actions", "block_id": f"approval:{approval.id}"[:255], "elements": pair})
    if len(waiting) > _ASKED:
        shown.append(section("More requests are waiting: `guardian approvals`"))
    return shown


def asked(approval: ApprovalView) -> str:
    """Who asks for what: the act itself, and not only the words of whoever asks."""
    return f"{prose(approval.proposer, 80)} asks to {_wish(approval)}"


def _wish(approval: ApprovalView) -> str:
    exactly = ", ".join(
        f"{name} {code(told, _ROOM.get(name, 120))}" for name, told in approval.particulars.items()
    )
    exactly = exactly or "it is not known which"
    match approval.action:
        case "revoke":
            return "revoke the session"
        case "reinstate":
            return "reinstate the session"
        case "setMode":
            return f"change what guardian may do by itself: {exactly}"
        case "permitCall":
            return f"let one held call through: {exactly}"
        case _:
            assert_never(approval.action)
