"""Where an act can carry data, to whom, and whether the purpose asks for that. Pure, lexical, deterministic."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from itertools import chain, islice, pairwise

from guardian.domain.event import DecisionEvent
from guardian.signals.constraints import text
from guardian.signals.identifiers import ADDRESS
from guardian.signals.leaves import Leaf, touched
from guardian.signals.mail_houses import anybodys
from guardian.signals.wording import READING, content, singular, word_set, words, words_of_act

MAX_RECIPIENTS = 256
UNREAD = "…"
"""Stands for all recipients beyond those that are looked at; no purpose names it."""
_RECIPIENT_CHARS = 200
_READ_CHARS = 4_096
_LEAST_NAME = 3


class Way(StrEnum):
    """How data leaves: to somebody, to somebody's account, to everybody, or as a whole."""

    MESSAGE = "message"
    SHARE = "share"
    PUBLISH = "publish"
    EXPORT = "export"


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
_JOINING = word_set("and then also plus")
"""With one of these in its name a tool does several things: `mail_and_archive` sends."""
_HTTP = word_set("http request curl webhook fetch")
_METHOD = word_set("method http_method request_method verb http_verb")
_UNSAFE_METHODS = word_set("post put patch")
_OTHER_METHODS = word_set("get head options delete trace")
_BOOKS = word_set("accounting accrual erp gl journal ledger voucher")
"""Where is posted to an account, and not to everybody."""
_BEYOND_LOOKING = _JOINING | frozenset(_NOUNS) | word_set("to link url public load")
"""Words of what does more than look: `share.get_link`, `export.list_to_email`."""
_NO_DATA = word_set(
    "money payment payout transfer remittance fund friend connection calendar reminder certificate"
)
"""What some tools send or request that is no data of the session; one that exports it does carry out data."""
_DESTINATION = word_set(
    "to recipient cc bcc email address email_address url uri link webhook endpoint host channel user username "
    "member participant attendee phone phone_number destination target receiver receiver_id recipient_id user_id "
    "chat_id channel_id domain bucket repo shared_with invitee contact webhook_url webhook_uri callback_url "
    "callback_uri target_url destination_url hook_url notify_url notification_url upload_url endpoint_url"
)
_ADDRESSEES = word_set("to cc bcc recipient")
"""Names of objects in which an address is a recipient, under whatever name."""
_TOWARDS = _ADDRESSEES | word_set("receiver addressee grantee guest target destination")
_HELD = _TOWARDS | word_set("email mail address addr")
_BACK = word_set("from sender reply return author owner assigned")
"""Words of which the name of a recipient holds one and ends with one, where it holds an address (`to_email`,
`ToAddresses`), and words of the name of another party."""
_ASKS: Mapping[Way, frozenset[str]] = {
    Way.MESSAGE: word_set(
        "send email mail message text sms tell inform notify notification reply respond response answer contact "
        "forward invite remind reminder write ask report share post let communicate reach confirm newsletter "
        "outreach"
    ),
    Way.SHARE: word_set(
        "share give grant access invite collaborate collaborator permission onboard onboarding send forward "
        "provide"
    ),
    Way.PUBLISH: word_set(
        "post publish tweet announce share broadcast comment write blog gist put release message send"
    ),
    Way.EXPORT: word_set("export download dump backup archive upload migrate migration copy extract sync save"),
}
_CLAUSE = r"(?:(?![.,;:!?)](?:\s|$)|\bbut\b)[^\n])*"
_BAN = re.compile(
    r"(?:^|[.;:,!?(\n]|\b(?:and|but|then|please|must|may|should))[ \t]*+(?:do not|don['’]?t|never|not)[ \t]++"
    rf"(?!(?:forget|hesitate|fail|wait|leave|miss|only|just)\b){_CLAUSE}"
    rf"|\bwithout (?:\w+ )?(?:e?mail|export|forward|messag|post|publish|send|shar|upload)ing\b{_CLAUSE}",
    re.IGNORECASE,
)
"""What a purpose says is not to be done, to the end of the clause; of people who did not reply it says nothing."""
_LOOKING = READING | word_set(
    "review summarize summarise analyze analyse analysis assess assessment audit compare classify evaluate "
    "evaluation examine explore inspect investigate look monitor research scan study summary verify understand"
)
_WORKING = word_set(
    "answer clean close fix follow handle help manage mend operate organise organize prepare process resolve "
    "restart run serve settle solve update work"
)
"""What more than looking is done in a task, in its first words or joined to them."""
_BEFORE_VERBS = word_set("a an i is our please task the to we you your")
_VERBS_OF_TASKS = READING.union(*_ASKS.values())
_FOLLOWS_UP = re.compile(r"\bfollow up (?:on|with)\b")
_ADDRESS = re.compile(r"(?<![\w.+-])[\w.+-]+@[\w-]+\.[\w.-]+|https?://\S+|\bwww\.\S+", re.ASCII)
_HOST = re.compile(r"(?:https?://)?([a-z0-9.-]+)(?::\d+)?(?:[/?#]|$)")
_CALLED = re.compile(r"\b\w{2,}")
_AMID = re.compile(r"(?<=\S )\w{2,}")
"""A word that does not begin the text."""
_GIVEN_TO = re.compile(
    r"\b(?:to|at|b?cc(?:[ \t]+the(?:[ \t]+\w+){0,2})?)[ \t]+(\w{3,})"
    r"(?=[ \t]*(?:$|\n|[.,;:!?)](?!\w)|(?:and|or)\b))",
    re.IGNORECASE,
)
"""Who is told at the end of a phrase: "and to ann", "the team at client", "cc the account manager ann"."""
_LISTED = re.compile(r"[,;\n]+")
_BETWEEN = re.compile(r"[\s<>()\"']+")


