"""Whether a call brought data back or came to nothing, and which of its arguments say whom or what it is about.

Pure, lexical.
"""

from guardian.domain.event import DecisionEvent
from guardian.signals.words.identifiers import kind_of
from guardian.signals.words.operators import WRAPPERS
from guardian.signals.words.reach import Way, way_of
from guardian.signals.words.wording import READING, canonical, only_reads, singular, word_set, words, words_of_act

_TAKING = word_set("export dump exfiltrate replicate")
"""An export by these names takes out what it has read; an upload carries what was read before."""
_HANDING = word_set(
    "pay refund charge debit transfer wire reimburse buy sell purchase delete remove drop purge wipe erase "
    "truncate cancel revoke send share grant invite forward reply notify publish post"
)
_WRITING = word_set("add append create edit insert merge move put rename save set update upload upsert write")
"""Who writes data of a class has it at hand; a number of records written says nothing of what they hold."""
_SUBJECTS = word_set(
    "account address applicant candidate case claim client company contact customer document domain email "
    "employee file filename filter guest holder iban invoice lead login mail member name order passport path "
    "patient person phone profile q query record search sql ssn statement subscriber term ticket user username"
)
"""Under a name that ends so, or in `id`, an argument says whom or what is read."""
_PARTIES = word_set(
    "actor agent approver assigned assignee author bcc behalf by caller cc creator for from notify operator owner "
    "reply requested requester requestor return sender to trace"
)
"""Words of the names of other parties to a call."""
_FAILED = word_set("error errored exception fail failed failure declined rejected refused invalid")
_UNSURE = word_set("timeout timedout timed time out deadline partial partially pending unknown unclear no not non")
"""Beside one of these a failure may still have done its work: who timed out may have paid."""
_REFUSED = frozenset(map(str, range(400, 430))) - {"408"}
"""Statuses of HTTP by which a server says that it did not act; of the others, of 500 or 504, nobody knows."""


def brings_back(event: DecisionEvent) -> bool:
    """Whether an allowed call read something: a look-up or an export by its name, or by what came back. Where no
    result says how much, what was asked for came, unless the name says that it was handed over or written."""
    action, result = event.action, event.result
    takes = not _TAKING.isdisjoint(words(action.tool)) and way_of(event) is Way.EXPORT
    if takes or only_reads(action.tool):
        return True
    if result is not None and (result.records is not None or result.data_classes is not None):
        return bool(result.records or result.data_classes)
    named = frozenset(words_of_act(action.tool))
    handed, written = (named.isdisjoint(READING) and not named.isdisjoint(verbs) for verbs in (_HANDING, _WRITING))
    if handed or came_to_nothing(event):
        return False
    return bool(action.data_classes or (action.records and not written))


def came_to_nothing(event: DecisionEvent) -> bool:
    """Whether the result says that the call failed and nothing came of it; without a result it did its work."""
    result = event.result
    if result is None or result.records:
        return False
    said = frozenset(words(result.status))
    return result.status.strip() in _REFUSED or not (_FAILED.isdisjoint(said) or said & _UNSURE)


def names_whom(path: str) -> bool:
    """Whether an argument's name says that it is what the call is about.

    >>> [names_whom(f"arguments.{name}") for name in ("customer_id", "user.eq", "requested_by", "note")]
    [True, True, False, False]
    """
    *_, key = (step for step in path.split(".") if canonical(step) not in WRAPPERS)
    said = list(map(singular, words(key)))
    whom = kind_of(key)[1] or not _SUBJECTS.isdisjoint(said[-1:])
    return path.startswith("resource.") or (whom and _PARTIES.isdisjoint(said))
