"""Any other JSON log, by a declarative mapping: which JMESPath expression of a record gives which fact.

    name: my-gateway
    when: "event == 'tool_call'"          # records for which this is false are no tool calls
    fields:
      time: ts
      tool: tool.name
      decision: verdict                   # a boolean, or a word listed below, or a usual one
      session: session.id
      arguments: tool.input
    allow: [passed]                       # words beyond the usual allow, permit, true, ...
    deny: [stopped]

`guardian sources try MAPPING FILE` shows line by line what it understands. Source: the JMESPath specification.
"""

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar

import jmespath
import jmespath.exceptions
from jmespath.functions import Functions
from jmespath.lexer import Lexer

from guardian.domain.event import DecisionEvent
from guardian.errors import ConfigurationError, DecodeError
from guardian.sources.facts import (
    CARRIED,
    Effect,
    Facts,
    arguments_of,
    at,
    count,
    effect_of,
    expected,
    json_in,
    mapping,
    moment,
    names,
    text,
    tool_of,
)
from guardian.sources.guardian import name_of
from guardian.sources.lines import line, without_nulls
from guardian.sources.port import Format
from guardian.sources.session_names import known_as

_TEXTS = (
    "id", "gateway", "tenant", "session", "token", "conversation", "trace", "delegator", "agent", "agent_version",
    "task", "parent", "purpose", "server", "route", "resource_type", "resource_id", "reason", "status",
    "envelope_jws",
)  # fmt: skip
_WHOSE = {"tenant": "tenant_id", "session": "session_id", "gateway": "gateway"}
_PLAIN_PATH = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*")
_FUNCTIONS: Mapping[str, Any] = Functions().FUNCTION_TABLE
_SEEK = ("contains", "starts_with", "ends_with")
"""Functions whose second argument is what is looked for."""
_GOES_ON = ("dot", "lbracket", "flatten", "filter")
"""What follows the first name of a longer path."""
FACTS = ("tool", "decision", "time", *_TEXTS, "arguments", "envelope", "records", "result_records", "data_classes",
         "policy_ids")  # fmt: skip


@dataclass(frozen=True)
class Mapped(Format):
    """Options: `fields` (fact → expression; by default each fact under its own name), `when`, `allow` and `deny`
    (words), `name` for people."""

    title: ClassVar[str] = "any other JSON log, by a mapping of your own (JMESPath)"
    carries: ClassVar[frozenset[str]] = frozenset(CARRIED)

    fields: Mapping[str, str] = field(default_factory=lambda: {fact: fact for fact in FACTS})
    when: str | None = None
    allow: tuple[Any, ...] = ()
    deny: tuple[Any, ...] = ()
    name: str = "mapping"

    def __post_init__(self) -> None:
        if not isinstance(self.fields, Mapping):
            raise ConfigurationError(f"mapping {self.name}: fields must be facts with their expressions")
        if unknown := sorted(set(self.fields) - set(FACTS)):
            raise ConfigurationError(
                f"mapping {self.name}: fields.{unknown[0]}: no such fact; known: {', '.join(FACTS)}"
            )
        if lacking := sorted({"tool", "decision"} - set(self.fields)):
            raise ConfigurationError(
                f"mapping {self.name}: fields.{lacking[0]} is missing; nothing can be read without"
            )
        if both := [word for word in self.allow if word in self.deny]:
            raise ConfigurationError(f"mapping {self.name}: {both[0]!r} is in allow and in deny; it can be one")
        _ = self._expressions, self._condition  # compiled now, so that a wrong one fails at start

    @cached_property
    def _expressions(self) -> Mapping[str, Any]:
        return {fact: self._compiled(f"fields.{fact}", each) for fact, each in self.fields.items()}

    @cached_property
    def _condition(self) -> Any:
        return None if self.when is None else self._compiled("when", self.when)

    def recognises(self, body: Any) -> bool:
        """Only what `when` accepts; a mapping without it is never recognised, it must be configured by name. Where
        it fails it does not accept: most records that it meets are of other formats."""
        wanted = self._condition
        with suppress(DecodeError):
            return wanted is not None and isinstance(body, Mapping) and bool(self._search(wanted, body, "when"))
        return False

    def facts(self, entry: Any) -> Facts | None:
        wanted = self._condition
        if wanted is not None and not self._search(wanted, entry, "when"):
            return None
        said: dict[str, Any] = {}
        try:
            for fact in sorted(self._expressions, key=lambda fact: fact not in _WHOSE):
                said[fact] = self._search(self._expressions[fact], entry, f"fields.{fact}")
            return self._facts(said)
        except DecodeError as error:  # an agent can cause it, and only the mapping knows whose call it is
            texts = {fact: text(said.get(fact)) for fact in _WHOSE}
            texts["session"] = known_as(texts["session"])
            whose = {name: name_of(texts[fact]) for fact, name in _WHOSE.items()}
            raise DecodeError(error.code, error.reason, **whose) from None

    def _facts(self, said: Mapping[str, Any]) -> Facts:
        texts = {name: text(said.get(name)) for name in _TEXTS}
        texts["reason"] = texts["reason"] or ""
        return Facts(
            **tool_of(said.get("tool"), self._path("tool")),
            effect=self._effect(said.get("decision")),
            time=moment(said.get("time"), self._path("time")),
            arguments=arguments_of(said.get("arguments")),
            envelope=mapping(said.get("envelope"), self._path("envelope")),
            records=count(said.get("records")),
            result_records=count(said.get("result_records")),
            data_classes=names(said.get("data_classes")),
            policy_ids=names(said.get("policy_ids")) or (),
            **texts,  # type: ignore[arg-type]
        )

    def write(self, event: DecisionEvent) -> bytes:
        """A flat record with the facts' own names, whatever the mapping's expressions are."""
        envelope, action = event.envelope, event.action
        body = {
            "id": event.id, "time": event.time.isoformat(), "gateway": event.gateway, "tool": action.tool,
            "decision": event.decision.effect, "reason": event.decision.reason, "arguments": action.arguments,
            "session": envelope.session_id, "tenant": envelope.tenant_id, "delegator": envelope.delegator_id,
            "envelope": envelope.model_dump(mode="json", exclude_none=True), "agent": envelope.agent_id,
            "purpose": envelope.purpose, "records": action.records, "trace": event.trace_id,
            "data_classes": action.data_classes, "policy_ids": event.decision.policy_ids,
            "resource_type": action.resource.type if action.resource is not None else None,
            "resource_id": action.resource.id if action.resource is not None else None,
            "result_records": event.result.records if event.result is not None else None,
            "status": event.result.status if event.result is not None else None,
            "envelope_jws": event.envelope_jws,
        }  # fmt: skip
        return line(without_nulls(body))

    def _path(self, fact: str) -> str:
        return f"{fact} ({self.fields.get(fact, '-')})"

    def _effect(self, value: Any) -> Effect:
        if value is None:
            raise expected(self._path("decision"), "a decision", value)
        if value in self.allow:
            return "allow"
        if value in self.deny:
            return "deny"
        return effect_of(value, self._path("decision"))

    def _compiled(self, place: str, expression: object) -> Any:
        if not isinstance(expression, str):
            raise ConfigurationError(
                f"mapping {self.name}: {place}: expected a JMESPath expression, got {expression!r}"
            )
        if _PLAIN_PATH.fullmatch(expression):
            return tuple(expression.split("."))  # the same as JMESPath's result, in a tenth of the time
        try:
            compiled = jmespath.compile(expression)
        except jmespath.exceptions.JMESPathError as error:
            why = " ".join(str(error).split())[:200]
            raise ConfigurationError(
                f"mapping {self.name}: {place}: {expression!r} is no JMESPath: {why}"
            ) from error
        for wrong in (*_never_called(compiled.parsed), *_meant_as_text(expression)):
            raise ConfigurationError(f"mapping {self.name}: {place}: {expression!r}: {wrong}")
        return compiled

    def _search(self, expression: Any, entry: Any, place: str) -> Any:
        if isinstance(expression, tuple):
            return at(entry, *expression)
        try:
            return _carried(expression.search(entry))
        except (jmespath.exceptions.JMESPathError, ArithmeticError, TypeError, ValueError) as error:
            raise DecodeError("invalid", f"{place}: the expression fails here: {type(error).__name__}") from None


