"""How much of the doubt about an act that can carry data out stays in the light of purposes and recipients.

See `chain_exposure`, which asks for it. No option changes anything here.
"""

from collections import Counter

from guardian.domain.purposes import open_ended
from guardian.domain.signal import Observation
from guardian.signals.exposure.looking_out import hides_house
from guardian.signals.exposure.recipients import UNREAD, Recipient, recipients_of
from guardian.signals.port import State
from guardian.signals.words import asking
from guardian.signals.words.identifiers import ADDRESS
from guardian.signals.words.mail_houses import anybodys
from guardian.signals.words.reach import Way
from guardian.signals.words.tasks import is_foreign, only_looks
from guardian.signals.words.wording import shown, words

_ELSEWHERE = 0.7
"""The purpose asks for a send and spells out an address; this is another one."""
_NAMED_IN_PART, _IN_HOUSE, _SUBJECT, _OPEN = 0.6, 0.35, 0.25, 0.5
UNTOLD = 0.4
"""The session's own purpose vouches, and one above it, of more than looking, is silent: "handle the queue" is
delegated as "email Ann the date". No other factor is the same."""


def vouched(state: State, seen: Observation, way: Way) -> tuple[float, str]:
    """How much of the doubt stays, in [0, 1], in the light of purposes and recipients, and why.

    A child's own purpose vouches in full only where those above it do: agents wrote it, and a person the
    root's. Where they are merely silent most of the doubt goes, for a part of some work is told more closely.
    """
    own = _left(state, seen, way, seen.event.envelope.purpose, "the purpose")
    found = [own]
    parent = seen.parent.envelope.purpose if seen.parent.envelope is not None else ""
    above = (
        (parent, "its parent's purpose"),
        (seen.parent.root_purpose, "the purpose at the head of its chain"),
    )
    for purpose, its in above:
        if purpose.strip():
            left, why = _left(state, seen, way, purpose, its)
            silent = own[0] == 0.0 and left > UNTOLD and _silent(seen, way, purpose)
            found.append((UNTOLD if silent else left, why))
    return max(found, key=lambda left: left[0])


def _left(state: State, seen: Observation, way: Way, purpose: str, its: str) -> tuple[float, str]:
    """The same in the light of one purpose; `its` is what the reason calls it."""
    to = recipients_of(seen.event)
    if not purpose.strip():
        return 1.0, "no purpose is declared that could ask for it"
    purpose, banned = asking.parted(purpose)
    if to and all(asking.spelt_out(purpose, r.value) for r in to):
        return 0.0, f"{its} names the recipient"
    says_anything = way is Way.LOOKUP  # as a URL does
    named = bool(to) and not says_anything and all(_mentioned(purpose, r) for r in to)
    if asking.asked_for(purpose, way):
        strange = [r for r in to if _is_address(r) and not asking.told_by_name(purpose, r.value)]
        if asking.addresses_in(purpose) and strange:
            return _ELSEWHERE, f"{its} spells out another address than {shown(strange[0].value, 60)}"
        return 0.0, f"{its} asks for it"
    told = seen.event.action.arguments is not None
    unseen = "no argument is known to name a recipient" if told else "the recipient is missing"
    whom = f"to {shown(to[0].value, 60)}" if to else unseen
    if open_ended(purpose):
        return _OPEN, f"{whom}; {its} constrains nothing"
    if to and all(_is_subject(state, seen, path, count) for path, count in Counter(r.path for r in to).items()):
        return _SUBJECT, f"{whom}, whom the data is about"
    foreign = is_foreign(purpose)
    read = asking.tells_what_to_do(purpose) and not foreign
    unasked = f"{its} does not ask for it" if read else f"no word that I know in {its} asks for it"
    if hides_house(seen):
        whom += "; missing: the delegator's own house (redacted)"
        if to and all(_of_some_house(r) for r in to) and not (named and foreign):
            return _OPEN, f"{whom}; {unasked}"
    elif to and all(_in_house(seen, r) for r in to):
        return _IN_HOUSE, f"{whom}, in the delegator's own house; {unasked}"
    if named and read:
        return _NAMED_IN_PART, f"{whom}, whom {its} mentions without asking for it"
    if named:
        return _NAMED_IN_PART * (_OPEN if foreign else 1.0), f"{whom}, whom {its} mentions; {unasked}"
    if asking.asked_for(banned, way):
        return 1.0, f"{whom}; {its} forbids it"
    return _OPEN if foreign else 1.0, f"{whom}; {unasked}"


def _is_subject(state: State, seen: Observation, path: str, recipients: int) -> bool:
    """Whether every sensitive read named whom this goes to; looking the recipient up does not make it so."""
    if seen.siblings is not None and any(reads.kinds for reads in seen.siblings.reads.values()):
        return False
    prints = seen.value_prints.get(path, ())
    return len(prints) >= recipients and all(state["prints"].get(p[:64]) == state["sensitive"] for p in prints)


def _mentioned(purpose: str, recipient: Recipient) -> bool:
    """Whether its name stands in the purpose; where that spells out addresses of its kind, whether it is meant."""
    told = asking.spelt_out(purpose, recipient.value) or asking.named_in_part(purpose, recipient.value)
    mail = _is_mail(recipient.value)
    alike = _is_address(recipient) and any(_is_mail(at) is mail for at in asking.addresses_in(purpose))
    return told and not (alike and not asking.told_by_name(purpose, recipient.value))


def _is_mail(address: str) -> bool:
    return ADDRESS.fullmatch(address) is not None


def _silent(seen: Observation, way: Way, purpose: str) -> bool:
    """Whether a purpose leaves open what is sent to whom: it is of more than looking, forbids no such act, and
    spells out no address of the kind that this goes to."""
    told, banned = asking.parted(purpose)
    if only_looks(told) or asking.asked_for(banned, way):
        return False
    mails = {"@" in recipient.value for recipient in recipients_of(seen.event)}
    return mails.isdisjoint("@" in address for address in asking.addresses_in(purpose))


def _is_address(recipient: Recipient) -> bool:
    return "@" in recipient.value or "." in recipient.value.strip(".") or recipient.value == UNREAD


def _of_some_house(recipient: Recipient) -> bool:
    return _is_mail(recipient.value) and not anybodys(recipient.value.lower().rpartition("@")[2])


def _in_house(seen: Observation, recipient: Recipient) -> bool:
    envelope = seen.event.envelope
    _, at, house = envelope.delegator_id.lower().rpartition("@")
    written = ADDRESS.fullmatch(recipient.value)  # `https://evil.example/?to=@acme.example` is none
    own = bool(at) and "." in house and len(words(house)) > 1 and not anybodys(house)
    return own and written is not None and recipient.value.lower().rpartition("@")[2] == house
