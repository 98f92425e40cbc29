"""An envelope beside which the record says otherwise: the gateway's word counts, an agent may have brought it."""

import dataclasses
import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

from guardian.domain.envelope import UNTOLD
from guardian.domain.identity import NAMELESS
from guardian.sources.facts import Facts
from guardian.sources.session_names import known_as


def settled(facts: Facts, window: str | None) -> Facts:
    """The facts; without their envelope where that is another's, and `contradicted` then says in which fields. It
    is where the gateway names another tenant or session; where it names no session, another person or agent does.
    `window` is what the gateway's agent and user alone would name the session."""
    if facts.envelope is None:
        return facts
    found = tuple(_against(facts, facts.envelope, window))
    if not found:
        return facts
    digest = hashlib.sha256(json.dumps(facts.envelope, sort_keys=True).encode()).hexdigest()
    return dataclasses.replace(facts, envelope=None, envelope_jws=None, contradicted=found, another=digest)


def _against(facts: Facts, envelope: Mapping[str, Any], window: str | None) -> Iterator[str]:
    session, told = known_as(facts.session) if facts.knows("session") else None, envelope.get("session_id")
    delegator, parent = envelope.get("delegator_id"), envelope.get("parent_session_id")
    if facts.tenant and envelope.get("tenant_id") not in (None, "", facts.tenant):
        yield "tenant_id"
    if session is not None:
        if told not in (None, "", session) and known_as(told) != session:
            yield "session_id"
        return  # it is the session's own envelope, in which people may have other names than in their tokens
    if isinstance(told, str) and told.startswith(NAMELESS) and told != window:
        yield "session_id"
    user, agent = facts.delegator, facts.agent if facts.knows("agent") else None
    of = [delegator]
    if agent is None:  # then the one who is named may be the agent
        of.append(envelope.get("agent_id"))
    elif not _is_one_of(agent, envelope.get("agent_id")):
        yield "agent_id"
    if parent is not None or delegator in (None, "", UNTOLD):
        return  # it need name no person: an agent may have delegated, or nobody says who did
    if user is not None and not _is_one_of(user, *of):
        yield "delegator_id"


def _is_one_of(name: str, *told: object) -> bool:
    """Whether it may be one of these; neither case nor a type that only one of two has before it tells them
    apart."""
    names = [each for each in told if isinstance(each, str) and each not in ("", UNTOLD)]
    return not names or any(_alike(name, each) or _alike(each, name) for each in names)


def _alike(one: str, other: str) -> bool:
    long, short = (each.casefold().rstrip('"').replace(':"', ":") for each in (one, other))
    return long == short or long.endswith(f":{short}")
