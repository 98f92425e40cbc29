"""The port every log format implements."""

from typing import Protocol

from guardian.bus.port import Record
from guardian.domain.event import DecisionEvent


class Source(Protocol):
    """Turns the bytes of one record into a DecisionEvent.

    A module of this folder is one log format: its name is the configuration's name, it exports `plugin`,
    whose dataclass fields are its options, and implements this protocol. Rules:

    - `decode(record)` is pure, reads only the record, and raises nothing but DecodeError, whatever the
      bytes are: they come from gateways that an attacker may have reached. Its time and memory are bounded
      by the size of the record, and the size by an option.
    - DecodeError carries a stable `code`, one bounded line of `reason` with agents' text neutralised, and
      the tenant and session where they can still be told: a session must not vanish by sending rubbish.
    - A format that knows less than `guardian.decision/v1` leaves the optional fields empty and never
      invents them: what is missing is named in the verdict.
    """

    def decode(self, record: Record) -> DecisionEvent: ...
