"""Records of foreign formats → decisions: take the wrapping off, tell the format, take batches apart, complete."""

import dataclasses
import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from pydantic import ValidationError

from guardian.domain.record import Record
from guardian.domain.strict_json import MAX_BYTES, MAX_CALL_BYTES, MAX_DEPTH
from guardian.errors import DecodeError
from guardian.sources import cloudevents
from guardian.sources.cloudevents import Wrapping
from guardian.sources.completing import Completion
from guardian.sources.guardian import OWN_ID, GuardianDecisions, event_of, explain, name_of, read_partly
from guardian.sources.hostile import agents_own, kind
from guardian.sources.opening import items_of, unpacked, values_of
from guardian.sources.partly import Partly, readable
from guardian.sources.port import Format, Told
from guardian.sources.refusing import nobodys, salvaged, unread_rather, whose
from guardian.sources.unread import unread_in, unread_of

FORMAT_HEADER = "guardian-format"
"""The header that names a record's format; it takes precedence over what the content looks like."""

_WRAPPED_AT_MOST = 2
_ESCAPED = 6
"""By what factor JSON may grow when it is written out again: numbers and other alphabets take more room."""
_MESSAGE = ("jsonrpc", "method", "params")
_PART = DecodeError("not_json", "a part of the JSON that a string holds cannot be read")


@dataclass(frozen=True)
class Reader:
    """Reads records of one format, or of several.

    With one of the `formats`, every record is read as that one; with several, each record's format is recognised,
    by its header first. `wrapped`: only CloudEvents are accepted. An entry of more than `max_bytes` is refused
    alone. A record of more than `max_unpacked` bytes is refused. If its entries, each with what they share, come
    to six times that, or there are more than `max_entries`, the remaining ones are refused.
    """

    formats: Mapping[str, Format]
    completion: Completion = field(default_factory=Completion)
    wrapped: bool = False
    max_bytes: int = MAX_CALL_BYTES
    max_unpacked: int = MAX_BYTES
    max_entries: int = 250_000
    max_depth: int = MAX_DEPTH

    @cached_property
    def _parser(self) -> GuardianDecisions:
        return GuardianDecisions(max_bytes=self.max_unpacked, max_depth=self.max_depth)

    def read(self, record: Record) -> Iterator[Told | DecodeError]:
        """Every decision of the record, in order, one by one; see the port."""
        alike: Counter[str] = Counter()
        try:
            for count, each in enumerate(self._entries(record)):
                if count >= self.max_entries:
                    raise _too_many(self.max_entries)
                if each is not None:
                    yield each if isinstance(each, DecodeError) else _numbered(each, alike)
        except DecodeError as error:
            yield salvaged(self.completion, record, error, None)

    def _entries(self, record: Record) -> Iterator[Told | DecodeError | None]:
        """One for each entry; None for one that is no tool call."""
        wrapping, room = cloudevents.binary(record), _Room(_ESCAPED * self.max_unpacked, self.max_entries)
        for name, body in self._bodies(record):
            yield from self._body(record, name, body, wrapping, room)

    def format_of(self, record: Record) -> str | None:
        """The name of the record's format; None where it is of none of them."""
        try:
            for name, body in self._bodies(record):
                whole = body.body if isinstance(body, Partly) else body
                inner = cloudevents.structured(whole) or (whole, cloudevents.binary(record))
                return name or self._recognised(record, self._of_event(*inner)[0])
        except DecodeError:
            pass
        return None

    def _bodies(self, record: Record) -> Iterator[tuple[str | None, Any]]:
        """The record's values, as in `values_of`. Where the value is not JSON, with the name of the format that
        opens it, else None."""
        value = unpacked(record.value, self.max_unpacked)
        if value[:1] not in (b"{", b"["):  # what looks like white space may be the first byte of a message
            for name, each in self.formats.items():
                body = each.opens(value)
                if body is not None:
                    yield name, body
                    return
        for body in values_of(value, self._parser):
            yield None, body

    def _body(
        self, record: Record, name: str | None, body: Any, wrapping: Wrapping | None, room: "_Room"
    ) -> Iterator[Told | DecodeError | None]:
        """The entries of one value, once what is around it is off; as in `_entries`."""
        if isinstance(body, DecodeError):
            yield salvaged(self.completion, record, body, None)
            return
        part: Partly | None = None
        try:
            for _ in range(_WRAPPED_AT_MOST + 1):
                if isinstance(body, Partly):
                    part, body = body, body.body
                inner = cloudevents.structured(body)
                if inner is None:
                    break
                body, wrapping = inner
            canonical = self._parser.recognises(body)
            if self.wrapped and wrapping is None and not (canonical and self._planted(body)):
                raise DecodeError("unknown_format", f"expected a CloudEvent, got {kind(body)}")
            if isinstance(body, list):  # a wrapped batch
                for item in items_of(body if part is None else dataclasses.replace(part, body=body)):
                    yield from self._body(record, name, item, wrapping, room)
                return
            if not canonical:
                body, wrapping = self._of_event(body, wrapping)
            name = name or self._recognised(record, body)
            if not isinstance(body, Mapping):
                raise DecodeError("invalid", f"expected a JSON object, got {kind(body)}")
            entries = (body,) if canonical else self.formats[name].entries(body)
        except DecodeError as error:
            yield salvaged(self.completion, record, unread_rather(error, body, part), body)
            return
        yield from self._each(record, name, body, entries, wrapping, part, room)

    def _each(
        self,
        record: Record,
        name: str,
        body: Mapping[str, Any],
        entries: Iterable[Any],
        wrapping: Wrapping | None,
        part: Partly | None,
        room: "_Room",
    ) -> Iterator[Told | DecodeError | None]:
        """What is made of each of the body's entries, and of what is unread beside them. Raises DecodeError where
        no room is left."""
        unread = {id(each) for each in unread_of(body)} if part is not None else set()
        for entry in entries:
            unread -= {id(each) for each in unread_of(entry)} if unread else set()
            said = json.dumps(entry, sort_keys=True, separators=(",", ":"))
            try:
                room.take(len(said))
            except DecodeError as error:
                raise error if entry is body else salvaged(self.completion, record, error, whose(body)) from None
            try:
                told: Told | DecodeError | None = self._entry(record, name, entry, said, wrapping, part)
            except DecodeError as error:
                told = salvaged(self.completion, record, unread_rather(error, entry, part), entry)
            yield told
        if part is not None and unread:  # it lies beside the entries, or where one would be
            yield salvaged(self.completion, record, part.why, body)

    def _of_event(self, body: Any, wrapping: Wrapping | None) -> tuple[Any, Wrapping | None]:
        """The data of a CloudEvent, with what a format of its own has only in the attributes."""
        if wrapping is not None:
            for each in self.formats.values():
                if (whole := each.of_event(wrapping.attributes, body)) is not None:
                    return whole, wrapping.without("source")
        return body, wrapping

    def _entry(
        self, record: Record, name: str, entry: Any, said: str, wrapping: Wrapping | None, part: Partly | None
    ) -> Told | None:
        why = part.why if part is not None and unread_in(entry) else None
        large = self._too_large(entry) if len(said) > self.max_bytes else None
        digest = hashlib.sha256(said.encode())
        if part is not None and why is not None:  # two that differ in what is unread are two
            digest.update(part.digest)
        if self._parser.recognises(entry):
            if large is not None:
                raise large
            told = dataclasses.replace(_canonical(entry, digest.hexdigest(), why), size=len(said))
            self.completion.check_sender(told.event)
            return told
        if not isinstance(entry, Mapping):
            raise DecodeError("invalid", f"expected a JSON object, got {kind(entry)}")
        facts = self.formats[name].facts(entry)
        if facts is None:
            if why is not None:
                raise DecodeError("no_tool", why.reason)  # anybody can bring it about
            return None
        if wrapping is not None:
            facts = wrapping.onto(facts)
        try:
            if large is not None:
                raise large
            if facts.refused is not None:
                raise facts.refused
            known = readable(facts)
        except DecodeError as error:
            raise nobodys(self.completion.named(error, facts, record), facts) from None
        if known is not facts and why is None:
            why = part.why if part is not None else _PART
        try:
            event, left_out = self.completion.complete(known, record, format=name, digest=digest.hexdigest())
        except DecodeError as error:
            raise nobodys(error, facts) from None
        return Told(event, digest.hexdigest(), why or left_out, len(said))

    def _too_large(self, entry: Any) -> DecodeError | None:
        size = len(json.dumps(entry, ensure_ascii=False, separators=(",", ":")).encode("utf-8"))
        return DecodeError("too_large", f"one call of {size} bytes") if size > self.max_bytes else None

    def _planted(self, body: Mapping[str, Any]) -> bool:
        """Whether control put it on the topic to test the monitor; control writes guardian's format into any
        log."""
        return name_of(body.get("gateway")) in self.completion.planted

    def _recognised(self, record: Record, body: Any) -> str:
        """The format's name. Raises DecodeError where it is none of them."""
        if len(self.formats) == 1:
            return next(iter(self.formats))
        header = next((value for key, value in record.headers if key.lower() == FORMAT_HEADER), b"")
        named = header.decode("utf-8", "replace")
        if named in self.formats:
            return named
        if isinstance(body, Mapping) and agents_own(body):  # nor does it say of which format it is
            body = {name: value for name, value in body.items() if name.casefold() in _MESSAGE}
        for name, each in self.formats.items():
            if each.recognises(body):
                return name
        raise DecodeError("unknown_format", f"expected one of {', '.join(self.formats)}; got {kind(body)}")


