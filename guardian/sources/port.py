"""The ports of this room: a Source is what the pipeline reads through, a Format is one kind of log."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

from guardian.domain.event import DecisionEvent
from guardian.domain.record import Record
from guardian.errors import DecodeError
from guardian.sources.facts import Facts


@dataclass(frozen=True, slots=True)
class Told:
    """One decision of a record. `digest` is the sha256 of the decision as the log had it, `size` the length of its
    JSON. `unread` says why a part that an agent chose is missing."""

    event: DecisionEvent
    digest: str
    unread: DecodeError | None = None
    size: int = 0


class Source(Protocol):
    """Turns the bytes of one record into decisions.

    - `read(record)` is pure, reads only the record, and raises nothing, whatever the bytes are: they come from
      gateways that an attacker may have reached. Its time and memory are bounded by the size of the record, and
      the size by an option. It may yield what it finds while it reads. Entries that are no tool call (a health
      check, another span) yield nothing.
    - Where only a part that an agent chose cannot be read (arguments, a result), the source yields the rest with
      the reason: nobody may hide a call, least of all another's, by what is in it.
    - A DecodeError in the result carries a stable `code`, one bounded line of `reason` with agents' text
      neutralised, and the tenant and session where they can still be read: a session must not vanish by sending
      rubbish.
    """

    def read(self, record: Record) -> Iterable[Told | DecodeError]: ...


class Format(Protocol):
    """One log format. A module of this folder is one: its name is the configuration's name, it exports `plugin`,
    whose dataclass fields are its options, and implements this protocol. Rules:

    - All of it is pure. The JSON is parsed already, bounded and without duplicate keys; everything in it is
      hostile. What could not be read in it is an `Unread` text, which a format hands on like any other.
    - `recognises` is cheap and says yes to no other format's records: a topic may carry several formats.
    - `entries` takes a batch apart; `facts` reads one entry, gives None for one that is no tool call, and raises
      nothing but DecodeError that says what was expected and where.
    - A format never invents what its log does not say: what is missing is named in the verdict. `carries` lists
      the facts that the format can carry, and the contract tests hold it to that list.
    - `write` is the way back: a gateway's record of this decision. For the demo, the benches and the tests.
    """

    title: ClassVar[str]
    carries: ClassVar[frozenset[str]]

    def recognises(self, body: Any) -> bool: ...

    def opens(self, value: bytes) -> Any | None:
        """The body of a value that is not JSON; None where this format knows no such thing."""
        del value
        return None

    def entries(self, body: Any) -> Iterable[Any]:
        return (body,)

    def of_event(self, attributes: Mapping[str, Any], data: Any) -> Mapping[str, Any] | None:
        """The record that a CloudEvent of this format's own makes of `data`: some of it, such as who acted, is in
        the event's attributes, whose source is then no gateway. None where `data` are the whole record."""
        del attributes, data
        return None

    def facts(self, entry: Any) -> Facts | None: ...

    def write(self, event: DecisionEvent) -> bytes: ...
