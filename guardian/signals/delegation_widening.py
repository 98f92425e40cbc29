"""A child session must narrow its parent, and a session must not grow while it runs.

Names: those of `TITLES`.

A soft breach is told on every call, but counts as evidence once, until its extent changes. The parent is a
recorded fact of the Observation. While it is pending the signal says so and accuses nobody.
"""

import hashlib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import ClassVar

from guardian.domain.breach import Breach, broken_by, joined, marks
from guardian.domain.envelope import Envelope
from guardian.domain.fields import in_utc, plain
from guardian.domain.signal import CHAIN_KEPT, Observation, ParentStatus, Signal
from guardian.domain.strict_json import canonical_json
from guardian.signals.envelopes import reissue
from guardian.signals.envelopes.comparing import bounded
from guardian.signals.envelopes.narrowing import Delegation, Widening, in_one_spelling
from guardian.signals.options import known, within
from guardian.signals.port import SignalFold, State
from guardian.signals.words.wording import only_reads, shown

_RULES = {
    "wider_tools": (1.0, "Child session holds tools that its parent did not"),
    "wider_resources": (1.0, "Child session reaches resources that its parent did not"),
    "wider_data_classes": (1.0, "Child session reaches data classes that its parent did not"),
    "wider_limits": (0.9, "Child session has wider limits than its parent"),
    "wider_purpose": (0.6, "Child session has a wider purpose than its parent"),
    "other_purpose": (0.2, "Child session acts for a purpose that has no word of its parent's"),
    "later_expiry": (0.8, "Child session may outlive its parent"),
    "changed_delegator": (1.0, "Child session acts for another person than its parent"),
    "unnamed_delegator": (0.4, "Child session does not name for whom it acts"),
    "unclear_delegator": (0.4, "Child session acts for somebody who is not told to stand above it"),
    "copied_authority": (0.7, "Child session kept its parent's full authority"),
    "kept_tools": (0.6, "Child session kept tools that its own purpose does not name"),
    "wider_unclear": (0.1, "Its envelope holds what cannot be compared"),
    "chain_too_deep": (0.9, "Too many sessions delegated one to the next"),
    "delegation_cycle": (1.0, "Session is its own ancestor"),
    "parent_unknown": (0.4, "Nobody knows its parent session"),
    "parent_revoked": (1.0, "Its parent session is revoked"),
    "parent_expired": (1.0, "Its parent session has expired"),
    "reissued_tools": (1.0, "Its envelope was issued again with more tools"),
    "reissued_purpose": (0.9, "Its envelope was issued again for another purpose"),
    "reissued_resources": (1.0, "Its envelope was issued again for more resources"),
    "reissued_data_classes": (1.0, "Its envelope was issued again for more data classes"),
    "reissued_limits": (0.9, "Its envelope was issued again with wider limits"),
    "reissued_delegator": (1.0, "Its envelope was issued again for another person"),
    "reissued_parent": (1.0, "Its envelope was issued again below another parent, or none"),
    "reissued_expiry": (0.5, "Its envelope was issued again to last longer"),
    "renewed": (0.1, "Its envelope was renewed"),
    "reissued_unclear": (0.1, "Its envelope was issued again, and its constraints cannot be compared"),
}
"""Each breach, the value it gives the signal, and what a finding about it is called."""
WEIGHTS = {name: weight for name, (weight, _) in _RULES.items()}
TITLES = {name: title for name, (_, title) in _RULES.items()}

_NO_PROOF = ("other_purpose", "unnamed_delegator", "unclear_delegator", "wider_unclear", "renewed")
"""Soft, whether `soft` lists them or not: lists from before these were rules would make facts of them."""
_DENIED_FORCE = 0.6
_TOLD = 0.1
"""The value of a soft breach once it was told: a session carries it through all its calls, and one oddity is not
many."""


