"""The rules of an envelope that need no memory, one function each. Pure."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import timedelta
from enum import IntEnum
from functools import cached_property, lru_cache, partial
from itertools import chain, islice
from typing import NamedTuple

from guardian.domain.event import UNTOLD, DecisionEvent, Envelope
from guardian.domain.signal import Breach, Observation, marks
from guardian.domain.text import some
from guardian.domain.wildcards import allows
from guardian.signals.admitting import admits, admits_class, spelt
from guardian.signals.constraints import DATA_CLASS, Constraints, text
from guardian.signals.denying import touches, touches_class
from guardian.signals.identifiers import as_uuid
from guardian.signals.json_texts import unfolded
from guardian.signals.leaves import Leaf, Touched, touched
from guardian.signals.wording import canonical, shown

_LETTERS = re.compile(r"[A-Za-z]*")
_ALIKE = re.compile(r"[^\W_]")
_DIGITS = re.compile(r"\d+")
_NUMBER = re.compile(r"(?<![^\W_])\d++(?![^\W_])")
_NAME = re.compile(r"[^\x00-\x1f\x7f\ud800-\udfff]{1,512}")
"""What a session may be called, and a store can be asked for."""
_LOOKED_UP = 128
"""How many names of sessions in one call are looked up; the others count as another's."""
_LISTED = 5
_ABOVE = frozenset(
    {
        *("owner", "repo_owner", "repository_owner", "project_owner", "org", "organization", "organisation"),
        *("namespace", "workspace", "group", "account"),
    }
)
"""Names of arguments that say whose something is; where two of them differ nobody knows which one counts."""
_NO_TENANT = frozenset(
    {
        *("common", "consumers", "n/a", "none", "null", "organizations", "undefined"),
        *("current", "default", "me", "own", "self"),
    }
)
"""What stands for any tenant where people sign in with Microsoft, and what agents write where they know none or
mean their own."""
_SAYS_TENANT = re.compile(r"\Atenant(?:s?[\s_:/.-]+|(?=\d))(?=.)")
_JOINT = re.compile(r"(?<![\d\s_-])[\s_-]++|(?<![\s_-])[\s_-]++(?!\d)")
"""Not between digits, where it tells 1-23 from 12-3."""
_BELOW = frozenset({"repo", "repository", "project"})
_PART = re.compile(r"[\w-][\w.-]*", re.ASCII)


def identity(seen: Observation, leeway_seconds: float) -> Iterator[Breach]:
    """The envelope itself: its signature and its expiry."""
    expires = seen.event.envelope.expires_at
    if seen.signature == "invalid":
        yield Breach("signature_invalid", "the envelope's signature does not hold")
    if expires is not None and seen.now - expires > timedelta(seconds=leeway_seconds):
        said = f"the envelope expired at {expires.isoformat()}"
        if seen.clock_suspect:
            arrived = seen.now.isoformat(timespec="seconds")
            said += f", and the call arrived at {arrived} (its own time is not believed)"
        yield Breach("envelope_expired", said)


def ownership(seen: Observation, action: Touched, known: frozenset[str]) -> Iterator[Breach]:
    """A tenant or session that the action names must be the envelope's own. `known` are tenants that there are.

    Nothing is checked where no tenant is told (such sessions are known by their place), and sessions are not
    checked where the session has no name that a call could know. A session may name those that it delegated to. To
    name its parent, others of the same work, or one that has not acted yet (a child just made) proves nothing.
    """
    envelope = seen.event.envelope
    if envelope.tenant_id == UNTOLD:
        return
    yield from _foreign(action, "tenant", envelope.tenant_id, partial(_tenants, _spellings(known)))
    if "session_id" not in seen.features_missing:
        near = {envelope.parent_session_id, *seen.parent.chain, *seen.doubtful}

        def force(own: str, said: str) -> _Force:
            return min(_sessions(own, said), _Force.LITTLE if said in near else _Force.PROOF)

        yield from _foreign(action, "session", envelope.session_id, force, seen.below)


def named_sessions(event: DecisionEvent) -> frozenset[str]:
    """Other sessions that the action names, if the name looks like one of ours; the caller looks up whose they
    are."""
    told = f"{event.action.arguments!r} {event.action.resource!r}"
    if told.isascii() and "session" not in told.lower() and "\\" not in told:
        return frozenset()  # as most calls: to look at each place costs five times as much
    own = event.envelope.session_id
    action, _ = unfolded(touched(event))
    said = (text(value).strip() for _, value in islice(_values(action, "session_id"), _LOOKED_UP))
    return frozenset(name for name in said if name != own and _NAME.fullmatch(name) and alike(own, name))


class _Force(IntEnum):
    """How much it means that a call names another tenant or session than its own."""

    NOTHING = 0
    LITTLE = 1
    PROOF = 2


