"""Honest sessions that a calibration is fitted on, and how much one purpose, agent or tenant may contribute.

Repetition is not evidence, and nobody may bend the calibration by flooding it.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import zip_longest

from guardian.domain.batch import Decoded
from guardian.domain.envelope import purpose_family
from guardian.domain.identity import SessionKey
from guardian.pipeline.scoring_run import LOCAL
from guardian.telemetry import logger

LEAST_SESSIONS = 40
MAX_SHARE = 0.5
_LEAST_SOURCES = 3
_FAR_OVER = 3
_PURPOSE_SHOWN = 80
_TENANTS_SHOWN = 10

_log = logger("evaluation")

_Draw = Callable[["HonestSession"], tuple[bool, bytes]]
"""Whether it breaks a hard rule, and its place in the draw."""


@dataclass(frozen=True, slots=True)
class HonestSession:
    """One session without a confirmed drift, as decisions in order. Of an `unjudged` one nobody said
    anything: it is taken for honest."""

    purpose: str
    decisions: tuple[Decoded, ...]
    unjudged: bool = False

    @property
    def key(self) -> SessionKey | None:
        """None for a session without an action."""
        return self.decisions[0].event.key if self.decisions else None

    @property
    def told_by(self) -> str:
        """What tells it from all others, in whatever order they come; two of one key begin with other decisions.
        Empty without an action."""
        return f"{self.key}/{self.decisions[0].event.id}" if self.decisions else ""

    @property
    def purposes(self) -> frozenset[str]:
        """All that its calls declare; more than one where it changes."""
        return frozenset(purpose for d in self.decisions if (purpose := d.event.envelope.purpose).strip())

    @property
    def parent(self) -> SessionKey | None:
        """The session that delegated to it."""
        return self.decisions[0].event.envelope.parent_key if self.decisions else None


def bounded(
    sessions: Iterable[HonestSession],
    *,
    max_per_purpose: int,
    max_share: float,
    seed: int,
    breaking: Callable[[Sequence[HonestSession]], Iterable[HonestSession]] = lambda _: (),
) -> list[HonestSession]:
    """The sessions that count, in the same order; logs a warning if some do not.

    At most `max_per_purpose` of a purpose (names and numbers left out), from its tenants and their agents by
    turns, and of an agent or a tenant at most `max_share` of the whole, drawn by `seed` from the whole log, in
    whatever order it came. One of those that are `breaking` a hard rule counts only where others leave room; that
    is asked of those that would count and, where many break one, of more and more at once. Agents or tenants are
    only cut if three or more are named: of two, one always has half. Raises ValueError if fewer than 40 are left.
    """
    given = [session for session in sessions if session.decisions]
    if len(given) < LEAST_SESSIONS:
        raise ValueError(
            f"a calibration needs at least {LEAST_SESSIONS} honest sessions, got {len(given)}; give a longer log"
        )
    place = {id(session): _hash(f"{seed}/{session.told_by}") for session in given}
    breaks = dict[int, bool]()  # of those that were asked about

    def drawn(session: HonestSession) -> tuple[bool, bytes]:
        return breaks.get(id(session), False), place[id(session)]

    def seated(more: Counter[str]) -> list[HonestSession]:
        return _seated(given, max_per_purpose, more, max_share, f"{seed}", drawn)

    kept, turn = seated(Counter()), 0
    while unasked := [session for session in kept if id(session) not in breaks]:
        ahead = 2**turn // 4  # where many break one, more are asked than would count: rounds are few
        more = Counter({purpose: ahead * n for purpose, n in Counter(map(_purpose, unasked)).items()})
        ask = {*map(id, unasked), *map(id, seated(more))}.difference(breaks)
        asked = [session for session in given if id(session) in ask]
        breaks |= dict.fromkeys(ask, False) | dict.fromkeys(map(id, breaking(asked)), True)
        kept, turn = seated(Counter()), turn + 1
    _say_what_is_under_weighted(given, kept, max_per_purpose)
    for known_as in (_agent, _tenant):
        if 1 < len(_named(given, known_as)) < _LEAST_SOURCES:
            _say_who_leads(kept, known_as, max_share)
    if len(kept) < LEAST_SESSIONS:
        raise ValueError(
            f"a calibration needs at least {LEAST_SESSIONS} honest sessions, got {len(kept)} after no purpose"
            f" (names and numbers left out) gave more than {max_per_purpose} and no agent or tenant more than"
            f" {max_share:.0%}; give a longer log, or let one of them give more (--max-per-purpose, --max-share)"
        )
    _say_who_is_not_there(given, [session for session in kept if not breaks[id(session)]])
    if len(kept) < len(given):
        bounds = f"--max-per-purpose {max_per_purpose}, --max-share {max_share:g}"
        _log.warning("calibration_bounded", sessions=len(given), counted=len(kept), bounds=bounds)
    return kept


def _seated(
    given: Sequence[HonestSession], per_purpose: int, more: Counter[str], share: float, seed: str, drawn: _Draw
) -> list[HonestSession]:
    """`more` is how many seats a purpose has beyond `per_purpose`."""
    kept = _some_of_each_purpose(given, per_purpose, more, seed, drawn)
    for known_as in (_agent, _tenant):
        if len(_named(given, known_as)) >= _LEAST_SOURCES:
            kept = _shared(kept, known_as, share, drawn)
    return kept


def _named(sessions: Iterable[HonestSession], known_as: Callable[[HonestSession], str | None]) -> set[str]:
    return {name for session in sessions if (name := known_as(session)) is not None}


def _some_of_each_purpose(
    sessions: Sequence[HonestSession], limit: int, more: Counter[str], seed: str, drawn: _Draw
) -> list[HonestSession]:
    by_purpose: dict[tuple[str, bool], list[HonestSession]] = {}
    for session in sorted(sessions, key=drawn):
        by_purpose.setdefault((_purpose(session), drawn(session)[0]), []).append(session)
    seats: Counter[str] = Counter()
    seated = set[int]()
    for (purpose, _), those in by_purpose.items():  # who breaks a rule last
        some = _by_turns(those, (_tenant, _agent), f"{seed}/{purpose}")[: limit + more[purpose] - seats[purpose]]
        seats[purpose] += len(some)
        seated.update(map(id, some))
    return [session for session in sessions if id(session) in seated]


def _by_turns(
    sessions: list[HonestSession], sources: Sequence[Callable[[HonestSession], str | None]], seed: str
) -> list[HonestSession]:
    """One of each of the first kind of source, then a second of each, …; those of one source by the next kind.
    Which source begins depends on its name and `seed`, not on whose file comes first."""
    if not sources:
        return sessions
    known_as, *others = sources
    groups: dict[str | None, list[HonestSession]] = {}
    for session in sessions:
        groups.setdefault(known_as(session), []).append(session)
    order = sorted(groups, key=lambda name: _hash(f"{seed}/{name}"))
    turns = zip_longest(*(_by_turns(groups[name], others, seed) for name in order))
    return [session for turn in turns for session in turn if session is not None]


def _hash(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()


def _say_what_is_under_weighted(given: Sequence[HonestSession], kept: Sequence[HonestSession], limit: int) -> None:
    """Warn where the commonest purpose is far over the limit, and its share of the traffic at least twice that of
    what is kept: live traffic may then be told to have left a calibration of another mix."""
    purpose, most = Counter(map(_purpose, given)).most_common(1)[0]
    of_traffic, of_kept = most / len(given), min(most, limit) / len(kept)
    if most > _FAR_OVER * limit and of_traffic >= 2 * of_kept:
        _log.warning(
            "calibration_mix_differs",
            purpose=purpose[:_PURPOSE_SHOWN],
            of_traffic=f"{of_traffic:.0%}",
            of_calibration=f"{of_kept:.0%}",
            effect="traffic may be told to have left the calibration though nothing changed",
            see="--max-per-purpose",
        )


def _purpose(session: HonestSession) -> str:
    return purpose_family(session.purpose)


def _agent(session: HonestSession) -> str | None:
    envelope = session.decisions[0].event.envelope
    return f"{envelope.tenant_id}/{envelope.agent_id}" if envelope.agent_id is not None else None


def _tenant(session: HonestSession) -> str | None:
    tenant = session.decisions[0].event.envelope.tenant_id
    return tenant if tenant != LOCAL else None


def _say_who_leads(
    sessions: Sequence[HonestSession], known_as: Callable[[HonestSession], str | None], share: float
) -> None:
    """Warn of a source with more than its share of two: cut, it would become as small as the other happens to
    be."""
    counts = Counter(name for s in sessions if (name := known_as(s)) is not None)
    name, most = max(counts.items(), key=lambda each: each[1], default=("", 0))
    if most > share * len(sessions):
        note = f"fewer than {_LEAST_SOURCES} agents or tenants are named, so none is cut"
        _log.warning("calibration_leans", on=name, sessions=most, counted=len(sessions), note=note)


def _say_who_is_not_there(given: Sequence[HonestSession], kept: Sequence[HonestSession]) -> None:
    if absent := {tenant for s in given if (tenant := _tenant(s)) is not None} - {_tenant(s) for s in kept}:
        _log.warning(
            "calibration_without_tenants",
            tenants=", ".join(sorted(absent)[:_TENANTS_SHOWN]),
            count=len(absent),
            effect="no session of theirs counts, their traffic is held against that of others",
            see="--max-per-purpose",
        )


def _shared(
    sessions: list[HonestSession], known_as: Callable[[HonestSession], str | None], share: float, drawn: _Draw
) -> list[HonestSession]:
    """At most `share` of the result from any one source, in the same order. Unnamed sources are not cut."""
    counts = Counter(name for s in sessions if (name := known_as(s)) is not None)
    unnamed = len(sessions) - counts.total()
    most = max(counts.values(), default=0)
    while most > 1 and most > (whole := share * (unnamed + sum(min(n, most) for n in counts.values()))):
        most = max(1, min(most - 1, int(whole)))
    seats: Counter[str | None] = Counter()
    cut = set[int]()
    for session in sorted(sessions, key=drawn):
        if (name := known_as(session)) is not None and seats[name] >= most:
            cut.add(id(session))
        seats[name] += 1
    return [session for session in sessions if id(session) not in cut]
