"""What an act can do, read off its name: look up < unknown or write < send, pay, share, delete, execute.

A harmless look-up on the way to a goal is the commonest false alarm, and an irreversible act the costliest miss,
so drift is weighed by what the act can do. The verbs are read from the tool's name, left to right.
"""

import re
from collections.abc import Mapping, Sequence
from enum import IntEnum
from functools import lru_cache
from itertools import pairwise

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
)
_ACT = word_set(
    "send pay transfer share delete remove execute run grant invite publish post submit withdraw buy"
    " purchase sell trade export forward reply dispatch deploy merge push revoke disable unlock wire"
    " refund charge checkout place terminate kill drop purge wipe erase reset exec eval sudo rm curl shell"
    " bash terminal broadcast notify tweet retweet unsubscribe leave ban suspend deactivate approve sign"
    " donate transmit give install uninstall overwrite truncate destroy exchange return lend mint stake"
    " swap rotate impersonate escalate download dump exfiltrate"
)
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
HINTS = frozenset(["method", "http method", "request method", "action", "operation", "verb", "op", "command type"])
_UNSAFE_METHODS = frozenset(["post", "put", "patch", "delete"])
STATEMENTS = frozenset(
    ["sql", "query", "queries", "statement", "statements", "stmt", "sql query", "sql statement"]
)
_JOINING = frozenset(["and", "or", "then", "also", "plus"])
_NAMESPACE = re.compile(r"[.:/]+|__")
_STATEMENT_CHARS = 100_000
_CHANGING = word_set("insert update delete drop alter truncate grant revoke copy merge")
_COMMENT_MARK = re.compile(r"/\*!?\d*|\*/")
_LINE_COMMENT = re.compile(r"(?:--|#)[^\n]*")
_CHANGE = re.compile(
    r"\b(?:(?:insert|merge|replace) (?:\w+ ){0,2}into|delete from|truncate table|do \$|call [\w.]+ ?\("
    r"|update (?:only )?\S{1,128} (?:as )?(?:\w{1,64} )?set \S{1,128} ?=|copy \S{1,128} (?:from|to) '"
    r"|mutation(?: \w{1,64})? ?(?:\{|\(\$)|into (?:out|dump)file|exec(?:ute)? (?:immediate|\w*[sx]p_)"
    r"|(?:create|drop|alter)(?: or replace)? (?:table|view|index|database|schema|user|role|function))"
)


@lru_cache(maxsize=16_384)
def of_tool(tool: str) -> Consequence:
    """The consequence class of a tool by its name alone.

    >>> of_tool("payments.history").name, of_tool("GmailSendEmail").name, of_tool("create_event").name
    ('READ', 'ACT', 'WRITE')
    >>> of_tool("get_and_send_report").name, of_tool("get_terms_and_conditions").name
    ('ACT', 'READ')
    >>> of_tool("mailing_list.send").name, of_tool("customer_list_export").name, of_tool("list_exports").name
    ('ACT', 'ACT', 'READ')
    """
    names = words(tool).split()
    besides = [_surely(verb) for before, verb in pairwise(names) if before in _JOINING]
    return max([_of_names(names), _done_to_it(tool), *besides])


def _done_to_it(tool: str) -> Consequence:
    """What is done to a thing that is called like a look-up: `mailing_list.send`, `customer_list_export`."""
    *space, last = [part for part in (words(part).split() for part in _NAMESPACE.split(tool)) if part] or [[]]
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
    return Consequence.ACT if verb in _ACT else Consequence.WRITE if verb in _WRITE else Consequence.READ


def _of_names(names: Sequence[str]) -> Consequence:
    for late in (False, True):
        for name in names:
            if (name in _LATE) is not late:
                continue
            for kind, verbs in ((Consequence.ACT, _ACT), (Consequence.WRITE, _WRITE), (Consequence.READ, _READ)):
                if name in verbs:
                    raised = kind is Consequence.WRITE and not _WEIGHTY.isdisjoint(names)
                    return Consequence.ACT if raised else kind
    return Consequence.ACT if names and names[-1] in _NOUN_ACT else Consequence.UNKNOWN


def consequence(tool: str, arguments: Mapping[str, object] | None) -> Consequence:
    """The class of a call: the tool's, raised by what its arguments say (HTTP method, operation, SQL statement).

    >>> consequence("db.query", {"sql": "SELECT 1; DROP TABLE users"}).name
    'ACT'
    """
    found = of_tool(tool)
    for path, value in raw_leaves(arguments):
        key = words(path.rsplit(".", 1)[-1])
        if key in HINTS:
            for told in map(scalar, value if isinstance(value, list) else [value]):
                unsafe = told.split(" ", 1)[0].lower() in _UNSAFE_METHODS
                found = max(found, Consequence.ACT if unsafe else of_tool(told))
        elif key in STATEMENTS:
            for text in value if isinstance(value, list) else [value]:
                found = max(found, _of_statement(text) if isinstance(text, str) else Consequence.READ)
    return found


def _of_statement(text: str) -> Consequence:
    """ACT if anything in the text changes something; READ otherwise, also for a question in words.

    Databases differ in what a comment is, so the text is read both without comments and with their contents.
    UNKNOWN if it is longer than what is read.
    """
    lowered = text[:_STATEMENT_CHARS].lower()
    for read in (_LINE_COMMENT.sub(" ", _without_comments(lowered)), _COMMENT_MARK.sub(" ", lowered)):
        told = " ".join(read.split())
        firsts = {statement.split(" ", 1)[0] for part in told.split(";") if (statement := part.lstrip(" ("))}
        if not _CHANGING.isdisjoint(firsts) or _CHANGE.search(told):
            return Consequence.ACT
    return Consequence.UNKNOWN if len(text) > _STATEMENT_CHARS else Consequence.READ


def _without_comments(text: str) -> str:
    kept, at = [], 0
    while (start := text.find("/*", at)) >= 0 and (end := text.find("*/", start + 2)) >= 0:
        kept.append(text[at:start])
        at = end + 2
    return " ".join([*kept, text[at:]])