def _foreign(
    action: Touched,
    kind: str,
    own: str,
    force: Callable[[str, str], _Force],
    ours: frozenset[str] = frozenset(),
) -> Iterator[Breach]:
    """One breach for all that proves something, another for all that means little: who was told of another's name
    with a doubt beside it, and accepts the name, is not accused of the doubt as of a fact."""
    own = own.strip()
    named: dict[str, Leaf] = {}
    for leaf, value in _values(action, f"{kind}_id"):
        named.setdefault(text(value).strip(), leaf)
    foreign = {said: force(own, said) for said in named if said not in ours and not _same(own, said)}
    for told in sorted(set(foreign.values()) - {_Force.NOTHING}, reverse=True) or set(foreign.values()):
        said, *others = (said for said, meant in foreign.items() if meant is told)
        detail = f"{shown(named[said].path)} names {kind} {shown(said)}, not {shown(own)}"
        if told:
            about = marks(_known_by(kind, each) for each in (said, *others))
            yield Breach(f"{kind}_mismatch", detail + _also(others), told is _Force.PROOF, about)
        else:
            yield Breach("arguments_unchecked", detail, False)


def _known_by(kind: str, said: str) -> str:
    """In any spelling that we take for the same."""
    low = spelt(said).casefold()
    return _bare_tenant(low) or low if kind == "tenant" else low


def _same(own: str, said: str) -> bool:
    return said == own or (as_uuid(said) == as_uuid(own) != "")


def _tenants(known: frozenset[str], own: str, said: str) -> _Force:
    """Only to name a tenant that is known proves something: help desks, clouds and houses have tenants too, and
    directories, by UUID where ours have names. A name that only differs in case, in how its words are joined or in
    saying that it is a tenant's is hardly another's, and some words stand for no tenant at all."""
    if said.casefold() in _NO_TENANT or not _called(own).isdisjoint(_called(said)):
        return _Force.NOTHING
    if not known.isdisjoint({*_called(said), as_uuid(said)}):
        return _Force.PROOF
    return _Force.NOTHING if as_uuid(said) and not as_uuid(own) else _Force.LITTLE


@lru_cache(maxsize=16)
def _spellings(tenants: frozenset[str]) -> frozenset[str]:
    """Of a tenant `tenant_7` the 7 is no spelling here: anything may be called so."""
    told = {
        form for name in tenants for form in (*_called(name), as_uuid(name)) if form == name or not form.isdigit()
    }
    return frozenset(told - {""})


def _called(tenant: str) -> frozenset[str]:
    """`Tenant-Acme`, `tenant_acme` and `acme` share a spelling."""
    low = tenant.casefold()
    return frozenset({low, _JOINT.sub("", low), _bare_tenant(low)} - {""})


def _bare_tenant(low: str) -> str:
    return _JOINT.sub("", _SAYS_TENANT.sub("", low))


def _sessions(own: str, said: str) -> _Force:
    """Browsers, checkouts and log-ins have sessions too. A name of another shape is none of ours; names that begin
    with no letters look alike in any system, and `sess_` is not ours alone."""
    if not alike(own, said):
        return _Force.NOTHING
    counted = _DIGITS.sub("0", own) == _DIGITS.sub("0", said)
    built = _built(own) == _built(said) or _built(_NUMBER.sub("0", own)) == _built(_NUMBER.sub("0", said))
    return _Force.PROOF if (counted or built) and own[:1].isalpha() and not as_uuid(own) else _Force.LITTLE


def tools(envelope: Envelope, tool: str) -> Iterator[Breach]:
    """The tool must be listed, where tools are listed at all."""
    if not allows(envelope.allowed_tools, tool):
        names = some(envelope.allowed_tools, _LISTED, lambda entry: shown(entry, 40))
        detail = f"{shown(tool)} is not among the allowed tools: {names}"
        yield Breach("tool_not_allowed", detail, about=marks([tool]))


def resources(constraints: Constraints, action: Touched) -> Iterator[Breach]:
    """Each value that a constraint bounds must be one that it allows and none that it denies. One breach speaks
    for all."""
    found: dict[str, Refused] = {}
    for each in refused(constraints, action):
        found.setdefault(each.known_by, each)
    if found:
        first, *others = found.values()
        detail = f"{shown(first.leaf.path)} is {shown(first.said)}{first.why}"
        yield Breach(
            "resource_outside_constraints", detail + _also([other.said for other in others]), about=marks(found)
        )


class Refused(NamedTuple):
    """A value that a constraint does not allow or that one denies, where it stands, and what it is known by in
    any spelling."""

    leaf: Leaf
    said: str
    known_by: str
    why: str


def refused(constraints: Constraints, action: Touched) -> Iterator[Refused]:
    """The values that a constraint does not allow, then those that one denies."""
    owners = _Owners(action)
    for name, allowed in constraints.allowed.items():
        kept = shown(", ".join(sorted(allowed)[:_LISTED]) or "nothing", 120)
        why = f"; {shown(constraints.spelt[name], 60)} allows {kept}"
        for leaf, value in _values(action, name, *constraints.also(name)):
            if not admits(allowed, value, name) and not (
                name in _BELOW and owners.admitted(leaf, allowed, text(value))
            ):
                said = text(value)
                yield Refused(leaf, said, f"{name} {spelt(said.strip())}", why)
    for name, denied in constraints.denied.items():
        key = constraints.spelt[f"denied_{name}"]
        names = (name, *constraints.also(key))
        for leaf, value in _values(action, *names) if name != DATA_CLASS else ():
            if _is_denied(denied, value, action.folders.get(leaf.path.rpartition(".")[0], frozenset())):
                said, why = text(value), f", one of {shown(key, 60)}"
                yield Refused(leaf, said, f"denied_{name} {spelt(said.strip()).casefold()}", why)


