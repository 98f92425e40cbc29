"""Names of persons and agents: which are of one, though they are not written alike. Pure."""

import re
from collections.abc import Mapping

from guardian.signals.envelopes.covering import spelt
from guardian.signals.words.hiding import AGENT, DELEGATOR

_TYPED = re.compile(r'(?:account|agent|client|human|person|principal|service|user):{1,2}"?([^"]+)"?')


def are_one(mine: str, theirs: str) -> bool:
    """Whether two names are of one person or agent: neither case nor a type that only one of them has before it
    tells them apart.

    >>> are_one("agent:Ann", "ann"), are_one('User::"ann"', "ann"), are_one("agent:ann", "user:ann")
    (True, True, False)
    """
    one, other = spelt(mine).casefold(), spelt(theirs).casefold()
    return other in (one, _untyped(one)) or one == _untyped(other)


def bare(name: str) -> str:
    """The name of a person or agent without what tells no two of them apart: case, and a type before it.

    >>> bare('User::"Ann"')
    'ann'
    """
    return _untyped(spelt(name).casefold())


def incomparable(redacted: Mapping[str, str]) -> bool:
    """Whether a rule hashes either delegators or agents: then nobody can tell whether one is the other."""
    return (DELEGATOR in redacted) is not (AGENT in redacted)


def _untyped(name: str) -> str:
    found = _TYPED.fullmatch(name)
    return name if found is None else found[1]
