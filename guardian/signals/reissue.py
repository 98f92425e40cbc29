"""The first envelope that a session showed, in brief, and in what later ones exceed it. Pure and bounded.

Kept as plain data: at most 128 tools; a tool name beyond 128 characters is kept as its digest.
"""

import hashlib
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from guardian.domain.event import Envelope
from guardian.signals.narrowing import Widening
from guardian.signals.wording import covers, shown, words

_MAX_TOOLS = 128
_TOOL_CHARS = 128
_LISTED = 5


def essence(envelope: Envelope) -> dict[str, Any]:
    """What is remembered of an envelope: its tools and how many they were, purpose by digest, expiry."""
    tools = sorted({_kept(tool) for tool in envelope.allowed_tools})
    return {
        "tools": tools[:_MAX_TOOLS],
        "count": len(tools),
        "purpose": _purpose(envelope),
        "expires": envelope.expires_at.isoformat() if envelope.expires_at is not None else None,
    }


def growth(first: Mapping[str, Any], envelope: Envelope) -> Iterator[Widening]:
    """In what `envelope` exceeds the first one of its session."""
    yield from _tools(first, envelope)
    if _purpose(envelope) != first["purpose"]:
        detail = f'this session was issued for another purpose than "{shown(envelope.purpose)}"'
        yield Widening("reissued_purpose", detail)
    expires = first["expires"]
    if expires is None:
        return
    if envelope.expires_at is None:
        yield Widening("reissued_expiry", f"this session was issued until {expires}, now it never expires")
    elif envelope.expires_at > datetime.fromisoformat(expires):
        detail = f"this session was issued until {expires}, now until {envelope.expires_at.isoformat()}"
        yield Widening("reissued_expiry", detail)


def _tools(first: Mapping[str, Any], envelope: Envelope) -> Iterator[Widening]:
    before, now = first["tools"], sorted({_kept(tool) for tool in envelope.allowed_tools})
    if before and not now:
        yield Widening("reissued_tools", "this session was issued with a list of tools, now it lists none")
        return
    if not before or now == before:
        return
    more = [tool for tool in now if not any(covers(entry, tool) for entry in before)]
    cut = first["count"] > len(before)  # then only a longer list is certain to hold something new
    if more and (not cut or len(now) > first["count"]):
        said = ", ".join(shown(tool, 60) for tool in more[:_LISTED])
        rest = f" and {len(more) - _LISTED} more" if len(more) > _LISTED else ""
        yield Widening("reissued_tools", f"this session was issued without {said}{rest}")


def _kept(tool: str) -> str:
    return tool if len(tool) <= _TOOL_CHARS else "#" + _digest(tool)


def _purpose(envelope: Envelope) -> str:
    return _digest(" ".join(words(envelope.purpose)))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]
