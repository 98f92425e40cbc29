"""OPA decision logs: the events that OPA uploads (arrays, gzip) or prints to its console.

Source: Open Policy Agent, plugin `decision_logs` (EventV1). `result` has any shape; `erased` and `masked` are JSON
pointers to what the log leaves out; times have nanoseconds. `input` is up to the gateway: the shapes that are read
stand in `opa_input`.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from guardian.domain.event import DecisionEvent
from guardian.errors import DecodeError
from guardian.sources.authzen import write_sarc
from guardian.sources.facts import (
    OF_DECISIONS,
    Effect,
    Facts,
    at,
    effect_of,
    expected,
    first,
    first_there,
    moment,
    names,
    over,
    text,
)
from guardian.sources.guardian import name_of
from guardian.sources.hostile import agents_own
from guardian.sources.http_bodies import message_of
from guardian.sources.json_rpc import lower
from guardian.sources.lines import line
from guardian.sources.mcp import claims_of
from guardian.sources.opa_input import input_facts, is_sarc, messages_of, names_of
from guardian.sources.port import Format
from guardian.sources.session_names import known_as

_REQUESTS = ("Received request.", "Sent response.")
"""The console lines that OPA prints around each decision."""
_VERDICTS = ("allow", "allowed", "decision", "effect", "permit", "result")
_OTHERS = "; where OPA decides other things too, list in source.options.paths the paths that decide tool calls"
_DENIALS = ("deny", "denied")
"""Rules, or parts of a result, that say what speaks against a call; one that says nothing lets it through."""


@dataclass(frozen=True)
class Opa(Format):
    """Options: `paths`, where given, are the policy paths that decide tool calls; others are skipped."""

    title: ClassVar[str] = "Open Policy Agent decision logs (uploaded batches, console lines)"
    carries: ClassVar[frozenset[str]] = OF_DECISIONS

    paths: tuple[str, ...] = ()

    def recognises(self, body: Any) -> bool:
        if not isinstance(body, Mapping) or "decision_id" not in body:
            return isinstance(body, Mapping) and body.get("msg") in _REQUESTS
        return "labels" in body or "path" in body or "input" in body or body.get("msg") == "Decision Log"

    def entries(self, body: Any) -> Iterable[Any]:
        told = at(body, "input")
        messages = None if is_sarc(told) else message_of(told)
        return messages_of(body, messages) if isinstance(messages, list) else (body,)

    def facts(self, entry: Any) -> Facts | None:
        if "decision_id" not in entry and "msg" in entry:  # the console has other lines too
            return None
        path = (text(entry.get("path")) or "").strip("/")
        if self.paths and path not in {each.strip("/") for each in self.paths}:
            return None
        pointers = (*(names(entry.get("erased")) or ()), *(names(entry.get("masked")) or ()))
        try:
            return _facts(entry, path, pointers)
        except DecodeError as error:
            other = not self.paths and error.reason.startswith(("input: expected", "result: expected"))
            raise _named(error, entry, _OTHERS if other else "") from None

    def write(self, event: DecisionEvent) -> bytes:
        asked = write_sarc(event)
        verdict = {
            "allow": event.decision.effect == "allow",
            "reason": event.decision.reason,
            "policy_ids": list(event.decision.policy_ids),
        }
        body = {
            "labels": {"app": event.gateway, "id": "1780d507", "version": "1.10.0"}, "decision_id": event.id,
            "path": "mcp/authz/decision", "input": asked, "result": verdict,
            "timestamp": event.time.isoformat(timespec="microseconds").replace("+00:00", "000Z"),
        }  # fmt: skip
        return line(body)


plugin = Opa


def _facts(entry: Mapping[str, Any], path: str, pointers: tuple[str, ...]) -> Facts | None:
    found = input_facts(entry.get("input"), pointers)
    if found is None:
        return None
    effect, why, policies, masked = _verdict(entry, path, pointers)
    rest: dict[str, Any] = {
        "id": text(entry.get("decision_id")),
        "time": moment(first(entry.get("timestamp"), entry.get("time")), "timestamp"),
        "gateway": _gateway(entry),
        "policy_ids": policies or ((path,) if path else ()),
        "reason": why,
        "route": path or None,
        "masked": (*masked, *_masked(pointers)),
    }
    tenants = (found.get("tenant"), at(found.get("envelope"), "tenant_id"), at(entry, "labels", "tenant"))
    found["tenant"] = first(*tenants)  # a label is of all that one OPA answers, and may mean something else
    if not found.get("trace") or "trace" in found.get("claimed", ()):
        found = over(found, {"trace": text(entry.get("trace_id"))})
    return Facts(effect=effect, **found, **rest)


def _named(error: DecodeError, entry: Mapping[str, Any], way_out: str) -> DecodeError:
    """The refusal and its way out, with the names that the input has, as a call of the same session would have
    them."""
    told = entry.get("input")
    known: dict[str, Any] = {}
    if isinstance(told, Mapping) and not agents_own(told):
        unchecked = claims_of(None, lower(at(told, "attributes", "request", "http", "headers")))["session"]
        context = told.get("context")
        envelope = first_there(told.get("envelope"), at(context, "envelope"))
        rest = {name: value for name, value in told.items() if name != "envelope"}
        known = names_of(rest, checked=not (unchecked or at(envelope, "session_id")))
        known["session"] = first(known["session"], at(envelope, "session_id"))
        known["tenant"] = first(known["tenant"], at(context, "tenant_id"), at(envelope, "tenant_id"))
    session = name_of(known_as(first(known.get("session"), known.get("token"))))
    tenant = name_of(first(known.get("tenant"), at(entry, "labels", "tenant")))
    reason, gateway = error.reason + way_out, name_of(_gateway(entry))
    return DecodeError(error.code, reason, tenant_id=tenant, session_id=session, gateway=gateway)


def _gateway(entry: Mapping[str, Any]) -> str | None:
    return first(at(entry, "labels", "app"), at(entry, "labels", "gateway"), at(entry, "labels", "id"))


def _verdict(
    entry: Mapping[str, Any], path: str, pointers: tuple[str, ...]
) -> tuple[Effect, str, tuple[str, ...], tuple[str, ...]]:
    """Effect, reason, policies, and what is not known of it. An undefined result is a deny, as it is in OPA, but
    for the rule `deny`. A package's empty `deny` allows a call only where nobody reads an `allow` beside it."""
    if entry.get("error"):
        return "deny", "the policy failed", (), ()
    result = entry.get("mapped_result", entry.get("result"))
    of_denial = path.rpartition("/")[2] in _DENIALS
    if result is None and any(each.startswith("/result") for each in pointers):
        return "allow", "", (), ("decision",)
    if isinstance(result, Mapping) and not (of_denial and not {*_VERDICTS, *_DENIALS} & result.keys()):
        effect, why, policies = _of_parts(result)
        return effect, why, policies, () if effect == "deny" or of_denial or _says(result) else ("decision",)
    if of_denial:
        return (*_denial(result, "result"), (), ())
    if result is None:
        return "deny", "the result is undefined", (), ()
    return effect_of(result, "result"), "", (), ()


