"""Reading what kafka-python fetched, so that no record or batch stops the reading or fills the memory.

The library has no options for that, so parts of it are replaced here:

- A name of a header that is no UTF-8 (Kafka takes any bytes) stops it. A byte 255 in such a name is spelt `\\xff`.
- It unpacks each batch whole, and zstd packs 31,000 to 1. Here a batch is unpacked bit by bit. Of a record that is
  longer than any that is read only the beginning is kept, as of a line of a file, and the source refuses it.
- A poll counts records only. Here it takes no further ones once it holds `BATCH_BYTES`.
- Whatever a codec raises is a CorruptRecordError, which names the place and the batch.
"""

import gzip
import io
from collections.abc import Iterator
from typing import Any

import snappy
from kafka.consumer.fetcher import Fetcher
from kafka.errors import CorruptRecordError, UnsupportedCodecError
from kafka.record import memory_records
from kafka.record.default_records import DefaultRecord, DefaultRecordBatch
from kafka.record.util import decode_varint
from lz4.frame import LZ4FrameFile
from zstandard import ZstdDecompressor

from guardian.bus.port import BATCH_BYTES
from guardian.domain.record import MAX_RECORD, Place

_CHUNK = 64 * 1024
_LONGEST = MAX_RECORD + 1024 * 1024
"""The most bytes of a packed record that are held at once: a value that may be read, with key and headers."""
_VARINT = 10
_XERIAL = b"\x82SNAPPY\0"
_SNAPPY_MOST = 22
"""As many bytes snappy can make of one: of three it makes 64."""
_AT_ONCE = 8
"""Records between two looks at how much a poll holds: of the longest 280 MB."""


class _Spelt(bytearray):
    """Bytes that decode to text whatever they are."""

    def __getitem__(self, at: Any) -> Any:
        found = super().__getitem__(at)
        return _Spelt(found) if isinstance(found, bytearray) else found

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:  # noqa: ARG002 - the library's
        return super().decode(encoding, "backslashreplace")


