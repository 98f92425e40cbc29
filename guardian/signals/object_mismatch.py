"""An act on another object than the one that the purpose names.

Under "refund order 5512 of customer 88" the refund of order 6620 is somebody else's: the tool fits, so do the
words, and a drift model hardly tells one number from another. So identifiers, addresses and IBANs are compared as
they stand (OWASP API1:2023, broken object level authorization, seen from the purpose). It speaks where the purpose
names an object and the act names others of the same kind and form, or all others (`*`, `{"$ne": 5512}`), and none
that the purpose does. How many strangers a session has touched it remembers by keyed fingerprints, never a value:
one may be a slip, many are not. A child's purpose agents wrote, so what those above it name binds the child too,
but for addresses: whom a part of the work writes to, `chain_exposure` asks; and what its own names may be looked
at: work on one object often begins at another. Objects that must hold whatever a
purpose says belong in the envelope's `resource_constraints`; of values that these refuse `envelope_breach` speaks,
and nothing is said here.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from guardian.domain.signal import Observation, Signal
from guardian.signals.envelopes.rules import refused
from guardian.signals.options import within
from guardian.signals.port import SignalFold, State
from guardian.signals.words.constraints import read
from guardian.signals.words.identifiers import normal
from guardian.signals.words.leaves import comparable
from guardian.signals.words.named_objects import NamedObjects, named_objects
from guardian.signals.words.reads import came_to_nothing
from guardian.signals.words.touched_objects import BANK, MAIL, WHO, Touch, alike, touches
from guardian.signals.words.wording import only_reads, shown, singular, word_set, words

_ARGUMENTS = "arguments."
_OWN_PURPOSE, _ROOT = "the purpose", "the purpose at the head of its chain"
_PULLED = "issue"
"""By its issue's number a pull request is commented, labelled and assigned."""
_OPENING = word_set("create make new open submit")
_NO_PULL = word_set("close convert delete lock move remove transfer unassign")
"""What is done to issues, or to pull requests under their own name."""
_PULLS = 16
"""So many pull requests that a session opened are remembered."""
_FIRST = 0.825 / 0.95
"""The value of an act on one stranger of a kind, or on the second."""
_AS_ONE = 2
_LITTLE, _FULL = 1, 3
"""What a stranger counts, in thirds of one."""
_ALL = 3
"""So many strangers stand all others for."""
_REMEMBERED = 64


@dataclass(frozen=True)
class ObjectMismatch(SignalFold):
    """Options: `read_value` in [0, 1] is what a look-up of another object counts, and what follows an act on it
    through other tools: one object is one oddity. Anything else counts in full.

    One such act weighs .825, and alone it stands at about one in 800 honest sessions of the shipped calibration;
    how that was chosen, the model card says. From the third stranger of a kind on the value rises to 1. Of what is
    only looked up, and of addresses, three count as one: honest work looks at a customer's other orders too. A
    user beside the named object, who may be who acts, counts as looked up; and one issue of a higher number is the
    pull request that the session has opened.
    """

    read_value: float = 0.7
    weight: ClassVar[float] = 0.95

    def __post_init__(self) -> None:
        within(self.name, "read_value", self.read_value, 0, 1)

    @property
    def name(self) -> str:
        return "object_mismatch"

    def start(self) -> State:
        return {"strangers": {}}

    def fold(self, state: State, seen: Observation) -> tuple[State, Signal]:
        """Silent where nothing can be compared: another register, a name instead of a number, nothing named."""
        purposes = _purposes(seen)
        if not purposes:
            return state, Signal(self.name, 0.0, "the purpose names no object by number or address", silent=True)
        if seen.event.action.arguments is None and seen.event.action.resource is None:
            return state, Signal(self.name, 0.0, "missing: the action's arguments", silent=True)
        state = _opened(state, purposes, seen)
        own, others = _sorted(purposes, seen)
        if not others:
            reason = "what the purpose names" if own else "nothing of a kind that the purpose names"
            return state, Signal(self.name, 0.0, f"it touches {reason}", silent=not own)
        others = _unrefused(others, seen)
        if not others:
            return state, Signal(self.name, 0.0, "its envelope's constraints refuse what it touches", silent=True)
        reads = only_reads(seen.event.action.tool)
        state, others = _but_pulls(state, purposes, seen, others, reads=reads)
        if not others:
            return state, Signal(self.name, 0.0, "it touches a pull request that the session opened", silent=True)
        reads = reads or (bool(own) and all(touch.kind == WHO and not touch.all_others for touch in others))
        after = _after(state, seen, others, reads=reads)
        doubt = _doubt(after, others)
        again = doubt == 1.0 and seen.fingerprint is not None and after == state
        value = (1.0 - (1.0 - _FIRST) * doubt) * (self.read_value**doubt if reads or again else 1.0)
        said = "; ".join(_told(purposes[touch.its], touch) for touch in others[:3])
        first = others[0].path
        argument = first.removeprefix(_ARGUMENTS) if first.startswith(_ARGUMENTS) else None
        return after, Signal(self.name, value, said, argument=argument)


def _opened(state: State, purposes: Mapping[str, NamedObjects], seen: Observation) -> State:
    """With one more pull request whose number is not known yet, where the act opens one and a purpose names
    issues."""
    does = frozenset(map(singular, words(seen.event.action.tool)))
    opens = not does.isdisjoint(_OPENING) and ("pr" in does or {"pull", "request"} <= does)
    if not opens or seen.event.decision.effect == "deny" or came_to_nothing(seen.event):
        return state
    if not any(_PULLED in named.ids for named in purposes.values()):
        return state
    return {**state, "pulls": [*state.get("pulls", ()), ""][-_PULLS:]}


