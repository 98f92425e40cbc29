"""The rules of an envelope that need no memory, one function each. Pure."""

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta
from functools import cached_property
from itertools import chain
from typing import NamedTuple

from guardian.domain.breach import Breach, marks
from guardian.domain.envelope import Envelope
from guardian.domain.fields import in_utc
from guardian.domain.signal import Observation
from guardian.domain.text import some
from guardian.domain.wildcards import allows
from guardian.signals.envelopes.admitting import admits, admits_class, may_admit
from guardian.signals.envelopes.covering import spelt
from guardian.signals.envelopes.denying import touches, touches_class
from guardian.signals.envelopes.ordering import meets
from guardian.signals.envelopes.ownership import ownership
from guardian.signals.words.constraints import DATA_CLASS, Constraints, text, values
from guardian.signals.words.named_values import Leaf, Touched
from guardian.signals.words.paths import JOINED, OPENED
from guardian.signals.words.wording import LISTED, and_others, canonical, shown

_ABOVE = frozenset(
    {
        *("owner", "repo_owner", "repository_owner", "project_owner", "org", "organization", "organisation"),
        *("namespace", "workspace", "group", "account"),
    }
)
"""Names of arguments that say whose something is; where two of them differ nobody knows which one counts."""
_BELOW = frozenset({"repo", "repository", "project"})
_LIKENED = 256
"""So many values of a call are read in other spellings; more than that outside are no slips of spelling."""
_PART = re.compile(r"[\w-][\w.-]*", re.ASCII)


def identity(seen: Observation, leeway_seconds: float) -> Iterator[Breach]:
    """The envelope itself: whose it is, its signature and its expiry."""
    expires, origin = seen.event.envelope.expires_at, seen.event.origin
    if origin is not None and origin.contradicted:
        said = ", ".join(origin.contradicted)
        told = f"the envelope beside it has another {said} than the gateway names"
        yield Breach("envelope_mismatch", told, about=marks(filter(None, [origin.another])))
    if seen.signature == "invalid":
        about = marks([seen.event.envelope_as_told.digest])
        yield Breach("signature_invalid", "the envelope's signature does not hold", about=about)
    leeway = timedelta(seconds=leeway_seconds)
    if expires is not None and seen.now - expires > leeway:
        said, sure = f"the envelope expired at {expires.isoformat()}", seen.surely_after(expires, leeway)
        if seen.clock_suspect:
            arrived = seen.now.isoformat(timespec="seconds")
            doubt = "" if sure else ", and nobody knows whether it was in time"
            said += f", and the call arrived at {arrived} (its own time is not believed{doubt})"
        yield Breach("envelope_expired", said, sure, marks([in_utc(expires).isoformat()]))


def unsigned(seen: Observation) -> Iterator[Breach]:
    """That nobody signed the envelope, where signatures are asked for. It says nothing of what the agent does."""
    if seen.signature == "missing":
        told = "nobody signed the envelope; where keys.envelope_jwks is set, envelope_jws belongs beside it"
        yield Breach("signature_missing", told, seen.event.decision.effect != "deny")


def tools(envelope: Envelope, tool: str) -> Iterator[Breach]:
    """The tool must be listed, where tools are listed at all."""
    if not allows(envelope.allowed_tools, tool):
        names = some(envelope.allowed_tools, LISTED, lambda entry: shown(entry, 40))
        detail = f"{shown(tool)} is not among the allowed tools: {names}"
        yield Breach("tool_not_allowed", detail, about=marks([tool]))


class RefusedValue(NamedTuple):
    """A value that a constraint does not allow or that one denies, where it stands, and what it is known by in
    any spelling. It is not `sure` where it may be another spelling of one that is allowed, or stands for what a
    query does not ask for; nor is it `beyond` where it is, or may be, a lesser number or a moment within."""

    leaf: Leaf
    said: str
    known_by: str
    why: str
    sure: bool = True
    beyond: bool = True


def resources(told: Iterable[RefusedValue]) -> Iterator[Breach]:
    """Each value that a constraint bounds must be one that it allows and none that it denies. One breach speaks
    for all."""
    found: dict[str, RefusedValue] = {}
    for each in told:
        if each.sure and each.beyond:
            found.setdefault(each.known_by, each)
    if found:
        first, *others = found.values()
        detail = f"{shown(first.leaf.path)} is {shown(first.said)}{first.why}"
        yield Breach(
            "resource_outside_constraints",
            detail + and_others([other.said for other in others]),
            about=marks(found),
        )


