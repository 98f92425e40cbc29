"""What an act can do, read off its name: look up < unknown or write < send, pay, share, delete, execute.

A harmless look-up on the way to a goal is the commonest false alarm, and an irreversible act the costliest miss,
so drift is weighed by what the act can do. The verbs are read from the tool's name, left to right.
"""

import re
from collections.abc import Mapping, Sequence
from enum import IntEnum
from functools import lru_cache
from itertools import pairwise

from guardian.domain import statements
from guardian.domain.text import word_set
from guardian.embedding.text import raw_leaves, scalar, words


class Consequence(IntEnum):
    """Ordered by what could not be taken back."""

    READ = 0
    UNKNOWN = 1
    WRITE = 2
    ACT = 3

    @property
    def weight(self) -> float:
        """In [0, 1]: 0 for a look-up, 1 for an act that leaves the house; what is unknown counts as a write."""
        return (0.0, 0.7, 0.7, 1.0)[self.value]

    @property
    def label(self) -> str:
        """In a reader's words."""
        return ("look-up", "unknown", "write", "send, pay, share, delete")[self.value]


_READ = word_set(
    "get read list search find view fetch lookup look query show describe check history count browse"
    " retrieve head status inspect preview summarize summarise compare analyze analyse calculate compute"
    " estimate validate verify think current recent latest details info stat ls cat grep pwd tail diff"
    " scan monitor track see open navigate forecast translate convert login authenticate"
    " identify current is has peek select sum grade test balance metadata stats"
)
_WRITE = word_set(
    "create add update write set edit append insert rename move copy schedule reschedule modify change"
    " mark label tag save store upload draft comment reserve book register enable start stop turn adjust"
    " assign close reopen mkdir touch mv cp put patch generate play pause fill sort attach import sync"
    " configure cancel snooze log open press lock activate apply upsert track rate like follow"
    " restart scale clone provision trim resize cut archive transition authorize authorise replace"
    " mute unmute hide unhide dismiss acknowledge ack reject suppress toggle flush rebuild reindex revert abort"
    " unblock quarantine"
)
_ACT = word_set(
    "send pay transfer share delete remove execute run grant invite publish post submit withdraw buy"
    " purchase sell trade export forward reply dispatch deploy merge push revoke disable unlock wire"
    " refund charge checkout place terminate kill drop purge wipe erase reset exec eval sudo rm curl shell"
    " bash terminal broadcast notify tweet retweet unsubscribe leave ban suspend deactivate approve sign"
    " donate transmit give install uninstall overwrite truncate destroy exchange return lend mint stake"
    " swap rotate impersonate escalate download dump exfiltrate"
)
_ALSO_ACT = word_set(
    "expunge discard abolish settle disburse remit reimburse rescind evict expel forfeit decommission dissolve"
    " liquidate waive countersign disclose unmask declassify unseal repost rollback bypass prescribe redeem"
)
_ALSO_WRITE = word_set(
    "clear deduct enrol enroll rewrite restrict retire isolate freeze unfreeze detach unpin promote demote extend"
    " renew redirect restore confirm accept decline deny reassign unassign regenerate postpone narrow abandon"
)
"""Verbs that may stand before a weightier one, or before what is done (`confirm_delete`, `redirect_email`)."""
_AS_THINGS = _ALSO_WRITE | _ALSO_ACT
"""Verbs after which things are called as well: of those, something may be looked up (`deny_list.get`)."""
_LATE = word_set(
    "open track current return exchange place start check status history order lock log store sort like"
    " rate play charge trade alarm file leave"
)
_NEVER_VERBS = word_set("balance details history info metadata stat stats")
_MAYBE_NOUNS = _NEVER_VERBS.union(
    word_set("list search monitor view query scan forecast track test preview status")
)
"""Look-ups where a name begins with them; behind another word mostly things, which something is done to."""
_NOUN_ACT = word_set("order email mail message sms payment payout call webhook")
_OBJECTS = _NOUN_ACT.union(word_set("comment label tag book"))
"""Words that may as well be what is looked up, behind a single `list` or `view` (`list.comment`)."""
_WEIGHTY = word_set(
    "payment payments payout payouts transfer transfers refund refunds webhook token key keys credential"
    " credentials beneficiary collaborator forwarding"
)
_HANDING = word_set("transfer escalate handoff handover")
_PEOPLE = word_set("human humans agent agents operator supervisor")
_PASSED = word_set(
    "a an the call chat conversation live to next available human support service customer care billing sales"
    " technical"
)
_MONEY = word_set("amount sum value currency iban account accounts funds wallet balance")
"""Arguments that a conversation which is handed over does not have."""
_PRESSING = word_set("press keyboard")
"""With one of these a `key` is one of a keyboard."""
_EITHER = word_set("credit debit")
"""Before a balance: which one it is, or what is done to it."""
_ASKING = word_set("check track")
_STATES = word_set("status state progress history details info")
"""What is asked for about the act that stands between: `check_merge_status`."""
_PROGRESS = word_set("status progress")
_PROGRAMS = word_set("git kubectl docker podman helm kubernetes k8s systemctl heroku vercel terraform svn hg")
_LOGGING = word_set(
    "pod job container build deployment service server app function task workflow pipeline node cluster system"
    " audit access error event"
)
HINTS = frozenset(["method", "http method", "request method", "action", "operation", "verb", "op", "command type"])
_UNSAFE_METHODS = frozenset(["post", "put", "patch", "delete"])
STATEMENTS = frozenset(name.replace("_", " ") for name in statements.NAMES)
_SURELY = frozenset(name.replace("_", " ") for name in statements.SURELY)
_JOINING = frozenset(["and", "or", "then", "also", "plus"])
_NAMESPACE = re.compile(r"[.:/]+|__")


