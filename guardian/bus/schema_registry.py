"""Values in a schema registry's wire format (Avro, JSON Schema, Protobuf) → JSON, with Confluent's client.

The format: a zero byte, the schema's id in four bytes, for Protobuf which message of the schema it is, the
payload. Schemas never change under their id, so what reads them is kept. Needs the extra `registry`.
"""

import base64
import json
import math
from collections.abc import Callable, Mapping
from datetime import date, datetime, time
from decimal import Decimal
from functools import partial
from operator import methodcaller
from time import monotonic
from typing import Any
from uuid import UUID

from guardian.bus.avro_values import avro_reader
from guardian.bus.protobuf_values import protobuf_reader
from guardian.errors import ConfigurationError, DecodeError, SchemaAway
from guardian.wire.cutoff import within

_ANSWERED_WITHIN_S = 20.0
_NOT_AGAIN_S = 2.0
_MOST_UNKNOWN = 1000
_MAGIC = 0
_HEADER = 5
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
        self._straight = over_http and "proxy" not in options
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
                return _made(lambda text: avro_reader(text, named), schema.schema_str, number)
            case "PROTOBUF":
                serialized = self._ask(methodcaller("get_schema", number, fmt="serialized"), number)
                return _made(protobuf_reader, serialized.schema_str, number)
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
                _made(lambda text: avro_reader(text, named), inner.schema_str, number)

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