@dataclass(frozen=True, slots=True)
class Recipient:
    """One destination of an act: the argument that names it, and its value."""

    path: str
    value: str


@lru_cache(maxsize=8_192)
def _way_of_name(tool: str) -> Way | None:
    named = words(tool)
    last = words_of_act(tool)
    more = _BEYOND_LOOKING.union(*_VERBS.values())
    looks = last[:1] and last[0] in _READING and more.isdisjoint(last)
    found = None if looks else _spoken(named)
    return found if found is Way.EXPORT or _NO_DATA.isdisjoint(map(singular, named)) else None


def _spoken(named: Sequence[str]) -> Way | None:
    handled = not _HANDLING.isdisjoint(named) and _JOINING.isdisjoint(named) and "webhook" not in named
    for place, word in enumerate(named):
        if word in _READING:
            told = {b for a, b in pairwise(named) if a in _JOINING} if place == 0 else named
            return next((way for way, verbs in _VERBS.items() if not verbs.isdisjoint(told)), None)
        for way, verbs in _VERBS.items():
            if word in verbs:
                return way
    if handled or not _READING.isdisjoint(named):
        return None
    if (given := _given(frozenset(map(singular, named)))) is not None:
        return given
    booked = not _BOOKS.isdisjoint(map(singular, named)) and "to" not in named
    return next((_NOUNS[word] for word in named if word in _NOUNS and not (booked and word == "post")), None)


def _given(said: frozenset[str]) -> Way | None:
    """How an act that makes something lets others at data by what it makes."""
    if said.isdisjoint(_GIVING) or not said.isdisjoint(_NOT_GIVEN):
        return None
    return next((way for made, way in _GIVEN.items() if made <= said), None)


def way_of(event: DecisionEvent) -> Way | None:
    """How an act could carry data out, by its tool's name (and HTTP method); None for one that cannot."""
    tool = event.action.tool
    named = words(tool)
    methods = frozenset() if _HTTP.isdisjoint(named) else _methods(event)
    if not methods:
        return _way_of_name(tool)
    if not methods.isdisjoint(_UNSAFE_METHODS):
        return Way.EXPORT
    if methods <= _OTHER_METHODS:
        return None
    return _way_of_name(tool) if {"http", "curl"}.isdisjoint(named) else Way.EXPORT


