"""Where a child's envelope is not narrower than its parent's: one function per dimension. Pure.

A child that drops what its parent had (a constraint, an expiry, a list of tools) is wider; a constraint that it
adds narrows it. Purposes are compared by their words alone, and only plain cases are named.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import inf
from typing import NamedTuple

from guardian.domain.breach import broken_by, marks
from guardian.domain.envelope import UNTOLD, UNTOLD_AGENT, Envelope
from guardian.domain.purposes import open_ended
from guardian.domain.wildcards import covers
from guardian.signals.envelopes.comparing import spend
from guardian.signals.envelopes.covering import spelt
from guardian.signals.envelopes.exceeding import ANYTHING, exceeding, outlives, some_of
from guardian.signals.envelopes.principals import are_one, bare, incomparable
from guardian.signals.words.constraints import Constraints, read
from guardian.signals.words.hiding import PURPOSE
from guardian.signals.words.wording import content, joins_more, only_reads, shown, words

_BEGINNING = 4
"""By so many letters words are alike: renew and renewal, book and booking."""
_PERSON = re.compile(r"(?:human|person|user):", re.IGNORECASE)
"""Begins the name of one who is no agent."""


class Widening(NamedTuple):
    """One way in which a child exceeds (or merely repeats) its parent; `about` as a `Breach` has it. Not `sure`
    where nobody can tell whether it does."""

    name: str
    detail: str
    about: tuple[str, ...] = ()
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
        elif above and not any(are_one(mine, each) for each in above):
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
            yield Widening("wider_tools", f"tools that its parent has not: {some_of(wider)}", marks(wider))

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
            said = some_of(sorted(added))
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
            yield Widening("copied_authority", f"an exact copy of its parent's authority: {some_of(sorted(mine))}")
            return
        purpose = content(self.child.purpose)
        kept = mine & theirs
        alien = {tool for tool in kept if not content(tool) & purpose}
        acting = any(not only_reads(tool) for tool in alien)
        enough = len(kept) >= self.kept_share * len(theirs) and len(alien) >= 2 and len(kept) > len(alien)
        if enough and acting and content(self.parent.purpose) != purpose:
            detail = f"kept of its parent's tools, though its own purpose names none: {some_of(sorted(alien))}"
            yield Widening("kept_tools", detail, marks(alien))


def _authority(constraints: Constraints) -> tuple[object, ...]:
    lists = constraints.allowed, constraints.denied, constraints.data_classes
    return *lists, constraints.maxima, constraints.minima
