"""Which objects a purpose names exactly: "order 5512", "customer_id=88", "claim #Y93433", an address, an IBAN.

An identifier belongs to the word before it, its kind. A kind of which the purpose means more than it names
("order 5512 and related orders", "tickets 100 to 120") constrains nothing and is left out; quantities, dates,
sums, versions and places in a row name no object. What a purpose says is not to be done names none either, and
means no more: "do not touch any other orders". So this says little, and what it says is certain. Pure.
"""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

from guardian.signals.words.asking import parted
from guardian.signals.words.identifiers import (
    ADDRESS,
    MARKS,
    NOUN,
    folded,
    form,
    in_addresses,
    is_iban,
    is_identifier,
    kind_of,
    normal,
)
from guardian.signals.words.people import called, letters, plain
from guardian.signals.words.successors import AND, AROUND, REACH, made_anew
from guardian.signals.words.wording import READING, nouns_of, singular, word_set, words

_CHARS = 4_096
_FEW_DIGITS = 3
"""A number of at most so many after a word that may be a verb ("order 20 chairs") is rather how many."""
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
_ASIDE = re.compile(
    r"[\w.+-]{1,64}@[\w.-]{1,255}|\w{1,20}://\S{1,500}|\d{1,2}:\d\d(?::\d\d)?"
    r"|(?<![\w-])(?:\d{4}-\d\d?(?:-\d\d?)?|\d\d?[–-]\d\d?)(?![\w-])|(?<![\w/.])\d\d?[/.]\d\d?[/.]\d{2,4}"
    r"|\+\d[\d ()/-]{5,20}|(?:\*{1,12}|\bx{2,12})\d{4}(?![\w*])|(?<![\w.])\d{2,20}(?: \d{2,20}){1,8}(?!\w)"
    r"|(?:[$€£¥]|\b(?:usd|eur|gbp|chf))\s?\d[\d.,]*"
    r"|(?<![\d.,])\d[\d.,]*\s?(?:[%€£$¥]|(?:usd|eur|gbp|chf|euros?|dollars?|st|nd|rd|th|am|pm|h|k|m|x)\b)",
    re.IGNORECASE,
)
"""What holds digits and names no object: addresses, links, times, dates, phones and cards, sums, ordinals."""
_TOKEN = re.compile(r"[,;(]|[^\s,;:=()\[\]{}<>|\"'`“”‘’]{1,200}")
_LITTLE = re.compile(r"(?=.{1,5}$)\D*\d\D*")
_YEAR = re.compile(r"(?:19|20)\d\d")
_SPAN = re.compile(r"#?\d+-\d+")
_JOINTS = re.compile(r"[_./\-]+")
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
_LINKS = word_set("is are with the , ; (")
"""What may stand between a kind and the mark of its identifier."""
_VERBS = READING | word_set(
    "assign bill book buy call change charge deliver email hire invoice invite mail message move offer order pay "
    "post print refund remove reserve schedule sell send share ship text transfer"
)
_DOES = word_set("asks does has needs says wants was")
"""What follows an object and is no plural."""
_MORE = word_set(
    "additional all alternative another any both child different duplicate each earlier every follow-up further "
    "last later latest linked new newer next older other others parent previous prior related remaining "
    "replacement same second similar"
)
"""Before a kind: the purpose means more of it than it names."""
_SOME = word_set("a an")
_BEYOND = word_set(
    "alternative alternatives between clone compare copy duplicate duplicates except exchange like reissue "
    "replace similar since split swap than unlike"
)
"""Before an object: the purpose means others of its kind, or makes some."""
_ANY = "one"
"""A word that stands for the kind named before: "a later one", "the next ones"."""
_WHOSE = word_set("of for")
"""Before a kind: it says whose the one named before is."""
_NEAR = 3
_ELSE = word_set(
    "anything else everything guess instead maybe others perhaps possibly probably rest unsure whatever"
)
"""Near an object: the purpose means others of its kind, or is not sure of this one."""
_RULED_OUT = word_set("no nothing")
_BECOMES = word_set("change convert exchange modify replace swap switch upgrade")
"""Before "to item 5512": that is what another one becomes."""
_SPANNING = word_set("to through thru until till - – —")
_ONWARD = word_set("ff onward onwards upward upwards")
_NEXT = re.compile(
    r"(?:[,;(] )?(?:and|or|plus|[&+])(?: (?:all|also|any|its|the|those))* (?:following|later|newer|subsequent)\b"
)
"""Behind an object: what comes after it. Without "and" it is when, or how, something is done."""
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
    ids, addresses = _ids(text), _addresses(text)
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
    return frozenset(normal(part) for token in _TOKEN.findall(text) for part in (token, *_JOINTS.split(token)))


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


