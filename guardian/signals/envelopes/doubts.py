"""What an action names that may lie outside its envelope, where the comparison is not certain. Pure.

A value in an object may or may not be what the object's name is about, unless another value in it is: `{id: c_1,
title: Foo}` is settled by `c_1`; `{not: c_1}` means all the others. `contract: "c_9"` may be an id or a title.
Such doubts are told with little weight: alone they flag nobody, and the action is not called inside its envelope
either.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import chain

from guardian.domain.envelope import UNTOLD
from guardian.domain.signal import Observation
from guardian.signals.envelopes.admitting import admits, unsure
from guardian.signals.envelopes.denying import beyond, touches, touches_class
from guardian.signals.envelopes.filters import Filters, left_out
from guardian.signals.envelopes.limit_doubts import LimitDoubts, is_limit, says
from guardian.signals.envelopes.ordering import meets
from guardian.signals.envelopes.ownership import alike
from guardian.signals.words.constraints import DATA_CLASS, Constraints, number, text, values, with_glued
from guardian.signals.words.hiding import dropped
from guardian.signals.words.identifiers import as_uuid
from guardian.signals.words.named_values import Leaf, Touched
from guardian.signals.words.operators import compares, negations
from guardian.signals.words.paths import JOINED, OPENED, ROOTED, ends
from guardian.signals.words.wording import shown, word_set

_WORD = re.compile(r"\S+")
_FILES = ("file", "file_name", "filename", "filepath")
_GENERAL = word_set("code date id key name status type value")
"""Names that end those of many other things."""
_REFERENCE = re.compile(r"(?=\D*\d)\S+")
"""A word with a digit in it: rather an id than a name."""


@dataclass(frozen=True)
class Doubts:
    """An envelope against one action."""

    constraints: Constraints
    seen: Observation
    action: Touched

    def told(self) -> Iterator[str]:
        """One sentence for each doubt."""
        yield from self._owners()
        yield from self._resources()
        yield from self._denied()
        yield from self._limits.told()

    def hidden(self) -> tuple[str, ...]:
        """The places where redaction hid something that the envelope binds, or dropped what may have been such a
        thing; each once."""
        if not (self.seen.redacted or self.action.hidden):
            return ()
        bounds, limits = self.constraints, [*self.constraints.maxima, *self.constraints.minima]
        keys = [
            *bounds.allowed,
            *bounds.denied,
            *limits,
            *(f"max_{name}" for name in limits),
            *(f"min_{name}" for name in limits),
        ]
        bound = {"tenant_id", "session_id", DATA_CLASS, *keys}
        bound |= {other for key in keys for other in self.constraints.also(key)}
        bound |= {name.removesuffix("_id") for name in bound}
        places = [leaf.path for leaf in self.action.hidden if bound & (leaf.names | leaf.through | leaf.inside)]
        gone = dropped(self.seen.redacted, "action") if bounds.spelt else ()
        told = [*(f"envelope.{key}" for key in bounds.hidden), *places, *map(".".join, gone)]
        return tuple(dict.fromkeys(told))

    def answered(self) -> Iterator[tuple[str, bool]]:
        """Each list and limit that may bound the action, as it is written, and whether something in the action may
        speak of it: only then it kept the action inside."""
        for name in self.constraints.allowed:
            if not is_limit(name):
                yield self.constraints.spelt[name], next(self._speaking(name), None) is not None
        yield from self._limits.answered()

    def _speaking(self, name: str) -> Iterator[object]:
        wanted = (name, *self.constraints.also(name))
        near = (*wanted, *(each.removesuffix("_id") for each in wanted))
        yield from values(self.action, *wanted)
        held = chain(self.action.named(near), self.action.around(near), self.action.compounds(near))
        yield from (leaf for leaf in held if any(map(says, leaf.values)))
        yield from self._addressed(wanted)
        yield from self._filters.strange(lambda _: False, wanted)

    def _owners(self) -> Iterator[str]:
        envelope = self.seen.event.envelope
        if envelope.tenant_id == UNTOLD:
            return
        tenant = envelope.tenant_id.casefold()
        for path, said in self._owned("tenant_id", lambda told: told.casefold() == tenant):
            if _WORD.fullmatch(said):
                yield f"{shown(path)} is {shown(said)}, which may be another tenant"
        for path, _ in self._others(("tenant_id",)):
            yield f"{shown(path)} may mean other tenants than it names"
        if "session_id" in self.seen.features_missing:
            return
        for path, said in self._owned("session_id", lambda told: told == envelope.session_id):
            if _REFERENCE.fullmatch(said) and alike(said, envelope.session_id):
                yield f"{shown(path)} is {shown(said)}, which may be another session"
        for path, left in self._others(("session_id",)):
            if not left or any(alike(said, envelope.session_id) for said in left):
                yield f"{shown(path)} may mean other sessions than it names"

    def _owned(self, name: str, own: Callable[[str], bool]) -> Iterator[tuple[str, str]]:
        """Where an object or a filter may name another owner than the envelope's."""
        yield from ((leaf.path, said) for leaf, said in self._may_name(own, name))
        for path, told, alone in self._filters.asked((name,)):
            if alone or not any(map(own, told)):
                yield from ((path, said) for said in map(str.strip, told) if not own(said))

    def _resources(self) -> Iterator[str]:
        classes = self.constraints.data_classes
        listed = {} if classes is None else {DATA_CLASS: classes}
        for name, allowed in {**self.constraints.allowed, **listed}.items():
            wanted = (name, *self.constraints.also(name))
            admitted = partial(admits, allowed, name=name)
            for leaf in self.action.named(wanted):
                for said in map(text, leaf.scalars):
                    if unsure(allowed, said, name):
                        yield f"{shown(leaf.path)} is {shown(said)}, more than {self._spelt(name)} may allow"
            for leaf, value in values(self.action, *wanted) if name in self.constraints.allowed else ():
                if meets(self.constraints, name, said := text(value)) is None and not admitted(said):
                    yield f"{shown(leaf.path)} is {shown(said)}, perhaps less than {self._spelt(name)} allows"
            outside = [
                *(
                    (leaf.path, said)
                    for leaf, said in self._may_name(admitted, *wanted)
                    if not leaf.inside.isdisjoint(wanted) or _REFERENCE.fullmatch(said)
                ),
                *self._filters.strange(admitted, wanted),
                *self._compound(admitted, wanted),
            ]
            for path, said in outside:
                yield f"{shown(path)} is {shown(said)}, which {self._spelt(name)} may not allow"
            for path, _ in self._others(wanted):
                yield f"{shown(path)} may mean others than it names, {self._spelt(name)} bounds them"

    def _denied(self) -> Iterator[str]:
        """What may be denied, where no rule is sure."""
        for name, denied in self.constraints.denied.items():
            key = f"denied_{name}"
            hit = partial(touches_class if name == DATA_CLASS else touches, denied)
            wanted = (name, *self.constraints.also(key))
            near = (*wanted, *(each.removesuffix("_id") for each in wanted))
            held = (
                self.action.named((*near, *_files(wanted))),
                self.action.around(near),
                self.action.compounds(near),
            )
            leaves = [leaf for leaf in {id(leaf): leaf for leaf in chain(*held)}.values() if not leaf.inverted]
            loose = (leaf for leaf in leaves if not leaf.answers(frozenset(wanted)))
            found = ((leaf.path, said) for leaf in loose for said in map(text, leaf.scalars) if hit(said))
            unread = ((leaf.path, said) for leaf in leaves for said in map(text, leaf.scalars) if beyond(said))
            filtered = self._filters.strange(partial(_spared, hit), wanted)
            led = self._led(hit, leaves) if any("/" in entry for entry in denied) else ()
            for path, said in chain(found, filtered, led, unread):
                yield f"{shown(path)} is {shown(said)}, which {self._spelt(key)} may deny"
            for path, spared in self._others(wanted):
                if not {each.casefold() for each in denied} <= spared:
                    yield f"{shown(path)} may mean others than it names, {self._spelt(key)} bounds them"

    def _led(self, hit: Callable[[str], bool], leaves: Iterable[Leaf]) -> Iterator[tuple[str, str]]:
        """Relative paths that are hit when they begin at the folder that stands beside them. Where none does, one
        that climbs may begin at the root."""
        folders = self.action.folders
        pairs = (
            (leaf.path, said, f"{base.rstrip('/')}/{said}")
            for leaf in leaves
            for said in map(text, leaf.scalars)
            if not ROOTED.match(said)
            for base in sorted(folders.get(_above(leaf.path)) or ("/" if _climbs(said) else ""))
        )
        left = JOINED
        for path, said, led in pairs:
            left -= 1 + len(led) // OPENED
            if left < 0 or beyond(led) or (hit(led) and not hit(said)):
                yield path, said
                return

    def _compound(self, admitted: Callable[[str], bool], names: tuple[str, ...]) -> Iterator[tuple[str, str]]:
        """Values under longer names, `target_path` for `path`, that may be what the names bound and are not
        admitted: words, not sentences; in a file's name, paths and references."""
        wanted, numbered = frozenset(names), any(name.endswith("_id") for name in names)
        held = (
            *((leaf, _WORD) for leaf in self.action.compounds(wanted - _GENERAL)),
            *((leaf, _REFERENCE) for leaf in self.action.named(_files(names))),
        )
        for leaf, word in held:
            if leaf.answers(wanted) or not leaf.inside.isdisjoint(wanted) or leaf.inverted:
                continue
            for said in (_stripped(value) for value in leaf.scalars if not isinstance(value, bool)):
                looks = ROOTED.match(said) or "/" in said or "@" in said or word.fullmatch(said)
                if looks and (numbered or number(said) is None) and not admitted(said):
                    yield leaf.path, said
        yield from ((path, said) for path, said in self._addressed(names) if not admitted(said))

    def _addressed(self, names: tuple[str, ...]) -> Iterator[tuple[str, str]]:
        """Addresses in objects with such longer names, as in `toRecipients: [{"emailAddress": {…}}]`."""
        for leaf in self.action.around_compounds(frozenset(names) - _GENERAL):
            if leaf.inside.isdisjoint(names) and not leaf.inverted:
                yield from ((leaf.path, said) for said in map(_stripped, leaf.scalars) if "@" in said)

    def _others(self, names: tuple[str, ...]) -> Iterator[tuple[str, frozenset[str]]]:
        """Where a query asks for others than those that it names, and what it surely leaves out. An operator with
        nothing beside it asks for all, unless something else in its object says what it asks for."""
        leaves = [*self.action.named(with_glued(names)), *self.action.around(with_glued(names))]
        inverted = [leaf for leaf in leaves if leaf.inverted]
        speaking = {_above(leaf.path) for leaf in leaves if any(map(says, leaf.values))} if inverted else set()
        for leaf in inverted:
            last = leaf.path.rpartition(".")[2]
            if any(map(says, leaf.values)) or (compares(last) and _above(leaf.path) not in speaking):
                yield leaf.path, left_out(last, map(text, leaf.scalars) if negations(leaf.path) == 1 else ())
        yield from self._filters.others(names)

    @cached_property
    def _limits(self) -> LimitDoubts:
        return LimitDoubts(self.constraints, self.seen, self.action)

    @cached_property
    def _filters(self) -> Filters:
        return Filters(self.action)

    def _may_name(self, admitted: Callable[[str], bool], *names: str) -> Iterator[tuple[Leaf, str]]:
        """Values that are not admitted and lie in an object of one of the names, or under the name without its
        `_id`. An admitted member settles its object, but for its rivals; in a list of objects, if every one of
        them has it."""
        wanted, bare = frozenset(names), [name.removesuffix("_id") for name in names if name.endswith("_id")]
        inside = list(self.action.around(wanted))
        members: dict[str, list[str]] = defaultdict(list)
        for leaf in inside:
            members[leaf.path] += map(text, leaf.scalars)
        settled = {_above(path): told[0] for path, told in members.items() if told and all(map(admitted, told))}
        bound = [(leaf, settled.get(_above(leaf.path))) for leaf in inside]
        for leaf, settles in (*((leaf, None) for leaf in self.action.named(bare)), *bound):
            for said in filter(None, map(_stripped, leaf.scalars)) if not leaf.answers(wanted) else ():
                if (settles is None or _rivals(settles, said)) and not admitted(said):
                    yield leaf, said

    def _spelt(self, key: str) -> str:
        return shown(self.constraints.spelt[key], 60)


def _files(names: tuple[str, ...]) -> tuple[str, ...]:
    return _FILES if any(name.rpartition("_")[2] == "path" for name in names) else ()


def _stripped(value: object) -> str:
    return text(value).strip()


def _above(path: str) -> str:
    return path.rpartition(".")[0]


def _climbs(path: str) -> bool:
    return any(end.startswith("../") for end in ends(path))


def _spared(hit: Callable[[str], bool], said: str) -> bool:
    return not (hit(said) or beyond(said))


def _rivals(settles: str, said: str) -> bool:
    """Whether a value beside one that is admitted may count in its place: a path that climbs or begins at the root
    too, or another word that looks like it."""
    if ends(said) or (ROOTED.match(settles) and ROOTED.match(said)):
        return True
    word = settles[:1].isalpha() and not as_uuid(settles) and _REFERENCE.fullmatch(said)
    return bool(word) and alike(settles, said)
