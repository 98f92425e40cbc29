"""What one entry of a foreign log says of one decision, in guardian's words, and how to take it out of JSON.

A format fills in what its entries say and leaves the rest empty; `completing` makes a DecisionEvent of it.
"""

import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from guardian.domain.strict_json import BEYOND, MAX_DEPTH, parse_text
from guardian.domain.text import plain
from guardian.errors import DecodeError
from guardian.sources.hostile import kind
from guardian.sources.unread import read_around, unread_in

Effect = Literal["allow", "deny"]

CARRIED = (
    "id", "time", "gateway", "tenant", "session", "delegator", "agent", "purpose", "envelope", "tool", "arguments",
    "resource", "decision", "policy_ids", "reason", "result", "records", "data_classes", "trace",
)  # fmt: skip
"""What a format may carry, by the names that `guardian sources` shows."""
OF_TRAFFIC = frozenset(CARRIED) - {"envelope", "resource", "policy_ids", "records", "data_classes"}
"""What passes by a proxy: calls and their results, and nothing of how a policy sees them."""
OF_DECISIONS = frozenset(CARRIED) - {"result"}
"""What a decision point is asked and answers: it never sees what came of the call."""


@dataclass(frozen=True, slots=True)
class Facts:
    """One decision as a log tells it. A session may be known by `session`, `token`, `conversation` or `trace`,
    best first. `masked` names what the log says that it left out; `envelope` is a whole one, as JSON.
    `contradicted` names what of an envelope said otherwise than the gateway; such a one is left out, and `another`
    is its digest.
    `claimed` names those of agent, session, conversation and trace that the agent itself says, in its message or
    its headers. `refused` says why the call cannot be judged, where the rest tells whose it is."""

    tool: str
    effect: Effect
    time: datetime | None = None
    id: str | None = None
    gateway: str | None = None
    tenant: str | None = None
    session: str | None = None
    token: str | None = None
    conversation: str | None = None
    trace: str | None = None
    delegator: str | None = None
    agent: str | None = None
    agent_version: str | None = None
    task: str | None = None
    parent: str | None = None
    purpose: str | None = None
    envelope: Mapping[str, Any] | None = None
    envelope_jws: str | None = None
    server: str | None = None
    route: str | None = None
    arguments: Mapping[str, Any] | None = None
    resource_type: str | None = None
    resource_id: str | None = None
    data_classes: tuple[str, ...] | None = None
    records: int | None = None
    policy_ids: tuple[str, ...] = ()
    reason: str = ""
    status: str | None = None
    result_records: int | None = None
    masked: tuple[str, ...] = field(default=())
    claimed: frozenset[str] = frozenset()
    contradicted: tuple[str, ...] = ()
    another: str | None = None
    refused: DecodeError | None = None

    def knows(self, name: str) -> bool:
        """Whether the log says it, and not only the agent."""
        return getattr(self, name) is not None and name not in self.claimed


def at(body: Any, *path: str) -> Any:
    """What lies at a path of keys; None where something on the way is absent or not an object."""
    for name in path:
        if not isinstance(body, dict):  # checking for the abstract Mapping takes ten times as long
            return None
        body = body.get(name)
    return body


def text(value: object) -> str | None:
    """A string that is not blank, or a number as its digits; None for anything else."""
    if isinstance(value, str):
        return value if value.strip() else None
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return str(value)
    return None


def first(*values: object) -> str | None:
    """The first of the values that `text` takes."""
    return next((said for value in values if (said := text(value)) is not None), None)


def first_there(*values: Any) -> Any:
    """The first of the values that is not null."""
    return next((value for value in values if value is not None), None)


def need(value: object, path: str) -> str:
    """A string that must be there. Raises DecodeError that says what was expected and where."""
    said = text(value)
    if said is None:
        raise expected(path, "a string", value)
    return said


def tool_of(value: object, path: str) -> dict[str, Any]:
    """`tool`, and `refused` where there is none: an agent may name none, and the rest tells whose call it is."""
    said = text(value)
    refused = None if said is not None else DecodeError("no_tool", expected(path, "a string", value).reason)
    return {"tool": said or "", "refused": refused}


def of_no_tool(why: DecodeError, effect: Effect) -> DecodeError:
    """The refusal of a call for its tool alone, as that of one that names none: an agent may name what no event
    can hold. Of one that was denied that is said too, because then an agent alone did it."""
    names = {"tenant_id": why.tenant_id, "session_id": why.session_id, "gateway": why.gateway}
    return DecodeError("no_tool" if effect == "allow" else DENIED_NO_TOOL, why.reason, **names)


def nameable(said: str) -> bool:
    """Whether an event can hold it as a name: read whole, not too long, without control characters."""
    return not unread_in(said) and _NAME.fullmatch(said) is not None


def arguments_of(value: object) -> Mapping[str, Any] | None:
    """What an agent passed, as an object. An agent may pass anything, and none of it may hide the call: what is no
    object is wrapped in one. JSON within a string is parsed (spans carry it so), with `Unread` for parts that
    cannot be read. None where there are no arguments."""
    if value is None or value == "":
        return None
    if isinstance(value, str):
        try:
            value = json_in(value)
        except DecodeError:
            return {"text": value}
    return value if isinstance(value, dict) else {"value": value}