def _is_denied(denied: frozenset[str], value: object, folders: frozenset[str]) -> bool:
    """Whether a value is denied as it stands. One that climbs far enough to reach the root from anywhere is not,
    where it leads elsewhere from the folders beside it."""
    if not touches(denied, value):
        return False
    led = (f"{folder.rstrip('/')}/{text(value)}" for folder in folders)
    return not folders or touches(denied, value, based=True) or any(touches(denied, each) for each in led)


class _Owners:
    """Reads from the arguments beside a value whose it is: `{"owner": "acme", "repo": "shop"}` is `acme/shop`."""

    def __init__(self, action: Touched) -> None:
        self._action = action

    def admitted(self, leaf: Leaf, allowed: frozenset[str], said: str) -> bool:
        """Whether owner and value together are admitted. In a list of such objects all must have one owner: which
        value belongs to which is not known."""
        pairs = frozenset(entry for entry in allowed if entry.count("/") == 1)
        named = self._beside.get(leaf.path.rpartition(".")[0], set())
        parts = [said, *named]
        return len(named) == 1 and all(map(_PART.fullmatch, parts)) and admits(pairs, "/".join(reversed(parts)))

    @cached_property
    def _beside(self) -> Mapping[str, set[str]]:
        found: dict[str, set[str]] = {}
        for leaf in self._action.named(_ABOVE):
            found.setdefault(leaf.path.rpartition(".")[0], set()).update(
                filter(str.strip, map(text, leaf.scalars))
            )
        return found


def data_classes(constraints: Constraints, told: frozenset[str], action: Touched) -> Iterator[Breach]:
    """Every data class asked for, or told as asked for or returned, must be listed, where classes are listed, and
    none may be denied."""
    allowed, denied = constraints.data_classes, constraints.denied.get(DATA_CLASS, frozenset())
    if allowed is None and not denied:
        return
    also = (*constraints.also(DATA_CLASS), *constraints.also(constraints.spelt.get(f"denied_{DATA_CLASS}", "")))
    named = {text(value) for _, value in _values(action, DATA_CLASS, *also)} | told
    outside = {
        name: canonical(name) or name
        for name in sorted(named)
        if (denied and touches_class(denied, name)) or not (allowed is None or admits_class(allowed, name))
    }
    if outside:
        said = some(list(outside), _LISTED, lambda name: shown(name, 40))
        kept = "others" if allowed is None else shown(", ".join(sorted(allowed)[:_LISTED]) or "none", 120)
        detail = f"data class {said} is outside the envelope's: {kept}"
        yield Breach("data_class_outside", detail, about=marks(outside.values()))


def in_documents(
    seen: Observation, constraints: Constraints, documents: Touched, known: frozenset[str]
) -> Iterator[str]:
    """What texts that may be documents name, and a call could not, one sentence for each."""
    rules = (
        ownership(seen, documents, known),
        resources(constraints, documents),
        data_classes(constraints, frozenset(), documents),
    )
    yield from (f"a text that may be a document: {found.detail}" for found in chain(*rules) if found.hard)
    if documents.cut:
        yield "a text holds more than is looked at"


def _values(action: Touched, *names: str) -> Iterator[tuple[Leaf, str | int | float]]:
    """The values under the names, with `contractid` for `contract_id` too. Empty texts are left out: agents write
    them for nothing, like null."""
    glued = (f"{name.removesuffix('_id')}id" for name in names if name.endswith("_id"))
    return (
        (leaf, value) for leaf in action.named((*names, *glued)) for value in leaf.scalars if text(value).strip()
    )


def _also(others: Sequence[str]) -> str:
    return f"; also {some(others, _LISTED, lambda said: shown(said, 40))}" if others else ""


def alike(one: str, other: str) -> bool:
    """Whether two identifiers are of one kind: UUIDs, or with the same letters at their beginning; without any
    there, with something else than letters and digits in the same places, however long their numbers are.

    >>> alike("sess_1", "sess_b"), alike("20260512-9", "20260512-10"), alike("01J9ZC3K4M", "20417")
    (True, True, False)
    """
    if as_uuid(one) or as_uuid(other):
        return bool(as_uuid(one) and as_uuid(other))
    return _shape(one) == _shape(other) or _shape(_NUMBER.sub("0", one)) == _shape(_NUMBER.sub("0", other))


def _shape(identifier: str) -> str:
    letters = _LETTERS.match(identifier)
    return (letters.group() if letters else "") or _built(identifier)


def _built(identifier: str) -> str:
    """How many letters and digits it has, and what else between them."""
    return _ALIKE.sub("0", identifier)
