"""How far the action is from the declared purpose, as the drift model read it.

The model's reading enters the Observation as a recorded fact; this signal passes it on and says in words
what was compared with what.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from guardian.domain.signal import Observation, Signal
from guardian.signals.options import within
from guardian.signals.port import State
from guardian.signals.wording import shown


@dataclass(frozen=True)
class PurposeFit:
    """Options: `purpose_chars` and `argument_chars` bound what a reason quotes."""

    purpose_chars: int = 120
    argument_chars: int = 60

    def __post_init__(self) -> None:
        within(self.name, "purpose_chars", self.purpose_chars, 20, 400)
        within(self.name, "argument_chars", self.argument_chars, 10, 400)

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
        verdict = "does not fit" if value >= 0.7 else "fits poorly" if value >= 0.4 else "fits"
        quoted = shown(purpose, self.purpose_chars)
        reason = f'{shown(seen.event.action.tool)} {verdict} the declared purpose "{quoted}"'
        if seen.event.action.arguments is None:
            reason += "; its arguments are missing"
        elif seen.fit_argument is not None and value >= 0.4:
            reason += f"; what mattered most: {self._argument(seen.event.action.arguments, seen.fit_argument[0])}"
        return state, Signal(self.name, value, reason)

    def _argument(self, arguments: Mapping[str, object], path: str) -> str:
        value: object = arguments
        for step in path.split("."):
            value = _step(value, step)
        name = shown(path, self.argument_chars)
        if value is None or isinstance(value, Mapping):
            return name
        items = value[:8] if isinstance(value, (list, tuple)) else [value]
        said = ", ".join(
            shown(item, self.argument_chars) for item in items if not isinstance(item, (Mapping, list))
        )
        return f'{name} = "{shown(said, self.argument_chars)}"'


def _step(value: object, step: str) -> object:
    if isinstance(value, Mapping):
        return value.get(step)
    if isinstance(value, (list, tuple)) and step.isdecimal() and int(step[:6]) < len(value):
        return value[int(step[:6])]
    return None


plugin = PurposeFit