def _methods(event: DecisionEvent) -> frozenset[str]:
    """The HTTP methods that the arguments name, however spelt and wrapped: which one is meant, a tool knows."""
    leaves = (leaf for leaf in touched(event).named(_METHOD) if leaf.path.startswith("arguments."))
    return frozenset(text(value).strip().lower() for leaf in leaves for value in leaf.scalars) - {""}


def recipients_of(event: DecisionEvent) -> tuple[Recipient, ...]:
    """The destinations that an act's arguments name, each once and cut at 200 characters: at most 256, and one
    that stands for the rest where there is, or may be, more."""
    action = touched(event)
    leaves = [leaf for leaf in action.leaves if leaf.path.startswith("arguments.") and _addressed(leaf)]
    named = chain((recipient for leaf in leaves for recipient in _recipients(leaf)), _unread(leaves))
    found = list(islice(named, MAX_RECIPIENTS))
    if (more := next(named, None)) is not None:
        found.append(Recipient(more.path, UNREAD))
    elif action.cut:
        found.append(Recipient("arguments", UNREAD))
    return tuple(dict.fromkeys(found))


def _unread(leaves: Sequence[Leaf]) -> Iterator[Recipient]:
    """One for each list of objects, `to: [{"email": …}]`, some of which name nobody where the others do."""
    lists, told = Counter[str](), Counter[str]()
    for leaf in leaves:
        if _of_objects(leaf):
            lists[leaf.path] += leaf.count or 0
        else:
            told[leaf.path] += 1
    for path, many in lists.items():
        below = f"{path}."
        if many > told[path] + max((told[each] for each in told if each.startswith(below)), default=0):
            yield Recipient(path, UNREAD)


def _of_objects(leaf: Leaf) -> bool:
    """Whether it stands for a list whose items are leaves of their own."""
    return bool(leaf.count) and not leaf.values


def _addressed(leaf: Leaf) -> bool:
    if leaf.answers(_DESTINATION):
        return True
    named = [singular(word) for word in words(leaf.path.rpartition(".")[2])]
    towards = not _TOWARDS.isdisjoint(named) and named[-1] in _HELD and _BACK.isdisjoint(named)
    within = towards or not leaf.inside.isdisjoint(_ADDRESSEES)
    return within and any("@" in text(value) for value in leaf.scalars)


def _recipients(leaf: Leaf) -> Iterator[Recipient]:
    for value in leaf.values:
        said = text(value)
        for one in _each(said[:_READ_CHARS]):
            yield Recipient(leaf.path, one[:_RECIPIENT_CHARS])
        if len(said) > _READ_CHARS:
            yield Recipient(leaf.path, UNREAD)
    if leaf.count is not None and leaf.count > len(leaf.values) and not _of_objects(leaf):
        yield Recipient(leaf.path, UNREAD)


def _each(said: str) -> Iterator[str]:
    """Whom a text names: in a list with addresses all of it but the plain words before `<ann@acme.example>`.

    >>> list(_each("Ann Lee <ann@x.org>, bob@x.org evil.example; #all")), list(_each("Sales, EMEA"))
    (['ann@x.org', 'bob@x.org', 'evil.example', '#all'], ['Sales, EMEA'])
    """
    if "@" not in said:
        yield from filter(None, [" ".join(said.split())])
        return
    for piece in _LISTED.split(said):
        name, _, address = piece.rpartition("<")
        called = frozenset(_BETWEEN.split(name) if "@" in address else ())
        parts = [part for part in _BETWEEN.split(piece) if any(map(str.isalnum, part))]
        told = [part for part in parts if part not in called or not part.strip(".").replace("-", "").isalpha()]
        yield from told if "@" in piece else filter(None, [" ".join(parts)])


def asked_for(purpose: str, way: Way) -> bool:
    """Whether the purpose's words ask for this way of carrying data.

    >>> asked_for("email the minutes to Ann", Way.MESSAGE), asked_for("review_contract", Way.MESSAGE)
    (True, False)
    """
    if way is Way.MESSAGE and _FOLLOWS_UP.search(" ".join(words(purpose))):
        return True
    return not _ASKS[way].isdisjoint(content(purpose)) or not _ASKS[way].isdisjoint(words(purpose))


