"""How far the action is from the declared purpose, as the drift model read it.

The model's reading enters the Observation as a recorded fact; this signal passes it on and says in words
what was compared with what.
"""

from dataclasses import dataclass
from typing import ClassVar

from guardian.domain.signal import Observation, Signal
from guardian.signals.options import within
from guardian.signals.port import SignalFold, State
from guardian.signals.words.wording import shown


@dataclass(frozen=True)
class PurposeFit(SignalFold):
    """Options: `purpose_chars` bounds what a reason quotes."""

    purpose_chars: int = 120
    weight: ClassVar[float] = 0.999

    def __post_init__(self) -> None:
        within(self.name, "purpose_chars", self.purpose_chars, 20, 400)

    @property
    def name(self) -> str:
        return "purpose_fit"

    def start(self) -> State:
        return {}

    def fold(self, state: State, seen: Observation) -> tuple[State, Signal]:
        """The model's reading; silent where there is none."""
        purpose = seen.event.envelope.purpose
        if seen.fit is None or seen.fit != seen.fit:
            missing = "no reading by the drift model" if purpose.strip() else "no declared purpose to compare with"
            return state, Signal(self.name, 0.0, f"missing: {missing}", silent=True)
        value = min(max(float(seen.fit), 0.0), 1.0)
        # how near is near is for the calibration to say
        verdict = (
            "does not fit" if value >= 0.7 else "fits poorly" if value >= 0.4 else f"is {value:.2f} away from"
        )
        quoted = shown(purpose, self.purpose_chars)
        reason = f'{shown(seen.event.action.tool)} {verdict} the declared purpose "{quoted}"'
        if seen.event.action.arguments is None:
            reason += "; its arguments are missing"
        return state, Signal(self.name, value, reason)


plugin = PurposeFit
