"""Values in a schema registry's wire format (Avro, JSON Schema, Protobuf) → JSON, with Confluent's client.

The format: a zero byte, the schema's id in four bytes, for Protobuf which message of the schema it is, the
payload. Schemas never change under their id, so what reads them is kept. Needs the extra `registry`.
"""

import base64
import json
import math
import secrets
from collections.abc import Callable, Mapping
from datetime import date, datetime, time
from decimal import Decimal
from functools import partial
from io import BytesIO
from operator import methodcaller
from time import monotonic
from typing import Any
from uuid import UUID

from guardian.bus.protobuf_around import around, varint
from guardian.errors import ConfigurationError, DecodeError, SchemaAway
from guardian.wire.cutoff import within

_ANSWERED_WITHIN_S = 20.0
_NOT_AGAIN_S = 2.0
_MOST_UNKNOWN = 1000
_MAGIC = 0
_HEADER = 5
_MAX_INDEX = 64
_HALF = "\\udfff"
"""Half of a surrogate pair, as JSON writes it: a text that begins so is told to be unread."""
_NO_WORDS = ("UNSPECIFIED", "UNKNOWN")
_FAULTS = frozenset({400, 422})
"""Statuses with which a registry rejects the id itself: a producer may write any."""


class SchemaRegistry:
    """`options` go to the client as they are: `basic.auth.user.info`, `ssl.ca.location`, … `timer` is a monotonic
    clock, in seconds."""

    def __init__(
        self,
        url: str,
        options: Mapping[str, Any],
        *,
        timer: Callable[[], float] = monotonic,
    ) -> None:
        try:
            from confluent_kafka.schema_registry import SchemaRegistryClient
        except ImportError as error:
            raise ConfigurationError(
                "source.schema_registry needs: pip install 'intent-guardian[registry]'"
            ) from error
        try:
            self._client: Callable[[], Any] = partial(SchemaRegistryClient, {"url": url, **options})
            with self._client():
                pass  # it takes the options
        except (TypeError, ValueError) as error:
            raise ConfigurationError(f"source.schema_registry: {error}") from error
        over_http = any(each.strip().lower().startswith("http:") for each in url.split(","))
        self._straight = over_http and "proxy" not in (options or {})
        self._timer = timer
        self._readers: dict[int, Any] = {}
        self._unknown: dict[int, tuple[float, str]] = {}

    def plain(self, value: bytes) -> bytes | None:
        """The value as JSON; None where it is not in the wire format. Raises DecodeError, or SchemaAway."""
        if len(value) <= _HEADER or value[0] != _MAGIC:
            return None
        number = int.from_bytes(value[1:_HEADER], "big")
        read = self._readers.get(number)
        if read is None:
            read = self._readers[number] = self._asked(number)
        try:
            body = read(value[_HEADER:])
            return body if isinstance(body, bytes) else json.dumps(body, default=_plain).encode()
        except DecodeError:
            raise
        except RecursionError:
            raise DecodeError("too_large", "nested more deeply than is read") from None
        except Exception as error:  # the libraries raise whatever comes to hand on bad bytes
            raise DecodeError(
                "invalid", f"the value does not fit schema {number}: {type(error).__name__}"
            ) from None

    def _asked(self, number: int) -> Any:
        """Its reader. That there is none is remembered for a moment only: it may be registered now."""
        until, why = self._unknown.get(number, (-math.inf, ""))
        if self._timer() < until:
            raise DecodeError("unknown_schema", why)
        try:
            return self._reader(number)
        except DecodeError as error:
            if len(self._unknown) >= _MOST_UNKNOWN:
                self._unknown.clear()
            self._unknown[number] = self._timer() + _NOT_AGAIN_S, error.reason
            raise

    def _reader(self, number: int) -> Any:
        schema = self._ask(methodcaller("get_schema", number), number)
        match schema.schema_type:
            case "JSON":
                return lambda payload: payload
            case "AVRO":
                named: dict[str, Any] = {}
                self._refer(schema, number, named, set())
                return _made(lambda text: _avro(text, named), schema.schema_str, number)
            case "PROTOBUF":
                serialized = self._ask(methodcaller("get_schema", number, fmt="serialized"), number)
                return _made(_protobuf, serialized.schema_str, number)
            case other:
                raise DecodeError(
                    "unknown_schema", f"schema {number} is of type {str(other)[:32]!r}, which is not read"
                )

    def _refer(self, schema: Any, number: int, named: dict[str, Any], seen: set[tuple[str, int]]) -> None:
        """Puts into `named` the types of the Avro schemas that this one refers to, and of those that they do."""
        for each in schema.references or ():
            place = each.subject, each.version
            if place not in seen:
                seen.add(place)
                inner = self._ask(methodcaller("get_version", *place), number).schema
                self._refer(inner, number, named, seen)
                _made(lambda text: _avro(text, named), inner.schema_str, number)

    def _ask(self, ask: Callable[[Any], Any], number: int) -> Any:
        from confluent_kafka.schema_registry.error import SchemaRegistryError

        try:
            return self._answer(ask)
        except SchemaRegistryError as error:
            own = error.error_code != -1  # the client's own, where what answered was no registry
            if error.http_status_code == 404 or (own and error.http_status_code in _FAULTS):
                raise DecodeError("unknown_schema", f"the registry knows no schema {number}") from None
            if own and error.http_status_code == 403 and self._lets_in():
                raise DecodeError("unknown_schema", f"the registry forbids to read schema {number}") from None
            raise SchemaAway(
                f"schema registry: it answered {error.http_status_code} for schema {number}"
            ) from error
        except Exception as error:  # whatever its HTTP library raises when nobody answers
            raise SchemaAway(
                f"schema registry: cannot be asked for schema {number}: {type(error).__name__}"
            ) from error

    def _lets_in(self) -> bool:
        """Whether the registry lets this account read now: the last schema that it gave, else any subject. What it
        forbids then is one schema, and a producer may write the id of any."""
        given = [*self._readers][-1:]
        ask = methodcaller("get_schema", *given) if given else methodcaller("get_subjects", limit=1)
        try:
            return bool(self._answer(ask))
        except Exception:  # as above: it is waited for
            return False

    def _answer(self, ask: Callable[[Any], Any]) -> Any:
        """Each question has a client, so a connection, of its own: the library waits for ever, and is cut off."""
        with within(_ANSWERED_WITHIN_S), self._client() as client:
            if self._straight:  # the environment's proxy would read what goes over http to this machine
                client._rest_client.session._mounts.clear()
            return ask(client)


