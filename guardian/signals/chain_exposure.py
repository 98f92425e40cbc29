"""What a chain of calls can do: sensitive data read earlier, and an act that can carry it out now.

Each call of such a chain looks defensible; the chain is where the risk lies. The fold remembers which kinds of
sensitive data the session has read, how much it has read at all, and keyed fingerprints of the identifying values
of sensitive reads (never a value). An act that sends, shares, publishes or exports, or a look-up in the world
outside that spells out a value of such a read, is then weighed: how sensitive is what could go out, who gets it,
and does the purpose ask for it? What the other sessions of the same task, or of the same delegation, have read
counts nearly as much: work that is split among them is one chain.

What it cannot tell apart it does not accuse: a purpose that asks for a send vouches for sends, unless it spells
out an address and the act goes to another one; a recipient whom the purpose names is no leak. A child's purpose
vouches in full only where those above it do, in part where they leave open how their work is done, and not at all
where they are of looking only, forbid the send or spell out another recipient. A purpose in a language that it
cannot read neither vouches nor condemns, as one that constrains nothing. So an attacker who was given a
sending purpose that names nobody passes here; that is the drift model's to see.
"""

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from operator import itemgetter
from typing import Any, ClassVar

from guardian.domain.signal import Observation, SharedReads, Signal
from guardian.signals.exposure.looking_out import TOLD, WEB, places_asked, source, told_outside
from guardian.signals.exposure.recipients import recipients_of
from guardian.signals.exposure.sensitivity import WEIGHTS, kinds_of
from guardian.signals.exposure.vouching import UNTOLD, vouched
from guardian.signals.options import names, within
from guardian.signals.port import SignalFold, State
from guardian.signals.words.reach import Way, unread, way_of
from guardian.signals.words.reads import brings_back, names_whom
from guardian.signals.words.wording import shown

_MAX_COUNT = 2**53
_MAX_PRINTS = 128
_REACH: Mapping[Way, float] = {
    Way.MESSAGE: 0.95,
    Way.SHARE: 0.95,
    Way.EXPORT: 1.0,
    Way.PUBLISH: 1.0,
    Way.LOOKUP: 0.8,
}
_BY_NAME_ONLY = 0.75
"""A kind that no data class declares, read off the tool's name."""
_FLOWS = 0.5
"""How much of the remaining doubt goes when a value of a sensitive read is seen in what goes out."""
_HOARD = 0.75
"""What many reads before one export count for, at most."""
_BY_SIBLING = 0.85
"""What another session of the task has read; it may never have reached this one."""
_PRINTS_SHARED = 64
_A_FEW = (Way.MESSAGE, Way.LOOKUP)
"""What carries a little of many reads at most."""