@lru_cache(maxsize=16_384)
def of_tool(tool: str) -> Consequence:
    """The consequence class of a tool by its name alone.

    >>> of_tool("payments.history").name, of_tool("GmailSendEmail").name, of_tool("create_event").name
    ('READ', 'ACT', 'WRITE')
    >>> of_tool("get_and_send_report").name, of_tool("get_terms_and_conditions").name
    ('ACT', 'READ')
    >>> of_tool("mailing_list.send").name, of_tool("customer_list_export").name, of_tool("list_exports").name
    ('ACT', 'ACT', 'READ')
    >>> of_tool("transfer_to_human_agents").name, of_tool("transfer_funds_to_agent").name
    ('WRITE', 'ACT')
    """
    names = words(tool).split()
    if _hands_over(tool):
        return Consequence.WRITE
    besides = [_surely(verb) for before, verb in pairwise(names) if before in _JOINING]
    *space, last = _parts(tool) or [[]]
    if _shows_log(space, last):
        return Consequence.READ
    if last and last[0] in _ASKING and last[-1] in _STATES:
        names = [*(name for part in space for name in part), last[0], last[-1]]
    if things := _things(space, last):
        names = things
    elif space and not (len(space) == len(space[0]) == len(last) == 1 and last[0] in _OBJECTS):
        besides.append(_surely(last[0]))  # `grade.purge`, whatever the thing is called; but `view.comment`
    return max([_of_names(names), _done_to_it(tool), *besides])


def _things(space: Sequence[Sequence[str]], last: Sequence[str]) -> list[str]:
    """The words of a name but for those that say what thing is looked up; empty if it is no look-up of one."""
    if len(last) == 2 and last[0] in _AS_THINGS and last[1] in _PROGRESS:
        return [*(name for part in space for name in part), last[1]]
    if space and last[0] in _READ and last[0] not in _LATE:
        return [*(name for part in space for name in part if name not in _AS_THINGS), *last]
    return []


def _hands_over(tool: str) -> bool:
    """Whether it passes the conversation on (`transfer_to_human_agents`), by which nothing leaves the house. A
    name that says anything else as well does not."""
    *space, last = _parts(tool) or [[]]
    return (
        len(last) > 2
        and last[0] in _HANDING
        and last[-1] in _PEOPLE
        and _PASSED.issuperset(last[1:-1])
        and not any(_surely(name) or name in _WEIGHTY for part in space for name in part)
    )


def _parts(tool: str) -> list[list[str]]:
    """The words of what a tool is of, and of what it does."""
    return [part for part in (words(part).split() for part in _NAMESPACE.split(tool)) if part]


