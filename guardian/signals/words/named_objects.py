"""Which objects a purpose names exactly: identifiers by kind, addresses of mail, IBANs.

What a purpose says is not to be done names none, and means no more: "do not touch any other orders". So this says
little, and what it says is certain. Pure.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

from guardian.signals.words.asking import parted
from guardian.signals.words.identifiers import ADDRESS, folded, form, in_addresses, is_iban, normal
from guardian.signals.words.named_ids import JOINTS, TOKEN, ids_by_kind
from guardian.signals.words.people import called, letters, plain
from guardian.signals.words.wording import nouns_of, word_set, words

_CHARS = 4_096
_APART = 4
"""A shorter identifier is named only where it stands by itself: 91 is not named by 5912."""
_PREFIX = 2
"""Of more letters than so many it is told whether they begin the kind: ORD-5512 does "order"."""
_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_FROM = re.compile(r"\bfrom\s{1,3}<?" + ADDRESS.pattern + r"[^@.]{0,99}\b(?:for|to)\b", re.IGNORECASE)
"""Whom something is from that shall go to somebody else."""
_WHOSE_MAIL = rf"(?:\b(?:of|by)\s{{1,3}}<?{ADDRESS.pattern}|{ADDRESS.pattern}(?=['’]s\b))[^@.]{{0,99}}?"
_WHO_ELSE = (
    r"(?!(?:(?:the|this|that|our)\s)?"
    r"(?:customer|client|guest|patient|sender|user|caller|her|him|it|them|an?)\b)"
)
_ABOUT = re.compile(
    r"\b(?:forward|send|pass|hand|escalate|relay|refer|route|submit|redirect|give)\b[^@.]{0,99}"
    rf"{_WHOSE_MAIL}\bto\s{_WHO_ELSE}"
    rf"|{_WHOSE_MAIL}\b(?:ask|tell|inform|notify|contact|consult)\s{_WHO_ELSE}",
    re.IGNORECASE,
)
"""Whose something is that shall go to somebody else, or of which somebody else is asked."""
_SPELT_IBAN = re.compile(r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?\b")
_SPARING = re.compile(
    r"\bwithout (?:\w+ )?(?:affect|alter|cancell?|chang|clos|delet|edit|modify|remov|touch|updat)ing\b"
    r"(?:(?![.,;:!?)](?:\s|$)|\b(?:and|but|then)\b)[^\n])*"
    r"|\b(?:keep|leave) [^.,;:!?()\n]{1,99} (?:alone|unchanged|untouched|as (?:it is|they are))\b",
    re.IGNORECASE,
)
"""What else is not to be touched."""
_NOT_ALWAYS = word_set(
    "before except have if instead know like need otherwise then till unless until want when whether"
)
"""In what a purpose says is not to be done: it holds for a time or a case, or forbids nothing."""
_OF_IT = re.compile(r"\n[^.!?\n]*\b(?:instead|its?|rather|their|them|these|those)\b", re.IGNORECASE)
"""Behind what is not to be done: to the same object something else is ("don't cancel order 5512, exchange it")."""
_HINT = re.compile(r"[\d@]")
_MORE_PEOPLE = word_set(
    "attendee attendees boss clients colleague colleagues contact contacts customers employees everybody everyone "
    "guest guests member members others participant participants people recipient recipients supervisor "
    "team teams them users"
)


@dataclass(frozen=True, slots=True)
class NamedObjects:
    """What a purpose names: identifiers by kind (singular), each normalised and as it stands there; addresses of
    mail; IBANs, normalised. `forms` are those of the identifiers by kind, `houses` what follows their @,
    `names` and `wholes` whom it calls by name, see `Called`; `words` and `letters` the whole of it, normalised,
    `bare` its words without leading zeros; `spared` the words of what it says is not to be done."""

    ids: Mapping[str, Mapping[str, str]]
    forms: Mapping[str, frozenset[tuple[int, str]]]
    addresses: frozenset[str]
    houses: frozenset[str]
    ibans: frozenset[str]
    names: frozenset[str]
    wholes: frozenset[str]
    words: frozenset[str]
    bare: frozenset[str]
    letters: str
    spared: frozenset[str] = frozenset()

    def knows(self, told: str) -> bool:
        """Whether a normalised identifier stands anywhere in the purpose, maybe without its letters (ORD-5512)."""
        if told in self.words or (len(told) >= _APART and told in self.letters):
            return True
        return _bare(told) in self.bare

    def spares(self, told: str) -> bool:
        """Whether a normalised identifier stands where the purpose says what is not to be done, and so may be
        looked at."""
        return told in self.spared or _bare(told) in self.spared

    def of_register(self, kind: str, told: str) -> bool:
        """Whether a normalised identifier may be of one register with those named: runs of letters and digits
        alike, about as long, whether or not it repeats its kind (ORD-6620) or begins with zeros."""
        bare = told.lstrip(_LETTERS)
        head = told[: len(told) - len(bare)]
        repeats = len(head) > _PREFIX and kind.startswith(head)
        spelt = (told, bare.lstrip("0")) if bare.isdigit() and (repeats or not head) else (told,)
        forms = self.forms.get(kind, frozenset())
        return any((length + off, runs) in forms for length, runs in map(form, spelt) for off in (-1, 0, 1))

    def knows_address(self, address: str) -> bool:
        """Whether it names the address, or whom it belongs to: "Farah Novak" and farah.novak@example.org or
        fnovak@example.org, or "Farah" where it names another address of her house."""
        local, _, house = address.partition("@")
        parts = re.split(r"[^a-z]+", plain(local))
        owner = [part for part in parts if len(part) > 2 or part in self.names]
        by_name = len(owner) > (0 if house in self.houses else 1) and self.names.issuperset(owner)
        return address in self.addresses or by_name or letters(local) in self.wholes

    def __bool__(self) -> bool:
        return bool(self.ids or self.addresses or self.ibans)


_NONE = frozenset[str]()
_NOTHING = NamedObjects({}, {}, _NONE, _NONE, _NONE, _NONE, _NONE, _NONE, _NONE, letters="")


@lru_cache(maxsize=256)
def named_objects(purpose: str) -> NamedObjects:
    """The objects that `purpose` names, of kinds of which it means no more than it names. Of one that names none
    nothing is kept: most are such, and their words would take twenty times their memory."""
    text = folded(purpose[:_CHARS])
    if not _HINT.search(text):
        return _NOTHING
    text, banned = _asked(text)
    ids, addresses = ids_by_kind(text), _addresses(text)
    ibans = frozenset(filter(is_iban, map(normal, _SPELT_IBAN.findall(text))))
    if not (ids or addresses or ibans):
        return _NOTHING
    told = _words(text)
    return NamedObjects(
        ids,
        {kind: frozenset(map(form, said)) for kind, said in ids.items()},
        addresses,
        frozenset(each.rpartition("@")[2] for each in addresses),
        ibans,
        *called(text),
        told,
        frozenset(each.lstrip("0") for each in told) - {""},
        normal(text),
        _words(banned).union(map(_bare, _words(banned))) - {""},
    )


def _bare(told: str) -> str:
    """The number of a normalised identifier without its letters or leading zeros; empty where that is short."""
    bare = told.lstrip("0") if told.isdigit() else told.lstrip(_LETTERS)
    return bare if len(bare) >= _APART and bare.isdigit() else ""


def _words(text: str) -> frozenset[str]:
    return frozenset(normal(part) for token in TOKEN.findall(text) for part in (token, *JOINTS.split(token)))


def _asked(text: str) -> tuple[str, str]:
    """What a purpose asks for, and what it says is not to be done, but for what may be done after all."""
    asked, banned = parted(text)
    banned = "\n".join([banned, *_SPARING.findall(asked)])
    asked = _SPARING.sub("\n", asked)
    said = words(banned)
    does_more = any(joint == "and" and not nouns_of(verb) for joint, verb in pairwise(said))
    if does_more or not _NOT_ALWAYS.isdisjoint(said) or (banned.strip() and _OF_IT.search(asked)):
        return text, ""
    return asked, banned


def _addresses(text: str) -> frozenset[str]:
    """Addresses of mail, where the purpose means nobody else."""
    if _MORE_PEOPLE & set(words(text)) or not any(in_addresses(_ABOUT.sub(" ", _FROM.sub(" ", text)))):
        return frozenset()
    return frozenset(in_addresses(text))
