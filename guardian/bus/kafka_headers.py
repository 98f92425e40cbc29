"""Headers whose name is no UTF-8: Kafka takes any bytes, and kafka-python reads nothing from that record on.

It has no option for that, so that its reader is told here. Such a name is spelt with `\\xff` for a byte 255.
"""

from typing import Any

from kafka.record import memory_records
from kafka.record.default_records import DefaultRecordBatch


class _Spelt(bytearray):
    """Bytes of which every text can be read."""

    def __getitem__(self, at: Any) -> Any:
        found = super().__getitem__(at)
        return _Spelt(found) if isinstance(found, bytearray) else found

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:  # noqa: ARG002 - the library's
        return super().decode(encoding, "backslashreplace")


class _Batch(DefaultRecordBatch):  # type: ignore[misc]
    """The library's; only a batch with such a name pays for it."""

    _buffer: Any

    def _read_msg(self, *given: Any) -> Any:
        try:
            return super()._read_msg(*given)
        except UnicodeDecodeError:
            self._buffer = _Spelt(self._buffer)
            return super()._read_msg(*given)


def read_any_name() -> None:
    """From now on, in this process; doing it again changes nothing."""
    memory_records.DefaultRecordBatch = _Batch
