"""Whom a text calls by name, and how addresses of mail spell that. Pure, lexical, bounded.

"José Núñez" is jose.nunez, josenunez and jnunez; "Jörg Müller" jorg.muller or joerg.mueller; "Mary O'Brien" is
mary.obrien, "Jan de Boer" jan.deboer.
"""

import re
import unicodedata
from collections.abc import Callable, Iterator
from functools import lru_cache
from itertools import chain, islice
from typing import NamedTuple

from guardian.signals.words.wording import word_set

_WORD = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*")
_SIGN = re.compile(r"['’-]")
_OWNS = re.compile(r"['’]s\Z")
_PARTICLES = word_set("al bin da de del della den der di do dos du el ibn la le ten ter van von y zu")
"""What may stand in small letters before a surname."""
_PLAIN = str.maketrans(
    {"æ": "ae", "ð": "d", "ø": "o", "đ": "d", "ħ": "h", "ı": "i", "ł": "l", "œ": "oe", "þ": "th", "ß": "ss"}
)
_IN_TWO = str.maketrans({"ä": "ae", "å": "aa", "ö": "oe", "ø": "oe", "ü": "ue"})
_BEFORE = 3
"""So many words before a surname its owner's first name stands at most."""
_SURNAME = 3
"""An initial says too little before a surname of fewer letters."""
_WHOLES = 512


class Called(NamedTuple):
    """The names in a text, in every spelling: `names` word by word, `wholes` first names and initials joined to
    the surnames after them."""

    names: frozenset[str]
    wholes: frozenset[str]


def plain(text: str) -> str:
    """In small letters, without accents.

    >>> plain("Łukasz.Núñez-Strauß")
    'lukasz.nunez-strauss'
    """
    low = text.lower()
    if low.isascii():
        return low
    parts = unicodedata.normalize("NFKD", low.translate(_PLAIN))
    return "".join(each for each in parts if not unicodedata.combining(each))


def letters(text: str) -> str:
    """Its letters from a to z, without accents."""
    return "".join(each for each in plain(text) if "a" <= each <= "z")


def spellings(name: str) -> tuple[str, ...]:
    """How an address may spell one word of a name.

    >>> spellings("O'Brien"), spellings("Müller"), spellings("Søren"), spellings("伟")
    (('obrien',), ('muller', 'mueller'), ('soren', 'soeren'), ())
    """
    return tuple(filter(None, dict.fromkeys((letters(name), _in_two(name)))))


def _in_two(name: str) -> str:
    return letters(unicodedata.normalize("NFC", name.lower()).translate(_IN_TWO))


@lru_cache(maxsize=64)
def called(text: str) -> Called:
    """Whom a text may call by name: its capitalised words, and several of them in a row as one person.

    >>> sorted(called("Ask Mary O'Brien").names), sorted(called("to Jan de Boer").wholes)
    (['ask', 'brien', 'mary', 'obrien'], ['janboer', 'jandeboer', 'jboer', 'jdeboer'])
    """
    text = unicodedata.normalize("NFC", text)
    said = (_OWNS.sub("", found) for found in _WORD.findall(text))
    parts = (part for word in said if _is_name(word) for part in (word, *_SIGN.split(word)))
    names = frozenset(each for part in parts for each in spellings(part) if len(each) > 1)
    wholes = chain.from_iterable(_joined(row, spelt) for row in _rows(text) for spelt in (letters, _in_two))
    return Called(names, frozenset(islice(wholes, _WHOLES)))


def _is_name(word: str) -> bool:
    return word[0].isupper() and not word.isupper()


def _rows(text: str) -> Iterator[list[str]]:
    """Words in a row that may be one person's name: capitalised, with particles before a surname; initials are
    left out."""
    row: list[str] = []
    end, initial = 0, False
    for found in _WORD.finditer(text):
        gap, said = text[end : found.start()], found.group()
        word, end = _OWNS.sub("", said), found.end()
        if not (gap.isspace() or (initial and gap.startswith("."))):
            yield row
            row = []
        initial = len(word) == 1 and word.isupper()
        if _is_name(word) or (row and word in _PARTICLES):
            row.append(word)
        elif not initial:
            yield row
            row = []
        if word != said:  # "Ann's Report"
            yield row
            row = []
    yield row


def _joined(row: list[str], spelt: Callable[[str], str]) -> Iterator[str]:
    """First names, and their initials, before a surname, with what stands between and without."""
    names = list(map(spelt, row))
    owners = [at for at, word in enumerate(row) if _is_name(word) and names[at]]
    for last in owners:
        for first in (at for at in owners if last - _BEFORE <= at < last):
            for surname in dict.fromkeys((names[last], "".join(names[first + 1 : last + 1]))):
                yield names[first] + surname
                if len(surname) >= _SURNAME:
                    yield names[first][:1] + surname