@dataclass(frozen=True)
class DelegationWidening(SignalFold):
    """Options.

    max_depth       how many ancestors a session may have, at most 31
    soft            breaches that are worth telling but prove nothing by themselves
    kept_share      share of its parent's tools from which a child of another purpose keeps too much
    leeway_seconds  how long after its parent's expiry a child may still act, for clocks that differ
    """

    max_depth: int = 5
    soft: tuple[str, ...] = (
        "copied_authority",
        "kept_tools",
        "parent_unknown",
        "wider_purpose",
        "reissued_expiry",
        "reissued_unclear",
        *_NO_PROOF,
    )
    kept_share: float = 0.75
    leeway_seconds: float = 30.0
    breaches: ClassVar[Mapping[str, str]] = TITLES
    weight: ClassVar[float] = 0.9
    lasting: ClassVar[bool] = True

    def __post_init__(self) -> None:
        within(self.name, "max_depth", self.max_depth, 1, CHAIN_KEPT - 1)
        within(self.name, "kept_share", self.kept_share, 0, 1)
        within(self.name, "leeway_seconds", self.leeway_seconds, 0, 3600)
        told = known(self.name, "soft", self.soft, WEIGHTS)
        object.__setattr__(self, "soft", tuple(dict.fromkeys((*told, *_NO_PROOF))))

    @property
    def name(self) -> str:
        return "delegation_widening"

    def start(self) -> State:
        return {"first": None, "told": {}}

    def fold(self, state: State, seen: Observation) -> tuple[State, Signal]:
        """Compare the envelope with its parent's, and with the first one that this session showed."""
        envelope, first, told = seen.event.envelope, state["first"], state.get("told", {})
        if not seen.event.has_envelope:  # the one that comes later is the first, not a re-issue
            return state, Signal(self.name, 0.0, "missing: no envelope is known for this session", silent=True)
        with bounded() as comparisons:
            found = [*self._chain(seen), *self._parent(seen)]
            found += () if first is None else reissue.growth(first, seen)
        if comparisons.spent:
            about = marks([*envelope.allowed_tools, canonical_json(plain(envelope.resource_constraints))])
            detail = "it holds more than is compared with its parent's or its first envelope"
            found.append(Widening("wider_unclear", detail, about))
        acted = seen.signature != "invalid" and seen.event.decision.effect != "deny"
        if acted or seen.issued:  # anybody may claim anything under the name of a session, and be denied
            first = reissue.remembered(first, seen)
        extents = {each.name: _extent(each) for each in reversed(found) if self._is_soft(each)}
        before = {name for name, extent in extents.items() if told.get(name) == extent}
        signal = self._widened(seen, found, before) if found else self._narrow(seen)
        if acted:
            told = told | extents
        return {"first": first, "told": told}, signal

    def _chain(self, seen: Observation) -> Iterator[Widening]:
        envelope, parent_id = seen.event.envelope, seen.event.envelope.parent_session_id
        if parent_id is None:
            return
        above = seen.parent.chain if seen.parent.chain[:1] == (parent_id,) else (parent_id, *seen.parent.chain)
        if envelope.session_id in above:
            yield Widening("delegation_cycle", "the session is its own ancestor", marks([parent_id]))
        elif len(above) > self.max_depth:
            detail = f"{len(above)} ancestors, {self.max_depth} are allowed"
            yield Widening("chain_too_deep", detail, broken_by("chain_too_deep", len(above)))

    def _parent(self, seen: Observation) -> Iterator[Widening]:
        envelope, parent = seen.event.envelope, seen.parent.envelope
        if envelope.parent_session_id is None:
            return
        status = seen.parent.status
        if status is ParentStatus.UNKNOWN:
            yield Widening("parent_unknown", f"nobody knows its parent {shown(envelope.parent_session_id)}")
        elif status is ParentStatus.REVOKED:
            above = seen.parent.revoked or envelope.parent_session_id
            who = "its parent" if above == envelope.parent_session_id else "above its parent"
            yield Widening("parent_revoked", f"{who} {shown(above)} is revoked")
        if parent is not None and status in (ParentStatus.ACTIVE, ParentStatus.REVOKED):
            yield from self._beside(seen, parent).widenings()
            expires, leeway = parent.expires_at, timedelta(seconds=self.leeway_seconds)
            if expires is not None and seen.now - expires > leeway:
                # without the moment: what is soft is told anew where its words differ
                arrived = " (by when the call arrived: its own time is not believed)" if seen.clock_suspect else ""
                shows = ", as far as the log has shown" if seen.parent_renewable else ""
                told = f"its parent expired at {expires.isoformat()}{shows}{arrived}"
                about = marks([f"{envelope.parent_session_id} {in_utc(expires).isoformat()}"])
                sure = seen.surely_after(expires, leeway) and not seen.parent_renewable
                yield Widening("parent_expired", told, about, sure)

    def _widened(self, seen: Observation, found: list[Widening], before: Collection[str]) -> Signal:
        denied = seen.event.decision.effect == "deny"
        named: dict[str, list[Breach]] = {}
        for each in found:
            hard = not (denied or self._is_soft(each))
            named.setdefault(each.name, []).append(Breach(each.name, each.detail, hard, each.about))
        value = max(min(WEIGHTS[name], _TOLD if name in before else 1.0) for name in named)
        value *= _DENIED_FORCE if denied else 1.0
        breaches = tuple(joined(*each) for each in named.values())
        said = "; ".join(breach.detail for breach in breaches)
        return Signal(self.name, value, shown(said, 600), breaches)

    def _is_soft(self, found: Widening) -> bool:
        return not found.sure or found.name in self.soft

    def _narrow(self, seen: Observation) -> Signal:
        if seen.event.envelope.parent_session_id is None:
            return Signal(self.name, 0.0, "a root session: no parent to narrow", silent=True)
        match seen.parent.status:
            case ParentStatus.NONE:
                return Signal(self.name, 0.0, "missing: its parent was not looked up", silent=True)
            case ParentStatus.PENDING:
                return Signal(self.name, 0.0, "pending: its parent has not been seen yet", silent=True)
            case _ if seen.parent.envelope is None:
                return Signal(self.name, 0.0, "missing: its parent's envelope", silent=True)
            case _:
                missing = self._beside(seen, seen.parent.envelope).missing()
                reason = f"missing: {missing}, so not compared" if missing else "narrower than its parent"
                return Signal(self.name, 0.0, reason)

    def _beside(self, seen: Observation, parent: Envelope) -> Delegation:
        alike = _alike(seen.event.envelope, parent, seen.spelling)
        above, named = seen.parent.principals, seen.event.names_delegator
        root, acts = seen.parent.root_purpose, not only_reads(seen.event.action.tool)
        return Delegation(
            *alike, self.kept_share, seen.redacted, above, named,
            renewable=seen.parent_renewable, root_purpose=root, acts=acts,
        )  # fmt: skip


plugin = DelegationWidening


def _alike(child: Envelope, parent: Envelope, spelling: Mapping[str, str]) -> tuple[Envelope, Envelope]:
    """The two with their tools in one spelling."""
    if not spelling:
        return child, parent
    mine, theirs = in_one_spelling(child.allowed_tools, parent.allowed_tools, spelling)
    return (
        child.model_copy(update={"allowed_tools": mine}),
        parent.model_copy(update={"allowed_tools": theirs}),
    )


def _extent(found: Widening) -> str:
    """A digest by which it is known to be the same as before, without keeping what it says."""
    return hashlib.sha256(found.detail.encode("utf-8", "surrogatepass")).hexdigest()[:16]
