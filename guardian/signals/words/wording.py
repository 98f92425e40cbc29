"""Words: names and purposes as agents write them, made comparable, and made safe to show.

What agents write is hostile: everything shown is bounded, on one line and free of control, format and
markup characters. Comparisons are lexical and deterministic; nothing here guesses meaning.
"""

import re
import unicodedata
from collections.abc import Sequence
from functools import lru_cache
from itertools import dropwhile, pairwise

from guardian.domain.names import NAME_CHARS
from guardian.domain.names import canonical as canonical
from guardian.domain.names import singular as singular
from guardian.domain.names import words as words
from guardian.domain.text import some
from guardian.domain.text import word_set as word_set

_SPACE = re.compile(r"\s+")
_MARKUP = str.maketrans({"<": "‹", ">": "›", "`": "'", '"': "'", "&": "+", "|": "/"})
_NUMBER_BITS = 256
LISTED = 5
"""So many of several are named in one sentence."""
_SERVER = re.compile(r"[./:]|__")
"""Between what a tool is of and what it does."""


_STOP = word_set(
    "a an and any are as at be by can for from has have i in into is it its may me my of on or our please so "
    "such than that the their them then this to was we were will with you your"
)
READING = word_set(
    "browse check count describe download fetch find get history inspect list lookup preview query read retrieve "
    "search show status view"
)
"""What looks something up and changes nothing."""
_CHANGING = word_set(
    "add approve assign buy cancel change charge close copy create delete deploy disable drop edit enable exec "
    "execute export forward grant insert invite merge modify move pay place post publish purge push put refund "
    "remove rename reply reset revoke run send set share sign start stop submit transfer update upload wipe "
    "write"
)
_DOING = word_set(
    "abort activate apply archive block clear confirm deactivate dismiss drain empty erase flush hide invoke kill "
    "mute overwrite pause rebuild reindex reject reopen replace restart restore retry revert rollback rotate sort "
    "subscribe suspend terminate toggle truncate unarchive unblock undo unlock unmute unpublish unsubscribe void"
)
_TASKS = (
    READING
    | _CHANGING
    | _DOING
    | word_set(
        "adjust allow analyse analyze answer ask audit authorise authorize backup ban book broadcast build bypass "
        "call clean clone collect compress contact crawl decrypt deposit disclose dispatch distribute donate "
        "draft dump elevate email encrypt escalate exfiltrate extract fire fix forge gather give handle hire "
        "impersonate increase inform launch leak lend mirror nominate obtain offboard onboard "
        "provision pull purchase raise redirect reimburse release remit replicate reroute rewrite scrape ship "
        "smuggle steal transmit trigger trust whitelist withdraw zip "
        "install mail make manage message migrate monitor notify order organise organize pass prepare process "
        "provide reconcile record report resolve review rotate save schedule sell settle solve summarise "
        "summarize sync tell test text train wire work"
    )
)
"""What begins a task, joined to another."""
_LEADING = word_set(
    "also always bulk can could do does finally i just may might must next not now once only please re shall "
    "should then to we will would you"
)
_THINGS = word_set("count history list preview query status view")
"""Names that begin with one of the first do something, where the second is what they do it to (`clear_history`,
`archive_list`), and so do names that join one (`find_and_replace`). In `archive_search` it is the archive that is
searched, and in `restore_points_list` the points are listed."""
_ADDING = word_set("and then also plus")
_ASKING = word_set("describe fetch get retrieve")
"""What stands after these is a thing, though it be called like an act: `get_refund`, `describe_change_set`."""
_NO_THING = word_set(
    "add approve assign cancel create delete disable enable exec execute insert modify pay purge put remove "
    "rename revoke send set submit wipe write"
)
"""But for these alone (`get_delete`)."""
_WEB, _METHODS = word_set("curl fetch http https"), word_set("delete post put")
"""In the name of what speaks HTTP the second may be methods (`fetch_post`)."""
_DONE, _KEPT = (
    word_set("change charge deploy export merge push refund run transfer"),
    word_set("artifact history id job key log note request set status step"),
)
"""These call a thing together, as in `list_merge_requests`; `list_export_contacts` may do something to a list."""
_CHANGED = word_set("history log request set")
"""So does `change` with these alone: `todo_list_change_status` does something."""
_JOINING = re.compile(r"\b(?:and|also|plus|then|additionally|furthermore|moreover|as well as)\b|[&;,+]")


