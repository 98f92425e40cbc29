"""What one envelope's constraints allow beyond another's: a constraint that is dropped allows more, one that is
added less. Pure.
"""

import re
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from math import inf
from typing import NamedTuple

from guardian.domain.breach import broken_by, marks
from guardian.domain.text import some
from guardian.signals.envelopes.admitting import admits, admits_class, may_admit
from guardian.signals.envelopes.covering import spelt
from guardian.signals.envelopes.denying import freed, freed_classes
from guardian.signals.envelopes.ordering import within
from guardian.signals.words.constraints import DATA_CLASS, Constraints
from guardian.signals.words.wording import canonical, shown, word_set, words

ANYTHING = "*"
"""An entry that bounds nothing: to drop a list with it makes nobody wider."""
_TIMES = frozenset({"until", "after", "before", "expire", "expires", "expiry", "exp"})
_ENDS = frozenset({"until", "expire", "expires", "expiry", "exp"})
_ONCE = frozenset({"nonce", "jti", "iat", "nbf"})
"""Last words of canonical names: of when an envelope begins or ends, of when it ends, and of what is new in every
envelope."""
_OF_A_CALL = frozenset({"correlation_id", "request_id", "span_id", "trace_id"})
"""Names of what is another in every envelope, unless it says which of those an agent may look at."""
_VALID = re.compile(r"(?:.*_)?(?:not|valid)_(?:after|before)")
"""Of when the envelope itself holds; `created_before` says rather what it is for."""
_A_SECOND = timedelta(seconds=1)
_LISTED = 5
_GRANTING = word_set("allow allowed can enable enabled may permit permitted")
_RESTRICTING = word_set("dry mask masked only readonly redact redacted require required sandbox")
"""Words by which a truth value says whether it gives something or takes something away."""


class Excess(NamedTuple):
    """One thing that one envelope allows beyond another: its kind (`resources`, `expiry`, …), a sentence, the
    marks of what it allows, and whether it certainly is more."""

    kind: str
    detail: str
    about: tuple[str, ...]
    sure: bool = True


def outlives(mine: datetime, theirs: datetime) -> bool:
    """Whether one end is later than another, by a second or more: tokens keep whole seconds only."""
    return mine - theirs >= _A_SECOND


def exceeding(held: Constraints, granted: Constraints) -> Iterator[Excess]:
    """Everything that one envelope allows beyond another."""
    for name, theirs in granted.allowed.items():
        last = name.removesuffix("_at").rpartition("_")[2]
        if last in _ONCE:
            continue
        of_it = last in _ENDS or _VALID.fullmatch(name)
        kind = "expiry" if of_it else "moments" if last in _TIMES else "resources"
        key, mine = shown(granted.spelt[name], 60), held.allowed.get(name)
        sure = name not in _OF_A_CALL or len(theirs) != 1
        if mine is None:
            if ANYTHING not in theirs:
                yield Excess(kind, f"{key} is dropped", marks([f"{name} {ANYTHING}"]), sure)
            continue
        wider = [value for value in sorted(mine - theirs) if not admits(theirs, value, name)]
        fits = within(granted.spelt[name], mine, theirs) if wider else True
        if not (fits or _stricter(granted.spelt[name], mine, theirs)):
            certain = [value for value in wider if not may_admit(theirs, value, name)]
            about = marks(f"{name} {spelt(value.strip())}" for value in certain or wider)
            sure = bool(certain) and fits is False and (sure or len(mine) != 1)
            yield Excess(kind, f"{key} also allows {some_of(certain or wider)}", about, sure)
    yield from _data_classes(held.data_classes, granted.data_classes)
    yield from _freed(held, granted)
    for prefix, own, bounds in (("max_", held.maxima, granted.maxima), ("min_", held.minima, granted.minima)):
        for name, bound in bounds.items():
            key, limit = shown(granted.spelt[prefix + name], 60), own.get(name)
            if limit is None:
                yield Excess("limits", f"{key} is dropped", broken_by(prefix + name, inf))
            elif limit > bound if prefix == "max_" else limit < bound:
                about = broken_by(prefix + name, limit if prefix == "max_" else -limit)
                yield Excess("limits", f"{key} is {shown(limit, 40)} and was {shown(bound, 40)}", about)


def _freed(held: Constraints, granted: Constraints) -> Iterator[Excess]:
    """What `granted` denies and `held` does not, neither by name nor by listing something else."""
    for name, theirs in granted.denied.items():
        mine = held.denied.get(name, frozenset())
        classes = name == DATA_CLASS
        listed = held.data_classes if classes else held.allowed.get(name)
        if found := (freed_classes if classes else freed)(theirs, mine, listed):
            key = shown(granted.spelt[f"denied_{name}"], 60)
            about = marks(f"denied_{name} {entry}" for entry in found)
            detail = f"{key} no longer holds {some_of(found)}"
            yield Excess("data_classes" if classes else "resources", detail, about)


def _stricter(key: str, mine: frozenset[str], theirs: frozenset[str]) -> bool:
    """Whether a truth value certainly gives less: `allow_export: false`, `read_only: true`."""
    grants, restricts = (not listed.isdisjoint(words(key)) for listed in (_GRANTING, _RESTRICTING))
    less, more = ("false", "true") if grants else ("true", "false")
    return grants != restricts and {*map(spelt, mine)} == {less} and {*map(spelt, theirs)} == {more}


def _data_classes(held: frozenset[str] | None, granted: frozenset[str] | None) -> Iterator[Excess]:
    if granted is None or (held is None and ANYTHING in granted):
        return
    if held is None:
        yield Excess("data_classes", "the list of data classes is dropped", marks([ANYTHING]))
    elif wider := [value for value in sorted(held - granted) if not admits_class(granted, value)]:
        about = marks(canonical(value) or value for value in wider)
        yield Excess("data_classes", f"data classes are also {some_of(wider)}", about)


def some_of(found: Sequence[str]) -> str:
    return some(found, _LISTED, lambda item: shown(item, 60))
