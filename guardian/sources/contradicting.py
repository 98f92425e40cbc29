"""An envelope beside which the record says otherwise: the gateway's word counts, an agent may have brought it."""

import dataclasses
import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

from guardian.domain.identity import NAMELESS
from guardian.sources.facts import Facts
from guardian.sources.session_names import known_as


def settled(facts: Facts, window: str | None) -> Facts:
    """The facts; without their envelope where that is another's, and `contradicted` then says in which fields. It
    is where the gateway names another tenant or session. Agents and people are not compared: tokens and envelopes
    often name them differently. `window` is what the gateway's agent and user alone would name the session."""
    if facts.envelope is None:
        return facts
    found = tuple(_against(facts, facts.envelope, window))
    if not found:
        return facts
    digest = hashlib.sha256(json.dumps(facts.envelope, sort_keys=True, default=repr).encode()).hexdigest()
    return dataclasses.replace(facts, envelope=None, envelope_jws=None, contradicted=found, another=digest)


def _against(facts: Facts, envelope: Mapping[str, Any], window: str | None) -> Iterator[str]:
    session, told = known_as(facts.session) if facts.knows("session") else None, envelope.get("session_id")
    if facts.tenant and envelope.get("tenant_id") not in (None, "", facts.tenant):
        yield "tenant_id"
    if session is not None:
        if told not in (None, "", session) and known_as(told) != session:
            yield "session_id"
    elif isinstance(told, str) and told.startswith(NAMELESS) and told != window:
        yield "session_id"
