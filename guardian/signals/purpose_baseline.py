"""How unusual an action is among what this tenant's sessions of this purpose did before.

Five surprises, smoothed and joined as independent doubts: the tool, the step from the last tool, what the act
means (tool and arguments, as the bi-encoder reads them), how many records, and the hour. Silent until the
snapshot has seen enough sessions. A tool seen in at least 5 % of the past adds nothing by itself; one never seen
comes near 1 as history grows, less where it only reads.

The fold's state is the session's own tally, which `baseline.learning.learn` takes into the next snapshot.
Only allowed calls are tallied: what was denied must not become usual.
"""

import math
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from guardian.domain.signal import BaselineFact, Observation, Signal
from guardian.signals.baseline.learning import REMEMBERED, UNITS
from guardian.signals.baseline.meaning import new_meanings, strangeness
from guardian.signals.options import within
from guardian.signals.port import SignalFold, State
from guardian.signals.words.wording import only_reads, shown

_TOOL_CHARS = 120
_MAX_TOOLS = 64
_MAX_STEPS = 128
_MAX_SIZES = 64
_MAX_SKETCHES = 32
_MAX_RECORDS = 2**53

_USUAL = 0.05  # share of the past from which a tool is usual
_SOFTNESS = 1.2
_PSEUDO = 0.2  # sessions, imagined for a tool never seen
_STEP_PSEUDO = 2.0  # sessions, by which a step leans on how usual its tool is
_VOLUME_QUANTILE = 0.95
_VOLUME_SLACK = 5
_MIN_SIZES = 20
_MEANING_DOUBT, _READING_MEANING_DOUBT = 0.4, 0.1
_READING_DOUBT, _STEP_DOUBT, _READING_STEP_DOUBT, _VOLUME_DOUBT, _HOUR_DOUBT = 0.6, 0.3, 0.1, 0.7, 0.05


