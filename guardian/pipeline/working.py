"""A batch in progress: the memory it began with, and everything that it changes."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from guardian.domain.event import SessionKey
from guardian.domain.finding import Finding
from guardian.domain.session import SessionState
from guardian.embedding.grounding import content_words
from guardian.embedding.text import words
from guardian.pipeline.batch import AgentKey, DeadLetter, DecisionKey, Decoded, Judgement, Memory, Verdict
from guardian.pipeline.side_findings import identity_finding

TOOLS_KEPT = 8
PRINTS_KEPT = 256
PURPOSES_KEPT = 16


def related(one: str, other: str) -> bool:
    """Whether two purposes say much the same: a third of the shorter one's content words stand in the other."""
    if one == other:
        return True
    a, b = content_words(words(one)), content_words(words(other))
    return len(a & b) >= max(1, -(-min(len(a), len(b)) // 3))


@dataclass(frozen=True, slots=True)
class History:
    """The last tools of a session and the fingerprints of the values it has used; both bounded, oldest first."""

    tools: tuple[str, ...] = ()
    prints: tuple[str, ...] = ()

    @classmethod
    def of(cls, state: SessionState | None) -> "History":
        return cls(state.tools, state.value_prints) if state is not None else cls()

    def after(self, tool: str, prints: Iterable[str]) -> "History":
        fresh = [p for p in sorted(prints) if p not in self.prints]
        return History((*self.tools, tool)[-TOOLS_KEPT:], (*self.prints, *fresh)[-PRINTS_KEPT:])


class Work:
    """A batch in progress: the memory, and everything that it changes."""

    def __init__(self, memory: Memory) -> None:
        self.memory = memory
        self.sessions: dict[SessionKey, SessionState] = dict(memory.sessions)
        self.changed: dict[SessionKey, SessionState] = {}
        self.agents: dict[AgentKey, tuple[str, ...]] = {}
        self.seen: dict[DecisionKey, str] = {}
        self.verdicts: list[Verdict] = []
        self.duplicates = 0
        self._findings: dict[str, Finding] = {}

    def is_fresh(self, d: Decoded) -> bool:
        """False for a decision that was handled before; one that comes back changed is told."""
        known = self.seen.get(d.decision) or self.memory.seen.get(d.decision)
        if known is None:
            self.seen[d.decision] = d.digest
            return True
        self.duplicates += 1
        if known != d.digest:
            self.tell(identity_finding(d))
        return False

    def other_purposes(self, d: Decoded) -> int:
        envelope = d.event.envelope
        if envelope.agent_id is None or not envelope.purpose:
            return 0
        key = AgentKey(envelope.tenant_id, envelope.agent_id)
        known = self.agents.get(key) or self.memory.agent_purposes.get(key, ())
        if not any(related(envelope.purpose, other) for other in known):
            known = (*known, envelope.purpose)[-PURPOSES_KEPT:]
            self.agents[key] = known
        return len(known) - 1

    def tell(self, finding: Finding | None) -> None:
        """Keep a finding, once per id."""
        if finding is not None and finding.id not in self.memory.reported:
            self._findings.setdefault(finding.id, finding)

    def judgement(self, dead_letters: Sequence[DeadLetter]) -> Judgement:
        return Judgement(
            verdicts=tuple(self.verdicts),
            findings=tuple(self._findings.values()),
            sessions=self.changed,
            seen=self.seen,
            agent_purposes=self.agents,
            dead_letters=tuple(dead_letters),
            duplicates=self.duplicates,
        )