def _ids(text: str) -> Mapping[str, Mapping[str, str]]:
    """Identifiers by kind, each normalised and as it stands there."""
    plain = _ASIDE.sub(" , ", text)
    if " " not in text.strip():
        plain = _ASIDE.sub(" , ", _JOINTS.sub(" ", plain))
    spelt = [token for token in _TOKEN.findall(plain) if token.strip(AROUND)]
    tokens = [token.strip(AROUND) for token in spelt]
    found: dict[str, dict[str, str]] = defaultdict(dict)
    begun, more = dict[int, str](), set[str]()
    for place, token in enumerate(tokens):
        at, marked = _kind_before(tokens, place) if is_identifier(token) else (None, False)
        if at is None or not (marked or _by_itself(tokens, at, place)):
            continue
        kind = kind_of(tokens[at])[0]
        begun[at] = kind
        found[kind][normal(token)] = token
        if _with_others(tokens, at, place) or _goes_on(tokens, place, several=tokens[at].lower() != kind):
            more.add(kind)
    more |= {*_meant_beyond(tokens, begun), *made_anew(spelt, begun)} if found else set()
    return {kind: said for kind, said in found.items() if kind not in more}


def _addresses(text: str) -> frozenset[str]:
    """Addresses of mail, where the purpose means nobody else."""
    if _MORE_PEOPLE & set(words(text)) or not any(in_addresses(_ABOUT.sub(" ", _FROM.sub(" ", text)))):
        return frozenset()
    return frozenset(in_addresses(text))


def _kind_before(tokens: Sequence[str], place: int) -> tuple[int | None, bool]:
    """Where the word stands that an identifier belongs to, None where none does; and whether it is marked."""
    marked = tokens[place].startswith("#")
    for at in range(place - 1, max(-1, place - 1 - REACH), -1):
        token, before = tokens[at].lower(), tokens[at - 1] if at else ""
        joins = (token in AND or token in _SPANNING) and is_identifier(before)
        if singular(token) in MARKS:
            marked = True
        elif not (joins or is_identifier(token) or (token in _LINKS and (marked or kind_of(before)[1]))):
            kind, identifies = kind_of(token)
            return (at, marked or identifies) if kind else (None, False)
    return None, False


def _by_itself(tokens: Sequence[str], at: int, place: int) -> bool:
    """Whether an identifier names an object without a mark: no lone digit ("hotel 4 star"), no year, and no number
    of things ("order 20 chairs", "book 3 large rooms")."""
    number, after = tokens[place], tokens[place + 1].lower() if place + 1 < len(tokens) else ""
    if _LITTLE.fullmatch(number) or _YEAR.fullmatch(number):
        return False
    few, verb = len(number) <= _FEW_DIGITS, tokens[at].lower() in _VERBS
    things = singular(after) != after and NOUN.fullmatch(after) is not None and after not in _DOES
    many = (things and (few or verb)) or (few and verb and at == place - 1)
    return not (number.isdigit() and many)


def _with_others(tokens: Sequence[str], at: int, place: int) -> bool:
    """Whether it is named to say which others are meant: "everything except order 5512", "clone order 5512"."""
    lead = [token.lower() for token in tokens[max(0, at - REACH) : at]]
    becomes = lead[-1:] == ["to"] and not _BECOMES.isdisjoint(lead)
    said = ["", *lead, *(token.lower() for token in tokens[place : place + REACH])]
    near = {word for before, word in pairwise(said) if before not in _RULED_OUT}
    return becomes or not (_BEYOND.isdisjoint(lead[-3:]) and _ELSE.isdisjoint(near))


def _goes_on(tokens: Sequence[str], place: int, *, several: bool) -> bool:
    """Whether it ends or begins a span: "tickets 100 to 120", "orders 100-120", "order 5512 and following"."""
    after = [each.lower() for each in tokens[place + 1 : place + 6]]
    if not _ONWARD.isdisjoint([each for each in after[:3] if each not in AND][:2]) or _NEXT.match(" ".join(after)):
        return True
    spans = place > 1 and tokens[place - 1].lower() in _SPANNING and is_identifier(tokens[place - 2])
    return several and (spans or _SPAN.fullmatch(tokens[place]) is not None)


def _meant_beyond(tokens: Sequence[str], begun: Mapping[int, str]) -> Iterator[str]:
    """Kinds of which the purpose speaks elsewhere too, as of several or others: "a later flight", "a new one"."""
    named, head, last = set[str](), -1, -1
    for at, token in enumerate(tokens):
        kind, _ = kind_of(token)
        if at in begun:
            head, last = head if head >= 0 and _is_owner(tokens, at) else at, at
            named.add(begun[at])
        elif kind and not _is_none(tokens, at) and (kind != _ANY or last >= max(0, at - REACH)):
            before = {each.lower() for each in tokens[max(0, at - 2) : at]}
            kind = begun[head] if kind == _ANY else kind
            if singular(token.lower()) != token.lower() or before & _MORE or (kind in named and before & _SOME):
                yield kind


def _is_owner(tokens: Sequence[str], at: int) -> bool:
    """Whether a kind says whose the object before it is: "appointment 4471 of the patient 7731"."""
    before = [token.lower() for token in tokens[max(0, at - _NEAR) : at]]
    cut = max((place for place, word in enumerate(before, 1) if word in AND or is_identifier(word)), default=0)
    return not _WHOSE.isdisjoint(before[cut:])


def _is_none(tokens: Sequence[str], at: int) -> bool:
    """Whether what a word means is ruled out, "and no other orders"; behind "no. 5512" nothing is."""
    return any(
        tokens[place].lower() == "no" and not is_identifier(tokens[place + 1])
        for place in range(max(0, at - 2), at)
    )