def mapping(value: object, path: str) -> Mapping[str, Any] | None:
    """An object, also one that is JSON within a string, with `Unread` for parts that cannot be read. None where
    there is none. Raises DecodeError for anything else."""
    if value is None or value == "":
        return None
    found = value
    if isinstance(value, str):
        with suppress(DecodeError):
            found = json_in(value)
    if isinstance(found, dict) or unread_in(found):
        return found if isinstance(found, dict) else {"value": found}
    raise expected(path, "an object", value)


def json_in(said: str) -> Any:
    """The JSON value that a string holds, `Unread` where a part of it cannot be read. Raises DecodeError."""
    try:
        return parse_text(said)
    except DecodeError as error:
        try:
            return read_around(said, MAX_DEPTH)
        except (ValueError, RecursionError):
            raise error from None


def names(value: object) -> tuple[str, ...] | None:
    """The strings of a list, or one string; None where there is neither, and for a list of other things only."""
    if isinstance(value, str):
        return (value,) if value else None
    if isinstance(value, (list, tuple)):
        found = tuple(item for item in value if isinstance(item, str))
        return found if found or not value else None
    return None


def count(value: object) -> int | None:
    """A whole number from 0, also as digits in a string; to JSON, 400.0 is 400."""
    if isinstance(value, str) and _WHOLE.fullmatch(value):
        value = int(value.partition(".")[0])
    elif isinstance(value, float) and value.is_integer() and value < BEYOND:
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        return None
    return value


def moment(value: object, path: str) -> datetime | None:
    """RFC 3339 (also with nanoseconds, a space, or both an offset and a Z), or seconds, milliseconds, microseconds
    or nanoseconds since 1970, told apart by their size. A time without a zone is UTC. None where there is none."""
    if value is None or value == "":
        return None
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return _since_1970(value, path)
    if not isinstance(value, str):
        raise expected(path, "a time", value)
    try:
        number = float(value)
    except ValueError:
        return _rfc3339(value.strip(), path)
    return _since_1970(number, path)


def effect_of(value: object, path: str) -> Effect:
    """allow or deny, from a boolean or one of the usual words. Raises DecodeError for anything else."""
    if isinstance(value, bool):
        return "allow" if value else "deny"
    if isinstance(value, str):
        word = value.strip().lower()
        if word in _ALLOW:
            return "allow"
        if word in _DENY:
            return "deny"
    raise expected(path, "true, false or a word such as ALLOW or DENY", value)


def trace_of(traceparent: object) -> str | None:
    """The trace id of a W3C traceparent: any other text is none."""
    parts = traceparent.split("-") if isinstance(traceparent, str) else []
    return parts[1] if len(parts) == 4 and _TRACE.fullmatch(parts[1]) else None


def over(claims: Mapping[str, Any], told: Mapping[str, Any]) -> dict[str, Any]:
    """Facts of an agent's own message, and over them what is told around it, which is no claim of the agent's."""
    known = {name: value for name, value in told.items() if value is not None}
    return {**claims, **known, "claimed": claims.get("claimed", frozenset()) - known.keys()}


def expected(path: str, what: str, got: object) -> DecodeError:
    """What was expected where, and the type that came; never the value."""
    return DecodeError("invalid", f"{plain(path, 120)}: expected {what}, got {kind(got)}")


_ALLOW = frozenset(
    {"allow", "allowed", "permit", "permitted", "true", "yes", "grant", "granted", "accept", "success"}
)
_DENY = frozenset(
    {"deny", "denied", "forbid", "forbidden", "false", "no", "block", "blocked", "reject", "rejected", "refused"}
)  # fmt: skip
DENIED_NO_TOOL = "no_tool_denied"
_WHOLE = re.compile(r"\d{1,18}(?:\.0{1,18})?")
_TRACE = re.compile("(?!0{32})[0-9a-f]{32}")
_NAME = re.compile(r"[^\x00-\x1f\x7f]{1,512}")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECONDS_UNTIL = 1e11  # later than any date in seconds, earlier than any of this century in milliseconds


def _rfc3339(said: str, path: str) -> datetime:
    if said.endswith(("Z", "z")):
        said = said[:-1]
        said = said if said[-6:-5] in ("+", "-") and said[-3:-2] == ":" else said + "+00:00"
    try:
        read = datetime.fromisoformat(said)
    except ValueError:
        raise expected(path, "an RFC 3339 time", said) from None
    return read if read.tzinfo is not None else read.replace(tzinfo=UTC)


def _since_1970(number: float, path: str) -> datetime:
    for scale in (1, 1e3, 1e6, 1e9):
        if abs(number) / scale < _SECONDS_UNTIL:
            try:
                return _EPOCH + timedelta(seconds=number / scale)
            except OverflowError:
                break
    raise expected(path, "a time", number)
