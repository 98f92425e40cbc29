"""What became of the records of a log, format by format."""

import dataclasses
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from guardian.domain.event import DecisionEvent
from guardian.domain.identity import SessionKey, SessionName

_REASONS = 5
_ENOUGH = 20
_NEARLY_ALL = 0.9
_SESSIONS = 100_000
"""Advice on how sessions are named needs so many calls, and so large a share of sessions with one only; of more
sessions the first count."""


@dataclass(frozen=True, slots=True)
class Alone:
    """How many of the sessions hold one call, and what most of those are named by."""

    sessions: int
    of_one_call: int
    named_by: SessionName


@dataclass
class Tally:
    """What became of the records of one format (None: of none that is known). `only_auto`: how many of guardian's
    own format only `auto` reads whole. `calls`: how many each session has that `source.session` chose the name of,
    with what that is. `spoken`: how many each gateway has of each tenant. `anothers`: how many decisions have
    another's envelope. `ways`: what to do about records of no known format, None where they are JSON."""

    format: str | None
    records: int = 0
    decisions: int = 0
    skipped: int = 0
    refused: int = 0
    anothers: int = 0
    only_auto: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    missing: Counter[str] = field(default_factory=Counter)
    calls: Counter[tuple[SessionKey, SessionName]] = field(default_factory=Counter)
    spoken: Counter[tuple[str, str]] = field(default_factory=Counter)
    ways: Counter[str | None] = field(default_factory=Counter)

    def count(self, event: DecisionEvent) -> None:
        """Count the call for its gateway; and for its session, unless it could have no other name: it has neither
        agent nor user."""
        self.spoken[event.gateway, event.envelope.tenant_id] += 1
        self.anothers += event.origin is not None and bool(event.origin.contradicted)
        if event.origin is None or event.has_envelope:
            return
        if event.envelope.agent_id is None and "delegator_id" in event.origin.absent:
            return
        session = event.key, event.origin.session_from
        if session in self.calls or len(self.calls) < _SESSIONS:
            self.calls[session] += 1

    @property
    def alone(self) -> Alone | None:
        """That nearly every session holds one call; None where not, and where no other name could change it."""
        kinds = Counter(kind for (_, kind), calls in self.calls.items() if calls == 1)
        single = kinds.total()
        if self.calls.total() < _ENOUGH or single < _NEARLY_ALL * len(self.calls):
            return None
        ((kind, _),) = kinds.most_common(1)
        return None if kind == "window" else Alone(len(self.calls), single, kind)

    @property
    def readable(self) -> float:
        """The share of what the records hold, one or many entries each, that could be read, in [0, 1]."""
        held = self.decisions + self.skipped + self.refused
        return 1 - self.refused / held if held else 0.0

    @property
    def way(self) -> str | None:
        """How a collector or gateway should write these records, where most are text; None where nothing helps."""
        return self.ways.most_common(1)[0][0] if self.ways else None

    @property
    def callless(self) -> bool:
        """Whether it is of a known format and can be read, and none of it is a tool call."""
        return self.format is not None and not self.decisions and not self.refused

    def as_json(self) -> dict[str, Any]:
        names = ("format", "records", "decisions", "skipped", "refused", "anothers", "only_auto")
        told = {name: getattr(self, name) for name in names}
        alone = self.alone
        return {**told, "readable": round(self.readable, 4), "reasons": dict(self.reasons.most_common(_REASONS)),
                "missing": dict(self.missing.most_common()),
                "alone": None if alone is None else dataclasses.asdict(alone)}  # fmt: skip