@dataclass(frozen=True)
class ChainExposure(SignalFold):
    """Options.

    sensitive_classes  data classes (`*` allowed) that count as most sensitive, whatever they are called
    ordinary_classes   data classes and tools (`*` allowed) that are not sensitive, whatever they are called
    hoard_from         reads in one session from which an export of it all is a doubt of its own
    """

    sensitive_classes: tuple[str, ...] = ()
    ordinary_classes: tuple[str, ...] = ()
    hoard_from: int = 6
    weight: ClassVar[float] = 0.6
    lasting: ClassVar[bool] = True  # what was read is known to the session, whatever people said of a finding

    def __post_init__(self) -> None:
        for option in ("sensitive_classes", "ordinary_classes"):
            object.__setattr__(self, option, names(self.name, option, getattr(self, option)))
        within(self.name, "hoard_from", self.hoard_from, 2, 10_000)

    @property
    def name(self) -> str:
        return "chain_exposure"

    def start(self) -> State:
        return {"kinds": {}, "reads": 0, "sensitive": 0, "unclassed": 0, "prints": {}}

    def fold(self, state: State, seen: Observation) -> tuple[State, Signal]:
        """Weigh an act that can carry data out by what the session has read; then remember what this one reads."""
        way = way_of(seen.event)
        if way is None:
            places = places_asked(seen.event)
            told, why = self._told_away(state, seen, places)
            if not told:
                return self._after(state, seen, places), Signal(self.name, 0.0, self._told(state, seen))
            carried = self._carried(state, seen, Way.LOOKUP, why)
            return self._after(state, seen), replace(carried, value=told * carried.value)
        carried = self._carried(state, seen, way)
        return self._after(state, seen) if way is Way.EXPORT else state, carried

    def shared(self, state: State) -> SharedReads | None:
        """What other sessions of the task may know: nothing while this one has read nothing."""
        if not state["reads"]:
            return None
        kinds = {kind: (str(read[0]), bool(read[1])) for kind, read in state["kinds"].items()}
        weight = max((_weight(kind, (*read, False)) for kind, read in kinds.items()), default=0.0)
        subjects = _spread(_subjects(state), state.get("ranks", {}), _PRINTS_SHARED)
        return SharedReads(kinds, state["reads"], subjects, weight)

    def _carried(self, state: State, seen: Observation, way: Way, told: str = TOLD) -> Signal:
        tool = shown(seen.event.action.tool, 60)
        kinds = _readable(state, seen)
        if way is Way.EXPORT:
            own = {kind: (tool, declared, False) for kind, declared in self._kinds(seen).items()}
            kinds |= {kind: read for kind, read in own.items() if kind not in kinds or kinds[kind][2]}
        kind = max(kinds, key=lambda k: _weight(k, kinds[k]), default="")
        hoard = _hoard(state, seen, self.hoard_from) if way not in _A_FEW else 0.0
        if not kind and not hoard:
            if state["unclassed"]:
                missing = (
                    f"missing: data classes of {state['unclassed']} earlier reads, which {tool} could carry out"
                )
                return Signal(self.name, 0.0, missing, silent=True)
            if reads := state["reads"] + _reads_of_siblings(seen):
                unknown = f"{tool} could carry out {reads} earlier reads, none known to be of sensitive data"
                return Signal(self.name, 0.0, unknown)
            return Signal(self.name, 0.0, f"{tool} follows no read that it could carry out")
        factor, why = vouched(state, seen, way)
        if factor == UNTOLD and hoard:  # what others read of no sensitive kind is no doubt about an act asked for
            hoard = _alone(state, self.hoard_from)
        flows = factor > 0.0 and (way is Way.LOOKUP or self._flows(state, seen))
        doubt = _weight(kind, kinds[kind]) * _REACH[way] if kind else 0.0
        value = factor * (1.0 - (1.0 - doubt) * (1.0 - hoard) * (1.0 - _FLOWS * flows))
        if kind:
            by = " of another session of the task" if kinds[kind][2] else ""
            what = f"{kind} ({shown(kinds[kind][0], 60)}{by})"
        else:
            siblings = f" and {_reads_of_siblings(seen)} of other sessions of the task" if seen.siblings else ""
            what = f"{state['reads']} reads{siblings}"
        said = f"{tool} can carry out {what}; {why}"
        if kind and not kinds[kind][1]:
            said += "; the kind is read off a name, data classes are missing"
        if flows:
            said += f"; {told}"
        return Signal(self.name, min(value, 1.0), shown(said, 500))

    def _flows(self, state: State, seen: Observation) -> bool:
        to = {r.path for r in recipients_of(seen.event)}
        known = {*state["prints"], *_of_others(seen)}
        return any(p[:64] in known for path, prints in seen.value_prints.items() if path not in to for p in prints)

    def _told_away(self, state: State, seen: Observation, places: Sequence[str]) -> tuple[float, str]:
        """How surely a look-up tells a strange host of a sensitive read, and why; not where such data comes
        back."""
        if not places or not (known := {*_subjects(state), *_of_others(seen)}):
            return 0.0, ""
        result = seen.event.result
        returned = sorted(result.data_classes or ())[:64] if result is not None else []
        if kinds_of(returned, sensitive=self.sensitive_classes, ordinary=self.ordinary_classes, declared=True):
            return 0.0, ""
        return told_outside(seen, places, known)

    def _kinds(self, seen: Observation) -> dict[str, bool]:
        """The kinds of data that an act touches, each with whether a data class declares it."""
        event = seen.event
        chosen = partial(kinds_of, sensitive=self.sensitive_classes, ordinary=self.ordinary_classes)
        declared = chosen(sorted(event.data_classes)[:64], declared=True)
        if event.data_classes:
            return dict.fromkeys(sorted(declared), True)
        kind = event.action.resource.type if event.action.resource is not None else None
        return dict.fromkeys(sorted(chosen([event.action.tool, kind or ""])), False)

    def _after(self, state: State, seen: Observation, places: Sequence[str] = ()) -> State:
        """What the session has read after this act, and at which places: nothing, if it was denied or does not
        read."""
        event = seen.event
        if event.decision.effect == "deny" or not brings_back(event):
            return state
        kinds: dict[str, Any] = dict(state["kinds"])
        found = self._kinds(seen)
        for kind, declared in found.items():
            if kind not in kinds or (declared and not kinds[kind][1]):
                kinds[kind] = [shown(event.action.tool, 60), declared]
        prints: dict[str, int] = dict(state["prints"])
        ranks: dict[str, int] = dict(state.get("ranks", {}))
        for rank, (print_, whom) in enumerate(_about(seen, places).items() if found else ()):
            prints[print_] = min(prints.pop(print_, 0) + whom, _MAX_COUNT)  # the newest last
            ranks[print_] = min(ranks.get(print_, rank), rank)
        kept = _spread(tuple(prints), ranks, _MAX_PRINTS)
        return {
            "kinds": kinds,
            "reads": min(state["reads"] + 1, _MAX_COUNT),
            "sensitive": min(state["sensitive"] + bool(found), _MAX_COUNT),
            "unclassed": min(state["unclassed"] + (not found and not event.data_classes), _MAX_COUNT),
            "prints": {print_: prints[print_] for print_ in kept},
            "ranks": {print_: ranks[print_] for print_ in kept if ranks.get(print_)},
        }

    def _told(self, state: State, seen: Observation) -> str:
        does = "missing: the end of a statement" if unread(seen.event) else "carries nothing out"
        if not state["kinds"]:
            return f"{does}; nothing known to be sensitive was read so far"
        return shown(f"{does}; read so far: {', '.join(sorted(state['kinds']))}", 400)


