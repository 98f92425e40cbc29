"""Where a child's envelope is not narrower than its parent's: one function per dimension. Pure.

A child that drops what its parent had (a constraint, an expiry, a list of tools) is wider; a constraint that it
adds narrows it. Purposes are compared by their words alone, and only plain cases are named.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import inf
from typing import NamedTuple

from guardian.domain.envelope import UNTOLD, UNTOLD_AGENT, Envelope
from guardian.domain.purposes import open_ended
from guardian.domain.signal import broken_by, marks
from guardian.domain.text import some
from guardian.domain.wildcards import covers
from guardian.signals.envelopes.admitting import admits, admits_class, may_admit, spelt
from guardian.signals.envelopes.comparing import spend
from guardian.signals.envelopes.denying import freed, freed_classes
from guardian.signals.envelopes.ordering import within
from guardian.signals.words.constraints import DATA_CLASS, Constraints, read
from guardian.signals.words.hiding import AGENT, DELEGATOR, PURPOSE
from guardian.signals.words.wording import (
    canonical,
    content,
    joins_more,
    only_reads,
    shown,
    word_set,
    words,
)

ANYTHING = "*"
"""An entry that bounds nothing: to drop a list with it makes nobody wider."""
_LISTED = 5
_BEGINNING = 4
"""By so many letters words are alike: renew and renewal, book and booking."""
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
_TYPED = re.compile(r'(?:account|agent|client|human|person|principal|service|user):{1,2}"?([^"]+)"?')
_PERSON = re.compile(r"(?:human|person|user):", re.IGNORECASE)
"""Begins the name of one who is no agent."""
_GRANTING = word_set("allow allowed can enable enabled may permit permitted")
_RESTRICTING = word_set("dry mask masked only readonly redact redacted require required sandbox")
"""Words by which a truth value says whether it gives something or takes something away."""


class Widening(NamedTuple):
    """One way in which a child exceeds (or merely repeats) its parent; `about` as a `Breach` has it. Not `sure`
    where nobody can tell whether it does."""

    name: str
    detail: str
    about: tuple[str, ...] = ()
    sure: bool = True


class Excess(NamedTuple):
    """One thing that one envelope allows beyond another: its kind (`resources`, `expiry`, …), a sentence, the
    marks of what it allows, and whether it certainly is more."""

    kind: str
    detail: str
    about: tuple[str, ...]
    sure: bool = True


def in_one_spelling(
    mine: Sequence[str], theirs: Sequence[str], spelling: Mapping[str, str]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Two lists of tools, made comparable. Where only one of them has names that the rule for names changes, they
    come from records of two formats: then both are spelt by the rule."""
    if any(tool in spelling for tool in mine) == any(tool in spelling for tool in theirs):
        return tuple(mine), tuple(theirs)
    one, other = (dict.fromkeys(spelling.get(tool, tool) for tool in tools) for tools in (mine, theirs))
    return tuple(one), tuple(other)


