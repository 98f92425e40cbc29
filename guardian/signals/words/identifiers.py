"""Identifiers: what may name one object, of which kind, and in which form. Pure.

Lexical and in English: a word with a digit in it, under a name such as `order_id`; addresses of mail; IBANs.
"""

import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache

from guardian.signals.words.wording import singular, word_set, words

_ID_CHARS = 40
_FEW_LETTERS = 4
_FEW_RUNS = 4
_RANDOM = "at random"
"""An identifier of more runs of letters and digits is made at random, as a UUID is: one is like another."""
ADDRESS = re.compile(r"[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}")
_IBAN = re.compile(r"[a-z]{2}\d{2}[a-z0-9]{11,30}")
_IDENTIFIER = re.compile(r"#?(?=[^\d\s]{0,30}\d)[a-z0-9]{1,30}(?:[-_/.][a-z0-9]{1,30}){0,4}", re.IGNORECASE)
_NO_IDENTIFIER = re.compile(r"v?\d+(?:\.\d+)+.*|\d{4}-\d\d-\d\d")
_GLUED = re.compile(r"([a-z]{4,28})(id|no|number)")
_UUID = re.compile(r"\{?[0-9a-f]{8}-?(?:[0-9a-f]{4}-?){3}[0-9a-f]{12}\}?", re.IGNORECASE)
_UUID_CHARS = 38
NOUN = re.compile(r"[a-z]{2,30}")
MARKS = word_set("id no nr n° num number ref reference code key identifier numbered #")
"""What says that an identifier follows, and ends an argument's name; in the singular."""
_AMOUNTS = word_set("average avg limit max maximum min minimum per total")
"""An argument whose name begins so says how many."""
_NO_KIND = word_set(
    "a about above after an any around as at be before below between by each every exactly for from go have if "
    "in into it last least less me more most my next of on only our over per since so some than that these this "
    "those through till to top under until up us via vs we within you your not max maximum min minimum first am "
    "pm age amount budget capacity chapter cost count date day depth distance fax fee height hour length level "
    "limit line minute month page percent percentage phone postal price quantity radius rate rating row salary "
    "score second section size speed step sum temperature time total value version volume week weight width "
    "year zip article attempt build clause commit epoch error exit extension file folder form http iso model "
    "paragraph path phase port priority release revision seed severity stage status tag tier timeout cve dpi "
    "episode lesson question rfc slide standard track january february march april may june july "
    "august september october november december jan feb mar apr jun jul aug sep sept oct nov dec monday tuesday "
    "wednesday thursday friday saturday sunday"
)


def is_identifier(token: str) -> bool:
    """Whether a word may name one object: it holds a digit, is not too long, and no decimal, version or date.

    >>> [is_identifier(token) for token in ("#W2378156", "5512", "2.50", "v1.2.3", "2026-05-12", "order")]
    [True, True, False, False, False, False]
    """
    fits = len(token) <= _ID_CHARS and _IDENTIFIER.fullmatch(token) is not None
    return fits and not _NO_IDENTIFIER.fullmatch(token)


def kind_of(name: str) -> tuple[str, bool]:
    """The kind of object that a name ends in, and whether the name says that it identifies one.

    >>> kind_of("order_ids"), kind_of("orderid"), kind_of("fromAccount"), kind_of("amount"), kind_of("id")
    (('order', True), ('order', True), ('account', False), ('', False), ('', True))
    """
    parts = list(map(singular, words(name)))
    if parts and (glued := _GLUED.fullmatch(parts[-1])):
        parts[-1:] = glued.groups()
    identifies = False
    while parts and parts[-1] in MARKS:
        parts.pop()
        identifies = True
    kind = parts[-1] if parts and parts[0] not in _AMOUNTS else ""
    return kind if NOUN.fullmatch(kind) and kind not in _NO_KIND else "", identifies


def folded(text: str) -> str:
    """In one spelling of its characters (NFKC): digits of any script are digits, what is not seen is left out."""
    if text.isascii():
        return text
    spelt = unicodedata.normalize("NFKC", text)
    if len(spelt) > 2 * len(text):  # one may stand for eighteen: those that stand for many stay
        spelt = unicodedata.normalize("NFC", "".join(map(_spelt, text)))
    seen = (each for each in spelt if unicodedata.category(each) != "Cf")
    return "".join(str(unicodedata.decimal(each, each)) for each in seen)


def _spelt(character: str) -> str:
    told = unicodedata.normalize("NFKC", character)
    return told if len(told) <= _FEW_LETTERS else character


def normal(text: str) -> str:
    """Letters and digits only, lower case."""
    return "".join(filter(str.isalnum, text.lower()))


@lru_cache(maxsize=4_096)
def form(told: str) -> tuple[int, str]:
    """The length of a normalised identifier, and its runs of letters and digits.

    >>> form("w2378156"), form("5512")
    ((8, 'a9'), (4, '9'))
    """
    runs = re.sub(r"\d+", "9", re.sub(r"[^\d]+", "a", told))
    return len(told), runs if len(runs) <= _FEW_RUNS else _RANDOM


def in_addresses(text: str) -> Iterable[str]:
    """The addresses of mail in a text, lower case."""
    if "@" not in text:  # nearly always, and the pattern looks far ahead from each character
        return ()
    return (found.lower().rstrip(".") for found in ADDRESS.findall(text))


def is_iban(told: str) -> bool:
    """Whether a normalised value has the form of an IBAN (ISO 13616)."""
    return _IBAN.fullmatch(told) is not None


def as_uuid(told: str) -> str:
    """A UUID (RFC 9562) in one spelling, whatever its case, dashes and braces; empty for anything else.

    >>> as_uuid("{6F9619FF-8B86-D011-B42D-00CF4FC964FF}"), as_uuid("5512")
    ('6f9619ff8b86d011b42d00cf4fc964ff', '')
    """
    return normal(told) if len(told) <= _UUID_CHARS and _UUID.fullmatch(told) else ""
