"""Where the rules of a deployment's redaction apply, name by name. Pure.

A rule is a dotted path, and so is a key like `customer.email`: what it holds is hidden as it would be in an object
`customer`, or a gateway that flattens its arguments would show what another one hides.
"""

import re
from collections.abc import Iterable
from typing import Literal

Way = Literal["drop", "hash", "shape"]
"""What a rule puts in the place of a value: nothing, a keyed hash, or its shape."""

Rule = tuple[str, ...]
"""The rest of a rule's path; an empty one hides everything from there on. `*` is any one name."""

_HASH = re.compile(r"hash:[0-9a-f]{16}")


def hashed(name: str | None) -> bool:
    """Whether a rule put a keyed hash in the place of a name: nobody but the log's reader knows it by that.

    >>> hashed("hash:d0917d51a22c55b4"), hashed("hash:me"), hashed(None)
    (True, False, False)
    """
    return name is not None and _HASH.fullmatch(name) is not None


def below(rules: Iterable[Rule], name: str) -> tuple[Rule, ...]:
    """What is left of each rule below a name, or the number of an item, for those that lead there.

    >>> below([("customer", "email"), ("*", "name")], "customer"), below([("customer", "email")], "customer.email")
    ((('email',), ('name',)), ((),))
    """
    parts = tuple(name.split(".")) if "." in name else ()
    found: dict[Rule, None] = {}
    for rule in rules:
        if not rule or rule[0] in ("*", name):
            found[rule[1:]] = None
        if parts and all(one in ("*", part) for one, part in zip(rule, parts, strict=False)):
            found[rule[len(parts) :]] = None
    return tuple(found)
