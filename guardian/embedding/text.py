"""What the encoders read: a purpose and an action as short, clean text. Pure and bounded.

Arguments come from agents that may be hostile, so nothing here trusts their size, depth or characters:
text is NFKC-folded, control and zero-width characters are dropped, and every length has a limit.
"""

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import islice

from guardian.domain.names import CAMEL
from guardian.domain.text import word_set

PURPOSE_CHARS = 600
ACTION_CHARS = 280
VALUE_CHARS = 96
TOOL_CHARS = 80
HISTORY_TOOLS = 4
MAX_LEAVES = 48
MOST_LEAVES = 2_000
MAX_DEPTH = 12
MAX_ITEMS = 64
MARK = "..."
"""Stands where a value was cut; it is not a value."""
NESTED = "nested"
"""Stands where a value lies too deep to be read."""


def vocabulary(text: str) -> tuple[str, ...]:
    """The words of a list written as one text."""
    return tuple(text.split())


DESTINATION = word_set(
    "to recipient recipients cc bcc email address url uri link website host account iban payee"
    " beneficiary channel user username guest guests participants attendees phone destination target"
    " member members bucket webhook endpoint receiver domain repo wallet number contact"
)
_DEED = word_set("method action operation verb op command sql query statement amount")

_JOINTS = re.compile(r"[_./:\-\\]+")
_SPACE = re.compile(r"\s+")
_PARTS = r",;|\r\n\t\v\f\x85\u2028\u2029\uff0c\uff1b\u3001\u060c\u061b\uff5c"
_ADDRESS = re.compile(rf"[^@]*@(?:(?!\s[^\s@{_PARTS}]+@)[^{_PARTS}])*|[^@]+$")
"""One of a row of addresses: with the name before it, in which a comma may stand, up to the next separator, or to
a blank behind which another address begins."""
_AROUND = " \t\r\n\v\f\x85\u2028\u2029,;|\uff0c\uff1b\u3001\u060c\u061b\uff5c"
_PADDING = re.compile(
    r"[\s\x00-\x1f\x7f-\xa0\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202f\u2060-\u206f"
    r"\u3164\ufe00-\ufe0f\ufeff\uffa0\U0001d173-\U0001d17a\U000e0000-\U000e0fff]+"
)
"""What nobody sees, in front of a text."""
_MOST_KEYS = 8 * MOST_LEAVES
_BLANKS = str.maketrans("01", " \t")


def clean(text: str, limit: int) -> str:
    """`text` on one line, folded to NFKC, without control and format characters, at most `limit` long."""
    padding = _PADDING.match(text)
    begins = padding.end() if padding else 0
    cut = text[begins : begins + 4 * limit]
    if not cut.isascii():
        cut = unicodedata.normalize("NFKC", cut)
        cut = "".join(c for c in cut if unicodedata.category(c) not in ("Cf", "Cs", "Co", "Cn"))
    cut = _SPACE.sub(" ", cut)
    if not cut.isprintable():
        cut = "".join(c if c.isprintable() else " " for c in cut)
    return _SPACE.sub(" ", cut).strip()[:limit]


@lru_cache(maxsize=16_384)
def words(name: str) -> str:
    """A tool or argument name as lower-case words.

    >>> words("GmailSendEmail"), words("contracts.read_v2")
    ('gmail send email', 'contracts read v2')
    """
    return _SPACE.sub(" ", _JOINTS.sub(" ", CAMEL.sub(" ", clean(name, TOOL_CHARS)))).strip().lower()


@lru_cache(maxsize=2_048)
def render_purpose(purpose: str) -> str:
    """The declared purpose as the encoders read it; a slug becomes words, prose stays prose.

    >>> render_purpose("review_customer_contract_for_renewal_risk")
    'review customer contract for renewal risk'
    """
    text = clean(purpose, PURPOSE_CHARS)
    if " " in text:
        return text
    return _SPACE.sub(" ", _JOINTS.sub(" ", CAMEL.sub(" ", text))).strip().lower()


