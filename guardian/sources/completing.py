"""Facts of a foreign log → DecisionEvent: which gateway sent it, for which tenant, and to which session it
belongs."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, get_args

from pydantic import ValidationError

from guardian.domain.envelope import UNTOLD, Envelope
from guardian.domain.event import SCHEMA, DecisionEvent, Origin
from guardian.domain.identity import NAMELESS, SessionName
from guardian.domain.record import Record
from guardian.errors import ConfigurationError, DecodeError
from guardian.sources.contradicting import settled
from guardian.sources.facts import Facts
from guardian.sources.guardian import OWN_ID, explain, name_of
from guardian.sources.partly import without
from guardian.sources.session_names import known_as, window
from guardian.sources.tool_names import ToolNames

_NOTHING: frozenset[str] = frozenset()
SESSION_ORDER: tuple[SessionName, ...] = get_args(SessionName)

_FACTS: Mapping[SessionName, str] = {
    "gateway": "session", "token": "token", "conversation": "conversation", "trace": "trace",
}  # fmt: skip


@dataclass(frozen=True)
class Completion:
    """What the deployment knows and the log need not say.

    `gateway` is the sender of every record of this log, whatever the record says; a guardian.decision/v1 record
    may name no other, except one of `planted`, under which control tests the monitor on the live topic. None: the
    sender is the record's `gateway` header, else what the log says. `tenant` is used where the log names none;
    None: the one tenant that `tenants` grants the gateway. A session is known by the first name listed in
    `session` that the log has; one that is too long, or has control characters, by its hash. What only the agent
    claims counts where nothing else is known: it may claim another's name, or a new one in each call.
    """

    gateway: str | None = None
    planted: frozenset[str] = frozenset()
    tenant: str | None = None
    tenants: Mapping[str, str] = field(default_factory=dict)
    session: tuple[SessionName, ...] = SESSION_ORDER
    tools: ToolNames = field(default_factory=ToolNames)

    def __post_init__(self) -> None:
        unknown = [name for name in self.session if name not in SESSION_ORDER]
        if unknown or not self.session:
            raise ConfigurationError(
                f"source.session: {unknown[0] if unknown else 'it is empty'!r}; list one or more of: "
                + ", ".join(SESSION_ORDER)
            )

    def complete(
        self, facts: Facts, record: Record, *, format: str, digest: str
    ) -> tuple[DecisionEvent, DecodeError | None]:
        """The event; and, where something that an agent chose fits in no event and was left out, the reason.

        Raises DecodeError naming the fact that is missing and the setting that can supply it.
        """
        facts = _settled(facts)
        try:
            return self._event(facts, record, format=format, digest=digest), None
        except DecodeError as error:
            raise self.named(error, facts, record) from None
        except ValidationError as error:
            why = self.named(DecodeError("invalid", explain(error)), facts, record)
            places = [item["loc"] for item in error.errors(include_url=False, include_context=False)]
        less = without(facts, places, why)
        try:
            return self._event(less, record, format=format, digest=digest), why
        except (DecodeError, ValidationError):
            raise why from None

    def _event(self, facts: Facts, record: Record, *, format: str, digest: str) -> DecisionEvent:
        gateway = self.sender(record, facts.gateway)
        tenant = self.owner(gateway, _told_envelope(facts, "tenant_id") or facts.tenant)
        session, session_from = self._session(facts)
        if gateway is None:
            raise DecodeError("no_gateway", "the log names no gateway: set source.gateway, or a header `gateway`")
        if tenant is None:
            raise DecodeError(
                "no_tenant",
                "the log names no tenant: set source.tenant, or grant its gateway exactly one in `gateways`",
            )
        if session is None:
            raise DecodeError(
                "no_session",
                f"no valid name for the session: expected one of {', '.join(self.session)}; what an agent's MCP "
                "message itself says does not count, only what is written around it",
            )
        at = facts.time or record.timestamp
        if at is None:
            why = "neither the log nor the broker says when it was; of a topic's records the broker does"
            raise DecodeError("no_time", why)
        envelope, allowed_tools = self._envelope(facts, tenant, session)
        return DecisionEvent.model_validate(
            {
                "schema": SCHEMA,
                "id": facts.id or _own_id(record, digest),
                "time": at,
                "gateway": gateway,
                "envelope": envelope,
                "action": self._action(facts),
                "decision": {
                    "effect": facts.effect,
                    "policy_ids": facts.policy_ids[:64],
                    "reason": facts.reason[:8192],
                },
                "result": _result(facts),
                "trace_id": facts.trace,
                "envelope_jws": facts.envelope_jws,
                "agent_version": facts.agent_version,
                "origin": Origin(
                    format=format,
                    session_from=session_from,
                    absent=_absent(facts, session_from),
                    contradicted=facts.contradicted,
                    another=facts.another,
                    route=facts.route,
                    tool=self.tools.spelt(facts.tool, server=facts.server),
                    allowed_tools=allowed_tools,
                ),
            }
        )

    def named(self, error: DecodeError, facts: Facts, record: Record) -> DecodeError:
        """The error with the gateway, tenant and session that it is about."""
        facts = _settled(facts)
        gateway = self.sender(record, facts.gateway)
        return DecodeError(
            error.code,
            error.reason,
            tenant_id=name_of(self.owner(gateway, _told_envelope(facts, "tenant_id") or facts.tenant)),
            session_id=name_of(known_as(self._session(facts)[0])),
            gateway=name_of(gateway),
        )

    def sender(self, record: Record, said: str | None) -> str | None:
        """The gateway that sent the record, where the log itself says `said`."""
        return self.gateway or record.header("gateway") or said

    def check_sender(self, event: DecisionEvent) -> None:
        """Raises DecodeError for a record in guardian's own format that speaks as another gateway."""
        if self.gateway is not None and event.gateway not in (self.gateway, *self.planted):
            raise DecodeError(
                "gateway_not_entitled",
                "the record names another gateway than source.gateway, which sends this log",
                tenant_id=event.envelope.tenant_id,
                session_id=event.envelope.session_id,
            )

    def owner(self, gateway: str | None, said: str | None) -> str | None:
        """The tenant that the gateway speaks for, where the log itself says `said`."""
        return said or self.tenant or self.tenants.get(gateway or "")

    def _session(self, facts: Facts) -> tuple[str | None, SessionName]:
        declared = _told_envelope(facts, "session_id")
        if declared is not None:
            return declared, "gateway"
        tries = (_named(facts, name, less) for less in (facts.claimed, _NOTHING) for name in self.session)
        return next(filter(None, tries), (None, "window"))

    def _envelope(
        self, facts: Facts, tenant: str, session: str
    ) -> tuple[Envelope | dict[str, Any], tuple[str, ...] | None]:
        """The envelope, and its list of tools as the log spells them (None where the log has no envelope)."""
        if facts.envelope is not None:
            told = {"delegator_id": facts.delegator or UNTOLD, **facts.envelope, "tenant_id": tenant}
            read = Envelope.model_validate_json(json.dumps({**told, "session_id": session}))
            tools = tuple(self.tools.of(tool) for tool in read.allowed_tools)
            return read.model_copy(update={"allowed_tools": tools}), read.allowed_tools
        told = {
            "delegator_id": facts.delegator or UNTOLD,
            "tenant_id": tenant,
            "session_id": session,
            "task_id": facts.task,
            "purpose": (facts.purpose or "")[:8192],
            "agent_id": facts.agent,
            "parent_session_id": known_as(facts.parent),
        }
        return told, None

    def _action(self, facts: Facts) -> dict[str, Any]:
        resource = {"type": facts.resource_type, "id": facts.resource_id}
        return {
            "tool": self.tools.of(facts.tool, server=facts.server),
            "arguments": facts.arguments,
            "resource": resource if any(resource.values()) else None,
            "data_classes": facts.data_classes,
            "records": facts.records,
        }


