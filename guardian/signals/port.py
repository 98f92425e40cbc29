"""The port every signal implements."""

from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

from guardian.domain.signal import Observation, SharedReads, Signal

State = Mapping[str, Any]


class SignalFold(Protocol):
    """A pure fold over one session's actions.

    A module of this folder is one signal: its name is the configuration's name, it exports `plugin`, a
    frozen dataclass whose fields are its options, and implements this protocol. Rules:

    - `start()` is the state of a session that has not acted. State is plain JSON-able data of bounded size;
      the store keeps it per (tenant, session).
    - `fold(state, seen)` never mutates `state`, reads no clock, no file and no other session. What it needs
      of other sessions is in the Observation as a recorded fact.
    - The value lies in [0, 1]; higher means further from the declared purpose. A signal that has nothing
      to go by is `silent` with value 0 and says in `reason` what was missing.
    - A rule that is broken is a named Breach. A breach is reported on every action that breaks it.
    - A signal with rules has a class variable `breaches`, the names of all of them: what `response.breaches` may
      speak of. Any other name there is refused at the start.
    """

    @property
    def name(self) -> str: ...

    def start(self) -> State: ...

    def fold(self, state: State, seen: Observation) -> tuple[State, Signal]: ...


@runtime_checkable
class Sharing(Protocol):
    """A signal whose state tells what other sessions of the same task may know of this one."""

    def shared(self, state: State) -> SharedReads | None:
        """None while there is nothing to know."""
        ...
