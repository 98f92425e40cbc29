"""Names with wildcards, as envelopes list tools and data classes."""

from collections.abc import Collection
from functools import lru_cache

_STATES = 6_400
_SHARED = 64
"""How long two entries may be, multiplied, and how many they may share, for these to be told apart."""


def covers(pattern: str, name: str) -> bool:
    """Whether an entry of a list, `*` standing for any characters, covers a name (or a narrower pattern).

    >>> covers("crm.*", "crm.read"), covers("crm.*", "*"), covers("*", "crm.*")
    (True, False, True)
    """
    if "*" not in pattern:
        return pattern == name
    head, *middle, tail = pattern.split("*")
    if len(name) < len(head) + len(tail) or not (name.startswith(head) and name.endswith(tail)):
        return False
    at, end = len(head), len(name) - len(tail)
    for piece in middle:  # leftmost is enough: linear, whatever a hostile pattern holds
        found = name.find(piece, at, end)
        if found < 0:
            return False
        at = found + len(piece)
    return True


def hull(one: str, other: str) -> str | None:
    """An entry that covers all that two entries both cover, if not only that; None where they share nothing.

    >>> hull("/srv/*", "*.pem"), hull("us-*", "us-east"), hull("eu-*", "us-*"), hull("/srv/*", "*/keys")
    ('/srv/*.pem', 'us-east', None, '/srv/*')
    """
    head, longer_head = sorted((entry.partition("*")[0] for entry in (one, other)), key=len)
    if not longer_head.startswith(head):
        return None
    if covers(one, other) or covers(other, one):
        return other if covers(one, other) else one
    tail, longer_tail = sorted((entry.rpartition("*")[2] for entry in (one, other)), key=len)
    if "*" not in one or "*" not in other or not longer_tail.endswith(tail):
        return None
    meet = longer_tail[:1] in longer_head  # in `/srv/keys` the one slash may end the first and begin the second
    return f"{longer_head}*{'' if meet and longer_tail else longer_tail}"


@lru_cache(maxsize=4_096)
def shared(one: str, other: str) -> frozenset[str]:
    """Entries that together cover what two entries both cover, and only that; where these are long or share many
    things, their hull.

    >>> sorted(shared("/srv/*", "*/keys")), sorted(shared("*private*", "/srv/*"))
    (['/srv/*/keys', '/srv/keys'], ['/srv/*private*'])
    """
    both = hull(one, other)
    if both is None:
        return frozenset()
    told = frozenset({both}) if covers(one, other) or covers(other, one) else None
    if told is None and len(one) * len(other) <= _STATES:
        told = _met(one, other)
    return frozenset({both}) if told is None else told


def _met(one: str, other: str) -> frozenset[str] | None:
    """What two entries share, from their ends to their beginnings; None where that are too many entries."""
    nothing = frozenset[str]()
    after: list[frozenset[str]] = []
    for at in range(len(one), -1, -1):
        here = [nothing] * (len(other) + 1)
        mine = one[at : at + 1]
        for beside in range(len(other), -1, -1):
            theirs = other[beside : beside + 1]
            on = here[beside + 1] if theirs else nothing
            past = after[beside] if mine else nothing
            if mine == theirs == "*":
                found = {f"*{rest.removeprefix('*')}" for rest in past | on}
            elif "*" in (mine, theirs):  # it ends here, or covers one more
                step, ended = (on, past) if mine == "*" else (past, on)
                found = {*ended, *((theirs if mine == "*" else mine) + rest for rest in step)}
            elif mine == theirs:
                found = {mine + rest for rest in after[beside + 1]} if mine else {""}
            else:
                found = set()
            if len(found) > _SHARED:
                return None
            here[beside] = frozenset(found)
        after = here
    return after[0]


def allows(listed: Collection[str], tool: str) -> bool:
    """Whether an envelope that lists these tools allows one. An empty list is no limit.

    >>> allows(["crm.*"], "crm.read"), allows(["crm.*"], "mail.send"), allows([], "mail.send")
    (True, False, True)
    """
    return not listed or tool in listed or any(covers(entry, tool) for entry in listed)
