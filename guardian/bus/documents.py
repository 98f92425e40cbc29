"""A file of JSON documents: one a line, or spread over lines (pretty-printed, or one array for the whole file).

The offset of a record is the number of its first line from 0. A document that is cut off (in a rotated or
truncated file) is handed on as far as it goes, to be refused with its line; it does not swallow the whole ones
after it.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from gzip import BadGzipFile

from guardian.bus.file import MAX_LINE, FileConsumer, depth_of
from guardian.bus.port import BATCH_BYTES
from guardian.domain.record import Place, Record
from guardian.telemetry import logger

_log = logger("bus")
_OPENING = (b"{", b"[")


class Documents(FileConsumer):
    """For files that are read once, from their beginning. A document on one line costs nothing extra."""

    _ahead: tuple[int, bytes] | None = None

    def start(self, positions: Callable[[Sequence[Place]], Mapping[Place, int]]) -> None:
        self._ahead = None
        super().start(positions)

    def poll(self, *, timeout_s: float, max_records: int) -> list[Record]:  # noqa: ARG002 - a file never waits
        records: list[Record] = []
        size = 0
        while not self._paused and len(records) < max_records and size < BATCH_BYTES:
            found = self._document()
            if found is None:
                break
            size += len(found[1])
            records.append(Record(self._place.topic, 0, found[0], found[1]))
        if not records:
            self._tell_broken()
        return records

    def exhausted(self) -> bool:
        return super().exhausted() and self._ahead is None

    def _still_written(self, line: bytes) -> bool:  # noqa: ARG002 - FileConsumer's
        return False

    def _broke_off(self, error: Exception) -> bytes | None:
        """Ends the file with one unreadable line, which is reported. A file that is damaged from its first line on
        is an error instead."""
        if self._next == 0 or (isinstance(error, OSError) and not isinstance(error, BadGzipFile)):
            return super()._broke_off(error)
        _log.warning("file_breaks_off", file=self._path, after_line=self._next, why=str(error))
        return self._numbered_line(b"the file breaks off here, damaged or cut short: %a" % str(error))

    def _numbered(self) -> tuple[int, bytes] | None:
        """The next physical line with its number."""
        if self._ahead is not None:
            ahead, self._ahead = self._ahead, None
            return ahead
        number = self._next
        line = self._line()
        return None if line is None else (number, line)

    def _document(self) -> tuple[int, bytes] | None:
        while (found := self._numbered()) is not None:
            number, line = found
            text = line.strip()
            if text in (b"[", b"]", b"],", b","):  # the brackets of an array that is the whole file
                continue
            if not text.startswith(_OPENING):
                return number, line
            if _balances(text) or depth_of(text) == 0:
                return number, text.removesuffix(b",") if text.endswith(b",") else line
            return number, self._joined(line)
        return None

    def _joined(self, first: bytes) -> bytes:
        """The document that begins with this line, up to the line that closes it."""
        lines, depth, size = [first], depth_of(first), len(first)
        while depth > 0 and size < MAX_LINE:
            found = self._numbered()
            if found is None:
                break
            line = found[1]
            if _begins(line, after=lines[-1]):
                self._ahead = found  # what came before was cut off
                break
            lines.append(line)
            depth += depth_of(line)
            size += len(line)
        return b"\n".join(lines).rstrip().removesuffix(b",")


def _balances(line: bytes) -> bool:
    """A quick check for a document on one line: it ends with a bracket, and brackets are balanced."""
    return (
        line.endswith((b"}", b"]"))
        and line.count(b"{") == line.count(b"}")
        and (line.count(b"[") == line.count(b"]"))
    )


def _begins(line: bytes, *, after: bytes) -> bool:
    """Whether a line within an open document begins another one.

    A bracket in column 0 does, unless the open document is not indented at all and may have one there.
    """
    if not line.startswith(_OPENING):
        return False
    return after[:1].isspace() or not after.rstrip().endswith((b"[", b",", b":")) or _is_document(line)


def _is_document(line: bytes) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False
