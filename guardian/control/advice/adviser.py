"""Advice before the act: the port to whoever weighs a proposed call, and what holds when that takes too long."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

from guardian.domain.wildcards import covers
from guardian.wire.advice import Weighing

Answer = Literal["permit", "deny"]


class Adviser(Protocol):
    """Weighs a call that has not happened, as the monitor would have judged it. Nothing is remembered of it.

    `weigh` gets a `guardian.decision/v1` line. It raises AdviserError when there is no answer within `timeout_s`,
    or none that makes sense.
    """

    def weigh(self, line: bytes, timeout_s: float) -> Weighing: ...


@dataclass(frozen=True, slots=True)
class AdviceRule:
    """`risks` maps patterns of tool names to a risk, the first that fits counts; others are of `default_risk`.
    A tool has the names that a gateway gives it and those that `rename` makes of them; where they differ in risk,
    one that is denied counts. `of_server` makes one name of a tool's and its server's, as the log's adapter does.

    `fallback` answers by risk when the adviser does not within `budget_s`, or policy has no answer; a risk that is
    not in it is denied.
    """

    budget_s: float = 0.25
    risks: Mapping[str, str] = field(default_factory=dict)
    default_risk: str = "high"
    fallback: Mapping[str, Answer] = field(default_factory=dict)

    rename: Callable[[str], str] = str
    of_server: Callable[[str, str], str] | None = None

    def tool_of(self, tool: str, server: str | None) -> str:
        """The tool as the log would name it whose gateway names this server beside it."""
        return tool if server is None or self.of_server is None else self.of_server(tool, server)

    def risk_of(self, *tools: str) -> str:
        names = dict.fromkeys((*map(self.rename, tools), *tools))
        firsts = (next((risk for like, risk in self.risks.items() if covers(like, name)), None) for name in names)
        found = [risk for risk in firsts if risk is not None] or [self.default_risk]
        return min(found, key=lambda risk: self.fallback.get(risk, "deny") != "deny")

    def without_answer(self, risk: str) -> Answer:
        return self.fallback.get(risk, "deny")
