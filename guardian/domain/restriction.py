"""A narrowing of what agents may do, said once and neutrally; policy languages are renderings of it.

A restriction only ever refuses. Its decision is a function of one call and its place in its session, so that
miner, backtest and every rendered policy can be held to the same sentence.
"""

import hashlib
from dataclasses import asdict, dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from guardian.domain.closed import first_of
from guardian.domain.rules import ROOT, RULES, Placed, Rule


@dataclass(frozen=True, slots=True)
class Scope:
    """Whom a restriction is about: an agent role that serves a purpose, for a tenant, called by `parent_role`."""

    tenant_id: str
    purpose: str
    role: str
    parent_role: str = ROOT

    @classmethod
    def of(cls, placed: Placed) -> "Scope":
        call = placed.call
        return cls(call.tenant_id, call.purpose, call.role, placed.parent_role)


@dataclass(frozen=True, slots=True, kw_only=True)
class Support:
    """What a restriction rests on: honest sessions and calls of its scope in the window, over so many days.

    `last_use` is when honest work last did what is now refused, None for never. `denied_at_most` is the upper
    confidence bound (95 %) on the share of future honest sessions that it would touch; `held_out` are the
    sessions of the window's last part that a rule mined on the first part was tested on, `held_out_broken` those
    of them that it would have touched.
    """

    sessions: int
    actions: int
    days: int
    last_use: str | None
    denied_at_most: float
    held_out: int
    held_out_broken: int
    flagged_use: int = 0  # flagged sessions that did what is refused
    held_below: int = 0  # honest sessions below its own that hold it: policies refuse it, the template keeps it
    alone: int | None = None
    """For what is taken because nobody used it: of the sessions, how many used something of the kind that no other
    did. None: not known, as in proposals of earlier versions, or not needed."""


@dataclass(frozen=True, slots=True)
class Restriction:
    """One narrowing with its reason and its evidence."""

    scope: Scope
    rule: Rule
    why: str
    support: Support

    @property
    def id(self) -> str:
        """Stable while scope, kind and subject are: numbers may move with the evidence."""
        scope = self.scope
        text = "\x1f".join(
            (scope.tenant_id, scope.purpose, scope.role, scope.parent_role, self.rule.kind, self.rule.subject)
        )
        return "rst_" + hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:20]

    def denies(self, placed: Placed) -> bool | None:
        """Whether it refuses the call; None: the log does not say enough."""
        return self.rule.broken_by(placed) if Scope.of(placed) == self.scope else False

    def as_json(self) -> dict[str, Any]:
        """Plain JSON; `from_json` reads it back."""
        return {
            "id": self.id,
            "scope": asdict(self.scope),
            "rule": {"kind": self.rule.kind, **asdict(self.rule)},
            "why": self.why,
            "support": asdict(self.support),
        }

    @classmethod
    def from_json(cls, value: object) -> "Restriction":
        """Raises ValueError for what is no restriction, says what is not known, or names itself wrongly."""
        try:
            told = _Told.model_validate(value)
            kind = told.rule.get("kind")
            if not isinstance(kind, str) or kind not in RULES:
                raise ValueError(f"rule.kind: {kind!r} is none of {', '.join(RULES)}")
            rule_type: Any = RULES[kind]
            given = {name: each for name, each in told.rule.items() if name != "kind"}
            rule = TypeAdapter(rule_type).validate_python(given)
        except ValidationError as error:
            raise ValueError(first_of(error)) from error
        made = cls(told.scope, rule, told.why, told.support)
        if told.id not in (None, made.id):
            raise ValueError(f"restriction {told.id} was edited: by its content it is {made.id}")
        return made


class _Told(BaseModel):
    model_config = ConfigDict(extra="forbid")

    id: str | None = None
    scope: Scope
    rule: dict[str, Any]
    why: str
    support: Support
