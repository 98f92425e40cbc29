"""Which identifiers a purpose names, by kind: "order 5512", "customer_id=88", "claim #Y93433".

An identifier belongs to the word before it, its kind. A kind of which the purpose means more than it names
("order 5512 and related orders", "tickets 100 to 120") constrains nothing and is left out; quantities, dates,
sums, versions and places in a row name no object. Pure.
"""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

from guardian.signals.words.identifiers import MARKS, NOUN, is_identifier, kind_of, normal
from guardian.signals.words.successors import AND, AROUND, REACH, made_anew
from guardian.signals.words.wording import READING, singular, word_set

_FEW_DIGITS = 3
"""A number of at most so many after a word that may be a verb ("order 20 chairs") is rather how many."""
_ASIDE = re.compile(
    r"[\w.+-]{1,64}@[\w.-]{1,255}|\w{1,20}://\S{1,500}|\d{1,2}:\d\d(?::\d\d)?"
    r"|(?<![\w-])(?:\d{4}-\d\d?(?:-\d\d?)?|\d\d?[–-]\d\d?)(?![\w-])|(?<![\w/.])\d\d?[/.]\d\d?[/.]\d{2,4}"
    r"|\+\d[\d ()/-]{5,20}|(?:\*{1,12}|\bx{2,12})\d{4}(?![\w*])|(?<![\w.])\d{2,20}(?: \d{2,20}){1,8}(?!\w)"
    r"|(?:[$€£¥]|\b(?:usd|eur|gbp|chf))\s?\d[\d.,]*"
    r"|(?<![\d.,])\d[\d.,]*\s?(?:[%€£$¥]|(?:usd|eur|gbp|chf|euros?|dollars?|st|nd|rd|th|am|pm|h|k|m|x)\b)",
    re.IGNORECASE,
)
"""What holds digits and names no object: addresses, links, times, dates, phones and cards, sums, ordinals."""
TOKEN = re.compile(r"[,;(]|[^\s,;:=()\[\]{}<>|\"'`“”‘’]{1,200}")
_LITTLE = re.compile(r"(?=.{1,5}$)\D*\d\D*")
_YEAR = re.compile(r"(?:19|20)\d\d")
_SPAN = re.compile(r"#?\d+-\d+")
JOINTS = re.compile(r"[_./\-]+")
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


def ids_by_kind(text: str) -> Mapping[str, Mapping[str, str]]:
    """Identifiers by kind, each normalised and as it stands there."""
    plain = _ASIDE.sub(" , ", text)
    if " " not in text.strip():
        plain = _ASIDE.sub(" , ", JOINTS.sub(" ", plain))
    spelt = [token for token in TOKEN.findall(plain) if token.strip(AROUND)]
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
