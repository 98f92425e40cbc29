"""The port every signal implements."""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal, Protocol, runtime_checkable

from guardian.domain.signal import Observation, SharedReads, Signal

State = Mapping[str, Any]
TellsOf = Literal["session", "gateway", "grant"]


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

    Subclasses say more about themselves in class variables, so that a new signal is this one file:

    weight    how much of its value counts in the fused score, in [0, 1), unless the configuration says otherwise
    breaches  the names of all its rules and what a finding about each is called; `response.breaches` may speak of
              these only
    lasting   whether its state is a record of what happened, kept when people call a finding wrong, rather than
              evidence against the session, which then begins anew
    tells_of  whom its breaches accuse: the session; `gateway`: also the gateway, where it let the call through;
              `grant`: who gave the envelope, and never the session
    """

    weight: ClassVar[float] = 0.5
    breaches: ClassVar[Mapping[str, str]] = {}
    lasting: ClassVar[bool] = False
    tells_of: ClassVar[TellsOf] = "session"

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
