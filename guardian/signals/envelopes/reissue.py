"""The first envelope that a session showed, in brief, and where later ones exceed it. Pure and bounded.

It is kept as plain data: the first 128 tools of the alphabet and, where there are more, a digest of all; a name
of more than 128 characters as its digest, and so constraints of more than 8,192, whatever the order of their
lists. Delegator, parent, purpose and constraints can only be compared under the same redaction rules: what was
kept under others, or by an earlier version, is taken anew.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from guardian.domain.breach import marks
from guardian.domain.envelope import UNTOLD, Envelope
from guardian.domain.signal import Observation
from guardian.domain.strict_json import canonical_json
from guardian.domain.text import some
from guardian.domain.wildcards import covers
from guardian.signals.envelopes.comparing import spend
from guardian.signals.envelopes.covering import spelt
from guardian.signals.envelopes.exceeding import ANYTHING, exceeding, outlives
from guardian.signals.envelopes.narrowing import Widening, in_one_spelling
from guardian.signals.envelopes.principals import bare
from guardian.signals.words.constraints import read
from guardian.signals.words.wording import shown, words

_MAX_TOOLS = 128
_TOOL_CHARS = 128
_CONSTRAINT_CHARS = 8_192
_LISTED = 5
_NEVER_REDACTED = ("tools", "count", "all", "expires")


def essence(seen: Observation) -> dict[str, Any]:
    """What is remembered of an envelope: its tools and their number, its constraints and expiry; and as digests
    its purpose, delegator, parent and the rules by which it was redacted."""
    envelope = seen.event.envelope
    tools = sorted({_kept(tool) for tool in envelope.allowed_tools})
    return {
        "tools": tools[:_MAX_TOOLS],
        "count": len(tools),
        **({"all": _all(tools)} if len(tools) > _MAX_TOOLS else {}),
        "purpose": _purpose(envelope),
        "expires": envelope.expires_at.isoformat() if envelope.expires_at is not None else None,
        "constraints": _constraints(envelope),
        "delegator": _delegator(seen),
        "parent": _parent(envelope),
        "rules": _rules(seen.redacted),
    }


def remembered(first: Mapping[str, Any] | None, seen: Observation) -> Mapping[str, Any]:
    """The first envelope's essence, with the first delegator that is told. What was kept under other redaction
    rules is replaced by this envelope's."""
    if first is None:
        return essence(seen)
    if first.get("rules") == _rules(seen.redacted):
        return first if first["delegator"] is not None else {**first, "delegator": _delegator(seen)}
    anew = {name: kept for name, kept in essence(seen).items() if name not in _NEVER_REDACTED}
    return {**{name: kept for name, kept in first.items() if name in _NEVER_REDACTED}, **anew}


def growth(first: Mapping[str, Any], seen: Observation) -> Iterator[Widening]:
    """Where an envelope exceeds the first one of its session. What other rules of redaction may have changed in
    the first one is not compared."""
    envelope = seen.event.envelope
    yield from _tools(first, envelope, seen.spelling)
    if first.get("rules") == _rules(seen.redacted):
        yield from _bounds(first["constraints"], seen)
        yield from _people(first, seen)
        if _purpose(envelope) != first["purpose"]:
            detail = f'this session was issued for another purpose than "{shown(envelope.purpose)}"'
            yield Widening("reissued_purpose", detail, marks([_purpose(envelope)]))
    expires = first["expires"]
    if expires is None:
        return
    if envelope.expires_at is None:
        yield Widening(_lasting(seen), f"this session was issued until {expires}, now it never expires")
    elif outlives(envelope.expires_at, datetime.fromisoformat(expires)):
        detail = f"this session was issued until {expires}, now until {envelope.expires_at.isoformat()}"
        yield Widening(_lasting(seen), detail)


def _lasting(seen: Observation) -> str:
    """What a later end breaks: who stands for an envelope stands for how long it holds."""
    return "renewed" if seen.issued else "reissued_expiry"


