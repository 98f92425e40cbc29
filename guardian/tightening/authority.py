"""The authority ledger: what each hop of a delegation chain could do, where it failed to narrow, what it used."""

from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

from guardian.domain.identity import SessionKey
from guardian.domain.past import PastCall
from guardian.domain.text import counted, some
from guardian.domain.wildcards import covers
from guardian.tightening.grants import Grant
from guardian.tightening.sessions import begun
from guardian.tightening.trust import Trust

MOST_SESSIONS = 200_000
_NAMED = 5


@dataclass(slots=True)
class Hop:
    """One session of a chain. `own` are its envelope's tools (`*` if it lists none, which is no limit), `used`
    those that it called and was allowed. Of an envelope that was issued again (`reissued`, with other authority)
    it holds what either granted."""

    key: SessionKey
    parent: str | None
    delegator: str
    agent: str | None
    purpose: str
    own: frozenset[str]
    classes: frozenset[str] | None
    records: int | None
    used: set[str] = field(default_factory=set)
    touched: set[str] = field(default_factory=set)
    calls: int = 0
    denied: int = 0
    reissued: bool = False
    envelope: tuple[tuple[str, ...], Mapping[str, object]] = ((), {})  # of the last call, as it was logged

    def note_envelope(self, call: PastCall) -> None:
        """Of one more call."""
        if self.envelope == (envelope := (call.allowed_tools, call.constraints)):
            return
        self.envelope = envelope
        tools, classes, records = _authority(call)
        self.reissued |= (tools, classes, records) != (self.own, self.classes, self.records)
        self.own |= tools
        self.classes = None if self.classes is None or classes is None else self.classes | classes
        self.records = None if self.records is None or records is None else max(self.records, records)


@dataclass(frozen=True, slots=True)
class Authority:
    """A hop, judged within its chain. `effective` are the tools that every hop above it held too; `implied` those
    that honest sessions of its purpose use, None if there are no such sessions; `faults` say where the chain
    failed to narrow."""

    hop: Hop
    effective: frozenset[str]
    implied: frozenset[str] | None
    faults: tuple[str, ...]

    @property
    def idle(self) -> frozenset[str]:
        """Effective tools that this session never used; a wildcard counts as used if it covers one that was."""
        return _unmet(self.effective, self.hop.used)

    @property
    def used_share(self) -> float:
        """The share of the effective tools that were used; 1 if there were none."""
        held = len(self.effective)
        return (held - len(self.idle)) / held if held else 1.0

    @property
    def excess(self) -> frozenset[str]:
        """Effective tools that the purpose does not imply."""
        return frozenset() if self.implied is None else _unmet(self.effective, self.implied)