@dataclass(frozen=True, slots=True)
class Delegation:
    """A child's envelope beside its parent's. `kept_share` in [0, 1] is the share of kept tools that is too much;
    `redacted` are the rules by which both were redacted: what they hide is not compared. `principals` are the
    delegators and agents of the sessions above the parent, `named` is whether the child's delegator was told, and
    `renewable` whether the parent's envelope may have been renewed where nobody saw it. `root_purpose` stands at
    the head of the chain, empty where nobody knows it; `acts` is whether the child does more than look something
    up."""

    child: Envelope
    parent: Envelope
    kept_share: float
    redacted: Mapping[str, str]
    principals: tuple[str, ...] = ()
    named: bool = True
    renewable: bool = False
    root_purpose: str = ""
    acts: bool = False

    def missing(self) -> str:
        """What could not be compared, in words; empty where all could."""
        hidden = [*read(self.parent.resource_constraints, self.redacted).hidden]
        if incomparable(self.redacted):
            hidden.append("delegator or agent")
        told = [f"its parent's {shown(', '.join(hidden), 200)} (redacted)"] if hidden else []
        if not self.named:
            told.append("its delegator")
        elif not self._above() and not incomparable(self.redacted):
            told.append("who stands at the head of its chain")
        return ", ".join(told)

    def widenings(self) -> Iterator[Widening]:
        """Everything in which the child is not narrower."""
        child = read(self.child.resource_constraints, self.redacted)
        parent = read(self.parent.resource_constraints, self.redacted)
        yield from self._identity()
        yield from self._tools()
        for kind, detail, about, sure in exceeding(child, parent):
            name = "resources" if kind in ("expiry", "moments") else kind  # a child is no renewal of its parent
            if sure:
                yield Widening(f"wider_{name}", f"beyond its parent: {detail}", about)
            else:
                yield Widening("wider_unclear", f"perhaps beyond its parent: {detail}", about)
        yield from self._expiry()
        yield from self._purpose()
        yield from self._kept(child, parent)

    def _identity(self) -> Iterator[Widening]:
        """A child may name as its delegator any person or agent of the chain above it: it acts for nobody else.
        That it names nobody, as gateways write who know nobody, is no proof that it does."""
        mine, theirs = self.child.delegator_id, self.parent.delegator_id
        above = self._above() if self.named else ()
        if above and mine == UNTOLD:
            yield Widening("unnamed_delegator", f"the delegator is {UNTOLD}, its parent's {shown(theirs)}")
        elif above and not any(_are_one(mine, each) for each in above):
            detail, about = f"the delegator is {shown(mine)}, its parent's {shown(theirs)}", marks([bare(mine)])
            if UNTOLD_AGENT in above and not _PERSON.match(spelt(mine)):
                yield Widening("unclear_delegator", f"{detail}; an agent above it is not told", about)
            else:
                yield Widening("changed_delegator", detail, about)

    def _above(self) -> tuple[str, ...]:
        """Everybody whom it may act for, `UNTOLD_AGENT` for an agent that nobody told. Empty where nobody can say:
        it is not known who stands above a delegated parent, or for whom the head of the chain acts, or persons and
        agents cannot be compared."""
        whole = self.parent.parent_session_id is None or self.principals
        above = (*self.parent.principals, *self.principals)
        return () if not whole or UNTOLD in above or incomparable(self.redacted) else above

    def _tools(self) -> Iterator[Widening]:
        mine, theirs = self.child.allowed_tools, self.parent.allowed_tools
        if theirs and not mine and ANYTHING not in theirs:
            yield Widening("wider_tools", "the child lists no tools, its parent does", marks([ANYTHING]))
        held, wild = frozenset(theirs), [entry for entry in theirs if "*" in entry]
        beyond = (tool for tool in mine if theirs and tool not in held)
        wider = tuple(
            tool for tool in beyond if spend(len(wild), tool) and not any(covers(entry, tool) for entry in wild)
        )
        if wider:
            yield Widening("wider_tools", f"tools that its parent has not: {_some(wider)}", marks(wider))

    def _expiry(self) -> Iterator[Widening]:
        mine, theirs = self.child.expires_at, self.parent.expires_at
        if theirs is None:
            return
        if mine is None:
            detail = f"the child never expires, its parent at {theirs.isoformat()}"
            yield Widening("later_expiry", detail, broken_by("later_expiry", inf))
        elif outlives(mine, theirs):
            detail = f"the child expires at {mine.isoformat()}, its parent at {theirs.isoformat()}"
            longer = round((mine - theirs).total_seconds())
            told = f"{detail}, as far as the log has shown" if self.renewable else detail
            yield Widening("later_expiry", told, broken_by("later_expiry", longer), not self.renewable)

    def _purpose(self) -> Iterator[Widening]:
        mine, theirs = self.child.purpose, self.parent.purpose
        if not theirs.strip() or open_ended(theirs):
            return
        about = marks([" ".join(words(mine))])
        if not mine.strip():
            yield Widening("wider_purpose", "the child declares no purpose, its parent does", about)
        elif open_ended(mine):
            yield Widening("wider_purpose", f'the child\'s purpose "{shown(mine)}" constrains nothing', about)
        elif added := joins_more(mine, theirs):
            said = _some(sorted(added))
            yield Widening("wider_purpose", f"the child's purpose adds to its parent's: {said}", about)
        elif self.acts and self._another(mine):
            detail = f'the child\'s purpose "{shown(mine)}" has no word of those above it'
            yield Widening("other_purpose", detail, about)

    def _another(self, mine: str) -> bool:
        """Whether a purpose shares no word with those above it, nor the beginning of one, where nothing is
        redacted and none of them leaves open what is done."""
        above = [purpose for purpose in (self.parent.purpose, self.root_purpose) if purpose.strip()]
        if PURPOSE in self.redacted or any(map(open_ended, above)):
            return False
        said, *others = ({word[:_BEGINNING] for word in content(purpose)} for purpose in (mine, *above))
        return bool(said) and all(others) and said.isdisjoint(set().union(*others))

    def _kept(self, child: Constraints, parent: Constraints) -> Iterator[Widening]:
        mine, theirs = frozenset(self.child.allowed_tools), frozenset(self.parent.allowed_tools)
        seen = not (child.hidden or parent.hidden)
        if seen and mine == theirs and _authority(child) == _authority(parent) and (mine or child.spelt):
            yield Widening("copied_authority", f"an exact copy of its parent's authority: {_some(sorted(mine))}")
            return
        purpose = content(self.child.purpose)
        kept = mine & theirs
        alien = {tool for tool in kept if not content(tool) & purpose}
        acting = any(not only_reads(tool) for tool in alien)
        enough = len(kept) >= self.kept_share * len(theirs) and len(alien) >= 2 and len(kept) > len(alien)
        if enough and acting and content(self.parent.purpose) != purpose:
            detail = f"kept of its parent's tools, though its own purpose names none: {_some(sorted(alien))}"
            yield Widening("kept_tools", detail, marks(alien))


def _authority(constraints: Constraints) -> tuple[object, ...]:
    lists = constraints.allowed, constraints.denied, constraints.data_classes
    return *lists, constraints.maxima, constraints.minima


def _are_one(mine: str, theirs: str) -> bool:
    """Whether two names are of one person or agent: neither case nor a type that only one of them has before it
    tells them apart.

    >>> _are_one("agent:Ann", "ann"), _are_one('User::"ann"', "ann"), _are_one("agent:ann", "user:ann")
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
            yield Excess(kind, f"{key} also allows {_some(certain or wider)}", about, sure)
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
            detail = f"{key} no longer holds {_some(found)}"
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
        yield Excess("data_classes", f"data classes are also {_some(wider)}", about)


def _some(found: Sequence[str]) -> str:
    return some(found, _LISTED, lambda item: shown(item, 60))
