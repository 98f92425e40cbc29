"""A JSONL file (also .gz, or standard input) as a topic with one partition, and dead letters into files.

The offset of a record is its line number from 0. Bytes are handed on as they are, except for the byte order mark
that some editors put first. Whether they are UTF-8 or JSON is for the source to judge, so that a bad line reaches
the dead-letter queue like any other bad record.
"""

import base64
import codecs
import gzip
import hashlib
import io
import json
import os
import re
import sys
import zlib
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import IO, Any, cast

from guardian.bus.port import BATCH_BYTES
from guardian.domain.record import MAX_RECORD, Place, Record
from guardian.errors import BusError, ConfigurationError
from guardian.telemetry import logger

_log = logger("bus")
MAX_LINE = MAX_RECORD + 1
"""The most of one line that is held in memory. The rest is skipped, and the source refuses what is left: it is one
byte more than a record may have."""
_GZIP = b"\x1f\x8b"
_SKIP = 1024 * 1024
_STRING = re.compile(rb'"(?:[^"\\]|\\.)*+"?')


class FileConsumer:
    """Reads `path` once, from the stored line on. `-` is standard input. Blank lines count, but are no records. A
    last line still being written is left for the next time."""

    def __init__(self, path: str | Path, *, topic: str | None = None) -> None:
        self._path = str(path)
        self._place = Place(topic or ("stdin" if self._path == "-" else _spelt(self._path)), 0)
        self._stream: IO[bytes] | None = None
        self._next = 0
        self._ended = False
        self._broken: BusError | None = None
        self._paused = False
        self.unfinished = False  # the last line is not whole, and waits

    def start(self, positions: Callable[[Sequence[Place]], Mapping[Place, int]]) -> None:
        self.close()
        self._stream = self._open()
        self._ended = self.unfinished = False
        self._broken = None
        self._next = 0
        until = positions([self._place]).get(self._place, 0)
        while self._next < until and self._line() is not None:
            pass
        if self._next < until:
            _log.warning(
                "file_ends_early",
                file=self._path,
                line=until,
                has=self._next,
                note="it was to go on with that line",
            )
        _log.info("reading", file=self._path, from_line=self._next)

    def poll(self, *, timeout_s: float, max_records: int) -> list[Record]:  # noqa: ARG002 - a file never waits
        """Raises BusError, once, where a damaged file breaks off, after every line before that was handed on."""
        records: list[Record] = []
        size, until = 0, self._next + max_records  # lines, so that a run of blank ones ends too
        while not self._paused and self._next < until and size < BATCH_BYTES:
            offset = self._next
            line = self._line()
            if line is None:
                break
            size += len(line)
            if line.strip():
                records.append(Record(self._place.topic, 0, offset, line))
        if not records:
            self._tell_broken()
        return records

    def assignment(self) -> frozenset[Place]:
        return frozenset([self._place])

    def member(self) -> str:
        return ""

    def bounds(self, positions: Mapping[Place, int]) -> Mapping[Place, tuple[int, int]]:  # noqa: ARG002 - the port's
        """Unknown: a file's length in lines is known only after reading it."""
        return {}

    def answers(self) -> bool:
        return True

    def commit(self, positions: Mapping[Place, int]) -> None:
        """A file has no lag tools."""

    def pause(self) -> None:
        self._paused = True

    def resume(self) -> None:
        self._paused = False

    def exhausted(self) -> bool:
        return self._ended and self._broken is None

    def lag(self) -> dict[Place, int]:
        """Unknown before the file's end."""
        return {self._place: 0} if self._ended else {}

    def close(self) -> None:
        if self._stream is not None and self._path != "-":
            self._stream.close()
        self._stream = None

    def _open(self) -> IO[bytes]:
        if self._path == "-":
            return sys.stdin.buffer
        try:
            if self._path.endswith(".gz"):
                return cast(IO[bytes], io.BufferedReader(_Unpacked(gzip.open(self._path, "rb")), _SKIP))
            return open(self._path, "rb")
        except OSError as error:
            raise ConfigurationError(f"source: cannot read {self._path}: {error.strerror or error}") from error

    def _line(self) -> bytes | None:
        """The next line without its end, at most MAX_LINE bytes of it; None where the file ends or breaks off."""
        if self._stream is None or self._ended:
            return None
        try:
            line = self._stream.readline(MAX_LINE)
            if line and not line.endswith(b"\n"):
                while (rest := self._stream.readline(_SKIP)) and not rest.endswith(b"\n"):
                    pass
                if not rest and self._still_written(line):
                    _log.warning("last_line_unfinished", file=self._path, line=self._next, note="it waits")
                    self.unfinished = True
                    line = b""
        except OSError as error:
            return self._broke_off(error)
        if not line:
            self._ended = True
            damage = self._damage()
            return None if damage is None else self._broke_off(damage)
        return self._numbered_line(line)

    def _damage(self) -> Exception | None:
        """Why the gzip ended early, if it did."""
        raw = getattr(self._stream, "raw", None)
        return raw.damage if isinstance(raw, _Unpacked) else None

    def _broke_off(self, error: Exception) -> bytes | None:
        self._ended = True
        why = f"broke off after line {self._next}: {error}; is it damaged or cut short?"
        if self._next == 0 and str(error).startswith("Not a gzipped file"):
            raise ConfigurationError(f"{self._path} is no gzip: give it a name that does not end in .gz")
        self._broken = BusError(f"source: {self._path} {why}")
        return None

    def _still_written(self, line: bytes) -> bool:
        """Whether the last line, which has no line end, begins a document that is still being written."""
        if self._damage() is not None:
            return True
        begun = line.lstrip().startswith((b"{", b"["))
        return self._path != "-" and len(line) < MAX_LINE and begun and depth_of(line) > 0

    def _numbered_line(self, line: bytes) -> bytes:
        if self._next == 0:
            if line.startswith(_GZIP):
                named = (
                    ("standard input", "give the file by name")
                    if self._path == "-"
                    else (self._path, "give it a name that ends in .gz")
                )
                raise ConfigurationError(f"{named[0]}: this is gzip: decompress it, or {named[1]}")
            line = line.removeprefix(codecs.BOM_UTF8)
        self._next += 1
        return line.rstrip(b"\r\n")

    def _tell_broken(self) -> None:
        broken, self._broken = self._broken, None
        if broken is not None:
            raise broken