def spelt_otherwise(told: Iterable[RefusedValue]) -> Iterator[str]:
    """What may be allowed, spelt as nobody can compare for certain, one sentence for each."""
    for each in told:
        if not (each.sure or each.leaf.spared):
            path, said = shown(each.leaf.path), shown(each.said)
            yield f"{path} is {said}, which may be allowed in another spelling{each.why}"


def refused(constraints: Constraints, action: Touched) -> Iterator[RefusedValue]:
    """The values that a constraint does not allow, then those that one denies. Of numbers and moments that it does
    not list some are less than it allows."""
    owners, left = _Owners(action), _LIKENED
    for name, allowed in constraints.allowed.items():
        kept = shown(", ".join(sorted(allowed)[:LISTED]) or "nothing", 120)
        why = f"; {shown(constraints.spelt[name], 60)} allows {kept}"
        for leaf, value in values(action, name, *constraints.also(name)):
            said = text(value)
            whole = owners.whole(leaf, said) if name in _BELOW else None
            pairs = frozenset(entry for entry in allowed if entry.count("/") == 1) if whole else frozenset[str]()
            if not admits(allowed, value, name) and not (whole and admits(pairs, whole)):
                left -= 1
                may = left >= 0 and (may_admit(allowed, said, name) or (whole and may_admit(pairs, whole, name)))
                beyond = meets(constraints, name, said) is False
                yield RefusedValue(
                    leaf, said, f"{name} {spelt(said.strip())}", why, not (may or leaf.spared), beyond
                )
    for name, denied in constraints.denied.items():
        key = constraints.spelt[f"denied_{name}"]
        names, joined = (name, *constraints.also(key)), JOINED
        for leaf, value in values(action, *names) if name != DATA_CLASS else ():
            if not touches(denied, value):
                continue
            said, folders = text(value), action.folders.get(leaf.path.rpartition(".")[0], frozenset())
            joined -= sum(1 + len(folder) // OPENED for folder in folders) if joined >= 0 else 0
            if joined < 0 or not _leads_elsewhere(denied, said, folders):
                why = f", one of {shown(key, 60)}"
                known_by = f"denied_{name} {spelt(said.strip()).casefold()}"
                yield RefusedValue(leaf, said, known_by, why, not leaf.spared)


def _leads_elsewhere(denied: frozenset[str], said: str, folders: frozenset[str]) -> bool:
    """Whether a path that is denied as it stands, because it climbs far enough to reach the root from anywhere,
    leads elsewhere from the folders beside it; no system would open one there that is too long."""
    if not folders or len(said) > OPENED or touches(denied, said, based=True):
        return False
    return not any(touches(denied, f"{folder.rstrip('/')}/{said}") for folder in folders)


class _Owners:
    """Reads from the arguments beside a value whose it is: `{"owner": "acme", "repo": "shop"}` is `acme/shop`."""

    def __init__(self, action: Touched) -> None:
        self._action = action

    def whole(self, leaf: Leaf, said: str) -> str | None:
        """Owner and value together. In a list of such objects all must have one owner: which value belongs to
        which is not known."""
        named = self._beside.get(leaf.path.rpartition(".")[0], set())
        parts = [*named, said]
        return "/".join(parts) if len(named) == 1 and all(map(_PART.fullmatch, parts)) else None

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
    named = {text(value) for leaf, value in values(action, DATA_CLASS, *also) if not leaf.spared} | told
    outside = {
        name: canonical(name) or name
        for name in sorted(named)
        if (denied and touches_class(denied, name)) or not (allowed is None or admits_class(allowed, name))
    }
    if outside:
        said = some(list(outside), LISTED, lambda name: shown(name, 40))
        kept = "others" if allowed is None else shown(", ".join(sorted(allowed)[:LISTED]) or "none", 120)
        detail = f"data class {said} is outside the envelope's: {kept}"
        yield Breach("data_class_outside", detail, about=marks(outside.values()))


def in_documents(
    seen: Observation, constraints: Constraints, documents: Touched, known: frozenset[str]
) -> Iterator[str]:
    """What texts that may be documents name, and a call could not, one sentence for each."""
    rules = (
        ownership(seen, documents, known),
        resources(refused(constraints, documents)),
        data_classes(constraints, frozenset(), documents),
    )
    if documents.leaves:  # as in few calls
        yield from (f"a text that may be a document: {found.detail}" for found in chain(*rules) if found.hard)
    if documents.cut:
        yield "a text holds more than is looked at"
