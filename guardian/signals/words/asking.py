"""Whether a purpose asks for data to be carried somewhere, and to whom. Pure, lexical, deterministic."""

import re
from collections.abc import Collection, Mapping
from functools import lru_cache
from itertools import chain

from guardian.signals.words.identifiers import ADDRESS
from guardian.signals.words.mail_houses import anybodys
from guardian.signals.words.people import called, letters, plain, spellings
from guardian.signals.words.reach import Way
from guardian.signals.words.tasks import BOTH, LOOKING, MENDING, THINGS, WORKING, is_about_things, verbs_in
from guardian.signals.words.wording import READING, content, word_set, words

_LEAST_NAME = 3
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
    Way.EXPORT: word_set(
        "export download dump backup archive upload migrate migration copy extract sync save unload offload "
        "replicate"
    ),
    Way.LOOKUP: word_set(
        "web webpage website internet online browse google crawl scrape fetch research enrich enrichment whois dns"
    ),
}
_CLAUSE = r"(?:(?![.,;:!?)](?:\s|$)|\bbut\b)[^\n])*"
_BAN = re.compile(
    r"(?:^|[.;:,!?(\n]|\b(?:and|but|then|please|must|may|should))[ \t]*+(?:do not|don['’]?t|never|not)[ \t]++"
    r"(?!(?:forget|hesitate|fail|wait|leave|miss|only|just|delay|ignore|neglect|omit|overlook|skip)\b)"
    rf"{_CLAUSE}"
    rf"|\bwithout (?:\w+ )?(?:e?mail|export|forward|messag|post|publish|send|shar|upload)ing\b{_CLAUSE}",
    re.IGNORECASE,
)
"""What a purpose says is not to be done, to the end of the clause; of people who did not reply it says nothing."""
_VERBS_OF_TASKS = READING.union(*(asks for way, asks in _ASKS.items() if way is not Way.LOOKUP))
_VERBS = _VERBS_OF_TASKS | LOOKING | MENDING | WORKING
_PHRASES = {
    Way.MESSAGE: re.compile(r"\bfollow up (?:on|with)\b"),
    Way.EXPORT: re.compile(r"(?:^|\b(?:and|to|then|please|must|should) )back up\b"),
}
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


def asked_for(purpose: str, way: Way) -> bool:
    """Whether the purpose's words ask for this way of carrying data. What is looked at or mended is not asked for.

    >>> told = ("email the minutes to Ann", "review_contract", "review the email logs", "review it and email Ann")
    >>> [asked_for(each, Way.MESSAGE) for each in told]
    [True, False, False, True]
    """
    said, asks = words(purpose), _ASKS[way]
    if way in _PHRASES and _PHRASES[way].search(" ".join(said)):
        return True
    if is_about_things(purpose):
        return not ((asks - BOTH - THINGS).isdisjoint(said) and asks.isdisjoint(verbs_in(purpose)))
    return not (asks.isdisjoint(content(purpose)) and asks.isdisjoint(said))


def parted(purpose: str) -> tuple[str, str]:
    """What a purpose asks for, and what it says is not to be done.

    >>> parted("Review it, but do not email Ann. Thanks"), parted("Email who did not pay")
    (('Review it, \\n. Thanks', 'but do not email Ann'), ('Email who did not pay', ''))
    """
    read = purpose[:8_192]
    return _BAN.sub("\n", read) + purpose[8_192:], "\n".join(found.group() for found in _BAN.finditer(read))


def tells_what_to_do(purpose: str) -> bool:
    """Whether a verb that is known here stands in a purpose."""
    return not (_VERBS.isdisjoint(content(purpose)) and _VERBS.isdisjoint(words(purpose)))