def scalar(value: object) -> str:
    """One leaf value as text; a float is written shortest, bytes by their length, anything else by its type."""
    match value:
        case str():
            return clean(value, 4 * VALUE_CHARS)
        case bool() | None:
            return str(value).lower()
        case int():
            return str(value) if value.bit_length() < 256 else "huge number"
        case float():
            return format(value, ".6g") if math.isfinite(value) else "not a number"
        case bytes() | bytearray():
            return f"{len(value)} bytes"
        case _:
            return type(value).__name__


def leaves(arguments: Mapping[str, object] | None, most: int = MAX_LEAVES) -> list[tuple[str, str]]:
    """(path, value) of each leaf, depth first, the foremost `most`; a list of scalars is one leaf.

    >>> leaves({"to": ["a@x.org", "b@x.org"], "body": {"text": "hi"}})
    [('to', 'a@x.org, b@x.org'), ('body.text', 'hi')]
    """
    return foremost(every_leaf(arguments), most)


def foremost(found: list[tuple[str, str]], most: int) -> list[tuple[str, str]]:
    """All of them, or of more than `most` those first whose name says where something goes or what is done."""
    return found if len(found) <= most else sorted(found, key=lambda leaf: _matters_less(leaf[0]))[:most]


def every_leaf(arguments: Mapping[str, object] | None) -> list[tuple[str, str]]:
    """As `leaves`, in their own order, at most MOST_LEAVES; beyond so many items in all a list shows its first."""
    return shown(raw_leaves(arguments))


def shown(raw: Sequence[tuple[str, object]]) -> list[tuple[str, str]]:
    """What `raw_leaves` found as `every_leaf` shows it, one for one."""
    found, count = list[tuple[str, str]](), 0
    for path, value in raw:
        count += min(len(value), MAX_ITEMS) if isinstance(value, list) else 1
        found.append((path, _told(value[:1] if isinstance(value, list) and count > MOST_LEAVES else value)))
    return found


def raw_leaves(arguments: Mapping[str, object] | None) -> list[tuple[str, object]]:
    """As `every_leaf`, with the values as they are."""
    found = list(islice(_walk(arguments or {}, "", 0), MOST_LEAVES + 1))
    if len(found) > MOST_LEAVES:  # what is long hides nothing that stands behind it
        found = list(islice(_walk(arguments or {}, "", 0, pressed=True), MOST_LEAVES))
    return found


def items(value: object, most: int = MAX_ITEMS) -> list[str]:
    """The first `most` of what a leaf names, each by itself: the items of a list, the addresses of a row; empty if
    that is one thing.

    >>> items(["a@x.org", "b@x.org"]), items('"Doe, J" <d@x.org>; e@x.org'), items("a@x.org")
    (['a@x.org', 'b@x.org'], ['"Doe, J" <d@x.org>', 'e@x.org'], [])
    """
    told = value if isinstance(value, list) else [value]
    named = (part for item in told for part in (_addresses(item) if isinstance(item, str) else [item]))
    found = list(islice(named, most))
    return list(map(scalar, found)) if len(found) > 1 else []


def _addresses(text: str) -> Iterable[str]:
    if text.find("@", text.find("@") + 1) <= 0:
        return [text]
    parts = (part[0].strip(_AROUND) for part in _ADDRESS.finditer(text))
    return (part[1:-1] if part.startswith("<") and part.endswith(">") else part for part in parts)


def overlong(arguments: Mapping[str, object] | None) -> bool:
    """Whether there is more than the encoders are shown: more leaves, or one that lies too deep."""
    found = raw_leaves(arguments)
    return len(found) > MAX_LEAVES or any(value == NESTED for _, value in found)


def _comes_late(item: tuple[object, object]) -> tuple[bool, bool]:
    name, value = item
    return _matters_less(_name(name)), not isinstance(value, (str, int, float))


