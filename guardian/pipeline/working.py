"""A batch in progress: the memory it began with, and everything that it changes."""

import dataclasses
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from guardian.domain.batch import (
    AgentKey,
    DeadLetter,
    DecisionKey,
    Decoded,
    Judgement,
    Memory,
    SiblingKey,
    TaskKey,
    Verdict,
)
from guardian.domain.event import SessionKey
from guardian.domain.finding import Finding
from guardian.domain.session import SessionState
from guardian.domain.signal import SharedReads, SiblingFact
from guardian.embedding.grounding import content_words
from guardian.embedding.text import words
from guardian.pipeline.side_findings import identity_finding

TOOLS_KEPT = 8
PRINTS_KEPT = 256
PURPOSES_KEPT = 16
SIBLINGS_KEPT = 32
_ID_KEPT = 480


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
        fresh = [p for p in dict.fromkeys(prints) if p not in self.prints]
        return History((*self.tools, tool)[-TOOLS_KEPT:], (*self.prints, *fresh)[-PRINTS_KEPT:])


class Work:
    """A batch in progress: the memory, and everything that it changes."""

    def __init__(self, memory: Memory) -> None:
        self.memory = memory
        self.sessions: dict[SessionKey, SessionState] = dict(memory.sessions)
        self.changed: dict[SessionKey, SessionState] = {}
        self.agents: dict[AgentKey, tuple[str, ...]] = {}
        self.tasks: dict[TaskKey, dict[str, SharedReads]] = {}
        self.shared: dict[SiblingKey, SharedReads] = {}
        self.seen: dict[DecisionKey, str] = {}
        self.verdicts: list[Verdict] = []
        self.duplicates = 0
        self._findings: dict[str, Finding] = {}

    def fresh(self, d: Decoded) -> Decoded | None:
        """The decision to judge; None for one that was handled before.

        An agent may be able to choose ids. A decision whose id came before with other content is reported and
        judged under an id of its own, so that nobody hides a call behind another's id.
        """
        known = self._digest(d.decision)
        if known is not None and known != d.digest:
            self.tell(identity_finding(d))
            known = self._digest(d.other_content)
            if known is None:
                self.seen[d.other_content] = d.digest
                name = f"{d.event.id[:_ID_KEPT]}#{d.digest[:16]}"
                return dataclasses.replace(d, event=d.event.model_copy(update={"id": name}))
        if known is None:
            self.seen[d.decision] = d.digest
            return d
        self.duplicates += 1
        return None

    def _digest(self, key: DecisionKey) -> str | None:
        return self.seen.get(key) or self.memory.seen.get(key)

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

    def siblings(self, d: Decoded) -> SiblingFact | None:
        """What the task's other sessions have read so far, the most sensitive first."""
        task = _task(d)
        if task is None:
            return None
        known = sorted(
            (item for item in self._reads(task).items() if item[0] != d.event.key.session_id),
            key=lambda item: (-item[1].weight, item[0]),
        )[:SIBLINGS_KEPT]
        if not known:
            return None
        version = hashlib.sha256(repr(known).encode("utf-8", "surrogatepass")).hexdigest()[:12]
        return SiblingFact(version, tuple(reads for _, reads in known))

    def share(self, d: Decoded, reads: SharedReads | None) -> None:
        """Make this session's reads known to the other sessions of its task."""
        task = _task(d)
        session = d.event.key.session_id
        if task is not None and reads is not None and self._reads(task).get(session) != reads:
            self.tasks[task] = {**self._reads(task), session: reads}
            self.shared[SiblingKey(*task, session)] = reads

    def _reads(self, task: TaskKey) -> Mapping[str, SharedReads]:
        return self.tasks.get(task) or self.memory.task_reads.get(task, {})

    def tell(self, finding: Finding | None) -> None:
        """Keep a finding, once per id."""
        if finding is not None:
            self._findings.setdefault(finding.id, finding)

    def judgement(self, dead_letters: Sequence[DeadLetter]) -> Judgement:
        return Judgement(
            verdicts=tuple(self.verdicts),
            findings=tuple(self._findings.values()),
            sessions=self.changed,
            seen=self.seen,
            agent_purposes=self.agents,
            task_reads=self.shared,
            dead_letters=tuple(dead_letters),
            duplicates=self.duplicates,
        )


def _task(d: Decoded) -> TaskKey | None:
    envelope = d.event.envelope
    return TaskKey(envelope.tenant_id, envelope.task_id) if envelope.task_id is not None else None
