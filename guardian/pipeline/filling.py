"""Fills in envelopes that the log does not carry, and decides which decisions wait for one that is late.

Pure: what is known about the sessions is a frozen `Known`, so that a replay sees the same. A registered envelope
holds as a whole: what the log says of user or agent does not change it. Where none is registered, the operator's
map of agents and routes is asked. Where that has nothing either, the purpose stays unknown, which is counted and
reported.
"""

import dataclasses
import string
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from guardian.domain.batch import Decoded, Known, PurposeFrom
from guardian.domain.envelope import UNTOLD, Envelope, Grant
from guardian.domain.event import DecisionEvent
from guardian.domain.identity import SessionKey
from guardian.domain.wildcards import covers
from guardian.errors import ConfigurationError
from guardian.pipeline.registered import vouched

_PLACES = ("agent", "delegator", "gateway", "route", "session", "tenant", "tool")
_SHOWN = 200


@dataclass(frozen=True, slots=True)
class StaticEnvelope:
    """One line of the operator's map: whose calls it matches (`*`: any characters), and what they are delegated.

    `purpose` may name {agent}, {delegator}, {gateway}, {route}, {session}, {tenant} and {tool}.
    """

    match: Mapping[str, str]
    purpose: str
    allowed_tools: tuple[str, ...] = ()
    resource_constraints: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if unknown := sorted(set(self.match) - set(_PLACES)):
            raise ConfigurationError(f"envelopes.static: match.{unknown[0]}: known are {', '.join(_PLACES)}")
        try:
            wanted = {name for _, name, _, _ in string.Formatter().parse(self.purpose) if name is not None}
        except ValueError as error:
            raise ConfigurationError(f"envelopes.static: purpose {self.purpose!r}: {error}") from error
        if unknown := sorted(wanted - set(_PLACES)):
            raise ConfigurationError(
                f"envelopes.static: purpose names {unknown[0]!r}; known are {', '.join(_PLACES)}"
            )

    def of(self, event: DecisionEvent, told: DecisionEvent) -> Envelope | None:
        """The envelope for this event's session; None where the line does not match. `told` is the event before
        redaction, whose names the line matches and never repeats."""
        names = _told(told)
        if not all(covers(pattern, names[name]) for name, pattern in self.match.items()):
            return None
        purpose = self.purpose.format_map({name: value[:_SHOWN] for name, value in _told(event).items()})
        return event.envelope.model_copy(
            update={
                "purpose": purpose[:8192],
                "allowed_tools": self.allowed_tools,
                "resource_constraints": dict(self.resource_constraints),
            }
        )


