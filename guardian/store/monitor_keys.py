"""Keys and headers as the monitor's columns hold them, in lots that one statement can ask for."""

import base64
import hashlib
import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import TypeVar

_T = TypeVar("_T")
_K = TypeVar("_K", bound=tuple[str, ...])
_CHUNK = 500
_WIDEST = 256  # bytes of a name in a key of three: PostgreSQL indexes 2704, a tenant or session may need 2048


def chunks(items: Iterable[_T]) -> Iterator[list[_T]]:
    """Lists of at most 500: databases bound the number of parameters of one statement."""
    iterator = iter(items)
    while part := list(islice(iterator, _CHUNK)):
        yield part


def lots(keys: Iterable[_K], spelt: Callable[[str], str] = str) -> Iterator[tuple[tuple[str, ...], dict[str, _K]]]:
    """The keys in lots for one query each: equal but for the last name, and no more than `chunks` takes.

    Yields the names that they have in common, and the keys by their last name as its column spells it.
    """
    groups: dict[tuple[str, ...], dict[str, _K]] = defaultdict(dict)
    for key in keys:
        groups[key[:-1]][spelt(key[-1])] = key
    for common, named in groups.items():
        for part in chunks(named.items()):
            yield common, dict(part)


def in_key(name: str) -> str:
    """A name as a key of several columns holds it: its digest where it is too wide for an index."""
    raw = name.encode("utf-8", "surrogatepass")
    return name if len(raw) <= _WIDEST else f"sha256:{hashlib.sha256(raw).hexdigest()}"


def headers_text(headers: Iterable[tuple[str, bytes]]) -> str:
    """A record's headers as their column holds them; a broker may hand out one without a value."""
    return json.dumps([[name, base64.b64encode(value or b"").decode()] for name, value in headers])


def headers_of(text: str) -> tuple[tuple[str, bytes], ...]:
    """The headers out of their column."""
    return tuple((name, base64.b64decode(value)) for name, value in json.loads(text))
