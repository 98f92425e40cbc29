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

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from itertools import chain, dropwhile, groupby, islice
from string import ascii_lowercase
from typing import Any, ClassVar, NamedTuple
from unicodedata import category, decimal

from guardian.domain.signal import Observation, Signal
from guardian.signals.envelopes.rules import refused
from guardian.signals.options import within
from guardian.signals.port import SignalFold, State
from guardian.signals.words.constraints import read, text
from guardian.signals.words.identifiers import folded, in_addresses, is_iban, is_identifier, kind_of, normal
from guardian.signals.words.leaves import WRAPPERS, Leaf, comparable
from guardian.signals.words.named_objects import NamedObjects, named_objects
from guardian.signals.words.reach import BOOKS
from guardian.signals.words.reads import came_to_nothing
from guardian.signals.words.wording import canonical, nouns_of, only_reads, shown, singular, word_set, words

_ARGUMENTS = "arguments."
_OWN_PURPOSE, _ROOT = "the purpose", "the purpose at the head of its chain"
_MAIL, _BANK = "mail address", "IBAN"
"""Kinds that no argument's name has: it is one word in small letters."""
_LONGEST = 400
_BETWEEN = re.compile(r"[,;|\n]")
_DECIMAL = re.compile(r"\d+\.0+")
_THOUSANDS = re.compile(r"\d{1,3}(?:,\d{3})+")
_HUGE = 10**40
_NOT = re.compile(r"(?:(.+)_)?(?:ne|neq|nin|(?:is_)?not|not_(?:in|eq|equal)|exclude|except)|!=|<>")
"""The name of an operator that says what a value is not, maybe after the name of that."""
_LEAVING_OUT = word_set("except exclude excluded excluding without")
_ALL_OTHERS = re.compile(r"[\w./#-]{0,30}[*%]|(?:!=?|<>|not )\s?(?P<one>#?[\w./-]{1,40})", re.IGNORECASE)
_SHORT = 2
"""A number of so few digits identifies only under a name that says so: `room_id: 12`, not `room: 12`."""
_OWN = word_set("calendar mailbox organizer owner")
_SENDING = _OWN | {"from", "reply", "sender"}
"""An address under a name that begins so is who acts, not whom the act reaches; in a look-up `user_id` too."""
_WHO = "user"
"""Under this name stands whom an act is about, or as often who acts."""
_ACTING = word_set("actor agent author by caller creator")
"""An id under a name with one of these is who acts."""
_PAYING = word_set("debtor from ordering payer sender source")
"""An IBAN under a name with one of these is whose money it is."""
_PAID = word_set("beneficiary creditor destination payee receiver recipient target to")
"""One under these is whose it will be, wherever it stands."""
_COLLECTING = word_set("charge collect debit from")
"""A purpose with one of these may name whom money is taken from."""
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
_ENTRIES = word_set("accrual booking entry gl journal line post posting")
"""Of tools of the books: these make or read entries, each of which names two accounts or more."""
_PAYS = word_set("disbursement pay payment payout refund remittance transfer wire withdrawal")


class _Touch(NamedTuple):
    """One object that the act names: its kind, where it stands, what it is called there, and the value that says
    so; or all others of a kind than one. `its` is what the purpose is called that names others."""

    kind: str
    path: str
    said: str
    value: str
    all_others: bool = False
    its: str = ""


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
        reads = reads or (bool(own) and all(touch.kind == _WHO and not touch.all_others for touch in others))
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
    others: list[_Touch],
    *,
    reads: bool,
) -> tuple[State, list[_Touch]]:
    """The strangers that are no pull requests of the session's own, and the state with what is known of these: the
    first issue that an act touches once one was opened, and not before, of a higher number than the purpose's."""
    pulls, left = list(state.get("pulls", ())), list[_Touch]()
    does = map(singular, words(seen.event.action.tool))
    if not pulls or seen.fingerprint is None or not _NO_PULL.isdisjoint(does):
        return state, others
    for touch in others:
        number = normal(touch.said)
        print_ = seen.fingerprint(f"{touch.kind} {_alike(touch)}")
        before = state["strangers"].get(print_, ("", 0))[1]
        fits = touch.kind == _PULLED and not touch.all_others and before < _FULL and not reads
        if "" in pulls and print_ not in pulls and fits and _later(number, purposes[touch.its].ids[_PULLED]):
            pulls[pulls.index("")] = print_
        if print_ not in pulls:
            left.append(touch)
    return {**state, "pulls": pulls}, left


def _later(number: str, named: Iterable[str]) -> bool:
    return number.isdecimal() and all(each.isdecimal() and int(each) < int(number) for each in named)


def _after(state: State, seen: Observation, others: Sequence[_Touch], *, reads: bool) -> State:
    """The strangers met so far and in this act: by fingerprint the kind of each, and what it counts."""
    if seen.fingerprint is None:
        return state
    strangers: dict[str, Any] = dict(state["strangers"])
    for touch in others[:_REMEMBERED]:
        print_ = seen.fingerprint(f"{touch.kind} {_alike(touch)}")
        counts = (_LITTLE if reads or touch.kind == _MAIL else _FULL) * (_ALL if touch.all_others else 1)
        _, before = strangers.pop(print_, (touch.kind, 0))
        strangers[print_] = [touch.kind, max(before, counts)]
    return {**state, "strangers": dict(list(strangers.items())[-_REMEMBERED:])}


