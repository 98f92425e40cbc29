"""How an act can carry data out, by its tool's name or a database statement. Pure, lexical, deterministic."""

from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from functools import lru_cache
from itertools import pairwise

from guardian.domain import statements
from guardian.domain.event import DecisionEvent
from guardian.signals.words.constraints import text
from guardian.signals.words.leaves import touched
from guardian.signals.words.wording import READING, canonical, singular, word_set, words, words_of_act


class Way(StrEnum):
    """How data leaves: to somebody, to somebody's account, to everybody, as a whole, or in what is asked for."""

    MESSAGE = "message"
    SHARE = "share"
    PUBLISH = "publish"
    EXPORT = "export"
    LOOKUP = "lookup"


_READING = READING - {"download"} | word_set("look load filter draft")
_VERBS: Mapping[Way, frozenset[str]] = {
    Way.MESSAGE: word_set("send forward reply notify sms"),
    Way.SHARE: word_set("share grant"),
    Way.PUBLISH: word_set("publish broadcast tweet announce"),
    Way.EXPORT: word_set("export dump upload exfiltrate replicate"),
}
_NOUNS: Mapping[str, Way] = {
    "email": Way.MESSAGE,
    "mail": Way.MESSAGE,
    "message": Way.MESSAGE,
    "post": Way.PUBLISH,
    "webhook": Way.EXPORT,
}
"""Names of things that are also acts: they only count where the tool's name has no other verb."""
_GIVING = word_set("add create generate grant insert invite make new put set update upsert")
_GIVEN: Mapping[frozenset[str], Way] = {
    **{frozenset({word}): Way.SHARE for word in ("permission", "collaborator", "viewer")},
    **{frozenset({"link", word}): Way.SHARE for word in ("shared", "sharing", "public")},
    **{frozenset({word}): Way.PUBLISH for word in ("gist", "pastebin")},
    **{frozenset({"invite", word}): Way.SHARE for word in ("user", "member", "people", "person", "teammate")},
}
"""What lets others in once it is made: `create_permission`, `invite_user`."""
_NOT_GIVEN = word_set("meeting event request")
"""Who is invited to a meeting sees the meeting, and a request is not granted yet."""
_HANDLING = word_set("archive move label mark tag flag star pin unpin snooze restore log react")
"""What is done to a thing that stays: `email.archive` sends nothing. A deletion is none: who leaks, hides."""
JOINING = word_set("and then also plus")
"""With one of these in its name a tool does several things: `mail_and_archive` sends."""
_HTTP = word_set("http request curl webhook fetch")
_METHOD = word_set("method http_method request_method verb http_verb")
_UNSAFE_METHODS = word_set("post put patch")
_OTHER_METHODS = word_set("get head options delete trace")
_STATEMENTS = frozenset(map(canonical, statements.NAMES))
BOOKS = word_set("accounting accrual erp gl journal ledger voucher")
"""Where is posted to an account, and not to everybody."""
_BEYOND_LOOKING = JOINING | frozenset(_NOUNS) | word_set("to link url public load")
"""Words of what does more than look: `share.get_link`, `export.list_to_email`."""
_NO_DATA = word_set(
    "money payment payout transfer remittance fund friend connection calendar reminder certificate"
)
"""What some tools send or request that is no data of the session; one that exports it does carry out data."""
_NO_VERBS = frozenset(
    {
        *(("send", word) for word in ("command", "input", "key", "keypress", "keystroke", "signal")),
        *(("forward", word) for word in ("geocode", "geocoding", "port")),
        *((word, "forward") for word in ("fast", "go", "navigate", "port", "step")),
        ("share", "price"),
    }
)
"""Words side by side of which none carries data to anybody: keys are sent to a terminal."""


@lru_cache(maxsize=8_192)
def _way_of_name(tool: str) -> Way | None:
    named = words(tool)
    last = words_of_act(tool)
    more = _BEYOND_LOOKING.union(*_VERBS.values())
    looks = last[:1] and last[0] in _READING and more.isdisjoint(last)
    found = None if looks else _spoken(named)
    return found if found is Way.EXPORT or _NO_DATA.isdisjoint(map(singular, named)) else None


def _spoken(named: Sequence[str]) -> Way | None:
    pairs = pairwise(map(singular, named)) if "to" not in named else ()
    void = {place for at, pair in enumerate(pairs) if pair in _NO_VERBS for place in (at, at + 1)}
    named = [word for place, word in enumerate(named) if place not in void]
    handled = not _HANDLING.isdisjoint(named) and JOINING.isdisjoint(named) and "webhook" not in named
    for place, word in enumerate(named):
        if word in _READING:
            told = {b for a, b in pairwise(named) if a in JOINING} if place == 0 else named
            return next((way for way, verbs in _VERBS.items() if not verbs.isdisjoint(told)), None)
        for way, verbs in _VERBS.items():
            if word in verbs:
                return way
    if handled or not _READING.isdisjoint(named):
        return None
    if (given := _given(frozenset(map(singular, named)))) is not None:
        return given
    booked = not BOOKS.isdisjoint(map(singular, named)) and "to" not in named
    return next((_NOUNS[word] for word in named if word in _NOUNS and not (booked and word == "post")), None)


def _given(said: frozenset[str]) -> Way | None:
    """How an act that makes something lets others at data by what it makes."""
    if said.isdisjoint(_GIVING) or not said.isdisjoint(_NOT_GIVEN):
        return None
    return next((way for made, way in _GIVEN.items() if made <= said), None)


def way_of(event: DecisionEvent) -> Way | None:
    """How an act could carry data out, by its tool's name (and HTTP method), or by a database statement that hands
    data to another place; None for one that cannot."""
    tool = event.action.tool
    if any(map(statements.carries_out, _told(event, _STATEMENTS))):
        return Way.EXPORT
    named = words(tool)
    methods = frozenset() if _HTTP.isdisjoint(named) else _methods(event)
    if not methods:
        return _way_of_name(tool)
    if not methods.isdisjoint(_UNSAFE_METHODS):
        return Way.EXPORT
    if methods <= _OTHER_METHODS:
        return None
    return _way_of_name(tool) if {"http", "curl"}.isdisjoint(named) else Way.EXPORT


def unread(event: DecisionEvent) -> bool:
    """Whether the end of a statement was not looked at, so that it may carry out data."""
    return any(len(told) > statements.CHARS for told in _told(event, _STATEMENTS))


def _methods(event: DecisionEvent) -> frozenset[str]:
    """The HTTP methods that the arguments name, however spelt and wrapped: which one is meant, a tool knows."""
    return frozenset(told.strip().lower() for told in _told(event, _METHOD)) - {""}


def _told(event: DecisionEvent, names: frozenset[str]) -> Iterator[str]:
    """The values of arguments that answer to one of the canonical names."""
    leaves = (leaf for leaf in touched(event).named(names) if leaf.path.startswith("arguments."))
    return (text(value) for leaf in leaves for value in leaf.scalars)
