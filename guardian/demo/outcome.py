"""What the demo shows at its end: caught, missed, false alarms, and how long it took."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from guardian.demo.gateway import Trace
from guardian.demo.scenario import PlannedSession, Plant
from guardian.domain.finding import Effect, Kind
from guardian.wire.findings import FindingView


@dataclass(frozen=True, slots=True)
class Reach:
    """How far the monitor came: `dead_letters` could not be read, and so many findings or letters of it wait."""

    judged: int
    dead_letters: int = 0
    undelivered: int = 0

    def covers(self, decisions: int) -> bool:
        return self.judged >= decisions and not self.undelivered


@dataclass(frozen=True, slots=True)
class Catch:
    """One planted session and what became of it. `after` counts drifted calls until the finding, from 1. `whole`:
    all decisions were judged, so that without a finding it is missed."""

    session: PlannedSession
    findings: tuple[FindingView, ...]
    refused: int
    whole: bool = True

    @property
    def caught(self) -> bool:
        return bool(self.findings)

    @property
    def effect(self) -> str:
        if not self.findings:
            return "missed" if self.whole else "not judged"
        effects = [view.outcome.effect for view in self.findings]
        return "revoked" if Effect.REVOKE in effects else "flagged"

    @property
    def after(self) -> int | None:
        calls = [self._index(view) for view in self.findings]
        found = [call for call in calls if call is not None]
        return min(found) - self.session.drift_from + 1 if found else None

    @property
    def why(self) -> str:
        if not self.findings:
            return ""
        view = max(self.findings, key=lambda v: v.outcome.effect is Effect.REVOKE)
        names = ", ".join(b.name for b in view.finding.breaches[:2])
        return f"{view.finding.title}" + (f" ({names})" if names else "")

    def _index(self, view: FindingView) -> int | None:
        act = view.finding.act
        if act is None:
            return None
        tail = act.decision_id.removeprefix(f"dec_{self.session.session_id}_").split("_")[0]
        return int(tail) if tail.isdigit() else None


@dataclass(frozen=True, slots=True)
class Outcome:
    """`refusal_ms`: from a decision on the topic to the gateway refusing its session, one per revocation."""

    planted: tuple[Catch, ...]
    honest: int
    false_alarms: tuple[FindingView, ...]
    about_gateways: int
    about_grants: int
    decisions: int
    reach: Reach
    refusal_ms: tuple[float, ...]

    @property
    def whole(self) -> bool:
        """Every decision was judged, and every finding delivered."""
        return self.reach.covers(self.decisions)

    @property
    def clean(self) -> bool:
        """All was judged, everything planted was caught and nobody honest was accused."""
        return self.whole and all(c.caught for c in self.planted) and not self.false_alarms

    def as_json(self) -> dict[str, object]:
        return {
            "planted": [
                {
                    "kind": c.session.plant.value,
                    "session": c.session.session_id,
                    "effect": c.effect,
                    "after_drifted_calls": c.after,
                    "refused_calls": c.refused,
                    "why": c.why,
                }
                for c in self.planted
            ],
            "honest_sessions": self.honest,
            "false_alarms": [view.finding.session_id for view in self.false_alarms],
            "gateway_findings": self.about_gateways,
            "hygiene_findings": self.about_grants,
            "decisions": self.decisions,
            "judged": self.reach.judged,
            "dead_letters": self.reach.dead_letters,
            "undelivered": self.reach.undelivered,
            "refusal_ms": {
                "n": len(self.refusal_ms),
                "p50": percentile(self.refusal_ms, 50),
                "p99": percentile(self.refusal_ms, 99),
            },
        }


def outcome_of(
    plan: Sequence[PlannedSession], views: Sequence[FindingView], traces: Mapping[str, Trace], reach: Reach
) -> Outcome:
    """Match findings with what was planted."""
    drift = [view for view in views if view.finding.kind is Kind.DRIFT]
    by_session: dict[str, list[FindingView]] = {}
    for view in drift:
        by_session.setdefault(view.finding.session_id, []).append(view)
    planted = [s for s in plan if s.plant is not Plant.NONE]
    honest = {s.session_id for s in plan if s.plant is Plant.NONE}
    decisions = sum(len(t.decided) for t in traces.values())
    return Outcome(
        planted=tuple(
            Catch(
                s,
                tuple(by_session.get(s.session_id, ())),
                traces[s.session_id].refused if s.session_id in traces else 0,
                whole=reach.covers(decisions),
            )
            for s in planted
        ),
        honest=len(honest),
        false_alarms=tuple(view for view in drift if view.finding.session_id in honest),
        about_gateways=sum(view.finding.kind is Kind.GATEWAY for view in views),
        about_grants=sum(view.finding.kind is Kind.HYGIENE for view in views),
        decisions=decisions,
        reach=reach,
        refusal_ms=tuple(sorted(_refusals(drift, traces))),
    )


def _refusals(drift: Sequence[FindingView], traces: Mapping[str, Trace]) -> list[float]:
    waits = []
    for view in drift:
        trace = traces.get(view.finding.session_id)
        act = view.finding.act
        if view.outcome.effect is Effect.REVOKE and trace and act and trace.revoked_seen is not None:
            decided = trace.decided.get(act.decision_id)
            if decided is not None:
                waits.append(1000 * (trace.revoked_seen - decided))
    return waits


def percentile(values: Sequence[float], q: float) -> float | None:
    """Nearest rank; None of nothing."""
    if not values:
        return None
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, max(0, -(-len(ordered) * int(q) // 100) - 1))]