def parted(purpose: str) -> tuple[str, str]:
    """What a purpose asks for, and what it says is not to be done.

    >>> parted("Review it, but do not email Ann. Thanks"), parted("Email who did not pay")
    (('Review it, \\n. Thanks', 'but do not email Ann'), ('Email who did not pay', ''))
    """
    read = purpose[:8_192]
    return _BAN.sub("\n", read) + purpose[8_192:], "\n".join(found.group() for found in _BAN.finditer(read))


def only_looks(purpose: str) -> bool:
    """Whether a purpose is of looking at things only, so that no part of its work is to send them anywhere.

    >>> [only_looks(told) for told in ("review_contract", "Contract review of Q3", "Check and fix", "Run audits")]
    [True, True, False, False]
    """
    said = [singular(word) for word in words(purpose) if word not in _BEFORE_VERBS]
    begun = {*said[:1], *(after for joint, after in pairwise(said) if joint in _JOINING)}
    named = {*said[:1], *said[-1:], *(before for before, of in pairwise(said) if of == "of")}
    return not _LOOKING.isdisjoint(named) and _WORKING.isdisjoint(begun)


def addresses_in(purpose: str) -> frozenset[str]:
    """The e-mail addresses and URLs that a purpose spells out, in lower case."""
    return frozenset(found.rstrip(".,;:!?)'\"").lower() for found in _ADDRESS.findall(purpose[:8_192]))


def spelt_out(purpose: str, recipient: str) -> bool:
    """Whether the purpose names this very recipient."""
    low, said = recipient.lower(), purpose.lower()
    return (
        len(low) >= _LEAST_NAME
        and low in said
        and re.search(rf"(?<![\w@.-]){re.escape(low)}(?![\w@-]|\.\w)", said) is not None
    )


def told_by_name(purpose: str, recipient: str) -> bool:
    """Whether a purpose that spells out addresses means this one too: it is one of them, on the host of one, in a
    house whose whole domain is named, or of somebody who is called by name beside them. What an address says its
    owner chose: the words of a task tell nobody.

    >>> told = "email the renewal to ann@x.org and to Bob Lee"
    >>> [told_by_name(told, who) for who in ("ann@x.org", "lee@y.org", "ann@evil.example", "renewal@evil.example")]
    [True, True, False, False]
    """
    host = _HOST.match(recipient.lower())
    if host is not None and any(at[1] == host[1] for at in map(_HOST.match, addresses_in(purpose)) if at):
        return True
    beside = _ADDRESS.sub("\n", purpose[:8_192])
    return spelt_out(purpose, recipient) or _house_told(beside, recipient) or _called(beside, recipient)


def _house_told(beside: str, recipient: str) -> bool:
    house = recipient.lower().rpartition("@")[2]
    whole = ADDRESS.fullmatch(recipient) is not None and not anybodys(house)
    return whole and spelt_out(beside, house)


def _called(beside: str, recipient: str) -> bool:
    """Whether somebody who is called by name has this address. What begins a text is in capitals whatever it is: a
    name only where it stands before the `@` too, and is no verb."""
    own = frozenset(words(recipient.rpartition("@")[0])) - _VERBS_OF_TASKS
    names = [word for word in _AMID.findall(beside) if word[0].isupper()]
    names += [word for word in _CALLED.findall(beside) if word[0].isupper() and word.lower() in own]
    told = [name for name in _GIVEN_TO.findall(beside) if name.lower() not in _VERBS_OF_TASKS]
    return named_in_part(" ".join([*names, *told]), recipient)


def named_in_part(purpose: str, recipient: str) -> bool:
    """Whether a telling word of the recipient (a name, a company's domain) stands in the purpose."""
    parts = {word for word in words(recipient) if len(word) >= _LEAST_NAME and word not in _COMMON_PARTS}
    return not parts.isdisjoint(words(purpose))


_COMMON_PARTS = word_set(
    "com org net example www http https mail email gmail gmx outlook hotmail yahoo proton protonmail info admin "
    "team user support contact office the and for"
)
"""Parts of addresses that name nobody."""
