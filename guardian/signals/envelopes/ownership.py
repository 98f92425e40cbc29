"""Whose a tenant or a session is that a call names, and what that proves. Pure."""

import re
from collections.abc import Callable, Iterator, Sequence
from enum import IntEnum
from functools import lru_cache, partial
from itertools import islice
from uuid import UUID

from guardian.domain.breach import Breach, marks
from guardian.domain.envelope import UNTOLD
from guardian.domain.event import DecisionEvent
from guardian.domain.signal import Observation
from guardian.signals.envelopes.covering import spelt
from guardian.signals.envelopes.filters import Filters
from guardian.signals.words.constraints import text, values
from guardian.signals.words.identifiers import as_uuid
from guardian.signals.words.json_texts import unfolded
from guardian.signals.words.leaves import touched
from guardian.signals.words.named_values import Touched
from guardian.signals.words.wording import and_others, shown

_LETTERS = re.compile(r"[A-Za-z]*")
_ALIKE = re.compile(r"[^\W_]")
_DIGITS = re.compile(r"\d+")
_NUMBER = re.compile(r"(?<![^\W_])\d++(?![^\W_])")
_NAME = re.compile(r"[^\x00-\x1f\x7f\ud800-\udfff]{1,512}")
"""What a session may be called, and a store can be asked for."""
_LOOKED_UP = 128
"""How many names of sessions in one call are looked up; the others count as another's."""
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


def ownership(seen: Observation, action: Touched, known: frozenset[str]) -> Iterator[Breach]:
    """A tenant or session that the action names must be the envelope's own. `known` are tenants that there are.

    Nothing is checked where no tenant is told (such sessions are known by their place), and sessions are not
    checked where the session has no name that a call could know. A filter by tenant counts where it asks for one
    of `known`. A session may name those that it delegated to. To name its parent, others of the same work or
    hands, or one that has not acted yet (a child just made) proves nothing. What any system might call its
    sessions, and none is called here, is another system's.
    """
    envelope = seen.event.envelope
    if envelope.tenant_id == UNTOLD:
        return
    tenants = partial(_tenants, _spellings(known))
    filtered = Filters(action).surely("tenant_id")
    asked = [each for each in filtered if tenants(envelope.tenant_id, each[1].strip()) is _Force.PROOF]
    yield from _foreign(action, "tenant", envelope.tenant_id, tenants, asked=asked)
    if "session_id" not in seen.features_missing:
        above = {envelope.parent_session_id, *seen.parent.chain}

        def force(own: str, said: str) -> _Force:
            meant = _sessions(own, said)
            if meant is _Force.LITTLE and said in seen.unheard - above:
                return _Force.NOTHING
            return min(meant, _Force.LITTLE if said in above | seen.doubtful else _Force.PROOF)

        yield from _foreign(action, "session", envelope.session_id, force, ours=seen.below)


def named_sessions(event: DecisionEvent) -> frozenset[str]:
    """Other sessions that the action names, if the name looks like one of ours; the caller looks up whose they
    are."""
    told = f"{event.action.arguments!r} {event.action.resource!r}"
    if told.isascii() and "session" not in told.lower() and "\\" not in told:
        return frozenset()  # as most calls: to look at each place costs five times as much
    own = event.envelope.session_id
    action, _ = unfolded(touched(event))
    said = (text(value).strip() for _, value in islice(values(action, "session_id"), _LOOKED_UP))
    named = (name for name in said if name != own and _NAME.fullmatch(name) and alike(own, name))
    return frozenset(spelling for name in named for spelling in spellings(name))


def spellings(session: str) -> tuple[str, ...]:
    """How a session may be called that a call names so: a UUID with dashes or without, too."""
    uuid = as_uuid(session)
    return (session, uuid, str(UUID(uuid))) if uuid else (session,)


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
    *,
    ours: frozenset[str] = frozenset(),
    asked: Sequence[tuple[str, str]] = (),
) -> Iterator[Breach]:
    """One breach for all that proves something, another for all that means little: who was told of another's name
    with a doubt beside it, and accepts the name, is not accused of the doubt as of a fact."""
    own = own.strip()
    named: dict[str, str] = {}
    for path, value in (*((leaf.path, value) for leaf, value in values(action, f"{kind}_id")), *asked):
        named.setdefault(text(value).strip(), path)
    foreign = {said: force(own, said) for said in named if said not in ours and not _same(own, said)}
    for told in sorted(set(foreign.values()) - {_Force.NOTHING}, reverse=True) or set(foreign.values()):
        said, *others = (said for said, meant in foreign.items() if meant is told)
        detail = f"{shown(named[said])} names {kind} {shown(said)}, not {shown(own)}"
        if told:
            about = marks(_known_by(kind, each) for each in (said, *others))
            yield Breach(f"{kind}_mismatch", detail + and_others(others), told is _Force.PROOF, about)
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
