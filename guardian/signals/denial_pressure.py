"""An agent that keeps asking for what it is denied.

Pressure grows with the share and the number of denials among the last decisions, faster when they name
different tools (probing), and falls as calls are allowed again.
"""

import hashlib
import math
from dataclasses import dataclass
from typing import ClassVar

from guardian.domain.signal import Observation, Signal
from guardian.signals.options import within
from guardian.signals.port import SignalFold, State
from guardian.signals.words.wording import shown

_PRIOR = 2  # imagined allowed calls: one denial at the start is no pattern


@dataclass(frozen=True)
class DenialPressure(SignalFold):
    """Options.

    window           how many of the last decisions are looked at
    scale            about how many denials it takes to worry
    distinct_weight  how much each further denied tool adds, in denials
    """

    window: int = 20
    scale: float = 4.0
    distinct_weight: float = 0.5
    weight: ClassVar[float] = 0.5

    def __post_init__(self) -> None:
        within(self.name, "window", self.window, 2, 200)
        within(self.name, "scale", self.scale, 0.1, 100)
        within(self.name, "distinct_weight", self.distinct_weight, 0, 10)

    @property
    def name(self) -> str:
        return "denial_pressure"

    def start(self) -> State:
        return {"window": []}

    def fold(self, state: State, seen: Observation) -> tuple[State, Signal]:
        """Shift the window by one decision; an allowed call is kept as "", a denied one as its tool's digest."""
        tool = seen.event.action.tool
        mark = _print(tool) if seen.event.decision.effect == "deny" else ""
        window = [*state["window"], mark][-self.window :]
        denied = [entry for entry in window if entry]
        if not denied:
            unsaid = "decision" in seen.features_missing
            reason = "missing: what the gateway decided" if unsaid else "nothing denied lately"
            return {"window": window}, Signal(self.name, 0.0, reason)
        weight = len(denied) + self.distinct_weight * (len(set(denied)) - 1)
        share = len(denied) / (len(window) + _PRIOR)
        value = share * -math.expm1(-weight / self.scale)
        tools = "one tool" if len(set(denied)) == 1 else f"{len(set(denied))} tools"
        reason = f"{len(denied)} of the last {len(window)} calls were denied, for {tools}"
        if mark:
            reason += f"; now {shown(tool)}"
        return {"window": window}, Signal(self.name, min(value, 1.0), reason)


def _print(tool: str) -> str:
    return hashlib.sha256(tool.encode("utf-8", "surrogatepass")).hexdigest()[:12]


plugin = DenialPressure
