"""AuthZEN Authorization API 1.0: evaluation requests with their responses, and the profile for MCP tool calls.

Source: OpenID AuthZEN Authorization API 1.0 (2026-01-11) and its COAZ MCP binding. AuthZEN defines the messages
and no log of them; taken are `{"request": {…}, "response": {…}, "time", "id", "gateway"}` and the same in one
piece (subject, action, resource, context, decision). Batches (`evaluations`) are taken apart. `context` may say
session, purpose, tenant, agent and arguments, or hold a whole `envelope` and its `envelope_jws`. A PEP for MCP
asks about every method: other ones than `tools/call` are no tool calls. Advice reads the call by `action_of` as
well.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from guardian.domain.envelope import UNTOLD
from guardian.domain.event import DecisionEvent
from guardian.errors import DecodeError
from guardian.sources.facts import (
    OF_DECISIONS,
    Facts,
    arguments_of,
    at,
    count,
    expected,
    first,
    first_there,
    mapping,
    moment,
    names,
    text,
    tool_of,
)
from guardian.sources.guardian import name_of
from guardian.sources.hostile import agents_own
from guardian.sources.lines import line, without_nulls
from guardian.sources.mcp import METHODS, messages
from guardian.sources.port import Format
from guardian.sources.session_names import known_as

CALL = "tools/call"
PLACES: Mapping[str, tuple[tuple[str, ...], ...]] = {
    "arguments": (
        ("context", "arguments"), ("context", "params", "arguments"), ("action", "properties", "arguments"),
    ),
    "records": (("context", "records"), ("action", "properties", "records")),
    "data_classes": (("context", "data_classes"), ("action", "properties", "data_classes")),
    "server": (("resource", "properties", "server"), ("context", "server")),
}  # fmt: skip
"""Where a request may say what, the place that counts first."""
_STOPS: Mapping[str, bool] = {"deny_on_first_deny": False, "permit_on_first_permit": True}
"""Which decision ends a batch early, by its semantic."""


@dataclass(frozen=True)
class AuthZen(Format):
    title: ClassVar[str] = "AuthZEN 1.0 evaluation request and response, also for MCP tool calls"
    carries: ClassVar[frozenset[str]] = OF_DECISIONS

    def recognises(self, body: Any) -> bool:
        if not isinstance(body, Mapping) or "decision_id" in body:
            return False
        request: Any = body.get("request") if isinstance(body.get("request"), Mapping) else body
        asked = ("subject" in request or "evaluations" in request) and not agents_own(request)
        told = "decision" in body or "evaluations" in body or isinstance(body.get("response"), Mapping)
        if "action" in body:  # a message is then beside the whole of what was asked, not in place of it
            body = {"request": body.get("request")}
        return asked and told and not messages(body)

    def entries(self, body: Any) -> Iterable[Any]:
        batch = at(body, "request", "evaluations")
        if not isinstance(batch, list) or not batch:  # an empty batch means the request itself
            return (body,)
        answers = at(body, "response", "evaluations")
        if not isinstance(answers, list):
            raise _named(
                expected("response.evaluations", "an array, as request.evaluations is one", answers), body
            )
        return _each(body, batch, answers)

    def facts(self, entry: Any) -> Facts | None:
        request = entry.get("request") if isinstance(entry.get("request"), Mapping) else entry
        try:
            return self._facts(entry, request)
        except DecodeError as error:
            raise _named(error, entry) from None

    def _facts(self, entry: Any, request: Mapping[str, Any]) -> Facts | None:
        response = entry.get("response") if isinstance(entry.get("response"), Mapping) else entry
        decision = response.get("decision")
        if not isinstance(decision, bool):
            raise expected("response.decision" if response is not entry else "decision", "true or false", decision)
        found = sarc(request, "request." if request is not entry else "")
        if found is None:
            return None
        told = at(response, "context") if response is not entry else None
        return Facts(
            **found,
            effect="allow" if decision else "deny",
            id=first(entry.get("id"), entry.get("request_id"), at(entry, "headers", "x-request-id")),
            time=moment(first(entry.get("time"), entry.get("timestamp")), "time"),
            gateway=first(entry.get("gateway"), entry.get("pep")),
            policy_ids=names(at(told, "policy_ids")) or (),
            reason=first(at(told, "reason"), at(told, "reason_user", "en"), at(told, "reason_admin", "en")) or "",
        )

    def write(self, event: DecisionEvent) -> bytes:
        request = write_sarc(event)
        told = {"reason": event.decision.reason, "policy_ids": list(event.decision.policy_ids)}
        body = {
            "id": event.id, "time": event.time.isoformat(), "gateway": event.gateway, "request": request,
            "response": {"decision": event.decision.effect == "allow", "context": told},
        }  # fmt: skip
        return line(body)


plugin = AuthZen


def sarc(
    request: Mapping[str, Any], path: str, *, user: str | None = None, agent: str | None = None
) -> dict[str, Any] | None:
    """Subject, action, resource and context as facts; other formats carry the same shape as their input, and may
    name `user` and `agent` beside it. None where MCP's own method was asked about: no tool call.

    Where a user is named who is not the subject, the subject acts for them: machines' types have too many names to
    tell. What AuthZEN and COAZ call a person acts for nobody: the context then has another name of theirs, or one
    out of the arguments."""
    subject, action, resource = request.get("subject"), request.get("action"), request.get("resource")
    context = mapping(request.get("context"), f"{path}context") or {}
    name = text(at(action, "name") if isinstance(action, Mapping) else action)
    call = name == CALL
    tool = tool_of(at(resource, "id"), f"{path}resource.id") if call else tool_of(name, f"{path}action.name")
    session, who = _asking(subject)
    type_ = str(at(subject, "type")).lower()
    machine = type_ in ("agent", "client", "workload", "service")
    user = first(context.get("user"), at(context, "user", "id"), at(subject, "properties", "delegator"), user)
    acts = type_ not in ("user", "identity") and user is not None and user != who
    asked = {"action": action, "resource": resource, "context": context}
    if name in METHODS and not _is_tool(name, resource, first_there(*told_in(asked, "arguments"))):
        return None
    return {
        **tool,
        **action_of(asked),
        "delegator": user if machine or acts else first(who, user),
        "agent": first(who if machine else None, context.get("agent"), at(context, "agent", "id"),
                       at(subject, "properties", "agent"), agent, who if acts else None),
        "tenant": first(context.get("tenant_id"), context.get("tenant"), at(subject, "properties", "tenant")),
        "session": first(context.get("session_id"), context.get("session"), at(context, "session", "id"), session),
        "token": first(context.get("sid"), context.get("jti")),
        "conversation": text(context.get("conversation_id")),
        "trace": first(context.get("trace_id"), context.get("traceId")),
        "task": text(context.get("task_id")),
        "purpose": first(context.get("purpose"), at(context, "purpose", "description")),
        "envelope": mapping(context.get("envelope"), f"{path}context.envelope"),
        "envelope_jws": text(context.get("envelope_jws")),
    }  # fmt: skip


def _asking(subject: Any) -> tuple[str | None, str | None]:
    """The session, where the subject is one, as advice is asked for; else who it is."""
    who = text(at(subject, "id") if isinstance(subject, Mapping) else subject)
    return (who, None) if str(at(subject, "type")).lower() == "session" else (None, who)


def action_of(request: Mapping[str, Any]) -> dict[str, Any]:
    """What is called beside the tool's own name, and what it touches: the one reading of a request, for the log
    and for advice."""
    call = at(request, "action", "name") == CALL or request.get("action") == CALL
    touched = at(request, "context", "resource") if call else request.get("resource")
    return {
        "server": first(*told_in(request, "server")) if call else None,
        "arguments": arguments_of(first_there(*told_in(request, "arguments"))),
        "resource_type": text(at(touched, "type")),
        "resource_id": text(at(touched, "id")),
        "records": count(first_there(*told_in(request, "records"))),
        "data_classes": names(first_there(*told_in(request, "data_classes"))),
    }


def told_in(request: Mapping[str, Any], name: str) -> Iterator[Any]:
    """What stands at each of its places, None where nothing does."""
    return (at(request, *place) for place in PLACES[name])


def _named(error: DecodeError, entry: Mapping[str, Any]) -> DecodeError:
    """The refusal with the names that the request has, as a call of the same session would have them."""
    request: Any = entry.get("request") if isinstance(entry.get("request"), Mapping) else entry
    if agents_own(entry) or agents_own(request):
        return error
    context = request.get("context")
    tenant = first(at(context, "tenant_id"), at(context, "tenant"), at(request, "subject", "properties", "tenant"),
                   at(context, "envelope", "tenant_id"))  # fmt: skip
    session = first(at(context, "session_id"), at(context, "session"), at(context, "session", "id"),
                    _asking(request.get("subject"))[0], at(context, "envelope", "session_id"), at(context, "sid"),
                    at(context, "jti"))  # fmt: skip
    gateway = name_of(first(entry.get("gateway"), entry.get("pep")))
    return DecodeError(
        error.code, error.reason, tenant_id=name_of(tenant), session_id=name_of(known_as(session)), gateway=gateway
    )


def _is_tool(name: str, resource: Any, arguments: Any) -> bool:
    """Whether a tool is meant although MCP has a method of this name, as `get` of a server `tasks` is."""
    return str(at(resource, "type")).lower() == "tool" or (name != "prompts/get" and bool(arguments))


def write_sarc(event: DecisionEvent) -> dict[str, Any]:
    """The request of an MCP tool call, its identity in the context."""
    envelope, action = event.envelope, event.action
    context: dict[str, Any] = {
        "session_id": envelope.session_id, "tenant_id": envelope.tenant_id, "agent": envelope.agent_id,
        "arguments": action.arguments, "records": action.records, "trace_id": event.trace_id,
        "data_classes": list(action.data_classes) if action.data_classes is not None else None,
        "resource": action.resource.model_dump(exclude_none=True) if action.resource is not None else None,
        "envelope": envelope.model_dump(mode="json", exclude_none=True), "envelope_jws": event.envelope_jws,
    }  # fmt: skip
    request: dict[str, Any] = {
        "action": {"name": CALL},
        "resource": {"type": "tool", "id": action.tool},
        "context": without_nulls(context),
    }
    if envelope.delegator_id != UNTOLD:
        request["subject"] = {"type": "identity", "id": envelope.delegator_id}
    return request


def _each(body: Mapping[str, Any], batch: list[Any], answers: list[Any]) -> Iterator[dict[str, Any]]:
    """One entry per evaluation, with the request's own fields as defaults. Those after the one that stopped it
    were never decided; where another is not answered, the record is damaged or cut off."""
    whole = {name: value for name, value in body["request"].items() if name not in ("evaluations", "options")}
    last = _STOPS.get(str(at(body, "request", "options", "evaluations_semantic")))
    stopped = last is not None and answers != [] and at(answers[-1], "decision") is last
    for number, part in enumerate(batch[: len(answers)] if stopped else batch):
        answer = answers[number] if number < len(answers) else {}
        own = part if isinstance(part, Mapping) else {}
        request_id = text(body.get("id"))
        yield {
            **body,
            "id": f"{request_id}/{number}" if request_id else None,
            "request": {**whole, **own},
            "response": answer,
        }
