"""What an act can do, read off its name: look up < unknown or write < send, pay, share, delete, execute.

A harmless look-up on the way to a goal is the commonest false alarm, and an irreversible act the costliest miss,
so drift is weighed by what the act can do. The verbs are read from the tool's name, left to right.
"""

from collections.abc import Mapping
from enum import IntEnum
from functools import lru_cache

from guardian.embedding.text import leaves, vocabulary, words


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


_READ = frozenset(
    vocabulary(
        "get read list search find view fetch lookup look query show describe check history count browse"
        " retrieve head status inspect preview summarize summarise compare analyze analyse calculate compute"
        " estimate validate verify think current recent latest details info stat ls cat grep pwd tail diff"
        " scan monitor track see open navigate forecast translate convert login authenticate authorize"
        " identify current is has peek select sum grade test balance metadata stats"
    )
)
_WRITE = frozenset(
    vocabulary(
        "create add update write set edit append insert rename move copy schedule reschedule modify change"
        " mark label tag save store upload draft comment reserve book register enable start stop turn adjust"
        " assign close reopen mkdir touch mv cp put patch generate play pause fill sort attach import sync"
        " configure cancel snooze log open press lock activate apply upsert track rate like follow"
        " restart scale clone provision trim resize cut archive transition"
    )
)
_ACT = frozenset(
    vocabulary(
        "send pay transfer share delete remove execute run grant invite publish post submit withdraw buy"
        " purchase sell trade export forward reply dispatch deploy merge push revoke disable unlock wire"
        " refund charge checkout place terminate kill drop purge wipe erase reset exec eval sudo rm curl shell"
        " bash terminal broadcast notify tweet retweet unsubscribe leave ban suspend deactivate approve sign"
        " donate transmit give install uninstall overwrite truncate destroy exchange return lend mint stake"
        " swap rotate impersonate escalate download dump exfiltrate"
    )
)
_LATE = frozenset(
    vocabulary(
        "open track current return exchange place start check status history order lock log store sort like"
        " rate play charge trade alarm file"
    )
)
_NOUN_ACT = frozenset(vocabulary("order email mail message sms payment payout call webhook"))
_WEIGHTY = frozenset(
    vocabulary(
        "payment payments payout payouts transfer transfers refund refunds webhook token key keys credential"
        " credentials beneficiary collaborator forwarding"
    )
)
_HINTS = frozenset(vocabulary("method action operation verb op command_type"))
_UNSAFE_METHODS = frozenset(["post", "put", "patch", "delete"])
_STATEMENTS = frozenset(["sql", "query", "statement"])


@lru_cache(maxsize=16_384)
def of_tool(tool: str) -> Consequence:
    """The consequence class of a tool by its name alone.

    >>> of_tool("payments.history").name, of_tool("GmailSendEmail").name, of_tool("create_event").name
    ('READ', 'ACT', 'WRITE')
    """
    names = words(tool).split()
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
    """The class of a call: the tool's, raised by what its arguments say (HTTP method, operation, SQL verb).

    >>> consequence("db.query", {"sql": "DROP TABLE users"}).name
    'ACT'
    """
    found = of_tool(tool)
    for path, value in leaves(arguments):
        key = path.rsplit(".", 1)[-1].lower()
        first = value.split(" ", 1)[0].lower() if value else ""
        if key in _HINTS:
            found = max(
                found, Consequence.ACT if first in _UNSAFE_METHODS else min(of_tool(value), Consequence.ACT)
            )
        elif key in _STATEMENTS and first in {
            "insert",
            "update",
            "delete",
            "drop",
            "alter",
            "truncate",
            "grant",
            "copy",
        }:
            found = Consequence.ACT
    return found
