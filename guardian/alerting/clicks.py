"""What people do in Slack, as a value: a button, a filled-in form, or a slash command. Pure.

Slack's payloads are checked like any other input: one of the wrong shape is a BadClick, never a crash. That it
came from Slack was proven before (`slack_signature`, or the Socket Mode connection). What it may do is decided
afterwards, by policy.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args
from urllib.parse import parse_qs

from guardian.alerting.buttons import PREFIX
from guardian.errors import GuardianError

ActVerb = Literal[
    "revoke", "reinstate", "approve", "deny", "verdict", "snooze", "take", "note", "except", "evidence"
]
VERBS: frozenset[str] = frozenset(get_args(ActVerb))
_ID = re.compile(r"[A-Z0-9]{2,40}")
_VALUE = re.compile(r"(?P<case>[A-Za-z0-9_]{1,128})\.(?P<seen>[a-z0-9]{1,64})\.(?P<approval>[A-Za-z0-9_]{0,64})")
_MOST_FIELDS, _LONGEST = 20, 3000


class BadClick(GuardianError):
    """A payload that no button, form or command of guardian's makes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Click:
    """One thing that one person did. `user` is Slack's id of the person.

    `verb` says what; it is None for what guardian does not handle (a link, another app's block). `case`, `seen`
    and `approval` come from the button: which case, the digest of what was shown, which request. `fields` are a
    form's, `text` is a command's. `trigger` opens a form within three seconds; `answer_url` takes an answer for
    half an hour.
    """

    kind: Literal["button", "form", "command"]
    user: str
    verb: str | None = None
    case: str = ""
    seen: str = ""
    approval: str = ""
    channel: str = ""
    trigger: str = ""
    answer_url: str = ""
    text: str = ""
    fields: Mapping[str, str] = field(default_factory=dict)


def from_interaction(payload: Any) -> Click:
    """A block_actions or view_submission payload. Raises BadClick."""
    match _text(payload, "type"):
        case "block_actions":
            return _button(payload)
        case "view_submission":
            return _form(payload)
        case other:
            raise BadClick(f"{other[:40]!r} is no payload that guardian asks for")


def from_form_body(body: bytes) -> Any:
    """The JSON in an interaction's `payload` field. Raises BadClick."""
    fields = form_fields(body)
    if set(fields) != {"payload"}:
        raise BadClick("an interaction is one form field called payload")
    try:
        return json.loads(fields["payload"])
    except (ValueError, RecursionError) as error:
        raise BadClick("payload is not JSON") from error


def form_fields(body: bytes) -> dict[str, str]:
    """A form's fields, each once. Raises BadClick."""
    try:
        parsed = parse_qs(
            body.decode("ascii"), strict_parsing=True, errors="strict", max_num_fields=_MOST_FIELDS,
            keep_blank_values=True,
        )  # fmt: skip
    except (UnicodeDecodeError, ValueError) as error:
        raise BadClick("the body is no URL-encoded form") from error
    if any(len(values) != 1 for values in parsed.values()):
        raise BadClick("a field of the form stands there twice")
    return {name: values[0] for name, values in parsed.items()}


def from_command(fields: Any) -> Click:
    """A slash command's fields, from a form or over Socket Mode. Raises BadClick."""
    return Click(
        kind="command",
        user=_id(fields, "user_id"),
        channel=_id(fields, "channel_id"),
        trigger=_text(fields, "trigger_id", ""),
        answer_url=_text(fields, "response_url", ""),
        text=_as_typed(_text(fields, "text", "")),
    )


def _as_typed(text: str) -> str:
    """Slack sends these three as entities, and no other character."""
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def _button(payload: Any) -> Click:
    actions = _get(payload, "actions")
    if not isinstance(actions, list) or len(actions) != 1:
        raise BadClick("a click is exactly one action")
    action, user = actions[0], _get(payload, "user")
    action_id = _text(action, "action_id")
    verb = action_id.removeprefix(PREFIX) if action_id.startswith(PREFIX) else None
    common: dict[str, Any] = {
        "user": _id(user, "id"),
        "channel": _id(_get(payload, "channel", {}), "id", ""),
        "trigger": _text(payload, "trigger_id", ""),
        "answer_url": _text(payload, "response_url", ""),
    }
    if verb not in VERBS:
        return Click(kind="button", **common)
    return Click(kind="button", verb=verb, **common, **_told(_text(action, "value")))


def _form(payload: Any) -> Click:
    view, user = _get(payload, "view"), _get(payload, "user")
    verb = _text(view, "callback_id").removeprefix(PREFIX)
    if verb not in VERBS:
        raise BadClick("a form that guardian does not have")
    try:
        kept = json.loads(_text(view, "private_metadata"))
    except (ValueError, RecursionError) as error:
        raise BadClick("private_metadata is not JSON") from error
    return Click(
        kind="form",
        verb=verb,
        user=_id(user, "id"),
        channel=_id(kept, "channel", ""),
        fields=_filled_in(_get(_get(view, "state"), "values")),
        **_told(_text(kept, "value")),
    )


def _filled_in(values: Any) -> dict[str, str]:
    """A form's fields by block id: typed text, or the value that was chosen."""
    if not isinstance(values, dict) or len(values) > _MOST_FIELDS:
        raise BadClick("a form has some named fields")
    found: dict[str, str] = {}
    for name, block in values.items():
        elements = list(block.values()) if isinstance(block, dict) else []
        if len(elements) != 1 or not isinstance(elements[0], dict):
            raise BadClick("a field of a form holds one element")
        element = elements[0]
        chosen = element.get("selected_option")
        value = element.get("value") if chosen is None else _get(chosen, "value")
        found[str(name)[:100]] = "" if value is None else _bounded(value)
    return found


def _told(value: str) -> dict[str, Any]:
    match = _VALUE.fullmatch(value)
    if match is None:
        raise BadClick("a value that stood on none of guardian's buttons")
    return match.groupdict()


_ABSENT: Any = object()


def _get(value: Any, name: str, default: Any = _ABSENT) -> Any:
    found = value.get(name, default) if isinstance(value, dict) else default
    if found is _ABSENT:
        raise BadClick(f"{name} is missing")
    return found


def _text(value: Any, name: str, default: Any = _ABSENT) -> str:
    return _bounded(_get(value, name, default), name)


def _bounded(value: Any, name: str = "a field") -> str:
    if not isinstance(value, str) or len(value) > _LONGEST:
        raise BadClick(f"{name} must be text of at most {_LONGEST} characters")
    return value


def _id(value: Any, name: str, default: Any = _ABSENT) -> str:
    found = _text(value, name, default)
    if found and not _ID.fullmatch(found):
        raise BadClick(f"{name} is no Slack id")
    if not found and default is _ABSENT:
        raise BadClick(f"{name} is empty")
    return found
