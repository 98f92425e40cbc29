"""Cedar: one `forbid … unless` per restriction, with its id, validated against the user's schema.

Adding a forbid never allows anything: in Cedar a forbid overrides every permit.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, assert_never

from guardian.domain.restriction import Restriction
from guardian.domain.rules import (
    LARGEST,
    ArgumentAtMost,
    ArgumentIn,
    ArgumentLike,
    ForbidDataClass,
    ForbidTool,
    MaxLifetime,
    MaxRecords,
    OnlyHours,
    PinArgument,
    Rule,
    Scalar,
)
from guardian.domain.text import word_set
from guardian.tightening.cedar_schema import batches, generated_schema
from guardian.tightening.proposal import Proposal
from guardian.tightening.wording import escaped, quoted, said, whom

_NAME = "cedar/guardian_tightening"
POLICIES, SCHEMA = f"{_NAME}.cedar", f"{_NAME}.cedarschema"
FACTS = word_set(
    "tenant purpose role parent_role agent_id tool hour session_age_s arguments envelope records data_classes"
)
"""What policies ask about."""
_OUT_OF_RANGE = "is left out: its number is larger than Cedar's integers"


class CedarProblem(NamedTuple):
    """What a validator says about one policy."""

    policy_id: str
    text: str


CedarCheck = Callable[[str, str], Sequence[CedarProblem]]
"""(policies, schema) -> problems; a policy that is not a forbid is one. Given by the policy room."""


@dataclass(frozen=True)
class CedarForbids:
    """Options: `schema`, the text of your own Cedar schema; `action`, the action of a tool call in it; `facts`,
    where your requests carry a fact, if not in `context` (`tool: resource.name`).

    Without a schema, one is generated that declares what the policies read of a request's context. If an argument
    is text for one tool and a number for another, there is a second pair of files (`.1`).
    """

    check_cedar: CedarCheck
    schema: str = ""
    action: str = 'Action::"call"'
    facts: Mapping[str, str] | None = None

    def __post_init__(self) -> None:
        if unknown := sorted({*(self.facts or {})} - FACTS):
            known = ", ".join(sorted(FACTS))
            raise ValueError(f"`facts` has {unknown[0]!r}, and policies ask about {known} only")

    def files(self, proposal: Proposal) -> dict[str, str]:
        sayable = [restriction for restriction in proposal.restrictions if _in_range(restriction.rule)]
        files: dict[str, str] = {}
        for number, batch in enumerate([sayable] if self.schema and sayable else batches(sayable)):
            name = f"{_NAME}.{number}" if number else _NAME
            files[f"{name}.cedar"] = "\n".join(self.policy(each, proposal.own(each)) for each in batch)
            files[f"{name}.cedarschema"] = self.schema or generated_schema(batch, proposal.own)
        return files

    def check(self, proposal: Proposal, files: Mapping[str, str]) -> list[str]:
        """Validate each policy against the schema. Those that do not fit are best left out of the merge."""
        mine = {name: text for name, text in files.items() if name.startswith(_NAME) and name.endswith(".cedar")}
        absent = [each for each in proposal.restrictions if not any(quoted(each.id) in t for t in mine.values())]
        found = [each for name, text in mine.items() for each in self.check_cedar(text, files[f"{name}schema"])]
        return [f"{each.id}: {'has no policy' if _in_range(each.rule) else _OUT_OF_RANGE}" for each in absent] + [
            f"{each.policy_id}: {each.text}" for each in found
        ]

    def policy(self, restriction: Restriction, own: Sequence[str]) -> str:
        """`own` are the names that gateways have for the restriction's tool, if it is about one."""
        scope, rule = restriction.scope, restriction.rule
        when = [
            f"{self._at('tenant')} == {quoted(scope.tenant_id)}",
            f"{self._at('purpose')} == {quoted(scope.purpose)}",
            f"{self._at('role')} == {quoted(scope.role)}",
            f"{self._at('parent_role')} == {quoted(scope.parent_role)}",
        ]
        if own:
            at = self._at("tool")
            when.append(f"{at} == {quoted(own[0])}" if len(own) == 1 else f"{_set(own)}.contains({at})")
        more, unless = self._conditions(rule)
        lines = [
            f"@id({quoted(restriction.id)})",
            f"@why({quoted(f'{whom(scope)} {said(rule)}: {restriction.why}')})",
            f"forbid (principal, action == {self.action}, resource)",
            "when { " + " && ".join([*when, *more]) + " }" + ("" if unless else ";"),
        ]
        if unless:
            lines.append("unless { " + " && ".join(unless) + " };")
        return "\n".join(lines) + "\n"

    def _conditions(self, rule: Rule) -> tuple[list[str], list[str]]:
        """What else must hold for the policy to speak, and what is still permitted then."""
        match rule:
            case ForbidTool(_, exempt):
                return [], [f"{_set(exempt)}.contains({self._at('agent_id')})"] if exempt else []
            case ForbidDataClass(name):
                at = self._at("data_classes")
                return [_has(at)], [f"!({at}.contains({quoted(name)}))"]
            case MaxRecords(limit):
                at = self._at("records")
                return [_has(at)], [f"{at} <= {limit}"]
            case OnlyHours(hours):
                return [], [f"{_set(hours)}.contains({self._at('hour')})"]
            case MaxLifetime(seconds):
                return [], [f"{self._at('session_age_s')} <= {seconds}"]
            case PinArgument(_, name, required, constraint):
                held = f"{self._at('envelope')} has {quoted(constraint)}"
                holds = f"{self._at('envelope')}[{quoted(constraint)}].contains({self._argument(name)})"
                return self._given(name, required, held, holds)
            case ArgumentIn(_, name, required, values):
                return self._given(name, required, f"{_set(values)}.contains({self._argument(name)})")
            case ArgumentAtMost(_, name, required, limit):
                return self._given(name, required, f"{self._argument(name)} <= {limit}")
            case ArgumentLike(_, name, required, prefix, suffix):
                pattern = f"{escaped(prefix, like=True)}*{escaped(suffix, like=True)}"
                return self._given(name, required, f'{self._argument(name)} like "{pattern}"')
            case _:  # pragma: no cover
                assert_never(rule)

    def _given(self, name: str, required: bool, *permitted: str) -> tuple[list[str], list[str]]:
        there = f"{self._at('arguments')} has {quoted(name)}"
        return ([], [there, *permitted]) if required else ([there], list(permitted))

    def _argument(self, name: str) -> str:
        return f"{self._at('arguments')}[{quoted(name)}]"

    def _at(self, fact: str) -> str:
        return (self.facts or {}).get(fact, f"context.{fact}")


plugin = CedarForbids


def _in_range(rule: Rule) -> bool:
    """Whether Cedar can read the rule's numbers: a single one that is too large makes the whole file
    unreadable."""
    told = (*getattr(rule, "values", ()), getattr(rule, "limit", 0), getattr(rule, "seconds", 0))
    return all(abs(value) <= LARGEST for value in told if isinstance(value, int))


def _has(at: str) -> str:
    record, _, name = at.rpartition(".")
    return f"{record} has {name}"


def _set(values: Sequence[Scalar]) -> str:
    return "[" + ", ".join(quoted(v) if isinstance(v, str) else json.dumps(v) for v in values) + "]"