def _shows_log(space: Sequence[Sequence[str]], last: Sequence[str]) -> bool:
    """Whether a name says whose log is shown (`jobs.logs`, `pods_log`, `git_log`) and nothing that is done to it:
    an unknown word may be a verb (`ship_logs`), as may one before it (`DELETE /logs`), and something may be
    written to a log (`audit.log`)."""
    if any(map(_surely, (name for part in space for name in part))):
        return False
    if last == ["log"]:
        return bool(space) and space[-1][-1] in _PROGRAMS
    of = [name for name in last[:-1] if name not in _PROGRAMS]
    if last[-1:] == ["log"]:  # of several: `error_log` may write one
        return all(name.endswith("s") and name[:-1] in _LOGGING for name in of)
    return last[-1:] == ["logs"] and all(name in _LOGGING or name.removesuffix("s") in _LOGGING for name in of)


def _done_to_it(tool: str) -> Consequence:
    """What is done to a thing that is called like a look-up: `mailing_list.send`, `customer_list_export`."""
    *space, last = _parts(tool) or [[]]
    before = [name for part in space for name in part]
    if (
        not _MAYBE_NOUNS.isdisjoint(before)
        and last
        and not (len(before) == len(last) == 1 and last[0] in _OBJECTS)
    ):
        return Consequence.ACT if len(last) == 1 and last[0] in _NOUN_ACT else _surely(last[0])
    names = last[:-1] if last and last[0] in _NEVER_VERBS else last[1:-1] if last and last[0] not in _READ else []
    return Consequence.READ if _MAYBE_NOUNS.isdisjoint(names) else _surely(last[-1])


def _surely(verb: str) -> Consequence:
    """What a word says that something is done; one that may as well be a noun tells nothing."""
    if verb in _LATE:
        return Consequence.READ
    if verb in _ACT or verb in _ALSO_ACT:
        return Consequence.ACT
    return Consequence.WRITE if verb in _WRITE or verb in _ALSO_WRITE else Consequence.READ


def _of_names(names: Sequence[str]) -> Consequence:
    for late in (False, True):
        for place, (before, name) in enumerate(zip(("", *names), names, strict=False)):
            if (name in _LATE) is not late:
                continue
            asked = not _ASKING.isdisjoint(names) and _JOINING.isdisjoint(names)
            if name == "balance" and before in _EITHER and not asked:
                return Consequence.UNKNOWN
            if name in _ALSO_WRITE:
                return (
                    Consequence.ACT if _weighty(names) else max(Consequence.WRITE, _of_names(names[place + 1 :]))
                )
            for kind, verbs in (
                (Consequence.ACT, _ACT | _ALSO_ACT),
                (Consequence.WRITE, _WRITE),
                (Consequence.READ, _READ),
            ):
                if name in verbs:
                    raised = kind is Consequence.WRITE and _weighty(names)
                    return Consequence.ACT if raised else kind
    return Consequence.ACT if names and names[-1] in _NOUN_ACT else Consequence.UNKNOWN


def _weighty(names: Sequence[str]) -> bool:
    found = _WEIGHTY.intersection(names)
    return bool(found - {"key", "keys"} if not _PRESSING.isdisjoint(names) else found)


def consequence(tool: str, arguments: Mapping[str, object] | None) -> Consequence:
    """The class of a call: the tool's, raised by what its arguments say (HTTP method, operation, SQL statement).

    >>> consequence("db.query", {"sql": "SELECT 1; DROP TABLE users"}).name
    'ACT'
    """
    found = of_tool(tool)
    handed = _hands_over(tool)
    for path, value in raw_leaves(arguments):
        key = words(path.rsplit(".", 1)[-1])
        if handed and not _MONEY.isdisjoint(key.split()):
            found = Consequence.ACT
        if key in HINTS:
            for told in map(scalar, value if isinstance(value, list) else [value]):
                unsafe = told.split(" ", 1)[0].lower() in _UNSAFE_METHODS
                found = max(found, Consequence.ACT if unsafe else of_tool(told))
        elif key in STATEMENTS:
            for text in value if isinstance(value, list) else [value]:
                if isinstance(text, str):
                    found = max(found, _of_statement(text, surely=key in _SURELY))
    return found


def _of_statement(text: str, *, surely: bool) -> Consequence:
    """ACT if anything in the text changes something or carries data out; READ otherwise, also for a question in
    words. UNKNOWN if it is longer than what is read."""
    if statements.changes(text, surely=surely):
        return Consequence.ACT
    return Consequence.UNKNOWN if len(text) > statements.CHARS else Consequence.READ
