"""The three steps that a worker takes with a batch."""

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from guardian.domain.batch import (
    AgentKey,
    DeadLetter,
    Decoded,
    Judgement,
    Known,
    Memory,
    PurposeKey,
    TaskKey,
    Wanted,
)
from guardian.domain.identity import SessionKey
from guardian.domain.record import Record
from guardian.pipeline.decoding import Decoder
from guardian.pipeline.filling import Filling
from guardian.pipeline.judging import Judge
from guardian.pipeline.registered import vouched
from guardian.signals.envelopes.ownership import named_sessions


@dataclass(frozen=True)
class Pipeline:
    """decode → (the caller loads what is registered) → fill → (and what is `wanted`) → judge."""

    decoder: Decoder
    judging: Judge
    filling: Filling = field(default_factory=Filling)

    def decode(self, records: Sequence[Record]) -> tuple[list[Decoded], list[DeadLetter]]:
        return self.decoder.decode(records)

    def each(self, record: Record) -> Iterator[Decoded | DeadLetter]:
        """What `decode` finds in one record, one by one: a record may hold any number of decisions."""
        return self.decoder.each(record)

    def fill(
        self, decoded: Sequence[Decoded], known: Known, *, patient: bool
    ) -> tuple[list[Decoded], list[Decoded]]:
        """The decisions to judge now, and those that wait for an envelope; see `Filling.fill`."""
        return self.filling.fill(decoded, known, patient=patient)

    def wanted(self, decoded: Sequence[Decoded], letters: Sequence[DeadLetter] = ()) -> Wanted:
        """Every key that judging these decisions, and the findings about these letters, may look at."""
        envelopes = [d.event.envelope for d in decoded]
        parents = frozenset(e.parent_key for e in envelopes if e.parent_key is not None)
        unsigned = frozenset(d.event.key for d in decoded if d.signature == "missing")
        named = {SessionKey(d.event.key.tenant_id, name) for d in decoded for name in named_sessions(d.event)}
        unjudged = frozenset(letter.key for letter in letters if letter.key is not None)
        return Wanted(
            sessions=frozenset(e.key for e in envelopes) | parents | named | unjudged,
            decisions=frozenset(key for d in decoded for key in (d.decision, d.other_content)),
            purposes=frozenset(PurposeKey.of(e) for e in envelopes),
            agents=frozenset(AgentKey(e.tenant_id, e.agent_id) for e in envelopes if e.agent_id is not None),
            tasks=frozenset(TaskKey(e.tenant_id, e.task_id) for e in envelopes if e.task_id is not None),
            registered=parents | unsigned,
        )

    def judge(self, decoded: Sequence[Decoded], dead_letters: Sequence[DeadLetter], memory: Memory) -> Judgement:
        known = self.filling.of_parents(decoded, memory.registered)
        own = (d.event.envelope for d in decoded if d.event.origin is None)
        before = (state.envelope for state in memory.sessions.values() if state.envelope is not None)
        told = dataclasses.replace(
            memory,
            registered=known,
            renamed=self.filling.renamed(known),
            spelling=self.filling.spelling((*own, *before)),
        )
        return self.judging.judge([vouched(d, _registered(d, memory)) for d in decoded], dead_letters, told)


def _registered(d: Decoded, memory: Memory) -> tuple[str, ...]:
    """Digests of the envelopes that were registered for its session, as far as they are known here."""
    state, grant = memory.sessions.get(d.event.key), memory.registered.get(d.event.key)
    return (*(() if state is None else state.registered), *(() if grant is None else (grant.digest,)))