@dataclass(slots=True)
class _Room:
    """The room that is left for a record's entries. Each is counted with what all share, so many small ones may be
    too much."""

    left: int
    at_most: int
    taken: int = 0

    def take(self, size: int) -> None:
        self.left -= size
        self.taken += 1
        if self.taken > self.at_most:
            raise _too_many(self.at_most)
        if self.left < 0:
            why = "its entries, each with what they share, are more than is read at most: the others were not"
            raise DecodeError("too_large", why)


def _too_many(at_most: int) -> DecodeError:
    return DecodeError("too_large", f"more than the {at_most} entries that are read at most: the others were not")


def _numbered(told: Told, alike: Counter[str]) -> Told:
    """The call with an id of its own, where nothing else tells it from an earlier one in the same record."""
    name = told.event.id
    if not name.startswith(OWN_ID):
        return told
    alike[name] += 1
    if alike[name] == 1:
        return told
    return dataclasses.replace(told, event=told.event.model_copy(update={"id": f"{name}/{alike[name]}"}))


def _canonical(entry: Mapping[str, Any], digest: str, why: DecodeError | None) -> Told:
    """A decision in guardian's own format. `why` says what could not be read of it, if anything."""
    if why is None:
        try:
            return Told(event_of(json.dumps(entry), entry), digest)
        except ValidationError as error:
            why = DecodeError("invalid", explain(error))
    found = read_partly(entry, why, digest)
    if isinstance(found, DecodeError):
        raise DecodeError(found.code, found.reason)
    return Told(found, digest, why)