def shown(text: object, limit: int = 80) -> str:
    """`text` fit for a sentence: one line, no control, format or markup characters, at most `limit` characters.

    What would hide is spelt as its code point, as the place of display spells it in the name itself.

    >>> shown("pay <!channel>\\n now"), shown("mail.\\u202egnp.exe")
    ('pay ‹!channel› now', 'mail.‹U+202E›gnp.exe')
    """
    if isinstance(text, int) and text.bit_length() > _NUMBER_BITS:
        text = "a huge number"  # decimal conversion of such integers is slow, and refused by Python at last
    cut = str(text)[: 4 * limit]
    if not (cut.isascii() and cut.isprintable()):
        cut = "".join(_spelt(char) if unicodedata.category(char)[0] == "C" else char for char in cut)
    line = _SPACE.sub(" ", cut).strip().translate(_MARKUP)
    return line if len(line) <= limit else line[: limit - 1] + "…"


def _spelt(char: str) -> str:
    return " " if char in "\t\n\v\f\r\x85" else f"‹U+{ord(char):04X}›"


def words_of_act(tool: str) -> tuple[str, ...]:
    """The words of what a tool does, without those of what it is of.

    >>> words_of_act("exports.get"), words_of_act("mcp__crm__listContacts")
    (('get',), ('list', 'contacts'))
    """
    return words(_SERVER.split(tool)[-1])


def nouns_of(tool: str) -> tuple[str, ...]:
    """The words of a tool's name that say what it is of or about: those that are no verbs known here.

    >>> nouns_of("orders.cancel"), nouns_of("getOrderStatus")
    (('orders',), ('order',))
    """
    return tuple(word for word in words(tool) if word not in READING and word not in _CHANGING)


@lru_cache(maxsize=64)
def content(purpose: str) -> frozenset[str]:
    """The words of a purpose that carry meaning, in the singular."""
    return frozenset(singular(word) for word in words(purpose) if word not in _STOP)


def joins_more(wide: str, narrow: str) -> frozenset[str]:
    """The meaning words that `wide` joins to all those of `narrow`; empty unless it plainly adds a task.

    >>> sorted(joins_more("review contract and send refund", "review_contract"))
    ['refund', 'send']
    >>> joins_more("Review contract 7, newest first", "Review contract 7")
    frozenset()
    """
    said, more = content(narrow), content(wide)
    if not said or not said <= more:
        return frozenset()
    slug = " ".join(words(wide)) if " " not in wide.strip() else wide.lower()
    parts = _JOINING.split(slug)
    return more - said if len(parts) > 1 and any(_is_task(part, said) for part in parts) else frozenset()


def _is_task(part: str, said: frozenset[str]) -> bool:
    """Whether a part of a purpose begins with a verb, and that is new or done to something else than what was
    said."""
    verb, *rest = (*dropwhile(_leads, words(part)), "")
    of = content(" ".join(rest))
    return verb in _TASKS and (verb not in said or (bool(of) and said.isdisjoint(of)))


def _leads(word: str) -> bool:
    """Whether it may stand before the verb of a task: "and kindly send"."""
    return word not in _TASKS and (word in _LEADING or word.endswith("ly"))


@lru_cache(maxsize=8_192)
def only_reads(tool: str) -> bool:
    """Whether a tool's name says that it looks up and changes nothing; unknown names count as changing."""
    named, act = words(tool[:NAME_CHARS]), words_of_act(tool[:NAME_CHARS])
    thing = _asked_for(tool[:NAME_CHARS], named, act)
    if READING.isdisjoint(named) or not _CHANGING.isdisjoint(named[: len(named) - len(thing)]):
        return False
    if any(word in _DOING for joined, word in pairwise(named) if joined in _ADDING):
        return False
    looks = [word for word in act if word in READING]
    listed = len(act) > 2 and act[-1] == "list"
    return listed or not _DOING.issuperset(act[:1]) or _THINGS.isdisjoint(looks[-1:])


def _asked_for(tool: str, named: tuple[str, ...], act: tuple[str, ...]) -> tuple[str, ...]:
    """The last words of a tool's name that surely call what it looks up, and do not say what it does."""
    verbs = READING | _CHANGING | _DOING
    at = next((at for at, word in enumerate(act) if word in verbs), len(act))
    verb, thing = act[at : at + 1], act[at + 1 :]
    if "or" in thing or _JOINING.search(tool) or _JOINING.search(" ".join(thing)):
        return ()
    if verb == ("list",):
        pairs = [(word, singular(after)) for word, after in pairwise((*thing, "")) if word in _CHANGING]
        calls = (word in _DONE and after in (_CHANGED if word == "change" else _KEPT) for word, after in pairs)
        return thing if all(calls) else ()
    methods = not _WEB.isdisjoint(named) and not _METHODS.isdisjoint(thing)
    alone = len(thing) == 1 and thing[0] in _NO_THING
    return () if _ASKING.isdisjoint(verb) or methods or alone else thing


def and_others(others: Sequence[str]) -> str:
    return f"; also {some(others, LISTED, lambda said: shown(said, 40))}" if others else ""
