"""What a tool does with the quantities that it is given, by its name. Pure, lexical."""

from enum import StrEnum

from guardian.signals.words.wording import READING, only_reads, singular, word_set, words_of_act

_LOOKING = READING - {"check", "download"}
_PAYING = word_set("and capture debit redeem remit settle spend then upsert withdraw")
_TRYING = word_set("calculate estimate preview quote simulate validate")
_DRAFTING = word_set("draft prepare propose")
_THINGS = word_set(
    "account amount balance card cost email fee iban invoice mail message order payment price rate shipping tax "
    "total"
)
"""In the singular. One of the verbs above on one of these moves nothing (`estimate_fee`),"""
_MOVES = word_set("charge payout purchase refund transfer")
"""on one of these perhaps nothing (`quote_transfer`); beside others it is rather a thing (`quote_accept`)."""


class Act(StrEnum):
    """What becomes of the quantities of a call."""

    LOOKS_UP = "looks_up"  # nothing is moved
    REHEARSES = "rehearses"  # perhaps nothing
    DRAFTS = "drafts"  # they may be moved by a later call
    MOVES = "moves"


def act_of(tool: str) -> Act:
    """By the last part of its name. The thing may be named like an act of paying, `check` or `payout`.

    >>> [act_of(tool).value for tool in ("crm.search", "pay.quote", "quote_transfer", "pay.draft", "check.issue")]
    ['looks_up', 'looks_up', 'rehearses', 'drafts', 'moves']
    """
    last = words_of_act(tool)
    if not last or not _PAYING.isdisjoint(last):
        return Act.MOVES
    verb, things = last[0], frozenset(map(singular, last[1:]))
    if (only_reads(tool) and verb in _LOOKING) or last == ("check",):
        return Act.LOOKS_UP
    if verb in _TRYING and things <= _THINGS | _MOVES:
        return Act.LOOKS_UP if things <= _THINGS else Act.REHEARSES
    if (verb in _DRAFTING and things <= _THINGS | _MOVES) or last == ("create", "draft"):
        return Act.DRAFTS
    return Act.MOVES
