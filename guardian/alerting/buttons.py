"""The buttons of a case. Pure.

A button's value holds the case's key and the digest of what is shown, so that a click on an outdated message is
recognised.
"""

from guardian.alerting.block_kit import Block, literal
from guardian.domain.finding import OPERATORS, Finding, Kind
from guardian.domain.text import is_cut_off, visible
from guardian.wire.approvals import ApprovalView
from guardian.wire.cases import CaseView

PREFIX = "guardian:"
_MOST_SHOWN = 16_000
"""Characters of all particulars, with what hides in them spelt out: a form of Slack's and a page show so many."""


def of_no_session(finding: Finding) -> bool:
    """Whether there is nothing to revoke: it is about the log or the calibration, or a record named a session of
    a tenant for which its gateway may not speak. The operators hear of that under their own tenant, which has no
    such session."""
    return finding.kind in (Kind.BUS, Kind.CALIBRATION) or (
        finding.tenant_id == OPERATORS and finding.subject is None
    )


def button(verb: str, text: str, value: str, *, style: str = "", confirm: Block | None = None) -> Block:
    """One button; `confirm` is a question to answer before the click counts."""
    made: Block = {
        "type": "button",
        "action_id": PREFIX + verb,
        "text": literal(text),
        "value": value,
    }
    if style:
        made["style"] = style
    if confirm is not None:
        made["confirm"] = confirm
    return made


def value_of(case: str, digest: str, approval: str = "") -> str:
    """What a button carries: the case, the digest of what was shown, and the approval if it is about one."""
    return ".".join((case, digest, approval))


def kept_from_approval(approval: ApprovalView) -> str:
    """Why nobody may approve it, in words; empty where whoever does is shown all that it would do. Of a mode or a
    call every particular counts: what is left out may be the very thing that the asker wants to pass unseen."""
    if approval.action in ("revoke", "reinstate"):
        return ""
    told = approval.particulars.values()
    if not told:
        return "what would be done is not known"
    too_long = any(map(is_cut_off, told)) or sum(len(visible(each)) for each in told) > _MOST_SHOWN
    return "it is too long to be shown whole" if too_long else ""


def beneath(case: str, view: CaseView) -> Block:
    """The acts that fit how the case stands."""
    told = value_of(case, view.digest)
    revoke = [button("revoke", "Revoke now", told, style="danger", confirm=_sure())]
    if of_no_session(view.shown.finding):
        revoke = []
    reinstate = button("reinstate", "Reinstate …", told)
    verdict = button("verdict", "Give a verdict …", told)
    snooze = button("snooze", "Snooze …", told)
    take = button("take", "I take it" if view.taken_by is None else "Take over", told)
    note = button("note", "Note …", told)
    fine = [button("except", "Make an exception …", told)] if view.excusable else []
    evidence = button("evidence", "Show evidence", told)
    match view.state:
        case "revoked":
            chosen = [reinstate, verdict, note, evidence]
        case "reinstated":
            chosen = [*revoke, *fine, note, evidence]
        case "dismissed":
            chosen = [*revoke, verdict, *fine, note, evidence]
        case _:
            chosen = [*revoke, take, verdict, snooze, *fine, note, evidence]
    return {"type": "actions", "block_id": "acts", "elements": chosen}


def _sure() -> Block:
    return {
        "title": {"type": "plain_text", "text": "Revoke this session?"},
        "text": {
            "type": "plain_text",
            "text": "If policy permits it, every gateway that follows the list refuses the session's next call.",
        },
        "confirm": {"type": "plain_text", "text": "Revoke"},
        "deny": {"type": "plain_text", "text": "Cancel"},
        "style": "danger",
    }
