"""Values that an Avro schema describes, read by fastavro, and which of its readers a schema is safe with."""

import json
from collections.abc import Mapping
from io import BytesIO
from typing import Any

from guardian.errors import DecodeError


def avro_reader(text: str, named: dict[str, Any]) -> Any:
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
