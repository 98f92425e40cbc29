"""Names with wildcards, as envelopes list tools and data classes."""

from collections.abc import Collection


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


def allows(listed: Collection[str], tool: str) -> bool:
    """Whether an envelope that lists these tools allows one. An empty list is no limit.

    >>> allows(["crm.*"], "crm.read"), allows(["crm.*"], "mail.send"), allows([], "mail.send")
    (True, False, True)
    """
    return not listed or tool in listed or any(covers(entry, tool) for entry in listed)