class _Unpacked(io.RawIOBase):
    """A gzip as far as it can be unpacked; where it is cut short or damaged it ends, and `damage` says why."""

    damage: Exception | None = None

    def __init__(self, packed: gzip.GzipFile) -> None:
        self._packed = packed

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        try:
            found = b"" if self.damage else self._packed.read1(len(buffer))  # unlike readinto, loses nothing
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            self.damage, found = error, b""
        buffer[: len(found)] = found
        return len(found)

    def fileno(self) -> int:
        """The packed file's: where it stands there is how much of it was read."""
        return self._packed.fileno()

    def close(self) -> None:
        self._packed.close()
        super().close()


def depth_of(line: bytes) -> int:
    """How many more brackets are opened than closed, outside of strings."""
    bare = _STRING.sub(b"", line)
    return bare.count(b"{") + bare.count(b"[") - bare.count(b"}") - bare.count(b"]")


def place_of(path: Path) -> str:
    """A file's name as a topic: its path and a hash of its first line, so that another file of the same name, such
    as the one after a rotation, is another place."""
    try:
        with FileConsumer(path)._open() as file:
            first = file.readline(MAX_LINE)
    except OSError:
        first = b""  # whoever reads it is told
    return f"{_spelt(path.resolve())}#{hashlib.sha256(first.rstrip()).hexdigest()[:12]}"


def _spelt(path: str | Path) -> str:
    """The path as text that any database takes, even where it is no UTF-8."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def may_be_written(folder: Path) -> bool:
    """Whether files may be made in the folder, or it in its own folder."""
    return os.access(folder if folder.exists() else folder.parent, os.W_OK | os.X_OK)


class NoProducer:
    """Where there is no place for records: whoever sends them has a store, and keeps them there alone."""

    def send(
        self,
        topic: str,
        value: bytes | None,
        *,
        key: bytes | None = None,
        headers: Sequence[tuple[str, bytes]] = (),
        partition: int | None = None,
        timestamp: datetime | None = None,
    ) -> None:
        """Nothing."""

    def close(self) -> None:
        """Nothing."""


class FileProducer:
    """Appends each record to `<folder>/<topic>.jsonl` as JSON with base64 values, on the disk on return."""

    def __init__(self, folder: str | Path) -> None:
        self._folder = Path(folder)

    def send(
        self,
        topic: str,
        value: bytes | None,
        *,
        key: bytes | None = None,
        headers: Sequence[tuple[str, bytes]] = (),
        partition: int | None = None,  # noqa: ARG002 - a file has one
        timestamp: datetime | None = None,  # noqa: ARG002 - nor a time of its lines
    ) -> None:
        line = json.dumps(
            {
                "key": None if key is None else base64.b64encode(key).decode(),
                "headers": [[name, base64.b64encode(content).decode()] for name, content in headers],
                "value": None if value is None else base64.b64encode(value).decode(),
            }
        )
        name = "".join(c if c.isalnum() or c in "._-" else "_" for c in topic)[-200:]
        path = self._folder / f"{name}.jsonl"
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            with os.fdopen(descriptor, "ab") as file:
                file.write(line.encode() + b"\n")
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise BusError(f"cannot append to {path}: {error.strerror or error}") from error

    def close(self) -> None:
        """Every send is complete on return."""