@dataclass(frozen=True)
class PurposeBaseline(SignalFold):
    """Option `min_sessions`: how many past sessions a snapshot must have seen before it is asked."""

    min_sessions: int = 20
    weight: ClassVar[float] = 0.5
    lasting: ClassVar[bool] = True

    def __post_init__(self) -> None:
        within(self.name, "min_sessions", self.min_sessions, 1, REMEMBERED // 2)

    @property
    def name(self) -> str:
        return "purpose_baseline"

    def start(self) -> State:
        return {
            "last": "", "tools": {}, "transitions": {}, "sizes": [], "count": 0, "hours": {},
            "sketches": [], "sketched_by": "",
        }  # fmt: skip

    def fold(self, state: State, seen: Observation) -> tuple[State, Signal]:
        """Judge the action by the snapshot, and add it to the session's tally if it was allowed."""
        after = _tallied(state, seen) if seen.event.decision.effect == "allow" else state
        known = seen.baseline
        if known is None or known.sessions < self.min_sessions:
            so_far = known.sessions if known is not None else 0
            reason = f"missing: a baseline; {so_far} past sessions seen, {self.min_sessions} needed"
            return after, Signal(self.name, 0.0, reason, silent=True)
        doubts = _doubts(known, state["last"], seen)
        value = 1.0 - math.prod(1.0 - doubt for doubt in doubts.values())
        telling = [said for said, doubt in sorted(doubts.items(), key=lambda entry: -entry[1]) if doubt >= 0.04]
        reason = "; ".join(telling) or f"as usual for this purpose ({known.sessions} past sessions)"
        if "records" in seen.features_missing:
            reason += "; records missing"
        return after, Signal(self.name, min(max(value, 0.0), 1.0), shown(reason, 400))


def _doubts(known: BaselineFact, last: str, seen: Observation) -> Mapping[str, float]:
    tool = _name(seen.event.action.tool)
    reads = only_reads(tool)
    past = max(sum(known.transitions.get("", {}).values()), *known.tools.values(), known.sessions)
    session = past / known.sessions  # the counts' unit: what one session adds
    share = (known.tools.get(tool, 0) + session * _PSEUDO) / (past + session)
    step = _step(known, last, tool, share, session)
    named = shown(tool, 60)
    doubts = {
        f"{named} is rare for this purpose": _surprise(share) * (_READING_DOUBT if reads else 1.0),
        f"{named} seldom follows {shown(last, 60) or 'the start'}": (
            _surprise(step) * (_READING_STEP_DOUBT if reads else _STEP_DOUBT)
        ),
    }
    if seen.sketch is not None and known.sketches and seen.sketch.encoder == known.sketched_by:
        strange = strangeness(seen.sketch.bits, known.sketches) * _surprise(new_meanings(known.sketches, UNITS))
        doubt = _READING_MEANING_DOUBT if reads else _MEANING_DOUBT
        doubts[f"what {named} is asked for means something new here"] = strange * doubt
    if "records" not in seen.features_missing and len(known.record_sizes) >= _MIN_SIZES:
        records = min(seen.event.records, _MAX_RECORDS)
        doubts[f"{records} records are more than usual"] = _volume(known, records) * _VOLUME_DOUBT
    if not seen.clock_suspect and sum(known.hours) > 0:
        doubts[f"{seen.now.hour}:00 UTC is an unusual hour"] = _hour(known, seen.now.hour) * _HOUR_DOUBT
    return doubts


def _surprise(share: float) -> float:
    return -math.expm1(min(math.log(share / _USUAL), 0.0) / _SOFTNESS)


def _step(known: BaselineFact, last: str, tool: str, share: float, session: float) -> float:
    row = known.transitions.get(last, {})
    lean = session * _STEP_PSEUDO
    return (row.get(tool, 0) + lean * max(share, 0.0)) / (sum(row.values()) + lean)


def _volume(known: BaselineFact, records: int) -> float:
    usual = known.record_sizes[min(int(_VOLUME_QUANTILE * len(known.record_sizes)), len(known.record_sizes) - 1)]
    if records <= usual:
        return 0.0
    above = 1.0 - (usual + _VOLUME_SLACK) / (records + _VOLUME_SLACK)
    seen_above = 1.0 - bisect_right(known.record_sizes, records - 1) / len(known.record_sizes)
    return above * (1.0 - seen_above)


def _hour(known: BaselineFact, hour: int) -> float:
    near = known.hours[hour] + (known.hours[hour - 1] + known.hours[(hour + 1) % 24]) / 2
    expected = sum(known.hours) / 12  # of the hour and half of both its neighbours, were all hours alike
    return 1.0 - min((near + 1) / (expected + 1), 1.0)


def _tallied(state: State, seen: Observation) -> dict[str, Any]:
    tool, last, count = _name(seen.event.action.tool), state["last"], state["count"]
    tools, hours, sizes = dict(state["tools"]), dict(state["hours"]), list(state["sizes"])
    steps = {name: dict(row) for name, row in state["transitions"].items()}
    if tool in tools or len(tools) < _MAX_TOOLS:
        tools[tool] = tools.get(tool, 0) + 1
    if tool in steps.get(last, {}) or sum(map(len, steps.values())) < _MAX_STEPS:
        row = steps.setdefault(last, {})
        row[tool] = row.get(tool, 0) + 1
    if "records" not in seen.features_missing:
        records = min(seen.event.records, _MAX_RECORDS)
        if len(sizes) < _MAX_SIZES:
            sizes.append(records)
        else:
            sizes[count % _MAX_SIZES] = records
        count += 1
    if not seen.clock_suspect:
        hours[str(seen.now.hour)] = hours.get(str(seen.now.hour), 0) + 1
    told = {"last": tool, "tools": tools, "transitions": steps, "sizes": sizes, "count": count, "hours": hours}
    return told | _sketched(state, seen)


def _sketched(state: State, seen: Observation) -> dict[str, Any]:
    """The session's distinct sketches, all of one encoder; another encoder begins anew."""
    kept, by = list(state.get("sketches", ())), str(state.get("sketched_by", ""))
    if seen.sketch is not None:
        kept = kept if by == seen.sketch.encoder else []
        by = seen.sketch.encoder
        if seen.sketch.bits not in kept and len(kept) < _MAX_SKETCHES:
            kept.append(seen.sketch.bits)
    return {"sketches": kept, "sketched_by": by}


def _name(tool: str) -> str:
    return shown(tool, _TOOL_CHARS) or "-"  # an empty one stands for a session's beginning


plugin = PurposeBaseline