def _but_pulls(
    state: State,
    purposes: Mapping[str, NamedObjects],
    seen: Observation,
    others: list[Touch],
    *,
    reads: bool,
) -> tuple[State, list[Touch]]:
    """The strangers that are no pull requests of the session's own, and the state with what is known of these: the
    first issue that an act touches once one was opened, and not before, of a higher number than the purpose's."""
    pulls, left = list(state.get("pulls", ())), list[Touch]()
    does = map(singular, words(seen.event.action.tool))
    if not pulls or seen.fingerprint is None or not _NO_PULL.isdisjoint(does):
        return state, others
    for touch in others:
        number = normal(touch.said)
        print_ = seen.fingerprint(f"{touch.kind} {alike(touch)}")
        before = state["strangers"].get(print_, ("", 0))[1]
        fits = touch.kind == _PULLED and not touch.all_others and before < _FULL and not reads
        if "" in pulls and print_ not in pulls and fits and _later(number, purposes[touch.its].ids[_PULLED]):
            pulls[pulls.index("")] = print_
        if print_ not in pulls:
            left.append(touch)
    return {**state, "pulls": pulls}, left


def _later(number: str, named: Iterable[str]) -> bool:
    return number.isdecimal() and all(each.isdecimal() and int(each) < int(number) for each in named)


def _after(state: State, seen: Observation, others: Sequence[Touch], *, reads: bool) -> State:
    """The strangers met so far and in this act: by fingerprint the kind of each, and what it counts."""
    if seen.fingerprint is None:
        return state
    strangers: dict[str, Any] = dict(state["strangers"])
    for touch in others[:_REMEMBERED]:
        print_ = seen.fingerprint(f"{touch.kind} {alike(touch)}")
        counts = (_LITTLE if reads or touch.kind == MAIL else _FULL) * (_ALL if touch.all_others else 1)
        _, before = strangers.pop(print_, (touch.kind, 0))
        strangers[print_] = [touch.kind, max(before, counts)]
    return {**state, "strangers": dict(list(strangers.items())[-_REMEMBERED:])}


def _doubt(state: State, others: Sequence[Touch]) -> float:
    """What is left, in (0, 1], of the doubt that the strangers are a slip, by the kind of the act's of which the
    session has met most."""
    met = Counter[str]()
    for kind, counts in state["strangers"].values():
        met[kind] += counts
    most = max(met[touch.kind] for touch in others) / _FULL
    return float(2.0 ** min(0.0, _AS_ONE - most))


def _purposes(seen: Observation) -> Mapping[str, NamedObjects]:
    """What the session's own purpose and those above it name, each once, by what the purpose is called."""
    parent = seen.parent.envelope.purpose if seen.parent.envelope is not None else ""
    own = named_objects(seen.event.envelope.purpose)
    found = {_OWN_PURPOSE: own} if own else {}
    for its, purpose in (("its parent's purpose", parent), (_ROOT, seen.parent.root_purpose)):
        named = named_objects(purpose)
        if (named.ids or named.ibans) and named not in found.values():
            found[its] = named
    return found


def _sorted(purposes: Mapping[str, NamedObjects], seen: Observation) -> tuple[set[str], list[Touch]]:
    """The kinds of which the act names what a purpose does, and objects of those of which it names none that one
    of them does, each once, arguments before the resource."""
    found, strange = set[str](), list[Touch]()
    mine = purposes.get(_OWN_PURPOSE) if only_reads(seen.event.action.tool) else None
    for its, named in purposes.items():
        told = [each for each in touches(named, seen) if its == _OWN_PURPOSE or _bound(each[0], mine)]
        own = {touch.kind for touch, is_named in told if is_named}
        found |= own
        strange += (touch._replace(its=its) for touch, _ in told if touch.kind not in own)
    others: dict[str, Touch] = {}
    for touch in sorted(strange, key=lambda touch: not touch.path.startswith(_ARGUMENTS)):
        others.setdefault(normal(touch.said), touch)
    return found, list(others.values())


def _bound(touch: Touch, mine: NamedObjects | None) -> bool:
    """Whether a purpose above binds: not whom to write to, nor what `mine` names, where that is looked at."""
    spared = mine is not None and not touch.all_others and mine.knows(normal(touch.said))
    return touch.kind != MAIL and not spared


def _unrefused(others: list[Touch], seen: Observation) -> list[Touch]:
    """Those in values that the envelope's constraints do not refuse: one odd word is no two signs of drift."""
    constraints = read(seen.event.envelope.resource_constraints, seen.redacted)
    told = refused(constraints, comparable(seen))
    known = {(each.leaf.path, each.said) for each in told if (each.sure and each.beyond) or each.leaf.inverted}
    return [touch for touch in others if (touch.path, touch.value) not in known]


def _told(named: NamedObjects, touch: Touch) -> str:
    here = f"{shown(touch.path)} is {shown(touch.said, 60)}; {touch.its} names"
    if touch.kind == MAIL:
        return f"{here} {shown(', '.join(sorted(named.addresses)), 80)}"
    if touch.kind == BANK:
        return f"{here} {shown(', '.join(sorted(named.ibans)).upper(), 80)}"
    return f"{here} {touch.kind} {shown(', '.join(named.ids[touch.kind].values()), 60)}"


plugin = ObjectMismatch