def _matters_less(path: str) -> bool:
    names = words(path).split()
    return DESTINATION.isdisjoint(names) and _DEED.isdisjoint(names)


def _told(value: object) -> str:
    if isinstance(value, list):
        return clean(", ".join(map(scalar, value[:MAX_ITEMS])), 4 * VALUE_CHARS)
    return scalar(value)


def _name(key: object) -> str:
    return clean(str(key) if isinstance(key, (str, int, float)) else type(key).__name__, TOOL_CHARS)


def _walk(value: object, path: str, depth: int, *, pressed: bool = False) -> Iterator[tuple[str, object]]:
    match value:
        case str() | int() | float():  # as most are, and asking for a Mapping takes long
            yield path, value
        case Mapping() if depth < MAX_DEPTH:
            held = islice(value.items(), _MOST_KEYS)
            for key, item in sorted(held, key=_comes_late) if pressed else held:
                name = f"{path}.{_name(key)}" if path else _name(key)
                yield from _walk(item, name, depth + 1, pressed=pressed)
        case list() | tuple() | set() | frozenset() if depth < MAX_DEPTH:
            items = list(islice(value, MOST_LEAVES))
            if isinstance(value, (set, frozenset)):
                items.sort(key=scalar)
            if any(isinstance(item, (Mapping, list, tuple)) for item in items):
                for index, item in enumerate(items):
                    name = f"{path}.{index}" if path else str(index)
                    yield from _walk(item, name, depth + 1, pressed=pressed)
            else:
                yield path, items
        case Mapping() | list() | tuple() | set() | frozenset():
            yield path, NESTED
        case _:
            yield path, value


def flat(found: Iterable[tuple[str, object]]) -> dict[str, object]:
    """Arguments that have these leaves and render alike. Of several at one path ("to", and "to" with a hidden
    character) none is lost: blanks tell their names apart, and whoever reads them drops these again."""
    made: dict[str, object] = {}
    repeats: Counter[str] = Counter()
    for path, value in found:
        name = path
        while name in made:
            repeats[path] += 1
            name = path + f"{repeats[path]:b}".translate(_BLANKS)
        made[name] = value
    return made


def without(arguments: Mapping[str, object] | None, path: str) -> dict[str, object]:
    """`arguments` as flat leaves with the leaf at `path` left out (renders like the nested form)."""
    return flat((name, value) for name, value in raw_leaves(arguments) if name != path)


def render_action(tool: str, arguments: Mapping[str, object] | None) -> str:
    """The present action as one line; short values come first, so that a long body cannot push a recipient out.
    Where not everything fits, those come before them whose name says where something goes or what is done.

    >>> render_action("email.send", {"body": "x" * 60, "to": "a@x.org"})[:36]
    'email send | to: a@x.org ; body: xxx'
    """
    parts: list[str] = []
    room = ACTION_CHARS - len(words(tool)) - 3
    found = sorted(leaves(arguments), key=lambda leaf: len(leaf[1]) > 40)
    if sum(len(words(path)) + len(value[:VALUE_CHARS]) + 5 for path, value in found) > room:
        found.sort(key=lambda leaf: _matters_less(leaf[0]))
    for path, value in found:
        part = f"{words(path)}: {value[:VALUE_CHARS]}"[: max(room, 0)]
        if len(part) < 3:
            break
        parts.append(part)
        room -= len(part) + 3
    return f"{words(tool)} | {' ; '.join(parts)}".rstrip()


def render_history(before: Sequence[str]) -> str:
    """The last few tools of the session, oldest first, or nothing."""
    recent = [words(tool) for tool in before[-HISTORY_TOOLS:]]
    return f"after {' > '.join(recent)} then " if recent else ""


def render_pair(
    purpose: str, before: Sequence[str], tool: str, arguments: Mapping[str, object] | None
) -> tuple[str, str]:
    """The two segments of the pair encoder: purpose, and history with the present action."""
    return render_purpose(purpose), render_history(before) + render_action(tool, arguments)