def _made(make: Callable[[str], Any], text: str, number: int) -> Any:
    try:
        return make(text)
    except DecodeError:
        raise
    except Exception as error:  # whatever the libraries raise for a schema that they cannot work with
        why = f"schema {number} cannot be used: {type(error).__name__}"
        raise DecodeError("unknown_schema", why) from None


def _avro(text: str, named: dict[str, Any]) -> Any:
    """A reader. fastavro's calls itself without a limit, in C, for a value within another.
    Where that may go on for ever, its twin in Python is taken, which ends at Python's limit."""
    import fastavro
    import fastavro._read_py

    told = json.loads(text)
    if isinstance(told, dict):
        told.pop("__fastavro_parsed", None)  # its own mark of what it need not look at again
    schema: Any = fastavro.parse_schema(told, named)
    endless = set[str]()
    _least(schema, named, endless, {})
    read = fastavro._read_py.schemaless_reader if endless else fastavro.schemaless_reader
    odd = "surrogateescape"  # bytes that are no UTF-8 become what is no JSON, and the rest is judged
    return lambda payload: read(BytesIO(payload), schema, None, handle_unicode_errors=odd)


def _least(
    schema: Any, named: Mapping[str, Any], endless: set[str], known: dict[str, int], around: tuple[str, ...] = ()
) -> int:
    """The fewest bytes that a value has; names of types that may be within themselves go into `endless`. Raises
    DecodeError for an array of what has no bytes: some bytes could stand for values without number. What is
    `known` of a type is not looked for again: where each names the one before it twice, that would not end."""
    match schema:
        case list():
            return 1 + min((_least(each, named, endless, known, around) for each in schema), default=0)
        case str() if schema in around:
            endless.add(schema)
        case str() if schema in known:
            return known[schema]
        case str() if schema in named:
            return _least(named[schema], named, endless, known, around)
        case {"type": "record" | "error", "name": name, "fields": fields}:
            inside = (*around, name)
            known[name] = sum(_least(each["type"], named, endless, known, inside) for each in fields)
            return known[name]
        case {"type": "array", "items": items}:
            if _least(items, named, endless, known, around) == 0:
                raise DecodeError("unknown_schema", "an array in the Avro schema is of items without any bytes")
        case {"type": "map", "values": values}:
            _least(values, named, endless, known, around)
        case {"type": "fixed", "size": size}:
            return int(size)
        case "null" | {"type": "null"}:
            return 0
    return 1