def _tools(first: Mapping[str, Any], envelope: Envelope, spelling: Mapping[str, str]) -> Iterator[Widening]:
    before, now = first["tools"], sorted({_kept(tool) for tool in envelope.allowed_tools})
    if ANYTHING in before:
        return
    if before and not now:
        detail = "this session was issued with a list of tools, now it lists none"
        yield Widening("reissued_tools", detail, marks([ANYTHING]))
        return
    unclear = list(_other(first, now))
    if not before or (now[:_MAX_TOOLS] == before and len(now) <= first["count"]):
        yield from unclear  # what more there is of a list that was cut may be what was not kept
        return
    now, before = map(sorted, in_one_spelling(now, before, spelling))
    held, wild = frozenset(before), [entry for entry in before if "*" in entry]
    beyond = (tool for tool in now if tool not in held)
    more = [tool for tool in beyond if spend(len(wild), tool) and not any(covers(entry, tool) for entry in wild)]
    if len(first["tools"]) < first["count"] >= len(now):  # cut: what would stand among those that were kept is new
        kept = first["tools"] if before == first["tools"] else [""]  # spelt otherwise they have another order
        unsure, more = more, [tool for tool in more if tool < kept[-1]]
        if unsure and not more:
            yield from unclear
    if more:
        said = some(more, _LISTED, lambda tool: shown(tool, 60))
        yield Widening("reissued_tools", f"this session was issued without {said}", marks(more))


def _other(first: Mapping[str, Any], now: list[str]) -> Iterator[Widening]:
    """That a list which was cut is another one; an earlier version kept nothing to tell that by."""
    if "all" in first and first["all"] != (mark := _all(now)):
        detail = "this session was issued with other tools, too many to keep"
        yield Widening("reissued_unclear", detail, marks([mark]))


def _bounds(before: str, seen: Observation) -> Iterator[Widening]:
    envelope, redacted = seen.event.envelope, seen.redacted
    now = _constraints(envelope)
    if now == before:
        return
    if before.startswith("#"):
        detail = "this session was issued with other constraints, too long to keep"
        yield Widening("reissued_unclear", detail, marks([now]))
        return
    for kind, detail, about, sure in exceeding(
        read(envelope.resource_constraints, redacted), read(json.loads(before), redacted)
    ):
        if kind in ("expiry", "moments"):
            rule = _lasting(seen) if kind == "expiry" else "reissued_expiry"
            yield Widening(rule, f"this session was issued until another time: {detail}")
        elif sure:
            yield Widening(f"reissued_{kind}", f"this session was issued with less: {detail}", about)
        else:
            yield Widening("reissued_unclear", f"this session was perhaps issued with less: {detail}", about)


def _people(first: Mapping[str, Any], seen: Observation) -> Iterator[Widening]:
    envelope, delegator, parent = seen.event.envelope, first["delegator"], first["parent"]
    mine, as_it_stands = _delegator(seen), _digest(envelope.delegator_id)  # which earlier versions kept
    if None not in (delegator, mine) and delegator not in (mine, as_it_stands):
        detail = f"this session was issued for another person than {shown(envelope.delegator_id)}"
        yield Widening("reissued_delegator", detail, marks([bare(envelope.delegator_id)]))
    if parent is not None and _parent(envelope) != parent:
        named = envelope.parent_session_id
        now = "it names none" if named is None else f"it names {shown(named)}"
        detail = f"this session was issued below another parent, now {now}"
        yield Widening("reissued_parent", detail, marks([named or ""]))


def _constraints(envelope: Envelope) -> str:
    told = canonical_json(envelope.resource_constraints)
    if len(told) <= _CONSTRAINT_CHARS:
        return told
    return "#" + _digest(canonical_json(_ordered(envelope.resource_constraints)))


def _ordered(value: Any) -> Any:
    """The same with lists of scalars in one order: they are sets of what is allowed."""
    if isinstance(value, Mapping):
        return {key: _ordered(item) for key, item in value.items()}
    if not isinstance(value, (list, tuple)):
        return value
    plain = not any(isinstance(item, (Mapping, list, tuple)) for item in value)
    return sorted(value, key=canonical_json) if plain else [_ordered(item) for item in value]


def _rules(redacted: Mapping[str, str]) -> str:
    return _digest(canonical_json(dict(redacted)))


def _delegator(seen: Observation) -> str | None:
    told = seen.event.envelope.delegator_id
    return _digest(spelt(told)) if seen.event.names_delegator and told != UNTOLD else None


def _parent(envelope: Envelope) -> str | None:
    return None if envelope.parent_session_id is None else _digest(envelope.parent_session_id)


def _all(tools: list[str]) -> str:
    return _digest("\n".join(tools))


def _kept(tool: str) -> str:
    return tool if len(tool) <= _TOOL_CHARS else "#" + _digest(tool)


def _purpose(envelope: Envelope) -> str:
    return _digest(" ".join(words(envelope.purpose)))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]
