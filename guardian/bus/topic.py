"""What a topic may be called."""

import re

LONGEST = 249
TENANT = "{tenant}"  # in a name: one topic for each
REVOCATIONS = "guardian.revocations"
_NAME = re.compile(r"[A-Za-z0-9._-]+")


def topic_name(name: str, *, longest: int = LONGEST) -> str:
    """The name as it is. Raises ValueError where Kafka takes none of that name."""
    if not _NAME.fullmatch(name) or name in (".", "..") or len(name) > longest:
        raise ValueError(
            f"{name[:32]!r} is no name of a topic: give one, no list and no pattern, of at most {longest} letters,"
            " digits, `.`, `_` and `-`"
        )
    return name


def may_be_one(name: str, other: str) -> bool:
    """Whether two names may be of one topic, for some tenant.

    >>> may_be_one("a.{tenant}", "a.acme"), may_be_one("a.{tenant}", "a"), may_be_one("a", "b")
    (True, False, False)
    >>> may_be_one("a.{tenant}", "a.{tenant}")
    True
    """
    return name == other or any(
        re.fullmatch(_NAME.pattern.join(map(re.escape, one.split(TENANT))), two)
        for one, two in ((name, other), (other, name))
    )
