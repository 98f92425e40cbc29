"""A proposed call as it is asked about: whose it is, and the line that the decision log would hold of it."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import JsonValue, TypeAdapter, ValidationError

from guardian.control.advice.adviser import AdviceRule
from guardian.control.advice.asked import read_asked
from guardian.control.problems import Refusal, check_tenant
from guardian.domain.envelope import Envelope
from guardian.domain.event import SCHEMA
from guardian.domain.identity import Identifier, SessionKey
from guardian.store.control.rows import ControlRows
from guardian.wire.advice import EvaluationRequest
from guardian.wire.principal import Principal

_NAME: TypeAdapter[str | None] = TypeAdapter(Identifier | None)
_WHOSE = {"tenant_id", "session_id", "agent_id", "delegator_id", "task_id", "purpose", "parent_session_id"}
_MOST_VALUES, _MOST_CHARACTERS = 2_000, 2**18
"""Of a proposed call. The drift model reads no more values of one, and with either the adviser stays within its
budget: who sends more must not choose the fall-back, for this call or for those that wait behind it."""


@dataclass(frozen=True, slots=True)
class ProposedCall:
    """A proposed call as the decision log would tell it. `digest` names exactly this call of this session by this
    agent, for this person, task and purpose; it has arguments if `argued`, is more than is read if `too_large`,
    and of what it has at the places `unseen` nobody is told. A revocation of any of its `subjects` refuses it."""

    envelope: Envelope
    subjects: tuple[tuple[str, str], ...]
    tool: str
    line: bytes
    digest: str
    risk: str
    argued: bool
    too_large: bool
    unseen: tuple[str, ...]


def envelope_of(rows: ControlRows, principal: Principal, proposed: EvaluationRequest) -> Envelope:
    """The one that was sent; for a session alone the one that was registered."""
    subject, sent = proposed.subject, proposed.context.get("envelope")
    tenant = _tenant(proposed)
    if sent is not None:
        try:
            envelope = Envelope.model_validate_json(json.dumps(sent))
        except (ValidationError, ValueError) as error:
            first = error.errors()[0]["msg"] if isinstance(error, ValidationError) else "not JSON"
            raise Refusal(422, f"context.envelope: {first[:200]}") from None
        check_tenant(envelope.tenant_id)
        if subject.type == "session" and subject.id != envelope.session_id:
            raise Refusal(422, "subject.id: it is another session than the envelope's")
        if tenant not in (None, envelope.tenant_id):
            raise Refusal(422, "context.tenant_id: it is another tenant than the envelope's")
        return envelope
    if tenant is None and len(principal.tenants) == 1 and not principal.every_tenant:
        tenant = next(iter(principal.tenants))
    if subject.type != "session" or tenant is None:
        raise Refusal(
            422, "context.envelope: send it, or a session with its context.tenant_id whose envelope is registered"
        )
    known = rows.envelopes.newest(SessionKey(tenant, subject.id)) if principal.reaches(tenant) else None
    if known is None:
        raise Refusal(422, "context.envelope: none is registered for this session within reach; send it")
    return known.envelope


def subjects_of(envelope: Envelope, proposed: EvaluationRequest) -> list[tuple[str, str]]:
    """Kind and name of each whose revocation refuses the call."""
    named = (
        ("session", envelope.session_id),
        ("session", envelope.parent_session_id),
        ("agent", envelope.agent_id),
        ("delegator", envelope.delegator_id),
        ("task", envelope.task_id),
        ("jti", _name("subject.properties.jti", proposed.subject.properties.get("jti"))),
    )
    return [(kind, name) for kind, name in named if name is not None]


def _tenant(proposed: EvaluationRequest) -> str | None:
    """The tenant that is named besides the envelope, in either place."""
    beside = _name("context.tenant_id", proposed.context.get("tenant_id"))
    within = _name("subject.properties.tenant_id", proposed.subject.properties.get("tenant_id"))
    if None not in (beside, within) and beside != within:
        raise Refusal(422, "context.tenant_id: it is another tenant than subject.properties.tenant_id")
    return beside or within


def _name(place: str, value: JsonValue) -> str | None:
    """Raises Refusal for one that nobody can bear: what cannot be looked up must not pass for not revoked."""
    try:
        return _NAME.validate_python(value)
    except ValidationError:
        raise Refusal(422, f"{place}: 1 to 512 characters, no control characters") from None


def call_of(
    rule: AdviceRule,
    principal: Principal,
    proposed: EvaluationRequest,
    envelope: Envelope,
    subjects: tuple[tuple[str, str], ...],
    now: datetime,
) -> ProposedCall:
    """What the adviser is asked about, and what a person's word is about."""
    asked = read_asked(proposed)
    tool = rule.tool_of(asked.action["tool"], asked.server)
    action = {**asked.action, "tool": tool}
    beside = [asked.beside] if asked.beside else []  # a word on a call without any holds on over an upgrade
    what = json.dumps([envelope.model_dump(include=_WHOSE), action, *beside], sort_keys=True)
    digest = hashlib.sha256(what.encode("utf-8", "surrogatepass")).hexdigest()
    told: Mapping[str, Any] = {
        "schema": SCHEMA,
        "id": f"proposed_{digest[:40]}_{now.timestamp():.6f}",
        "time": now.isoformat(),
        "gateway": principal.id,
        "envelope": json.loads(envelope.model_dump_json()),
        "action": action,
        "decision": {"effect": "allow"},
    }
    line = json.dumps(told).encode("utf-8", "surrogatepass")
    in_name = tool != rule.rename(asked.action["tool"])
    return ProposedCall(
        envelope,
        subjects,
        tool,
        line,
        digest,
        risk=rule.risk_of(tool, asked.action["tool"]),
        argued=bool(action.get("arguments")),
        too_large=_too_large(action),
        unseen=tuple(place for place in asked.beside if not (in_name and place == "server")),
    )


def _too_large(action: dict[str, Any]) -> bool:
    values = characters = 0
    left: list[Any] = [action]
    while left:
        value = left.pop()
        if isinstance(value, dict):
            characters += sum(map(len, value))
            left += value.values()
        elif isinstance(value, list):
            left += value
        elif isinstance(value, str):
            characters += len(value)
        values += not (isinstance(value, (dict, list)) and value)
    return values > _MOST_VALUES or characters > _MOST_CHARACTERS
