"""To whom an act carries data, as its arguments say. Pure and bounded."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice

from guardian.domain.event import DecisionEvent
from guardian.signals.words.constraints import text
from guardian.signals.words.leaves import Leaf, touched
from guardian.signals.words.wording import singular, word_set, words

MAX_RECIPIENTS = 256
UNREAD = "…"
"""Stands for all recipients beyond those that are looked at; no purpose names it."""
_RECIPIENT_CHARS = 200
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
