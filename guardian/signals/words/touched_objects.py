"""The objects that an act names, of kinds that a purpose names: by number, address or IBAN. Pure and bounded."""

import re
from collections.abc import Iterator, Sequence, Set
from itertools import chain, dropwhile, groupby, islice
from string import ascii_lowercase
from typing import NamedTuple
from unicodedata import category, decimal

from guardian.domain.signal import Observation
from guardian.signals.words.constraints import text
from guardian.signals.words.identifiers import folded, in_addresses, is_iban, is_identifier, kind_of, normal
from guardian.signals.words.leaves import comparable
from guardian.signals.words.named_objects import NamedObjects
from guardian.signals.words.named_values import Leaf
from guardian.signals.words.operators import WRAPPERS
from guardian.signals.words.reach import BOOKS
from guardian.signals.words.wording import canonical, nouns_of, only_reads, singular, word_set, words

MAIL, BANK = "mail address", "IBAN"
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
WHO = "user"
"""Under this name stands whom an act is about, or as often who acts."""
_ACTING = word_set("actor agent author by caller creator")
"""An id under a name with one of these is who acts."""
_PAYING = word_set("debtor from ordering payer sender source")
"""An IBAN under a name with one of these is whose money it is."""
_PAID = word_set("beneficiary creditor destination payee receiver recipient target to")
"""One under these is whose it will be, wherever it stands."""
_COLLECTING = word_set("charge collect debit from")
"""A purpose with one of these may name whom money is taken from."""
_ENTRIES = word_set("accrual booking entry gl journal line post posting")
"""Of tools of the books: these make or read entries, each of which names two accounts or more."""
_PAYS = word_set("disbursement pay payment payout refund remittance transfer wire withdrawal")


class Touch(NamedTuple):
    """One object that the act names: its kind, where it stands, what it is called there, and the value that says
    so; or all others of a kind than one. `its` is what the purpose is called that names others."""

    kind: str
    path: str
    said: str
    value: str
    all_others: bool = False
    its: str = ""


def alike(touch: Touch) -> str:
    """The same for an object in its several spellings: ORD-6620, 006620, 6620."""
    told = normal(touch.said)
    number = told.lstrip(ascii_lowercase).lstrip("0")
    return number if len(number) > _SHORT and number.isdigit() else told


def touches(named: NamedObjects, seen: Observation) -> Iterator[tuple[Touch, bool]]:
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
                yield Touch(MAIL, leaf.path, address, value), known
            if named.ibans and is_iban(told) and not reads and (named.knows(told) or not _pays(leaf, named)):
                yield Touch(BANK, leaf.path, said, value), named.knows(told)
            for kind, identifies in kinds if is_identifier(said) else ():
                if kind in named.ids and (named.knows(told) or (reads and named.spares(told))):
                    yield Touch(kind, leaf.path, said, value), True
                elif (enters and kind == "account") or _is_who_acts(leaf, kind):
                    continue
                elif (identifies or _digits(told) > _SHORT) and named.of_register(kind, told):
                    yield Touch(kind, leaf.path, said, value), False


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
) -> Iterator[Touch]:
    """A value that stands for all objects of a kind, or for all but one; a named one and what may follow it does
    not."""
    found = _ALL_OTHERS.fullmatch(said)
    one = said if negated is not None else found and found["one"]
    for kind, identifies in kinds if negated is None or is_identifier(said) else ():
        if kind not in named.ids or not (one or identifies or said == "*"):
            continue
        if one and is_identifier(one):
            yield Touch(kind, leaf.path, f"all but {one}", value, all_others=True)
        elif not one and not normal(said).endswith(tuple(named.ids[kind])):
            yield Touch(kind, leaf.path, said, value, all_others=True)


def _acts(name: tuple[str, ...], *, reads: bool) -> bool:
    """Whether an argument's name says that an address under it is whose agent acts, not whom the act reaches."""
    if reads and len(name) > 1 and name[0] == "user":
        return True
    return not (_OWN if reads else _SENDING).isdisjoint(name[:1])


def _is_who_acts(leaf: Leaf, kind: str) -> bool:
    """Whether an id's names say that it is whose agent acts, or who made something: `author_user_id`."""
    names = leaf.path.split(".")[-2 if kind == WHO else -1 :]
    said = [*map(singular, words(" ".join(names)))]
    if kind != WHO and said[:1] == ["by"]:  # `by_order_id` says which, not who
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
