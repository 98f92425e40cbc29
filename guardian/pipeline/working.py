"""A batch in progress: the memory it began with, and everything that it changes."""

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from guardian.domain.batch import (
    PURPOSES_KEPT,
    AgentKey,
    DeadLetter,
    DecisionKey,
    Decoded,
    Judgement,
    Memory,
    ScoredDecision,
    SiblingKey,
    TaskKey,
    delegation,
)
from guardian.domain.finding import Finding
from guardian.domain.identity import SessionKey
from guardian.domain.session import SessionState
from guardian.domain.signal import SharedReads, SiblingFact
from guardian.embedding.grounding import content_words
from guardian.embedding.text import words
from guardian.pipeline.side_findings import identity_finding

TOOLS_KEPT = 8
PRINTS_KEPT = 256
SIBLINGS_KEPT = 32
_ID_KEPT = 480
_NOTHING_READ = SharedReads({}, 0, (), 0.0)


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
    """A batch in progress: the memory, and everything that it changes. `shared` is what other sessions may know of
    a session's reads."""

    def __init__(self, memory: Memory, shared: Callable[[SessionState], SharedReads | None]) -> None:
        self.memory = memory
        self._shared = shared
        self.sessions: dict[SessionKey, SessionState] = dict(memory.sessions)
        self.changed: dict[SessionKey, SessionState] = {}
        self.agents: dict[AgentKey, tuple[str, ...]] = {}
        self.tasks: dict[TaskKey, dict[str, SharedReads]] = {}
        self.shared: dict[SiblingKey, SharedReads] = {}
        self.seen: dict[DecisionKey, str] = {}
        self.reused: dict[DecisionKey, Finding] = {}
        self.scored: list[ScoredDecision] = []
        self.duplicates = 0
        self._findings: dict[str, Finding] = {}

    def fresh(self, d: Decoded) -> Decoded | None:
        """The decision to judge; None for one that was handled before.

        An agent may be able to choose ids. A decision whose id came before with other content is reported and
        judged under an id of its own, so that nobody hides a call behind another's id.
        """
        known = self._digest(d.decision)
        if known is not None and known != d.digest:
            known = self._digest(d.other_content)
            if known is None:
                self.seen[d.other_content] = d.digest
                name = f"{d.event.id[:_ID_KEPT]}#{d.digest[:16]}"
                renamed = dataclasses.replace(d, event=d.event.model_copy(update={"id": name}))
                self.reused[renamed.decision] = identity_finding(d)
                return renamed
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
        self.agents[key] = known  # also where nothing is new: what is in use is not forgotten
        return len(known) - 1

    def siblings(self, d: Decoded, ancestors: Sequence[str]) -> SiblingFact | None:
        """What the other sessions of its task and of its delegation have read so far, the most sensitive first: a
        child may call its task anything, and another thing at each call."""
        task = _task(d)
        found = dict(self._reads(task)) if task is not None else {}
        found |= self._reads(delegation(d.event.key, ancestors))
        if (above := self._above(d)) is not None:
            found[above[0]] = above[1]
        known = sorted(
            (item for item in found.items() if item[0] != d.event.key.session_id and item[1].reads),
            key=lambda item: (-item[1].weight, item[0]),
        )[:SIBLINGS_KEPT]
        return SiblingFact(dict(known)) if known else None

    def share(self, d: Decoded, state: SessionState) -> None:
        """Make this session's reads known to the other sessions of its task and delegation. A root does not know
        that it delegates until a child has acted: the first one tells what its parent has read till then, or that
        there is a delegation."""
        session, reads = d.event.key.session_id, self._shared(state)
        if (task := _task(d)) is not None and reads is not None:
            self._note(task, session, reads)
        family = delegation(d.event.key, state.ancestors)
        if (above := self._above(d)) is not None and not self._reads(family).get(above[0], _NOTHING_READ).reads:
            self._note(family, *above)
        if state.ancestors and not self._reads(family):
            self._note(family, state.ancestors[-1], _NOTHING_READ)
        if reads is not None and (state.ancestors or self._reads(family)):
            self._note(family, session, reads)

    def _note(self, task: TaskKey, session: str, reads: SharedReads) -> None:
        if self._reads(task).get(session) != reads:
            self.tasks[task] = {**self._reads(task), session: reads}
            self.shared[SiblingKey(*task, session)] = reads

    def _above(self, d: Decoded) -> tuple[str, SharedReads] | None:
        """The parent, if it has read anything, and what."""
        key = d.event.envelope.parent_key
        parent = self.sessions.get(key) if key is not None else None
        reads = self._shared(parent) if parent is not None else None
        return (key.session_id, reads) if key is not None and reads is not None else None

    def _reads(self, task: TaskKey) -> Mapping[str, SharedReads]:
        return self.tasks.get(task) or self.memory.task_reads.get(task, {})

    def tell(self, finding: Finding | None) -> None:
        """Keep a finding, once per id."""
        if finding is not None:
            self._findings.setdefault(finding.id, finding)

    def judgement(self, dead_letters: Sequence[DeadLetter]) -> Judgement:
        return Judgement(
            scored=tuple(self.scored),
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