def _of_parts(result: Mapping[str, Any]) -> tuple[Effect, str, tuple[str, ...]]:
    """Effect, reason and policies of a result that is an object. A denial in it outweighs the rest."""
    why = first(result.get("reason"), result.get("message"), at(result, "status", "message")) or ""
    policies = names(result.get("policy_ids")) or names(result.get("policies")) or ()
    denials = [_denial(result[name], f"result.{name}") for name in _DENIALS if name in result]
    for effect, words in denials:
        if effect == "deny":
            return effect, why or words, policies
    name = next((name for name in _VERDICTS if name in result), None)
    if name is None and not denials:
        raise expected("result", f"one of {', '.join((*_VERDICTS, *_DENIALS))}", result)
    if name is None:
        return "allow", why, policies
    if isinstance(result[name], Mapping):  # {"result": {"allow": …}}
        return _of_parts(result[name])
    return effect_of(result[name], f"result.{name}"), why, policies


def _says(result: Mapping[str, Any]) -> bool:
    """Whether it says what is allowed, and not only what speaks against it."""
    name = next((name for name in _VERDICTS if name in result), None)
    return name is not None and (not isinstance(result[name], Mapping) or _says(result[name]))


def _denial(said: Any, path: str) -> tuple[Effect, str]:
    """What a denial comes to, and its words: true or false, a reason, or a set of them that may be empty."""
    if said is None:
        return "allow", ""
    if isinstance(said, bool):
        return effect_of(not said, path), ""
    if isinstance(said, str):
        word = said.strip().lower()
        return ("allow", "") if word in ("", "false", "no") else ("deny", "" if word in ("true", "yes") else said)
    if isinstance(said, (list, Mapping)):
        return ("deny", "; ".join(names([*said]) or ())) if said else ("allow", "")
    raise expected(path, "true, false or a set of reasons", said)


def _masked(pointers: tuple[str, ...]) -> Iterator[str]:
    """Names of the facts that the log holds only in part."""
    for word, fact in (
        ("argument", "arguments_masked"),
        ("purpose", "purpose_masked"),
        ("subject", "subject_masked"),
    ):
        if any(each.startswith("/input/") and word in each for each in pointers):
            yield fact
