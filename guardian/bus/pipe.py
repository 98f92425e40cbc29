"""Standard input while somebody writes to it: lines are handed on as soon as they arrive."""

import os
import select
import stat
from collections.abc import Callable, Mapping, Sequence

from guardian.bus.file import MAX_LINE, FileConsumer
from guardian.domain.record import Place, Record

_CHUNK = 65_536
_AHEAD = 1024 * 1024


class PipeConsumer(FileConsumer):
    """Reads the lines of an open descriptor once. What has passed through a pipe cannot be read again, so there is
    no offset to resume at: `topic` must name this run alone. What was handed on and not committed is
    handed on once more after a new start. Who stops it calls `finish`, and reads on until it is exhausted."""

    def __init__(self, descriptor: int, *, topic: str) -> None:
        super().__init__("-", topic=topic)
        self._descriptor = descriptor
        self._held = bytearray()
        self._closed = False
        self.finishing = False
        self._in_hand: list[Record] = []  # handed on and not committed
        self._again = False

    def start(self, positions: Callable[[Sequence[Place]], Mapping[Place, int]]) -> None:
        positions([self._place])
        self._again = bool(self._in_hand)

    def finish(self) -> bool:
        """Take nothing more from the descriptor than the rest of a line that was begun; what was taken is handed
        on, also by one that is paused. False: that was asked for before."""
        first, self.finishing = not self.finishing, True
        return first

    def left(self) -> int:
        """How many lines were taken from the descriptor and are not committed."""
        return len(self._in_hand) + self._held.count(b"\n") + self._mid_line()

    def cut_off(self) -> bool:
        """Whether it is a file, as a shell redirects it, of which something was not taken."""
        known = os.fstat(self._descriptor)
        return stat.S_ISREG(known.st_mode) and os.lseek(self._descriptor, 0, os.SEEK_CUR) < known.st_size

    def poll(self, *, timeout_s: float, max_records: int) -> list[Record]:
        if self.finishing:
            self._paused = False
        if self._again and not self._paused:
            self._again = False
            return list(self._in_hand)
        self._fill(0.0 if self._paused or b"\n" in self._held else timeout_s)
        records = super().poll(timeout_s=0, max_records=max_records)
        self._in_hand += records
        return records

    def commit(self, positions: Mapping[Place, int]) -> None:
        until = positions.get(self._place, 0)
        self._in_hand = [record for record in self._in_hand if record.offset >= until]

    def lag(self) -> dict[Place, int]:
        return {self._place: self._held.count(b"\n")}

    def _fill(self, timeout_s: float) -> None:
        """Wait until something arrives, then take all that is there, within bounds."""
        read, wait, whole = 0, timeout_s, b"\n" in self._held
        while not self._closed and read < MAX_LINE:
            if not (self._mid_line() if self.finishing else len(self._held) < _AHEAD or not whole):
                return
            if not select.select([self._descriptor], [], [], wait)[0]:
                return
            chunk = os.read(self._descriptor, 1 if self.finishing else _CHUNK)
            self._closed = not chunk
            self._held += chunk
            whole = whole or b"\n" in chunk
            if len(self._held) > MAX_LINE + _CHUNK and not whole:
                del self._held[MAX_LINE:]  # of a line that long no more is wanted
            read, wait = read + len(chunk), 0.0

    def _mid_line(self) -> bool:
        return bool(self._held) and not self._held.endswith(b"\n")

    def _line(self) -> bytes | None:
        """The next whole line; None while there is none, and at the end."""
        end = self._held.find(b"\n") + 1
        if not end and not (self._closed or self.finishing):
            return None
        line = bytes(self._held[: min(end or len(self._held), MAX_LINE)])
        del self._held[: end or len(self._held)]
        if not line:
            self._ended = True
            return None
        return self._numbered_line(line)