def _alike(touch: _Touch) -> str:
    """The same for an object in its several spellings: ORD-6620, 006620, 6620."""
    told = normal(touch.said)
    number = told.lstrip(ascii_lowercase).lstrip("0")
    return number if len(number) > _SHORT and number.isdigit() else told


def _doubt(state: State, others: Sequence[_Touch]) -> float:
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


def _sorted(purposes: Mapping[str, NamedObjects], seen: Observation) -> tuple[set[str], list[_Touch]]:
    """The kinds of which the act names what a purpose does, and objects of those of which it names none that one
    of them does, each once, arguments before the resource."""
    found, strange = set[str](), list[_Touch]()
    mine = purposes.get(_OWN_PURPOSE) if only_reads(seen.event.action.tool) else None
    for its, named in purposes.items():
        touches = [each for each in _touches(named, seen) if its == _OWN_PURPOSE or _bound(each[0], mine)]
        own = {touch.kind for touch, is_named in touches if is_named}
        found |= own
        strange += (touch._replace(its=its) for touch, _ in touches if touch.kind not in own)
    others: dict[str, _Touch] = {}
    for touch in sorted(strange, key=lambda touch: not touch.path.startswith(_ARGUMENTS)):
        others.setdefault(normal(touch.said), touch)
    return found, list(others.values())


def _bound(touch: _Touch, mine: NamedObjects | None) -> bool:
    """Whether a purpose above binds: not whom to write to, nor what `mine` names, where that is looked at."""
    spared = mine is not None and not touch.all_others and mine.knows(normal(touch.said))
    return touch.kind != _MAIL and not spared


def _unrefused(others: list[_Touch], seen: Observation) -> list[_Touch]:
    """Those in values that the envelope's constraints do not refuse: one odd word is no two signs of drift."""
    constraints = read(seen.event.envelope.resource_constraints, seen.redacted)
    told = refused(constraints, comparable(seen))
    known = {(each.leaf.path, each.said) for each in told if (each.sure and each.beyond) or each.leaf.inverted}
    return [touch for touch in others if (touch.path, touch.value) not in known]


def _touches(named: NamedObjects, seen: Observation) -> Iterator[tuple[_Touch, bool]]:
    """What the act names that can be compared with the purpose, and whether the purpose names it."""
    tool = seen.event.action.tool
    things, reads = nouns_of(tool), only_reads(tool)
    does = frozenset(map(singular, words(tool)))
    enters = not (does.isdisjoint(BOOKS) or does.isdisjoint(_ENTRIES)) and does.isdisjoint(_PAYS)
    for leaf in comparable(seen).leaves:
        negated = _negated(leaf)
        kinds = _kinds(leaf, things) if negated is None else _kinds_of({negated}, things)
        reaches = bool(named.addresses) and not _acts(words(leaf.path.rpartition(".")[2]), reads=reads)
        for value, said in _said(leaf):
            told = normal(said)
            if negated is not None or _ALL_OTHERS.fullmatch(said):
                yield from ((touch, False) for touch in _all_others(named, kinds, leaf, value, said, negated))
                continue
            for address in _only_addresses(said) if reaches else ():
                known = named.knows_address(address) or (reads and named.spares(normal(address)))
                yield _Touch(_MAIL, leaf.path, address, value), known
            if named.ibans and is_iban(told) and not reads and (named.knows(told) or not _pays(leaf, named)):
                yield _Touch(_BANK, leaf.path, said, value), named.knows(told)
            for kind, identifies in kinds if is_identifier(said) else ():
                if kind in named.ids and (named.knows(told) or (reads and named.spares(told))):
                    yield _Touch(kind, leaf.path, said, value), True
                elif (enters and kind == "account") or _is_who_acts(leaf, kind):
                    continue
                elif (identifies or _digits(told) > _SHORT) and named.of_register(kind, told):
                    yield _Touch(kind, leaf.path, said, value), False


def _negated(leaf: Leaf) -> str | None:
    """The name of what a value is not to be: `user_id` of `{"user_id": {"$ne": 88}}`. Empty for what an act leaves
    out of who knows what (`exclude_user_ids`), and so does not touch; None otherwise."""
    *above, last = leaf.path.split(".")
    while len(above) > 1 and canonical(last) in WRAPPERS:
        last = above.pop()
    if found := _NOT.fullmatch(canonical(last) or last):
        return found[1] or above[-1]
    return None if _LEAVING_OUT.isdisjoint(words(last)[:1]) else ""


def _all_others(
    named: NamedObjects, kinds: Sequence[tuple[str, bool]], leaf: Leaf, value: str, said: str, negated: str | None
) -> Iterator[_Touch]:
    """A value that stands for all objects of a kind, or for all but one; a named one and what may follow it does
    not."""
    found = _ALL_OTHERS.fullmatch(said)
    one = said if negated is not None else found and found["one"]
    for kind, identifies in kinds if negated is None or is_identifier(said) else ():
        if kind not in named.ids or not (one or identifies or said == "*"):
            continue
        if one and is_identifier(one):
            yield _Touch(kind, leaf.path, f"all but {one}", value, all_others=True)
        elif not one and not normal(said).endswith(tuple(named.ids[kind])):
            yield _Touch(kind, leaf.path, said, value, all_others=True)


