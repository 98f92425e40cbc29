"""To whom an act carries data, as its arguments say. Pure and bounded."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice

from guardian.domain.event import DecisionEvent
from guardian.signals.words.constraints import text
from guardian.signals.words.identifiers import ADDRESS
from guardian.signals.words.leaves import touched
from guardian.signals.words.named_values import Leaf
from guardian.signals.words.reach import Way, way_of
from guardian.signals.words.wording import canonical, singular, word_set, words

MAX_RECIPIENTS = 256
UNREAD = "…"
"""Stands for all recipients beyond those that are looked at; no purpose names it."""
_RECIPIENT_CHARS = 200
_KEY_CHARS = 80
_READ_CHARS = 4_096
_DESTINATION = word_set(
    "to recipient cc bcc email address email_address url uri link webhook endpoint host channel user username "
    "member participant attendee phone phone_number destination target receiver receiver_id recipient_id user_id "
    "chat_id channel_id domain bucket repo shared_with invitee contact webhook_url webhook_uri callback_url "
    "callback_uri target_url destination_url hook_url notify_url notification_url upload_url endpoint_url"
)
_ADDRESSEES = word_set("to cc bcc recipient")
"""Names of objects in which an address is a recipient, under whatever name."""
_TOWARDS = _ADDRESSEES | word_set(
    "receiver addressee grantee guest target destination with member participant attendee invitee collaborator "
    "viewer editor commenter external people audience group distribution"
)
_HELD = _TOWARDS | word_set("email mail address addr list")
_BACK = word_set("from sender reply return author owner assigned")
"""Words of which the name of a recipient holds one and ends with one, where it holds an address (`to_email`,
`ToAddresses`, `share_with`), and words of the name of another party."""
_COPIED = word_set(
    "additional alert blind carbon copied copy extra forward forwarding informed notification notified notify"
)
"""Likewise where all that a message or a share has under such a name are addresses of mail: `email_copy` may be
what a letter says."""
_HEADERS = word_set("eml header mime raw rfc822")
_HEADER = re.compile(r"^([\w-]{1,80})[ \t]*:(.*(?:\n[ \t].*)*)", re.MULTILINE)
_BODY = re.compile(r"\n[ \t\r]*\n")
"""Words of the names of what holds the headers of a message as text, how one is written there, and what ends them
(RFC 5322)."""
_NAMED = word_set("field header header_name key name")
_VALUES = word_set("header_value val value")
"""Canonical names under which an object says what it is called and what it is, `{"name": "Bcc", "value": …}`."""
_LISTED = re.compile(r"[,;\n]+")
_BETWEEN = re.compile(r"[\s<>()\"']+")


@dataclass(frozen=True, slots=True)
class Recipient:
    """One destination of an act: the argument that names it, and its value."""

    path: str
    value: str


def recipients_of(event: DecisionEvent) -> tuple[Recipient, ...]:
    """The destinations that an act's arguments name, each once and cut at 200 characters: at most 256, and one
    that stands for the rest where there is, or may be, more."""
    action = touched(event)
    told = [leaf for leaf in action.leaves if leaf.path.startswith("arguments.")]
    leaves = [leaf for leaf in told if _addressed(leaf)]
    named = chain((recipient for leaf in leaves for recipient in _recipients(leaf)), _unread(leaves))
    if way_of(event) in (Way.MESSAGE, Way.SHARE):
        pairs = () if action.cut else _paired(event.action.arguments, "arguments")
        named = chain(named, _copied(event, told), pairs)
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
    within = _called(leaf.path.rpartition(".")[2], _TOWARDS) or not leaf.inside.isdisjoint(_ADDRESSEES)
    return within and any("@" in text(value) for value in leaf.scalars)


def _called(name: str, towards: frozenset[str]) -> bool:
    """Whether a name says by one of the words that it is a recipient's."""
    named = [singular(word) for word in words(name)]
    return not towards.isdisjoint(named) and named[-1] in _HELD | towards and _BACK.isdisjoint(named)


def _copied(event: DecisionEvent, leaves: Sequence[Leaf]) -> Iterator[Recipient]:
    """Who gets a copy by another name than a recipient's or by a header; not the delegator by such a name."""
    mine = event.envelope.delegator_id.lower()
    for leaf in leaves:
        name = leaf.path.rpartition(".")[2]
        if _called(name, _COPIED):
            told = _only_addresses([text(value) for value in leaf.scalars])
            yield from (Recipient(leaf.path, one) for one in told if one.lower() != mine)
        elif not _HEADERS.isdisjoint(map(singular, words(name))):
            for value in leaf.scalars:
                for header in _HEADER.finditer(_BODY.split(text(value), maxsplit=1)[0]):
                    yield from _by_header(leaf.path, *header.groups())


def _paired(value: object, path: str) -> Iterator[Recipient]:
    """Whom objects name that say what they are called."""
    if isinstance(value, (list, tuple)):
        for item in value:
            yield from _paired(item, path)
    elif isinstance(value, Mapping):
        names = [item for key, item in value.items() if isinstance(item, str) and canonical(key) in _NAMED]
        for key, item in value.items():
            below = f"{path}.{key[:_KEY_CHARS]}"
            if canonical(key) in _VALUES:
                held = item if isinstance(item, (list, tuple)) else [item]
                said = ", ".join(each for each in held if isinstance(each, str))
                for name in names:
                    yield from _by_header(below, name, said)
            yield from _paired(item, below)


def _by_header(path: str, name: str, said: str) -> Iterator[Recipient]:
    """Whom a header names, or a parameter that is told as one."""
    if "@" in said and canonical(name) in _ADDRESSEES:
        yield from _one_text(path, said)
    elif _called(name, _TOWARDS | _COPIED):
        yield from (Recipient(path, one) for one in _only_addresses([said]))


def _only_addresses(told: Sequence[str]) -> Sequence[str]:
    """The addresses of mail in texts that hold nothing else."""
    found = [one for said in told for one in _each(said[:_READ_CHARS])]
    return found if all(map(ADDRESS.fullmatch, found)) else ()


def _recipients(leaf: Leaf) -> Iterator[Recipient]:
    for value in leaf.values:
        yield from _one_text(leaf.path, text(value))
    if leaf.count is not None and leaf.count > len(leaf.values) and not _of_objects(leaf):
        yield Recipient(leaf.path, UNREAD)


def _one_text(path: str, said: str) -> Iterator[Recipient]:
    for one in _each(said[:_READ_CHARS]):
        yield Recipient(path, one[:_RECIPIENT_CHARS])
    if len(said) > _READ_CHARS:
        yield Recipient(path, UNREAD)


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
