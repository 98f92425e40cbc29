"""A proposal: restrictions with everything a reviewer needs."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from guardian.domain.restriction import Restriction, Scope
from guardian.tightening.backtest import Backtest
from guardian.tightening.grants import Grant
from guardian.tightening.mining import Abstention, Advice
from guardian.tightening.promise import Promise, foretold, promised
from guardian.tightening.surface import Surface


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """`grants` are the envelope templates in force in each scope that is narrowed, the most used first.

    Tools have guardian's names; `spelt` gives the names that policies ask for, where those differ. `renamed` are
    tools that gateways or templates may spell in a way that is not known, because guardian may have renamed them.
    """

    tenant_id: str
    since: datetime
    until: datetime
    made_at: datetime
    restrictions: tuple[Restriction, ...]
    grants: Mapping[Scope, tuple[Grant, ...]]
    backtest: Backtest
    surface: Surface
    abstentions: tuple[Abstention, ...] = ()
    advice: tuple[Advice, ...] = ()
    rejected: tuple[str, ...] = ()  # ids that people rejected, whose evidence has not changed
    renamed: tuple[str, ...] = ()
    spelt: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def own(self, restriction: Restriction) -> tuple[str, ...]:
        """The names that a policy asks for the restriction's tool by; empty if it is about no tool."""
        tool = getattr(restriction.rule, "tool", None)
        return () if tool is None else self.spelt.get(tool) or (tool,)

    @property
    def tools(self) -> frozenset[str]:
        """Every tool that a restriction or a template names."""
        restricted = {tool for each in self.restrictions if (tool := getattr(each.rule, "tool", None)) is not None}
        return frozenset(restricted).union(*(grant.tools for found in self.grants.values() for grant in found))

    @property
    def scopes(self) -> tuple[Scope, ...]:
        """In the order of the restrictions, each once."""
        return tuple(dict.fromkeys(restriction.scope for restriction in self.restrictions))

    @property
    def promised(self) -> Promise | None:
        """For honest sessions to come; None: not known."""
        return promised({scope: self.of(scope) for scope in self.scopes})

    @property
    def foretold(self) -> str:
        """The same in words."""
        return foretold(self.promised)

    def of(self, scope: Scope) -> tuple[Restriction, ...]:
        return tuple(restriction for restriction in self.restrictions if restriction.scope == scope)