plugin = Mapped


def _never_called(node: Mapping[str, Any]) -> Iterator[str]:
    """What is wrong with functions of a parsed expression, which JMESPath itself says only of a record."""
    if node["type"] == "function_expression":
        name, given = node["value"], len(node["children"])
        if name not in _FUNCTIONS:
            yield f"there is no function {name}; known: {', '.join(sorted(_FUNCTIONS))}"
        else:
            takes = _FUNCTIONS[name]["signature"]
            many = bool(takes) and takes[-1].get("variadic", False)
            if given < len(takes) or (given > len(takes) and not many):
                yield f"{name} takes {len(takes)}{' or more' if many else ''}, not {given}"
    for child in node["children"]:
        if isinstance(child, Mapping):
            yield from _never_called(child)


def _meant_as_text(expression: str) -> Iterator[str]:
    """The double quotes of a comparison or a search that hold a text, for those who know them from elsewhere: to
    JMESPath they hold a field's name."""
    tokens: list[Mapping[str, Any]] = [{"type": "", "value": ""}, *Lexer().tokenize(expression)]
    calls = [""]
    for before, sign, said, after in zip(tokens, tokens[1:], tokens[2:], tokens[3:], strict=False):
        if sign["type"] == "lparen":
            calls.append(before["value"])
        elif sign["type"] == "rparen":
            calls.pop()
        compared = sign["type"] in ("eq", "ne") and before["type"] != "literal" and after["type"] not in _GOES_ON
        sought = sign["type"] == "comma" and calls[-1] in _SEEK and after["type"] == "rparen"
        if said["type"] == "quoted_identifier" and (compared or sought):
            name = json.dumps(said["value"])
            yield f"{name} is a field's name; a text is '{said['value']}', and if the field is meant: @.{name}"


def _carried(value: Any) -> Any:
    """The value. JMESPath functions may make numbers of what an agent wrote; one that JSON cannot hold is
    unread."""
    match value:
        case dict():
            return {name: _carried(item) for name, item in value.items()}
        case list():
            return [_carried(item) for item in value]
        case int() | float():
            return json_in(json.dumps(value))
        case _:
            return value