def _protobuf(serialized: str) -> Any:
    """A reader for the messages of one file; imports of Google's well-known types are known, others are not."""
    from google.protobuf import any_pb2, descriptor_pb2, duration_pb2, struct_pb2, timestamp_pb2, wrappers_pb2
    from google.protobuf.descriptor_pool import DescriptorPool
    from google.protobuf.json_format import MessageToDict, SerializeToJsonError
    from google.protobuf.message import DecodeError as BadMessage
    from google.protobuf.message_factory import GetMessageClass

    pool: Any = DescriptorPool()
    for known in (any_pb2, duration_pb2, struct_pb2, timestamp_pb2, wrappers_pb2):
        pool.AddSerializedFile(known.DESCRIPTOR.serialized_pb)
    file = descriptor_pb2.FileDescriptorProto.FromString(base64.b64decode(serialized))
    file.name = file.name or "schema.proto"
    pool.AddSerializedFile(file.SerializeToString())
    top = pool.FindFileByName(file.name)

    def read(payload: bytes) -> Any:
        path, start = _index(payload)
        messages = list(top.message_types_by_name.values())
        message = messages[path[0]]
        for step in path[1:]:
            message = list(message.nested_types)[step]
        made, content = GetMessageClass(message), payload[start:]
        try:
            return plain(made, content)
        except (BadMessage, SerializeToJsonError):
            mark = secrets.token_hex(16)
            rest = plain(made, around(content, message, mark))
            return json.dumps(rest).replace(mark, _HALF).encode()

    def plain(made: Any, content: bytes) -> Any:
        said = MessageToDict(made.FromString(content), preserving_proto_field_name=True)
        return _explicit(said, made.DESCRIPTOR)

    return read


def _explicit(said: Any, descriptor: Any) -> Any:
    """The JSON of a message, with what Protobuf's own leaves out or writes otherwise: `false` and the first word
    of an enumeration where these are what a field without presence says, and 64-bit numbers as numbers. By
    convention the first word may be one that says nothing."""
    told = dict(said)
    for field in descriptor.fields:
        if field.name in said:
            told[field.name] = _of_field(said[field.name], field)
        elif not field.has_presence and field.default_value is False:
            told[field.name] = False
        elif not field.has_presence and field.enum_type is not None and field.default_value == 0:
            word = field.enum_type.values_by_number[0].name
            if not word.upper().endswith(_NO_WORDS):
                told[field.name] = word
    return told


def _of_field(said: Any, field: Any) -> Any:
    inner = field.message_type
    if inner is not None and inner.GetOptions().map_entry:
        value = inner.fields_by_name["value"]
        return {key: _of_field(each, value) for key, each in said.items()}
    if inner is not None and inner.full_name.startswith("google.protobuf."):  # these have a JSON of their own
        return said
    if isinstance(said, list):
        return [_of_field(each, field) for each in said]
    if inner is not None:
        return _explicit(said, inner)
    return int(said) if field.cpp_type in (field.CPPTYPE_INT64, field.CPPTYPE_UINT64) else said


def _index(payload: bytes) -> tuple[list[int], int]:
    """Which message it is, as zigzag numbers after their count; a single zero stands for the first."""
    count, at = _zigzag(payload, 0)
    if count == 0:
        return [0], at
    if not 0 < count <= _MAX_INDEX:
        raise DecodeError("invalid", "the index of the Protobuf message is damaged")
    path = []
    for _ in range(count):
        step, at = _zigzag(payload, at)
        if step < 0:
            raise DecodeError("invalid", "the index of the Protobuf message is damaged")
        path.append(step)
    return path, at


def _zigzag(payload: bytes, at: int) -> tuple[int, int]:
    number, at = varint(payload, at)
    return (number >> 1) ^ -(number & 1), at


def _plain(value: object) -> object:
    match value:
        case datetime() | date() | time():
            return value.isoformat()
        case Decimal() | UUID():
            return str(value)
        case bytes():
            return base64.b64encode(value).decode()
        case _:
            return str(value)