def _own_id(record: Record, digest: str) -> str:
    """An id for a decision whose log gives none, made of the record's place and content. The content alone would
    not do: an agent may do the same twice within a tick of the log's clock, and the second call would pass for a
    redelivery of the first."""
    place = f"{record.topic}\0{record.partition}\0{record.offset}\0{digest}"
    return f"{OWN_ID}{hashlib.sha256(place.encode('utf-8', 'surrogatepass')).hexdigest()[:40]}"


def _absent(facts: Facts, session_from: SessionName) -> tuple[str, ...]:
    missing = {
        "envelope": facts.envelope is None,
        "delegator_id": facts.delegator in (None, UNTOLD) and "delegator_id" not in (facts.envelope or ()),
        "session_id": session_from in ("trace", "window"),
    }
    return (*(name for name, absent in missing.items() if absent), *facts.masked[:16])


def _result(facts: Facts) -> dict[str, Any] | None:
    if facts.status is None and facts.result_records is None:
        return None
    return {"status": (facts.status or "")[:128], "records": facts.result_records}


def _settled(facts: Facts) -> Facts:
    return settled(facts, window(facts.agent if facts.knows("agent") else None, facts.delegator))


def _told_envelope(facts: Facts, name: str) -> str | None:
    value = facts.envelope.get(name) if facts.envelope is not None else None
    return value if isinstance(value, str) and value else None


def _named(facts: Facts, name: SessionName, less: frozenset[str]) -> tuple[str, SessionName] | None:
    """The session's name of this kind, without the facts in `less`; None where there is no valid one. What
    begins as our own names do would be another's."""
    if name == "window":
        said = window(None if "agent" in less else facts.agent, facts.delegator)
    else:
        said = None if _FACTS[name] in less else getattr(facts, _FACTS[name])
        said = None if said is None or said.startswith(NAMELESS) else said
    known = known_as(said)
    return None if known is None else (known, name)
