"""What waits for a second person: who asks for what, with the buttons that decide it. Pure."""

from collections.abc import Sequence
from typing import assert_never

from guardian.alerting.block_kit import Block, section
from guardian.alerting.buttons import button, kept_from_approval, value_of
from guardian.alerting.neutralise import code, codes, prose
from guardian.domain.text import moment
from guardian.wire.approvals import ApprovalView

_ASKED = 3
_ROOM = {"arguments": 600}
_SPAN = 2900  # of the 3,000 characters of a section


def approvals(case: str, waiting: Sequence[ApprovalView], digest: str, share: float) -> list[Block]:
    """The first requests, each with its buttons. They belong to the case as it was with this digest."""
    shown: list[Block] = []
    for approval in waiting[:_ASKED]:
        until = moment(approval.expires_at)
        shown.append(
            section(
                f"*Approval needed* · {asked(approval)}{_particulars(approval)} (expires {until})\n"
                f"{prose(approval.reason, int(400 * share))}"
            )
        )
        told = value_of(case, digest, approval.id)
        pair = [] if kept_from_approval(approval) else [button("approve", "Approve …", told, style="primary")]
        pair.append(button("deny", "Deny …", told))
        shown.append({"type": "actions", "block_id": f"approval:{approval.id}"[:255], "elements": pair})
    if len(waiting) > _ASKED:
        shown.append(section("More requests are waiting: `guardian approvals`"))
    return shown


def asked(approval: ApprovalView) -> str:
    """Who asks for what: the act itself, and not only the words of whoever asks."""
    return f"{prose(approval.proposer, 80)} asks to {_wish(approval)}"


def in_full(approval: ApprovalView) -> list[Block]:
    """Every particular, whole: whoever may approve is shown all that is known of what would be done. Of what
    nobody can approve the beginnings, so that a form which opens is left to deny it."""
    shown, why = [], kept_from_approval(approval)
    for name, told in approval.particulars.items():
        first, *more = codes(told, _SPAN)
        shown += [section(f"{prose(name, 60)} {first}"), *map(section, () if why else more)]
    if why:
        shown.append(section(f"Nobody can approve it: {why}"))
    return shown


def _particulars(approval: ApprovalView) -> str:
    """As many as a message has room for; it says where that is not all."""
    if approval.action in ("revoke", "reinstate"):
        return ""
    told = [(name, text, _ROOM.get(name, 120)) for name, text in approval.particulars.items()]
    exactly = ", ".join(f"{name} {code(text, room)}" for name, text, room in told) or "it is not known which"
    if why := kept_from_approval(approval):
        return f": {exactly}. *Nobody can approve it: {why}*"
    cut = any(codes(text, _SPAN) != [code(text, room)] for _, text, room in told)
    return f": {exactly}" + (". *Cut here: `Approve …` shows all of it*" if cut else "")


def _wish(approval: ApprovalView) -> str:
    match approval.action:
        case "revoke":
            return "revoke the session"
        case "reinstate":
            return "reinstate the session"
        case "setMode":
            return "change what guardian may do by itself"
        case "permitCall":
            return "let one held call through"
        case _:
            assert_never(approval.action)