@dataclass(frozen=True)
class Filling:
    """`known` are envelopes from a file and `static` is the operator's map; both are asked at decoding. `rename`
    is the one rule for tool names. Lists of tools are compared by it where the log `adapts` records of other
    formats. `wait` is how long a record without a purpose waits for one, and a record whose envelope nobody signed
    for its registration; zero: not at all."""

    known: Mapping[SessionKey, Grant] = field(default_factory=dict)
    static: Sequence[StaticEnvelope] = ()
    rename: Callable[[str], str] = str
    wait: timedelta = timedelta(0)
    adapts: bool = True

    def begin(self, d: Decoded, told: DecisionEvent) -> Decoded:
        """At decoding: the envelope from the file or the map, where the log has none itself. `told` is the event
        before redaction."""
        event, grant = d.event, self.known.get(d.event.key)
        if event.has_envelope:
            return d if grant is None else vouched(d, (grant.digest,))
        if grant is not None:
            return self._filled(dataclasses.replace(d, unfilled=event), grant, "file")
        made = next((envelope for line in self.static if (envelope := line.of(event, told)) is not None), None)
        if made is not None:
            source: PurposeFrom = "static"
        else:
            source = "log" if event.envelope.purpose.strip() else "unknown"
        shown = event if made is None else _with(event, self._renamed(made), made.allowed_tools)
        return dataclasses.replace(d, event=shown, unfilled=event, purpose_from=source, envelope_digest=None)

    def fill(
        self, decoded: Sequence[Decoded], known: Known, *, patient: bool
    ) -> tuple[list[Decoded], list[Decoded]]:
        """The decisions to judge now, and those that wait, each in arrival order.

        A session keeps its order: while decisions of it wait, later ones wait behind them. Unless `patient`, no
        other session begins to wait.
        """
        ready: list[Decoded] = []
        waiting: list[Decoded] = []
        held = set(known.waiting)
        for d in decoded:
            key = d.event.key
            grant = known.envelopes.get(key)
            if key in held:
                waiting.append(d)
            elif d.unfilled is not None and grant is not None:
                ready.append(self._filled(d, grant, "registry"))
            elif patient and self.wait and grant is None and _may_come(d) and key not in known.begun:
                held.add(key)
                waiting.append(d)
            else:
                ready.append(d)
        return ready, waiting

    def of_parents(
        self, decoded: Sequence[Decoded], registered: Mapping[SessionKey, Grant]
    ) -> dict[SessionKey, Grant]:
        """The envelopes that these decisions' parents were registered with; as in filling, the file comes
        first."""
        parents = {d.event.envelope.parent_key for d in decoded}
        found = {key: self.known.get(key) or registered.get(key) for key in parents if key is not None}
        return {key: grant for key, grant in found.items() if grant is not None}

    def renamed(self, grants: Mapping[SessionKey, Grant]) -> dict[SessionKey, Grant]:
        """The same grants with their tools renamed by the one rule, to be compared with adapted records."""
        return {key: Grant(self._renamed(grant.envelope), grant.digest) for key, grant in grants.items()}

    def spelling(self, envelopes: Iterable[Envelope]) -> dict[str, str]:
        """Those of the envelopes' tools that the one rule renames, with their new names."""
        if not self.adapts:
            return {}
        tools = {tool for envelope in envelopes for tool in envelope.allowed_tools}
        return {tool: name for tool in tools if (name := self.rename(tool)) != tool}

    def _renamed(self, envelope: Envelope) -> Envelope:
        tools = tuple(map(self.rename, envelope.allowed_tools))
        return (
            envelope if tools == envelope.allowed_tools else envelope.model_copy(update={"allowed_tools": tools})
        )

    def _filled(self, d: Decoded, grant: Grant, source: PurposeFrom) -> Decoded:
        event = _with(d.unfilled or d.event, self._renamed(grant.envelope), grant.envelope.allowed_tools)
        return dataclasses.replace(
            d, event=event, unfilled=None, purpose_from=source, envelope_digest=grant.digest
        )


def _may_come(d: Decoded) -> bool:
    """Whether an envelope that is registered late would tell what is not known yet, or vouch for the log's own."""
    return d.purpose_from == "unknown" or d.signature == "missing"


def _with(event: DecisionEvent, envelope: Envelope, allowed_tools: tuple[str, ...]) -> DecisionEvent:
    """The event with the envelope. `allowed_tools` are its tools as they were spelt where it came from."""
    origin = event.origin
    if origin is None:  # a record of guardian's own format, which notes nothing as absent
        return event.model_copy(update={"envelope": envelope})
    absent = tuple(name for name in origin.absent if name not in ("envelope", "delegator_id"))
    absent += ("delegator_id",) * (envelope.delegator_id == UNTOLD)
    told = origin.model_copy(update={"absent": absent, "allowed_tools": allowed_tools})
    return event.model_copy(update={"envelope": envelope, "origin": told})


def _told(event: DecisionEvent) -> dict[str, str]:
    envelope, origin = event.envelope, event.origin
    return {
        "agent": envelope.agent_id or "",
        "delegator": envelope.delegator_id,
        "gateway": event.gateway,
        "route": (origin.route if origin is not None else None) or "",
        "session": envelope.session_id,
        "tenant": envelope.tenant_id,
        "tool": event.action.tool,
    }