class _Batch(DefaultRecordBatch):  # type: ignore[misc]
    """The library's batch. If it is packed, `_buffer` holds what is unpacked so far and not yet read."""

    _buffer: Any
    _pos: int
    _decompressed: bool
    _packed: Any = None

    def validate_crc(self) -> bool:
        if not super().validate_crc():
            raise CorruptRecordError(f"{self._told()} (its checksum is wrong)")
        return True

    def __iter__(self) -> Any:
        return self

    def __next__(self) -> Any:
        try:
            self._maybe_uncompress()
            self._hold(1)  # after the last record: is anything left?
            return super().__next__()
        except (StopIteration, MemoryError):  # a batch that is whole is not to be given up for want of memory
            raise
        except Exception as error:
            raise CorruptRecordError(f"{self._told()} ({type(error).__name__}: {error})") from error

    def _told(self) -> str:
        """Also where it ends: who goes on behind it has to know."""
        return f"the batch of offsets {self.base_offset} to {self.last_offset} cannot be read"

    def _maybe_uncompress(self) -> None:
        if self._decompressed:
            return
        self._decompressed = True
        if self.compression_type == self.CODEC_NONE:
            return
        packed = io.BytesIO(self._buffer[self._pos :])
        self._buffer, self._pos = bytearray(), 0
        match self.compression_type:
            case self.CODEC_GZIP:
                self._packed = gzip.GzipFile(fileobj=packed)
            case self.CODEC_LZ4:
                self._packed = LZ4FrameFile(packed)
            case self.CODEC_ZSTD:
                self._packed = ZstdDecompressor().stream_reader(packed, read_across_frames=True)
            case self.CODEC_SNAPPY:
                self._packed = io.BytesIO(b"".join(map(_unsnapped, _snappy_blocks(packed.getvalue()))))
            case other:
                raise UnsupportedCodecError(f"codec {other}")

    def _hold(self, size: int) -> int:
        """How many bytes are held from where it reads on: `size` or more, if there are so many."""
        missing = size - (len(self._buffer) - self._pos)
        if self._packed is not None and missing > 0:
            del self._buffer[: self._pos]
            self._pos = 0
            self._buffer += self._packed.read(max(missing, _CHUNK))
        return len(self._buffer) - self._pos

    def _read_msg(self, *given: Any) -> Any:
        if self._packed is not None:
            self._hold(_VARINT)
            length, start = decode_varint(self._buffer, self._pos)
            whole = start - self._pos + length
            if whole > _LONGEST:
                return self._beginning(whole)
            if self._hold(whole) < whole:
                raise CorruptRecordError("it ends within a record")
        try:
            return super()._read_msg(*given)
        except UnicodeDecodeError:
            self._buffer = _Spelt(self._buffer)
            return super()._read_msg(*given)

    def _beginning(self, whole: int) -> DefaultRecord:
        """Of a record of so many bytes, the value as long as makes it too large, whether the value is or all else.
        It is refused, so its headers are left out."""
        self._hold(_LONGEST)
        held, numbers, at = self._buffer, [0] * 5, self._pos
        for n in range(5):  # how long it is, attributes, time, offset, and how long its key is
            numbers[n], at = decode_varint(held, at)
        _, _, later, further, key_length = numbers
        ends = at + max(0, key_length)
        whole_key = ends + _VARINT <= len(held)
        key = bytes(held[at:ends]) if key_length >= 0 and whole_key else None
        size, at = decode_varint(held, ends) if whole_key else (0, len(held))
        value = bytes(held[at : at + min(size, MAX_RECORD + 1)]).ljust(MAX_RECORD + 1)
        while whole > 0:
            skipped = min(whole, self._hold(min(whole, _CHUNK)))
            if not skipped:
                raise CorruptRecordError("it ends within a record")
            self._pos += skipped
            whole -= skipped
        appended = self.timestamp_type == self.LOG_APPEND_TIME
        at_ms = self.max_timestamp if appended else self.first_timestamp + later
        return DefaultRecord(len(value), self.base_offset + further, at_ms, self.timestamp_type, key, value, [])


def _snappy_blocks(packed: bytes) -> Iterator[bytes]:
    """What the Java library packed in blocks, or a batch in one."""
    if not packed.startswith(_XERIAL):
        yield packed
        return
    at = 16  # behind its versions
    while at < len(packed):
        ends = at + 4 + int.from_bytes(packed[at : at + 4], "big")
        yield packed[at + 4 : ends]
        at = ends


def _unsnapped(block: bytes) -> bytes:
    """It says first how long it is, up to 4 GB. So much is asked of the system; without it, the process ends."""
    said = 0
    for n, byte in enumerate(block[:5]):
        said |= (byte & 0x7F) << 7 * n
        if byte < 0x80:
            break
    if said > _SNAPPY_MOST * len(block):
        raise CorruptRecordError(f"{len(block)} bytes of snappy cannot hold {said}")
    unpacked: bytes = snappy.decompress(block)
    return unpacked


_taken = Fetcher._append


def _bounded(fetcher: Any, drained: Any, part: Any, max_records: int, *more: Any) -> int:
    """As the library's: takes records of one partition into `drained`, and says how many. Where these are enough
    it says that no more may come."""
    held = (each for came in drained.values() for each in came)
    sizes = (each.serialized_key_size + each.serialized_value_size + each.serialized_header_size for each in held)
    if sum(sizes) >= BATCH_BYTES:
        return max_records
    try:
        return int(_taken(fetcher, drained, part, min(max_records, _AT_ONCE), *more))
    except MemoryError:
        raise
    except Exception as error:
        told = error.args[0] if isinstance(error, CorruptRecordError) and error.args else repr(error)
        raise CorruptRecordError(f"{Place(*part.topic_partition)} at {part.next_fetch_offset}: {told}") from error


def bound_reading() -> None:
    """Replace those parts of the library in this process; idempotent."""
    memory_records.DefaultRecordBatch = _Batch
    Fetcher._append = _bounded
