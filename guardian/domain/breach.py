"""A rule that an action breaks, what in the call broke it, and how a session remembers that."""

import hashlib
from collections.abc import Collection, Iterable
from dataclasses import dataclass

DOUBT = "?"
"""Marks the name of a soft breach where a session remembers it."""

OF = "#"
"""There, between the name of a rule and the mark of what broke it."""

_UP_TO = "="
"""In a mark, between a limit and the quantity that broke it."""

_SUM = "+"
"""There, before that, where the quantity is a session's sum."""

MARK = r"^[0-9a-f]{32}(\+?=-?[0-9]{1,17}(\.[0-9]{1,24})?(e[+-]?[0-9]{1,3})?)?$"
"""What a mark looks like: a digest, or that of a limit with the quantity that broke it."""

MARKS = 8
"""So many values of one breach are told apart; more of them are one thing."""

_CAP = 2**53

NOTED = frozenset(
    {
        *("arguments_unchecked", "other_purpose", "reissued_unclear", "renewed"),
        *("credential_in_arguments", "credential_in_resource"),
    }
)
"""Soft breaches that ask for nothing out of the box: something could not be compared, a child's purpose shares no
word with those above it, as honest parts of a task do, an envelope was renewed by who may issue it, or an
argument is merely called a secret, as those are with which honest agents log in."""

_OF_PAPERS = frozenset({"signature_missing"})
_SUMS = frozenset({"limit_exceeded_session", "records_over_limit_session"})
"""Totals of a session are guardian's own count."""


@dataclass(frozen=True, slots=True)
class Breach:
    """A named rule that the action breaks.

    `hard` breaches are facts (an expired envelope is expired), outside the statistical promise.
    `detail` is one line for people, already bounded; text from agents in it stays hostile.
    `about` are the `marks` of what in the call broke it: who accepts one tool does not thereby accept another.
    Empty for what stands whatever the call is.
    """

    name: str
    detail: str
    hard: bool = True
    about: tuple[str, ...] = ()

    @property
    def rule(self) -> str:
        """Its name, where a doubt and a fact of the same name are two things."""
        return self.name if self.hard else f"{self.name}{DOUBT}"

    @property
    def remembered(self) -> tuple[str, ...]:
        """What it is in a session's memory."""
        return remembered(self.name, self.about, hard=self.hard)

    @property
    def accuses(self) -> bool:
        """Whether it says something of what the agent did, or the gateway let through: only that is evidence."""
        return self.name not in _OF_PAPERS

    @property
    def blames_gateway(self) -> bool:
        """Whether the call and its envelope alone show it, so that who let the call through could know."""
        return self.accuses and self.name not in _SUMS

    def waved(self, pardoned: Collection[str]) -> bool:
        """Whether people waved all of it through. A pardoned fact covers the doubt of the same name, not the
        reverse, and a rule that was pardoned without saying what broke it is pardoned whatever does: so sessions
        remember it from before marks were known."""
        whole = self.name in pardoned or self.rule in pardoned
        return whole or all(_covered(each, pardoned) for each in self.remembered)


def remembered(name: str, about: Iterable[str], *, hard: bool) -> tuple[str, ...]:
    """A broken rule as a session knows it: one entry for each thing that broke it.

    >>> remembered("tool_not_allowed", ("0f3a", "77b1"), hard=True), remembered("parent_unknown", (), hard=False)
    (('tool_not_allowed#0f3a', 'tool_not_allowed#77b1'), ('parent_unknown?',))
    """
    end = "" if hard else DOUBT
    return tuple(f"{name}{OF}{mark}{end}" for mark in about) or (f"{name}{end}",)


def rule_of(entry: str) -> str:
    """The rule of a `remembered` entry.

    >>> rule_of("tool_not_allowed#0f3a?"), rule_of("parent_unknown?"), rule_of("envelope_expired")
    ('tool_not_allowed?', 'parent_unknown?', 'envelope_expired')
    """
    name, of, mark = entry.partition(OF)
    return name + DOUBT if of and mark.endswith(DOUBT) else name


def marks(values: Iterable[str]) -> tuple[str, ...]:
    """By what a session knows again the values that broke a rule, in whatever order they come. They are digests
    long enough that nobody can make up two values with one mark."""
    return _few({_digest(value) for value in values})


def broken_by(limit: str, quantity: float, *, summed: bool = False) -> tuple[str, ...]:
    """The mark of a quantity that broke a limit. Pardoned, it covers all that are no larger; a sum, which grows
    with every call, covers its double too."""
    said = float(max(-_CAP, min(quantity, _CAP)))
    return (f"{_digest(limit)}{_SUM if summed else ''}{_UP_TO}{said!r}",)


def joined(first: Breach, *others: Breach) -> Breach:
    """Breaches of one rule."""
    told = (first, *others)
    more = f"; and {len(told) - MARKS} more" if len(told) > MARKS else ""
    detail = "; ".join(each.detail for each in told[:MARKS]) + more
    return Breach(first.name, detail, first.hard, _few({mark for each in told for mark in each.about}))


def _few(told: Collection[str]) -> tuple[str, ...]:
    each = tuple(sorted(told))
    return each if len(each) <= MARKS else (_digest("\x1f".join(each)),)


def _digest(value: str) -> str:
    return hashlib.sha256(value.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def _covered(entry: str, pardoned: Collection[str]) -> bool:
    fact = entry.removesuffix(DOUBT)
    if entry in pardoned or fact in pardoned:
        return True
    limit, up_to, quantity = fact.rpartition(_UP_TO)
    known = (each if entry == fact else each.removesuffix(DOUBT) for each in pardoned if up_to)
    most = (each.removeprefix(limit + up_to) for each in known if each.startswith(limit + up_to))
    slack = 2 if limit.endswith(_SUM) else 1
    return any(not each.endswith(DOUBT) and slack * float(each) >= float(quantity) for each in most)
