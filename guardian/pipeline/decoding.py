"""Bytes → decisions that may be believed, redacted; everything else → dead letters with a reason."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Protocol

from guardian.domain.batch import DeadLetter, Decoded
from guardian.domain.event import DecisionEvent
from guardian.domain.finding import OPERATORS
from guardian.domain.identity import NO_SLASH
from guardian.domain.record import Record
from guardian.domain.signal import CredentialHit, Signature
from guardian.errors import DecodeError
from guardian.sources.port import Source, Told

EVERY_TENANT = "*"
LETTERS_OF_A_RECORD = 16
_EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)


class Redactor(Protocol):
    """Takes credentials out of an event before anything stores, embeds or shows it, and whatever else the
    deployment hides by `rules` (path -> way)."""

    @property
    def rules(self) -> Mapping[str, str]: ...

    def redact(self, event: DecisionEvent) -> tuple[DecisionEvent, tuple[CredentialHit, ...]]: ...

    def name(self, identifier: str) -> str: ...


@dataclass(frozen=True, slots=True)
class ClockBounds:
    """How far the event's time may lie from the record's before it is no longer believed."""

    ahead: timedelta = timedelta(minutes=5)
    behind: timedelta = timedelta(hours=24)


@dataclass(frozen=True)
class Decoder:
    """`entitlements` maps a gateway to the tenants it may speak for; None checks nothing (scoring a file).

    `verify` answers whether `envelope_jws` is a valid signature over the event's envelope. `clock` is this
    machine's: no record counts as later than it. `begin` fills in what the log does not carry; it is shown the
    event before redaction besides, to know whose it is.
    """

    source: Source
    redactor: Redactor
    verify: Callable[[DecisionEvent], Signature]
    clock: Callable[[], datetime]
    entitlements: Mapping[str, frozenset[str]] | None = None
    bounds: ClockBounds = ClockBounds()
    begin: Callable[[Decoded, DecisionEvent], Decoded] | None = None

    def decode(self, records: Sequence[Record]) -> tuple[list[Decoded], list[DeadLetter]]:
        """Every decision comes back in one of the two lists, each in arrival order.

        It is in both where a part that an agent chose could not be read: the rest is judged, and the whole record
        is kept for people. A record is in neither list where its format says that it holds no tool call.
        """
        good: list[Decoded] = []
        bad: list[DeadLetter] = []
        for record in records:
            for each in self.each(record):
                if isinstance(each, Decoded):
                    good.append(each)
                else:
                    bad.append(each)
        return good, bad

    def each(self, record: Record) -> Iterator[Decoded | DeadLetter]:
        """The same for one record: its decisions as they are read, then its letters. A tombstone says nothing."""
        if record.tombstone:
            return
        letters = Letters()
        for entry, told in enumerate(self.source.read(record)):
            if isinstance(told, DecodeError):
                letters.add(self._letter(record, entry, told, told.gateway or record.sender))
                continue
            try:
                _check_tenant(told.event)
                self._check_entitlement(told.event)
            except DecodeError as error:
                letters.add(self._letter(record, entry, error, told.event.gateway))
                continue
            d = self._believed(record, entry, told)
            yield d
            if told.unread is not None:
                letters.add(self._part(record, entry, told.unread, d.event))
        yield from letters.kept()

    def _believed(self, record: Record, entry: int, told: Told) -> Decoded:
        event = told.event
        known_at = self.clock() if record.timestamp is None else min(record.timestamp, self.clock())
        now, suspect = self._believable_time(event, record, known_at)
        signature = self.verify(event)
        clean, hits = self._redacted(event)
        d = Decoded(
            record=record,
            event=clean,
            digest=told.digest,
            now=now,
            clock_suspect=suspect,
            credentials=hits,
            signature=signature,
            envelope_digest=event.envelope_as_told.digest if event.has_envelope else None,
            entry=entry,
            redacted=self.redactor.rules,
            size=told.size,
            known_at=known_at,
        )
        return d if self.begin is None else self.begin(d, event)

    def _redacted(self, event: DecisionEvent) -> tuple[DecisionEvent, tuple[CredentialHit, ...]]:
        """The event without secrets. The log's own spellings of tool names are kept only where nothing was taken
        out of the names; the scanner does not report them as a place of their own."""
        origin = event.origin
        if origin is None:
            return self.redactor.redact(event)
        bare = origin.model_copy(update={"tool": None, "allowed_tools": None})
        clean, hits = self.redactor.redact(event.model_copy(update={"origin": bare}))
        names = _tools(event)
        own = "\n".join(sorted({origin.tool or "", *(origin.allowed_tools or ())}.difference(names)))
        if clean.origin is None or _tools(clean) != names or self.redactor.name(own) != own:
            return clean, hits
        spelt = {"tool": origin.tool, "allowed_tools": origin.allowed_tools}
        return clean.model_copy(update={"origin": clean.origin.model_copy(update=spelt)}), hits

    def _letter(self, record: Record, entry: int, error: DecodeError, gateway: str) -> DeadLetter:
        return DeadLetter(
            record=record,
            code=error.code,
            reason=error.reason,
            tenant_id=self._tenant_told(error.tenant_id, gateway),
            session_id=error.session_id,
            gateway=gateway,
            at=record.timestamp or self.clock(),
            entry=entry,
        )

    def _part(self, record: Record, entry: int, error: DecodeError, event: DecisionEvent) -> DeadLetter:
        """The letter of a record that is judged without the part that could not be read."""
        letter = self._letter(record, entry, error, event.gateway)
        return replace(letter, tenant_id=event.key.tenant_id, session_id=event.key.session_id, judged=True)

    def _tenant_told(self, tenant_id: str | None, gateway: str) -> str | None:
        """Who hears of a dead letter: the tenant it names, if the gateway may speak for it, else the operators."""
        if tenant_id is None:
            return None
        known = "/" not in tenant_id and tenant_id != EVERY_TENANT and self._speaks_for(gateway, tenant_id)
        return tenant_id if known else OPERATORS

    def _speaks_for(self, gateway: str, tenant_id: str) -> bool:
        if self.entitlements is None:
            return True
        tenants = self.entitlements.get(gateway, frozenset())
        return tenant_id in tenants or EVERY_TENANT in tenants

    def _check_entitlement(self, event: DecisionEvent) -> None:
        if not self._speaks_for(event.gateway, event.envelope.tenant_id):
            raise DecodeError(
                "gateway_not_entitled",
                f"gateway {self.redactor.name(event.gateway)!r} is not granted tenant"
                f" {self.redactor.name(event.envelope.tenant_id)!r}"
                " (grant it under `gateways` in the configuration)",
                tenant_id=event.envelope.tenant_id,
                session_id=event.envelope.session_id,
            )

    def _believable_time(self, event: DecisionEvent, record: Record, reference: datetime) -> tuple[datetime, bool]:
        """When it was decided, and whether the log's time was not believed. A topic may be stamped by the
        producer, with the same wrong clock; but no record is from the future, so it had happened by
        `reference`."""
        arrived = record.timestamp
        try:
            said = event.time.astimezone(UTC)
        except OverflowError:  # the year 1 or 9999 in a zone that leads out of the calendar
            return reference, True
        old = said < _EARLIEST if arrived is None else arrived - said > self.bounds.behind
        if not old and said - reference <= self.bounds.ahead:
            return said, False
        return reference, True


def _tools(event: DecisionEvent) -> tuple[str, ...]:
    return (event.action.tool, *event.envelope.allowed_tools)


def _check_tenant(event: DecisionEvent) -> None:
    envelope = event.envelope
    if "/" in envelope.tenant_id or envelope.tenant_id == EVERY_TENANT:
        why = NO_SLASH if "/" in envelope.tenant_id else "it stands for every tenant, and a session has one"
        reason = f"envelope.tenant_id: {why}"
        raise DecodeError("invalid", reason, tenant_id=envelope.tenant_id, session_id=envelope.session_id)


class Letters:
    """Of a record's letters one for each session and code, and at most `LETTERS_OF_A_RECORD`: each keeps the whole
    record."""

    def __init__(self) -> None:
        self._kept: dict[tuple[str, str | None, str | None], DeadLetter] = {}
        self._count = 0

    def add(self, letter: DeadLetter) -> None:
        self._count += 1
        if len(self._kept) < LETTERS_OF_A_RECORD:
            self._kept.setdefault((letter.code, letter.tenant_id, letter.session_id), letter)

    def kept(self) -> list[DeadLetter]:
        found = list(self._kept.values())
        if len(found) < self._count:
            more = f"; and {self._count - len(found)} more decisions of this record"
            found[-1] = replace(found[-1], reason=found[-1].reason + more)
        return found