@lru_cache(maxsize=16)
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
    house whose whole domain is named, or of somebody who is called by name beside them, and by no address. What an
    address says its owner chose: the words of a task tell nobody.

    >>> told = "email the renewal to ann@x.org and to Bob Núñez"
    >>> [told_by_name(told, who) for who in ("ann@x.org", "nunez@y.org", "bnunez@y.org", "renewal@evil.example")]
    [True, True, True, False]
    >>> told_by_name("email the Globex renewal to ann@globex.example", "eve@globex-files.io")
    False
    """
    host = _HOST.match(recipient.lower())
    if host is not None and any(at[1] == host[1] for at in map(_HOST.match, addresses_in(purpose)) if at):
        return True
    beside = _ADDRESS.sub("\n", purpose[:8_192])
    answered = [at for at in addresses_in(purpose) if not _of_one_house(at, recipient.lower())]
    return spelt_out(purpose, recipient) or _house_told(beside, recipient) or _called(beside, recipient, answered)


def _house_told(beside: str, recipient: str) -> bool:
    house = recipient.lower().rpartition("@")[2]
    whole = ADDRESS.fullmatch(recipient) is not None and not anybodys(house)
    return whole and spelt_out(beside, house)


@lru_cache(maxsize=512)
def _answers(address: str, *, owner: bool) -> str:
    """The names that are called as an address is: between spaces the words before its `@`, and each behind a `@`
    those of its domain, which a name may begin; or of its `owner` alone: `acme.zendesk.com` is no mail house of
    Acme's."""
    house = _house(address).rpartition(".")[0]
    labels = words(house.rpartition(".")[2] if owner else house)
    own = "".join(f" {plain(word)} " for word in words(address.rpartition("@")[0]))
    return own + "".join(f"@{plain(label)}" for label in labels)


def _is_answered(name: str, known: str) -> bool:
    return f" {name} " in known or (len(name) >= _LEAST_NAME and f"@{name}" in known)


@lru_cache(maxsize=512)
def _house(address: str) -> str:
    host = _HOST.match(address)
    if host is not None:
        return host[1]
    return address.rpartition("@")[2] if ADDRESS.fullmatch(address) is not None else ""


def _of_one_house(one: str, other: str) -> bool:
    """Whether two addresses are of one domain, or one's is below the other's, and it is not open to anybody."""
    first, second = f".{_house(one)}", f".{_house(other)}"
    return (first.endswith(second) or second.endswith(first)) and not anybodys(_house(other))


def _called(beside: str, recipient: str, answered: Collection[str]) -> bool:
    """Whether somebody who is called by name has this address. What begins a text is in capitals whatever it is: a
    name only where it stands before the `@` too, and is no verb. Who is called as addresses of other houses are,
    which the purpose spells out, has those."""
    local = recipient.rpartition("@")[0]
    own = frozenset(words(plain(local))) - _VERBS_OF_TASKS
    names, maybe = _names_in(beside)
    spelt = " ".join([names, *(maybe[word] for word in sorted(own) if word in maybe)])
    mail = ADDRESS.fullmatch(recipient) is not None
    known = "".join(_answers(at, owner=mail and "//" in at) for at in answered)
    left = " ".join(name for name in spelt.split() if not _is_answered(plain(name), known))
    if named_in_part(left, plain(recipient)):
        return True
    return letters(local) in called(beside).wholes - {letters(at.rpartition("@")[0]) for at in answered}


@lru_cache(maxsize=16)
def _names_in(beside: str) -> tuple[str, Mapping[str, str]]:
    """What certainly are names, in every spelling; and every word in capitals in all its spellings, by each."""
    names = [word for word in _AMID.findall(beside) if word[0].isupper()]
    told = [name for name in _GIVEN_TO.findall(beside) if name.lower() not in _VERBS_OF_TASKS]
    maybe: dict[str, str] = {}
    for word in dict.fromkeys(word for word in _CALLED.findall(beside) if word[0].isupper()):
        for one in dict.fromkeys(_spelt(word)):
            maybe[one] = " ".join([maybe.get(one, ""), *_spelt(word)])
    return " ".join(chain.from_iterable(map(_spelt, dict.fromkeys([*names, *told])))), maybe


def _spelt(name: str) -> tuple[str, ...]:
    return (name, plain(name), *spellings(name))


def named_in_part(purpose: str, recipient: str) -> bool:
    """Whether a telling word of the recipient (a name, a company's domain) stands in the purpose."""
    parts = {plain(word) for word in words(recipient) if len(word) >= _LEAST_NAME and word not in _COMMON_PARTS}
    return not parts.isdisjoint(_spelt_words(purpose[:8_192]))


@lru_cache(maxsize=64)
def _spelt_words(purpose: str) -> frozenset[str]:
    """The words of a purpose without accents, and its names as addresses may spell them."""
    return frozenset(map(plain, words(purpose))) | called(purpose).names


_COMMON_PARTS = word_set(
    "com org net example www http https mail email gmail gmx outlook hotmail yahoo proton protonmail info admin "
    "team user support contact office the and for"
)
"""Parts of addresses that name nobody."""
