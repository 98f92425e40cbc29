"""The verdict on one action in the light of its session."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from guardian.domain.breach import Breach
from guardian.domain.signal import Signal

PURPOSE_FIT = "purpose_fit"
"""The signal of the drift model."""
PURPOSE_BASELINE = "purpose_baseline"
"""The signal of what the deployment has learnt, which no calibration knows."""
ARGUMENTS = "arguments"
"""Missing where the log holds no arguments of a call: the drift model reads its tool alone."""
ARGUMENTS_CUT = "arguments (cut)"
"""Missing where a call has more arguments than the drift model is shown: it speaks for the rest alone."""


@dataclass(frozen=True, slots=True)
class Drift:
    """How far one action is from its purpose, and how much evidence the session has gathered.

    score             fused signals, in [0, 1]
    p_value           conformal: share of honest calibration actions at least this far out, in (0, 1]
    e_value           bet against honesty made from p_value; its mean over honest actions is at most 1
    session_evidence  log10 of the session's e-SR statistic after this action
    one_in            "at most one in N honest sessions gathers this much": N ≥ 1
    promised          True while N is covered by calibration sessions, False where it is extrapolated, owes
                      something to what no calibration knows, or the calibration is another model's
    shares            each signal's share of the score; they sum to 1 unless the score is 0
    step              by how much this action moved session_evidence, which is 0 before the first; 0 for what a
                      revoked session was denied
    """

    score: float
    p_value: float
    e_value: float
    session_evidence: float
    one_in: float
    promised: bool
    shares: Mapping[str, float]
    signals: tuple[Signal, ...]
    features_missing: tuple[str, ...] = ()
    step: float = 0.0

    @property
    def breaches(self) -> tuple[Breach, ...]:
        return tuple(breach for signal in self.signals for breach in signal.breaches)

    def argument(self, falls: Callable[[], Iterable[tuple[str, float]]]) -> str | None:
        """The argument that the signal with the largest share speaks of; None where it speaks of all the call.

        Of the drift model's own signal it is the first of `falls()`: by argument, how much the model's score falls
        without it, the largest fall first.
        """
        leading = max(self.signals, key=lambda signal: self.shares.get(signal.name, 0.0), default=None)
        if leading is None or leading.name != PURPOSE_FIT:
            return None if leading is None else leading.argument
        return next((path for path, fall in falls() if fall > 0.0), None)
