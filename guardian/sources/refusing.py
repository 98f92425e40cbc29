"""Refusals: whose what cannot be read is, as far as that can still be told, and how the fuse is to count it."""

from collections.abc import Callable, Mapping
from typing import Any

from guardian.domain.envelope import UNTOLD
from guardian.domain.record import Record
from guardian.errors import DecodeError
from guardian.sources.completing import Completion
from guardian.sources.facts import DENIED_NO_TOOL, Facts, at, first, of_no_tool
from guardian.sources.guardian import name_of, placed
from guardian.sources.hostile import agents_own
from guardian.sources.json_rpc import lower
from guardian.sources.partly import Partly
from guardian.sources.session_names import known_as
from guardian.sources.unread import SESSION_NAMES, TENANT_NAMES, unread_in

_NAMELESS = ("no_session", "no_tool")
_TOLD_APART = (*_NAMELESS, "nobody", DENIED_NO_TOOL)
"""The refusals that the fuse counts otherwise than the rest, whatever else is unread."""


def salvaged(completion: Completion, record: Record, error: DecodeError, body: Any) -> DecodeError:
    """The refusal with the gateway, tenant and session that the error or the entry still names."""
    levels = [body] if isinstance(body, Mapping) and not agents_own(body) else []
    for key in ("context", "envelope", "attributes"):
        levels += [level[key] for level in levels[:1] if isinstance(level.get(key), dict)]

    def named(*keys: str, read: Callable[[object], object] = lambda value: value) -> str | None:
        said = (name_of(read(level.get(key))) for level in levels for key in keys)
        return next((name for name in said if name not in (None, UNTOLD)), None)  # Envoy writes it so too

    gateway = name_of(completion.sender(record, error.gateway or named("gateway")))
    refused = DecodeError(
        error.code,
        error.reason,
        tenant_id=name_of(completion.owner(gateway, error.tenant_id or named(*TENANT_NAMES))),
        session_id=error.session_id or named(*SESSION_NAMES, read=known_as),
        gateway=gateway,
    )
    return placed(refused, record)


def whose(batch: Mapping[str, Any]) -> dict[str, Any]:
    """The batch with the session that it names by an object, or by an HTTP header, where it does not by a plain
    name: what is not read of it is that session's, and an agent chooses how long a batch is."""
    named = first(at(batch, "session", "id"), lower(batch.get("headers")).get("mcp-session-id"))
    return {"mcp.session.id": named, **batch}


def nobodys(error: DecodeError, facts: Facts) -> DecodeError:
    """The refusal. Of a call that was denied it says so: that it is nobody's where it names no session, else that
    it named no tool."""
    if error.code not in _NAMELESS or facts.effect == "allow":
        return error
    if error.session_id is not None:
        return of_no_tool(error, facts.effect)
    return DecodeError("nobody", error.reason, tenant_id=error.tenant_id, gateway=error.gateway)


def unread_rather(error: DecodeError, entry: Any, part: Partly | None) -> DecodeError:
    """The error; or that a part of the entry is unread, which may be what caused the error."""
    if part is None or not unread_in(entry):
        return error
    if not isinstance(entry, Mapping):
        return part.why
    names = {"tenant_id": error.tenant_id, "session_id": error.session_id, "gateway": error.gateway}
    code = error.code if error.code in _TOLD_APART else part.why.code
    return DecodeError(code, part.why.reason, **names)
