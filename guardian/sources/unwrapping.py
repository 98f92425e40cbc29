"""A source behind a schema registry: values are turned into JSON first, records stay as they are."""

import dataclasses
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from guardian.domain.record import Record
from guardian.errors import DecodeError
from guardian.sources.guardian import placed
from guardian.sources.port import Source, Told


@dataclass(frozen=True)
class Unwrapping:
    """`plain` makes JSON of a value in the registry's wire format, None of any other. It may raise DecodeError for
    the value, and SchemaAway when the registry cannot be asked."""

    inner: Source
    plain: Callable[[bytes], bytes | None]

    def read(self, record: Record) -> Iterable[Told | DecodeError]:
        """What the inner source reads from the value as JSON."""
        try:
            value = self.plain(record.value)
        except DecodeError as error:
            return (placed(error, record),)
        return self.inner.read(record if value is None else dataclasses.replace(record, value=value))
