"""Keys and headers as the monitor's columns hold them, and how one statement asks for many rows by their keys."""

import base64
import json
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any, TypeVar

from sqlalchemy import JSON, Column, ColumnElement, bindparam, column, func, select, tuple_

_T = TypeVar("_T")
_CHUNK = 500


def chunks(items: Iterable[_T]) -> Iterator[list[_T]]:
    """Lists of at most 500: databases bound the number of parameters of one statement."""
    iterator = iter(items)
    while part := list(islice(iterator, _CHUNK)):
        yield part


def among(*columns: Column[str]) -> ColumnElement[bool]:
    """That these columns hold one of the keys that a statement is given by `asked`.

    However many keys and tenants there are, the statement is the same: to build it anew for each tenant costs more
    than to answer it. Both databases read JSON, and both take each key to the index.
    """
    each = func.json_each(bindparam("keys", type_=JSON)).table_valued(column("value", JSON))
    return tuple_(*columns).in_(select(*(each.c.value[i].as_string() for i in range(len(columns)))))


def asked(keys: Iterable[tuple[str, ...]]) -> dict[str, Any]:
    """The keys, as their columns spell them, as the parameter of a statement with `among`."""
    return {"keys": dict(enumerate(keys))}  # PostgreSQL's json_each takes no list


def headers_text(headers: Iterable[tuple[str, bytes]]) -> str:
    """A record's headers as their column holds them; a broker may hand out one without a value."""
    return json.dumps([[name, base64.b64encode(value or b"").decode()] for name, value in headers])


def headers_of(text: str) -> tuple[tuple[str, bytes], ...]:
    """The headers out of their column."""
    return tuple((name, base64.b64decode(value)) for name, value in json.loads(text))
