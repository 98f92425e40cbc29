"""Operators of queries, and names under which one holds what it does not ask for. Pure."""

from guardian.signals.words.wording import canonical, word_set

LEFT_OUT = word_set(
    "blocked denied deny disallowed except exclude excluded excludes excluding exclusion exclusions forbidden "
    "ignore ignored not prohibited skip skipped without"
)
"""Words of names under which stands what a call does not ask for."""
WRAPPERS = frozenset({"value", "eq", "equal", "in", "any_of", "one_of"})
"""Canonical names under which an object holds what its own name is about."""
_RANGES = word_set("ge greater_than gt gte le less_than lt lte") | {"<", ">", "<=", ">="}
COMPARING = _RANGES | word_set("is_not ne neq nin not not_equal not_equal_to not_in") | {"!=", "<>"}
OTHERS = COMPARING | LEFT_OUT | {"must_not"}
"""Canonical names and signs under which a query holds what it does not ask for, or where that ends."""
_QUERYING = (COMPARING - _RANGES) | word_set("except exclude excludes excluding ignore must_not not skip without")
"""Those that say what to do; the others may say what something is that the call does touch (`blocked: [...]`)."""


def compares(operator: str) -> bool:
    """Whether an operator of a query means other values than the one beside it.

    >>> [compares(said) for said in ("$ne", "!=", "not in", "eq")]
    [True, True, True, False]
    """
    return (canonical(operator) or operator) in COMPARING


def ranges(operator: str) -> bool:
    """Whether it may mean the value beside it too."""
    return (canonical(operator) or operator) in _RANGES


def negations(path: str) -> int:
    """How often a query turns round what it asks for on the way to a value; 2 where nobody knows."""
    told = [step for key in path.split(".")[1:] if (step := canonical(key) or key) in OTHERS]
    return len(told) if set(told) <= _QUERYING else 2


def leaves_out(path: str) -> bool:
    """Whether an object on the way to a value holds what a query does not ask for.

    >>> leaves_out("arguments.must_not.value"), leaves_out("arguments.filter.value")
    (True, False)
    """
    return not OTHERS.isdisjoint(map(canonical, path.split(".")))