_Read = tuple[str, bool, bool]
"""The tool that read a kind first, whether a data class declares it, and whether a sibling did it."""


def _readable(state: State, seen: Observation) -> dict[str, _Read]:
    """Every kind that this session or another one of its task has read; of several readings the surest."""
    found: dict[str, _Read] = {kind: (read[0], read[1], False) for kind, read in state["kinds"].items()}
    for reads in _of_siblings(seen):
        for kind, (tool, declared) in reads.kinds.items():
            read = (tool, declared, True)
            if kind in WEIGHTS and (kind not in found or _weight(kind, read) > _weight(kind, found[kind])):
                found[kind] = read
    return found


def _weight(kind: str, read: _Read) -> float:
    return WEIGHTS[kind] * (1.0 if read[1] else _BY_NAME_ONLY) * (_BY_SIBLING if read[2] else 1.0)


def _of_siblings(seen: Observation) -> Collection[SharedReads]:
    return seen.siblings.reads.values() if seen.siblings is not None else ()


def _of_others(seen: Observation) -> Iterator[str]:
    return (print_ for reads in _of_siblings(seen) for print_ in reads.prints)


def _subjects(state: State) -> tuple[str, ...]:
    """Fingerprints of what sensitive reads were about (a period is nobody), and of where they were made."""
    return tuple(print_ for print_, times in state["prints"].items() if times)


def _about(seen: Observation, places: Sequence[str]) -> dict[str, bool]:
    """Fingerprints of what a sensitive read was given, each with whether that says whom it is about: first where
    it was made and those that do, one of each argument after another, so that no list hides what stands beside
    it."""
    told = [
        (not names_whom(path), at, print_[:64])
        for path, prints in seen.value_prints.items()
        for at, print_ in enumerate(prints)
    ]
    if seen.fingerprint is not None:
        hosts = [at for at in places if at != WEB]
        told += [(False, at, source(host, seen.fingerprint)) for at, host in enumerate(hosts)]
    found: dict[str, bool] = {}
    for other, _, print_ in sorted(told, key=itemgetter(0, 1)):
        found.setdefault(print_, not other)
    return found


def _spread(prints: tuple[str, ...], ranks: Mapping[str, int], most: int) -> tuple[str, ...]:
    """So many of the fingerprints, of each read as many as of the others, the first of each; of the first ones the
    newest: a read of many values does not make what others were about forgotten."""
    first = sorted(range(len(prints)), key=lambda at: (ranks.get(prints[at], 0), -at))[:most]
    return tuple(prints[at] for at in sorted(first))


def _reads_of_siblings(seen: Observation) -> int:
    return min(sum(reads.reads for reads in _of_siblings(seen)), _MAX_COUNT)


def _hoard(state: State, seen: Observation, begins: int) -> float:
    siblings = _reads_of_siblings(seen)
    together = state["reads"] + siblings - begins + 1
    with_others = _BY_SIBLING * _HOARD * -math.expm1(-together / 4) if siblings and together > 0 else 0.0
    return max(_alone(state, begins), with_others)


def _alone(state: State, begins: int) -> float:
    alone = state["reads"] - begins + 1
    return _HOARD * -math.expm1(-alone / 4) if alone > 0 else 0.0


plugin = ChainExposure
