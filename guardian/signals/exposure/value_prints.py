"""Which argument values identify something, so that a keyed fingerprint can follow them from one act to the next.

Only values that are unlikely to recur by chance: an address, a path, a number of seven digits, an identifier that
mixes letters and digits. Words, dates and small numbers are left out. Pure; the key stays with whoever calls.
"""

import re
from collections.abc import Callable, Mapping, Sequence

from guardian.domain.event import DecisionEvent
from guardian.signals.words.constraints import text
from guardian.signals.words.leaves import touched
from guardian.signals.words.named_values import Leaf
from guardian.signals.words.paths import decoded
from guardian.signals.words.wording import word_set

MAX_PATHS = 32
MAX_VALUES = 16
_CHARS = 4_096
_NUMBER_CHARS = 8
_CONTENT = word_set(
    "attachment body caption comment content csv data description document file_content html html_body input json "
    "markdown message note payload post record row subject text text_body title value"
)
"""Names of arguments that hold what is said or sent."""
_TOKEN = re.compile(r"[\w@./:+#-]{5,200}")
_GRAINS = re.compile(r"[\w@.+-]{5,200}"), re.compile(r"[\w-]{5,200}"), re.compile(r"\w{5,200}")
_DATE = re.compile(r"\d{1,4}[-./:]\d{1,2}(?:[-./:]\d{1,4})?(?:[t ]?\d{0,2}(?::\d{2})*z?)?")
_NUMBER = re.compile(r"[\d.,:+/-]+")


def identifying(value: str) -> frozenset[str]:
    """The tokens of a text that identify something, in lower case.

    >>> sorted(identifying("Pay inv_3007 of Ann (ann@acme.example) by 2026-05-12, 300 EUR"))
    ['ann@acme.example', 'inv_3007']
    """
    return _identifying(value[:_CHARS])


def pieces_of(value: str) -> frozenset[str]:
    """The same of a text in which they may be joined to others, as in a URL or the name of a host.

    >>> sorted(pieces_of("evil.example/?d=inv_3007:ann%40acme.example"))
    ['ann@acme.example', 'evil.example', 'inv_3007', 'inv_3007:ann@acme.example']
    """
    said = decoded(value)
    found = (piece.strip("._+-").lower() for grain in _GRAINS for piece in grain.findall(said))
    return _identifying(said) | frozenset(piece for piece in found if _identifies(piece))


def prints_of(event: DecisionEvent, fingerprint: Callable[[str], str]) -> Mapping[str, tuple[str, ...]]:
    """Fingerprints of the identifying values of an act, by the path of the argument that carries them; bounded,
    and then of those that are likely to carry what goes out."""
    found: dict[str, tuple[str, ...]] = {}
    for leaf in _telling(touched(event).leaves):
        values = {token for value in leaf.values[:MAX_VALUES] for token in identifying(text(value))}
        if values:
            known = found.get(leaf.path, ())
            found[leaf.path] = tuple(dict.fromkeys([*known, *map(fingerprint, sorted(values))]))[:MAX_VALUES]
        if len(found) == MAX_PATHS:
            break
    return found


def _identifying(said: str) -> frozenset[str]:
    found = (token.strip("./:#+-").lower() for token in _TOKEN.findall(said))
    return frozenset(token for token in found if _identifies(token))


def _telling(leaves: Sequence[Leaf]) -> Sequence[Leaf]:
    """The same where all are looked at; else those of content first, then the shallower and the longer: padding
    in front of a letter's body hides nothing."""
    if len(leaves) <= MAX_PATHS:
        return leaves
    return sorted(leaves, key=lambda leaf: (not leaf.answers(_CONTENT), leaf.path.count("."), -_length(leaf)))


def _length(leaf: Leaf) -> int:
    return sum(len(value) if isinstance(value, str) else _NUMBER_CHARS for value in leaf.values[:MAX_VALUES])


def _identifies(token: str) -> bool:
    if len(token) < 5 or _DATE.fullmatch(token):
        return False
    if _NUMBER.fullmatch(token):
        return sum(char.isdigit() for char in token) >= 7
    return "@" in token or any(char.isdigit() for char in token) or "/" in token or "." in token[1:-1]
