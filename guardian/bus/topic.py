"""What a topic may be called."""

import re

LONGEST = 249
_NAME = re.compile(r"[A-Za-z0-9._-]+")


def topic_name(name: str, *, longest: int = LONGEST) -> str:
    """The name as it is. Raises ValueError where Kafka takes none of that name."""
    if not _NAME.fullmatch(name) or name in (".", "..") or len(name) > longest:
        raise ValueError(
            f"{name[:32]!r} is no name of a topic: give one, no list and no pattern, of at most {longest} letters,"
            " digits, `.`, `_` and `-`"
        )
    return name