def _acts(name: tuple[str, ...], *, reads: bool) -> bool:
    """Whether an argument's name says that an address under it is whose agent acts, not whom the act reaches."""
    if reads and len(name) > 1 and name[0] == "user":
        return True
    return not (_OWN if reads else _SENDING).isdisjoint(name[:1])


def _is_who_acts(leaf: Leaf, kind: str) -> bool:
    """Whether an id's names say that it is whose agent acts, or who made something: `author_user_id`."""
    names = leaf.path.split(".")[-2 if kind == _WHO else -1 :]
    said = [*map(singular, words(" ".join(names)))]
    if kind != _WHO and said[:1] == ["by"]:  # `by_order_id` says which, not who
        return False
    return not (_ACTING - {kind}).isdisjoint(said)


def _pays(leaf: Leaf, named: NamedObjects) -> bool:
    """Whether an IBAN's names say that it is whose money an act moves, and the purpose does not say whose."""
    *_, last = leaf.path.split(".")
    if not _PAID.isdisjoint(words(last)):
        return False
    names = map(singular, words(" ".join(leaf.path.split(".")[-2:])))
    return _COLLECTING.isdisjoint(named.words) and not _PAYING.isdisjoint(names)


def _said(leaf: Leaf) -> Iterator[tuple[str, str]]:
    """A leaf's values as text, each with what it says, but for what is too long to name an object."""
    for value in leaf.scalars:
        if isinstance(value, str):
            said = folded(value if len(value) <= _LONGEST else _unpadded(value)).strip()
            if len(said) <= _LONGEST:
                yield from ((value, one) for one in _listed(said))
        elif not isinstance(value, bool) and abs(value) < _HUGE and value == int(value):
            yield text(value), str(int(value))


def _unpadded(value: str) -> str:
    """A long text without what pads it: zeros in front or behind a point, signs that nobody sees, spaces beside
    spaces. Cut where it is too long all the same."""
    whole = value.rstrip().rstrip("0")
    seen = (sign for sign in (whole[:-1] if whole.endswith(".") else value) if category(sign) != "Cf")
    begun = dropwhile(lambda sign: sign.isspace() or decimal(sign, None) == 0, seen)
    told = chain.from_iterable(" " if blank else run for blank, run in groupby(begun, str.isspace))
    return "".join(islice(told, _LONGEST + 2)).rstrip()


def _listed(said: str) -> Sequence[str]:
    """The identifiers of a text that lists several and nothing else, and the whole number of "6620.0"; else the
    text. "6,620" may be one number."""
    if _DECIMAL.fullmatch(said):
        return [said.partition(".")[0]]
    parts = [part.strip() for part in _BETWEEN.split(said)]
    return parts if all(map(is_identifier, parts)) and not _THOUSANDS.fullmatch(said) else [said]


def _digits(told: str) -> int:
    return sum(map(str.isdigit, told))


def _kinds(leaf: Leaf, things: tuple[str, ...]) -> list[tuple[str, bool]]:
    """The kinds of object that a value's names speak of; under a bare `id` it is what the tool's name ends in. One
    value of several (`users: 200`) is how many."""
    last = words(leaf.path.rpartition(".")[2])[-1:]
    many = leaf.count is None and not any(isinstance(value, str) for value in leaf.values)
    if many and last != tuple(map(singular, last)) and not kind_of(last[0])[1]:
        return []
    return _kinds_of(leaf.names | leaf.through, things)


def _kinds_of(names: Set[str], things: tuple[str, ...]) -> list[tuple[str, bool]]:
    kinds = set(map(kind_of, names))
    if kinds == {("", True)}:
        kinds |= {(singular(thing), True) for thing in things[-1:]}
    return sorted((kind, told) for kind, told in kinds if kind)


def _only_addresses(said: str) -> list[str]:
    """The addresses of a value that holds nothing else: "a@x.org, Bo <b@x.org>"; a name is whatever it says."""
    parts = [part.strip().lower() for part in said.replace(";", ",").split(",") if part.strip()]
    bare = [part.removesuffix(">").rpartition("<")[2].removeprefix("mailto:") for part in parts]
    return bare if all([part] == list(in_addresses(part)) for part in bare) else []


def _told(named: NamedObjects, touch: _Touch) -> str:
    here = f"{shown(touch.path)} is {shown(touch.said, 60)}; {touch.its} names"
    if touch.kind == _MAIL:
        return f"{here} {shown(', '.join(sorted(named.addresses)), 80)}"
    if touch.kind == _BANK:
        return f"{here} {shown(', '.join(sorted(named.ibans)).upper(), 80)}"
    return f"{here} {touch.kind} {shown(', '.join(named.ids[touch.kind].values()), 60)}"


plugin = ObjectMismatch
