"""The forms behind the buttons, and the page of evidence: Slack views. Pure."""

import json
from collections.abc import Sequence

from guardian.alerting.block_kit import Block, literal, section
from guardian.alerting.buttons import PREFIX, value_of
from guardian.alerting.case_blocks import evidence
from guardian.alerting.clicks import Click
from guardian.alerting.neutralise import code
from guardian.alerting.port import Alert
from guardian.domain.text import plain
from guardian.wire.cases import CaseEvent

_BLOCKS = 100  # of a view
_TITLES = {
    "reinstate": "Reinstate the session",
    "approve": "Approve the request",
    "deny": "Deny the request",
    "verdict": "Give a verdict",
    "snooze": "Snooze the case",
    "note": "Leave a note",
    "except": "Make an exception",
}
_SUBMIT = {
    "reinstate": "Reinstate",
    "approve": "Approve",
    "deny": "Deny",
    "verdict": "Save",
    "snooze": "Snooze",
    "note": "Save",
    "except": "Make the exception",
}
_INTRO = {
    "reinstate": "The session is given back: at once, or where policy requires a second person, when that one has "
    "approved.",
    "approve": "What was asked for is done at once, if policy still permits it.",
    "deny": "What was asked for is not done.",
    "verdict": "Your verdict goes back to the monitor and is kept as a label for calibration and training. "
    "A revoked session stays revoked: to give it back, use `Reinstate`.",
    "snooze": "No reminders and no replies until then, unless the case becomes worse. Guardian goes on judging "
    "and revoking.",
    "note": "For whoever looks at the case next. It changes nothing else.",
    "except": "Until the exception ends, guardian does not flag these tools for this purpose in this tenant on "
    "statistics alone. You are its owner. It never covers a broken rule, nor evidence strong enough to revoke on.",
}
VERDICTS = {
    "false_positive": "False positive: guardian was wrong",
    "benign": "Unusual, but all right",
    "confirmed": "Confirmed: guardian was right",
}
TAKE_BACK = {"withdrawn": "Take the last verdict back: as if nobody had judged it"}
_HOURS = {"1": "1 hour", "4": "4 hours", "8": "8 hours", "24": "24 hours"}
_DAYS = {"7": "a week", "14": "two weeks", "30": "30 days", "90": "90 days"}


def form(
    click: Click,
    about: str,
    *,
    whole: Sequence[Block] = (),
    tool: str = "",
    family: str = "",
    judged: bool = False,
) -> Block:
    """The form that a button opens. It keeps the button's value and the channel to answer in.

    `about` says in a line of Slack's markup what is acted on, and `whole` shows all of it; `tool` is suggested for
    an exception, and `family` is the purpose that it will cover. `judged`: there is a verdict to take back.
    """
    assert click.verb is not None  # noqa: S101 - only verbs open forms
    inputs: list[Block] = []
    match click.verb:
        case "verdict":
            inputs.append(_choice("verdict", "Your verdict", VERDICTS | TAKE_BACK if judged else VERDICTS))
        case "snooze":
            inputs.append(_choice("hours", "For how long", _HOURS, "4"))
        case "except":
            about += f"\nThis purpose, names and numbers left out: {code(family or 'none', 200)}"
            inputs.append(_line("tool", "Tool: a name, or the start of one and a *", plain(tool, 200)))
            inputs.append(_choice("days", "For how long", _DAYS, "14"))
        case _:
            pass
    value = value_of(click.case, click.seen, click.approval)
    return {
        "type": "modal",
        "callback_id": PREFIX + click.verb,
        "title": literal(_TITLES[click.verb]),
        "submit": literal(_SUBMIT[click.verb]),
        "close": literal("Cancel"),
        "private_metadata": json.dumps({"value": value, "channel": click.channel}),
        "blocks": [section(f"{about}\n{_INTRO[click.verb]}"), *whole[: _BLOCKS - 10], *inputs, _reason()],
    }


def page(alert: Alert, events: Sequence[CaseEvent]) -> Block:
    """All the evidence of a case, to read."""
    return {
        "type": "modal",
        "title": literal("Evidence"),
        "close": literal("Close"),
        "blocks": evidence(alert, events)[:_BLOCKS],
    }


def _reason() -> Block:
    element = {
        "type": "plain_text_input",
        "action_id": "it",
        "multiline": True,
        "min_length": 1,
        "max_length": 900,
    }
    return {
        "type": "input",
        "block_id": "reason",
        "label": literal("Reason (audited, and shown to others)"),
        "element": element,
    }


def _line(name: str, label: str, value: str) -> Block:
    element: Block = {"type": "plain_text_input", "action_id": "it", "max_length": 200}
    if value:
        element["initial_value"] = value
    return {"type": "input", "block_id": name, "label": literal(label), "element": element}


def _choice(name: str, label: str, options: dict[str, str], initial: str | None = None) -> Block:
    listed = {value: {"text": literal(text), "value": value} for value, text in options.items()}
    element: Block = {"type": "static_select", "action_id": "it", "options": [*listed.values()]}
    if initial is not None:
        element["initial_option"] = listed[initial]
    return {"type": "input", "block_id": name, "label": literal(label), "element": element}
