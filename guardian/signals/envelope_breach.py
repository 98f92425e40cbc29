"""Does the action stay inside its envelope? Every rule it breaks is a named breach.

Names: those of `TITLES`. An empty `allowed_tools` lists nothing and so breaches nothing here; `envelope_hygiene`
reports it as tools_unlisted.

A denied call that would have broken a rule is a soft breach (`hard` is False): the gateway did its job, the agent
still tried. What may lie outside the envelope, and cannot be compared for certain, is `arguments_unchecked`:
always soft, and by itself it asks for nothing. More arguments than are looked at (`arguments_cut`) flag: an agent
could pad what it wants to hide. Another session that any system might name so flags too, where it is known here,
and is hardly evidence. Another tenant that guardian does not know flags: it may be another system's, or a house's.
That nobody signed the envelope (`signature_missing`) flags and is no evidence: the agent did nothing by it.
Session sums count allowed calls only, by what came back where that is known; one that is over its limit only if a
dry run was none, a repetition moved anew or the like is a soft breach.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import chain
from typing import ClassVar

from guardian.domain.breach import Breach, joined, marks
from guardian.domain.signal import Observation, Signal
from guardian.domain.strict_json import canonical_json
from guardian.errors import ConfigurationError
from guardian.signals.envelopes import rules
from guardian.signals.envelopes.comparing import bounded
from guardian.signals.envelopes.doubts import Doubts
from guardian.signals.envelopes.limits import Limits
from guardian.signals.envelopes.ownership import ownership
from guardian.signals.envelopes.totals import Adding, Totals
from guardian.signals.options import names, within
from guardian.signals.port import SignalFold, State, TellsOf
from guardian.signals.words.constraints import Constraints, bare, read
from guardian.signals.words.json_texts import unfolded
from guardian.signals.words.leaves import comparable
from guardian.signals.words.wording import canonical, shown

TITLES = {
    "envelope_expired": "Acts on an expired envelope",
    "envelope_mismatch": "Brings an envelope that is another's",
    "signature_invalid": "Acts on an envelope whose signature does not hold",
    "signature_missing": "Acts on an envelope that nobody signed",
    "tenant_mismatch": "Names another tenant than its envelope's",
    "session_mismatch": "Names another session than its own",
    "tool_not_allowed": "Calls a tool outside its envelope",
    "resource_outside_constraints": "Touches a resource outside its envelope",
    "data_class_outside": "Touches a data class outside its envelope",
    "records_over_limit": "Takes more records than the envelope allows",
    "records_over_limit_session": "Takes more records in total than the envelope allows",
    "limit_exceeded": "Exceeds a limit of its envelope",
    "limit_exceeded_session": "Exceeds a limit of its envelope in total",
    "below_minimum": "Stays below a minimum of its envelope",
    "arguments_cut": "Its arguments hold more than is looked at",
    "arguments_unchecked": "Its arguments hold what cannot be compared",
}
"""Every rule of this signal, and what a finding about it is called."""

_BROKEN, _ATTEMPTED, _DOUBTFUL = 1.0, 0.6, 0.4
_HARDLY = frozenset({"arguments_unchecked", "session_mismatch"})
_UNCHECKED = 0.1  # a whisper: honest sessions may say it in every call, of every tool
_SUMMED = ("max_records", "max_rows", "max_amount", "max_bytes", "max_recipients")


@dataclass(frozen=True)
class EnvelopeBreach(SignalFold):
    """Options.

    leeway_seconds  how long after its expiry an envelope is still accepted, for clocks that differ
    mapping         constraint key -> argument or resource names it bounds, beyond the obvious ones
    summed          limits that also bound the sum: of one call's items, and over the session's allowed calls

    Given: `tenants`, those that the configuration names.
    """

    leeway_seconds: float = 30.0
    mapping: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    summed: tuple[str, ...] = _SUMMED
    tenants: frozenset[str] = frozenset()
    breaches: ClassVar[Mapping[str, str]] = TITLES
    weight: ClassVar[float] = 0.9
    lasting: ClassVar[bool] = True  # what was taken is taken, whatever people said of a finding
    tells_of: ClassVar[TellsOf] = "gateway"

    def __post_init__(self) -> None:
        within(self.name, "leeway_seconds", self.leeway_seconds, 0, 3600)
        if not isinstance(self.mapping, Mapping):
            raise ConfigurationError(f"signals.{self.name}.mapping is {self.mapping!r}; give names per constraint")
        pairs = {key: names(self.name, f"mapping.{key}", value) for key, value in self.mapping.items()}
        object.__setattr__(self, "mapping", pairs)
        object.__setattr__(self, "summed", names(self.name, "summed", self.summed))

    @property
    def name(self) -> str:
        return "envelope_breach"

    def start(self) -> State:
        return {"sums": {}}

    def fold(self, state: State, seen: Observation) -> tuple[State, Signal]:
        """Check one action against its envelope and the session's running sums."""
        event, envelope = seen.event, seen.event.envelope
        constraints = read(envelope.resource_constraints, seen.redacted, self._bounded)
        action, documents = unfolded(comparable(seen))
        limits, doubts = Limits(constraints, seen, action), Doubts(constraints, seen, action)
        adding = Adding(limits, Totals.of(state), self.summed)
        with bounded() as comparisons:
            refused = tuple(rules.refused(constraints, action))
            found = [
                *rules.identity(seen, self.leeway_seconds),
                *rules.tools(envelope, event.action.tool),
                *ownership(seen, action, self.tenants),
                *rules.resources(refused),
                *rules.data_classes(constraints, event.data_classes, action),
                *limits.per_call(self.summed),
                *adding.breaches(),
            ]
            documented = rules.in_documents(seen, constraints, documents, self.tenants)
            unsure = chain(doubts.told(), rules.spelt_otherwise(refused), documented)
            doubt = next(unsure, None)
        if action.cut or comparisons.spent:  # without constraints too they may name another tenant or session
            name = "arguments_cut" if constraints.spelt else "arguments_unchecked"
            about = marks([canonical_json(event.action.model_dump(include={"arguments", "resource"}))])
            found.append(Breach(name, "the arguments hold more than is looked at", False, about))
        if doubt is not None:
            found.append(Breach("arguments_unchecked", doubt, False))
        signal = self._broken(seen, found) if found else self._kept(seen, constraints, doubts)
        for breach in rules.unsigned(seen):  # told, and no evidence
            reason, told = f"{signal.reason}; {breach.detail}", (*signal.breaches, breach)
            signal = replace(signal, reason=reason, breaches=told)
        return adding.kept().state(), signal

    @cached_property
    def _bounded(self) -> Mapping[str, tuple[str, ...]]:
        """The mapping as `Constraints` has it."""
        found: dict[str, tuple[str, ...]] = {}
        for key, others in self.mapping.items():
            found[bare(key)] = (*found.get(bare(key), ()), *map(canonical, others))
        return found

    def _broken(self, seen: Observation, found: list[Breach]) -> Signal:
        denied = seen.event.decision.effect == "deny"
        named: dict[str, Breach] = {}
        for breach in sorted(found, key=lambda breach: not breach.hard):
            told = replace(breach, hard=breach.hard and not denied)
            first = named.setdefault(told.rule, told)
            if told is not first and told.about:
                named[told.rule] = joined(first, told)
        proven = any(breach.hard for breach in found)
        doubtful = _UNCHECKED if {breach.name for breach in named.values()} <= _HARDLY else _DOUBTFUL
        value = doubtful if not proven else _ATTEMPTED if denied else _BROKEN
        said = "; ".join(breach.detail for breach in named.values())
        reason = shown(f"denied, but tried: {said}" if denied else said, 600)
        return Signal(self.name, value, reason, tuple(named.values()))

    def _kept(self, seen: Observation, constraints: Constraints, doubts: Doubts) -> Signal:
        envelope, lacking = seen.event.envelope, seen.features_missing
        kept = "inside its envelope"
        missing = [] if envelope.allowed_tools else ["allowed_tools (tools_unlisted)"]
        if envelope.expires_at is None:
            missing.append("expires_at")
        if (constraints.allowed or constraints.denied) and {"arguments", "resource"} <= set(lacking):
            missing.append("arguments and resource, so constraints were not checked")
        if constraints.data_classes is not None and "data_classes" in lacking:
            missing.append("data_classes")
        if "record" in constraints.maxima and "records" in lacking:
            missing.append("records")
        if hidden := doubts.hidden():
            missing.append(f"{shown(', '.join(hidden), 200)} (redacted), so not checked")
        elif unmet := [name for name, answers in doubts.answered() if not answers]:
            met = any(answers for _, answers in doubts.answered())
            told = f"nothing in the call answers to {shown(', '.join(unmet), 200)}"
            kept = f"inside its envelope; {told}" if met else f"{told}, so that was not compared"
        nothing = not (envelope.allowed_tools or constraints.spelt or envelope.expires_at)
        reason = f"missing: {', '.join(missing)}" if missing else kept
        return Signal(self.name, 0.0, reason, silent=nothing)


plugin = EnvelopeBreach
