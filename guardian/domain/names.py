"""Names as agents and people write them, in one spelling. Lexical and bounded."""

import re
import unicodedata
from functools import lru_cache

CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
"""Where a word begins within a name: `readAll`, `URLList`."""
_INITIALS = re.compile(r"[A-Z]{2,}s(?![a-z])")
"""Several of what initials name: `IDs`, `URLs`."""
_WORD = re.compile(r"[^\W_]+")
NAME_CHARS = 512
_PURPOSE_CHARS = 8192


def canonical(name: str) -> str:
    """A field name in one spelling: snake case, its last word in the singular.

    >>> canonical("contractIds"), canonical("contractIDs"), canonical("data-classes"), canonical("address")
    ('contract_id', 'contract_id', 'data_class', 'address')
    """
    return _canonical(name[:NAME_CHARS])


@lru_cache(maxsize=8_192)
def _canonical(name: str) -> str:
    parts = words(_INITIALS.sub(lambda found: found.group().capitalize(), name))
    return "_".join([*parts[:-1], singular(parts[-1])]) if parts else ""


def words(name: str) -> tuple[str, ...]:
    """The words of a name or sentence, lower case, in order, whether its accents are written apart or not.

    >>> words("crm.readAll"), words("Send the e-mail")
    (('crm', 'read', 'all'), ('send', 'the', 'e', 'mail'))
    """
    if not name.isascii():
        name = unicodedata.normalize("NFC", name[:_PURPOSE_CHARS])
    return _words_of_name(name) if len(name) <= NAME_CHARS else _words_of_purpose(name[:_PURPOSE_CHARS])


def _split(name: str) -> tuple[str, ...]:
    return tuple(_WORD.findall(CAMEL.sub(" ", name).lower()))


_words_of_name = lru_cache(maxsize=8_192)(_split)
_words_of_purpose = lru_cache(maxsize=64)(_split)
"""Few are remembered: of a long purpose the words take ten times its memory, and tenants choose the purposes."""


def singular(word: str) -> str:
    """The obvious singular of an English plural; other words as they are.

    >>> [singular(word) for word in ("ids", "classes", "categories", "status", "access", "boxes", "us")]
    ['id', 'class', 'category', 'status', 'access', 'box', 'us']
    """
    if len(word) < 3 or not word.endswith("s") or word.endswith(("ss", "us", "is")):
        return word
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    if word.endswith(("sses", "xes", "ches", "shes", "zes")):
        return word[:-2]
    return word[:-1]
