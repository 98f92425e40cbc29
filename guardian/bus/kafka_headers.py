"""Headers whose name is no UTF-8: Kafka takes any bytes, but kafka-python stops reading at such a record.

It has no option for that, so its reader is replaced here. A byte 255 in such a name is spelt `\\xff`.
"""

from typing import Any

from kafka.record import memory_records
from kafka.record.default_records import DefaultRecordBatch


class _Spelt(bytearray):
    """Bytes that decode to text whatever they are."""

    def __getitem__(self, at: Any) -> Any:
        found = super().__getitem__(at)
        return _Spelt(found) if isinstance(found, bytearray) else found

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:  # noqa: ARG002 - the library's
        return super().decode(encoding, "backslashreplace")


class _Batch(DefaultRecordBatch):  # type: ignore[misc]
    """The library's batch; only one with such a name is read a second time."""

    _buffer: Any

    def _read_msg(self, *given: Any) -> Any:
        try:
            return super()._read_msg(*given)
        except UnicodeDecodeError:
            self._buffer = _Spelt(self._buffer)
            return super()._read_msg(*given)


def read_any_name() -> None:
    """Replace the library's reader in this process; idempotent."""
    memory_records.DefaultRecordBatch = _Batch