@dataclass(frozen=True)
class Ledger:
    """Every session of the window by its key, and what the honest ones of each (tenant, purpose) used."""

    hops: Mapping[SessionKey, Hop]
    implied: Mapping[tuple[str, str], frozenset[str]]

    @classmethod
    def read(cls, calls: Iterable[PastCall], trust: Trust) -> "Ledger":
        """One pass; beyond 200,000 sessions the oldest are let go."""
        hops: OrderedDict[SessionKey, Hop] = OrderedDict()
        implied: dict[tuple[str, str], set[str]] = {}
        for call in calls:
            hop = hops.get(call.key)
            if hop is None:
                hop = hops[call.key] = _begin(call)
                if len(hops) > MOST_SESSIONS:
                    hops.popitem(last=False)
            hop.note_envelope(call)
            hop.calls += 1
            if not call.allowed:
                hop.denied += 1
                continue
            hop.used.add(call.tool)
            hop.touched |= call.data_classes or frozenset()
            if trust.honest(call.key):
                implied.setdefault((call.tenant_id, call.purpose), set()).add(call.tool)
        return cls(hops, {purpose: frozenset(tools) for purpose, tools in implied.items()})

    def chain(self, key: SessionKey) -> list[Authority]:
        """From the root to the session. Empty where the session is not known; a loop ends where it closes."""
        up: list[Hop] = []
        seen: set[SessionKey] = set()
        at: SessionKey | None = key
        while at is not None and at not in seen and (hop := self.hops.get(at)) is not None:
            seen.add(at)
            up.append(hop)
            at = None if hop.parent is None else SessionKey(hop.key.tenant_id, hop.parent)
        return self._judged(up[::-1])

    def of_session(self, key: SessionKey) -> list[list[Authority]]:
        """Its chain; where the key stands for several sessions, the chain of each, the latest first."""
        if key in self.hops or not key.nameless:
            return [chain] if (chain := self.chain(key)) else []
        tenant, name = key.tenant_id, begun(key)
        found = [each for each in self.hops if each.tenant_id == tenant and each.session_id.startswith(name)]
        return [self.chain(each) for each in found[::-1]]

    def of_purpose(self, tenant_id: str, purpose: str) -> list[list[Authority]]:
        """The chains that end in a session of this purpose and reach no other session of it, and one for each
        circle: the longest first, of equally long ones those with most faults."""
        found = [h for h in self.hops.values() if h.purpose == purpose and h.key.tenant_id == tenant_id]
        parents = {SessionKey(tenant_id, h.parent) for h in found if h.parent is not None}
        ends = [self.chain(h.key) for h in found if h.key not in parents]
        passed = {each.hop.key for chain in ends for each in chain[:-1]}
        chains = [chain for chain in ends if chain[-1].hop.key not in passed]
        reached = {each.hop.key for chain in chains for each in chain}
        for hop in found:
            if hop.key not in reached:
                chains.append(self.chain(hop.key))
                reached |= {each.hop.key for each in chains[-1]}
        return sorted(
            chains, key=lambda chain: (-len(chain), -sum(len(a.faults) for a in chain), chain[-1].hop.key)
        )

    def _judged(self, chain: Sequence[Hop]) -> list[Authority]:
        found: list[Authority] = []
        for hop in chain:
            above = found[-1] if found else None
            effective = hop.own if above is None else _shared(hop.own, above.effective)
            faults = [] if above is None else _faults(hop, above)
            if above is None and hop.parent is not None:
                circle = any(each.key == (hop.key.tenant_id, hop.parent) for each in chain)
                missing = f"its parent {hop.parent} is not in the window"
                faults = ["the delegation runs in a circle" if circle else missing]
            if hop.reissued:
                faults.append("its envelope was issued again with other authority")
            implied = self.implied.get((hop.key.tenant_id, hop.purpose))
            found.append(Authority(hop, effective, implied, tuple(faults)))
        return found


def _beyond(names: AbstractSet[str], entries: AbstractSet[str]) -> frozenset[str]:
    """The names that no entry covers."""
    wild = [entry for entry in entries if "*" in entry]
    return frozenset(name for name in names - entries if not any(covers(entry, name) for entry in wild))


def _unmet(entries: AbstractSet[str], names: AbstractSet[str]) -> frozenset[str]:
    """The entries that cover no name."""
    return frozenset(
        entry for entry in entries - names if "*" not in entry or not any(covers(entry, name) for name in names)
    )


def _shared(some: AbstractSet[str], others: AbstractSet[str]) -> frozenset[str]:
    """What both lists allow: of two entries that cover one another, the narrower."""
    return frozenset(some - _beyond(some, others)) | frozenset(others - _beyond(others, some))


def _authority(call: PastCall) -> tuple[frozenset[str], frozenset[str] | None, int | None]:
    """What the call's envelope grants: tools, data classes, records."""
    grant = Grant.of(call)
    classes = None if grant.data_classes is None else frozenset(grant.data_classes)
    return frozenset(grant.tools or ("*",)), classes, grant.max_records


def _begin(call: PastCall) -> Hop:
    tools, classes, records = _authority(call)
    return Hop(
        key=call.key,
        parent=call.parent_session_id,
        delegator=call.delegator_id,
        agent=call.agent_id,
        purpose=call.purpose,
        own=tools,
        classes=classes,
        records=records,
        envelope=(call.allowed_tools, call.constraints),
    )


def _faults(hop: Hop, above: Authority) -> list[str]:
    parent = above.hop
    faults = []
    if wider := _beyond(hop.own, above.effective):
        named = some(sorted(wider), _NAMED)
        faults.append(f"holds {counted(len(wider), 'tool')} that nobody above it could give: {named}")
    elif len(hop.own) > 1 and hop.own == above.effective:
        faults.append("holds all that its parent holds: nothing was narrowed")
    if parent.classes is not None and (hop.classes is None or _beyond(hop.classes, parent.classes)):
        faults.append("may touch data classes that its parent may not")
    if parent.records is not None and (hop.records is None or hop.records > parent.records):
        faults.append("may take more records than its parent")
    if hop.delegator != parent.delegator:
        faults.append(f"acts for {hop.delegator}, its parent for {parent.delegator}")
    return faults
