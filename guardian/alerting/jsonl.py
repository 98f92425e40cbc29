"""Alerts as OCSF Detection Findings, one JSON object a line, for whatever tails files into a SIEM."""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from guardian.alerting.delivered import message_id
from guardian.alerting.neutralise import csv_cell
from guardian.alerting.ocsf import to_ocsf
from guardian.alerting.port import Alert, Given, RetryLater
from guardian.errors import ConfigurationError

_BLOCK = 1 << 16
_SEARCHED = 64 << 20
_FREE_TEXT = frozenset(
    {"message", "title", "desc", "note", "detail", "arguments", "charter", "tool", "status_detail", "comment"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class JsonlOptions:
    """`path` of the file, in a folder that exists. Only its owner may read what is created. Rotate by renaming."""

    path: str

    def __post_init__(self) -> None:
        if not self.path or Path(self.path).is_dir() or not Path(self.path).parent.is_dir():
            raise ConfigurationError(
                f"alerts.jsonl.path must be a file in a folder that exists, got {self.path!r}"
            )

    def open(self, _given: Given) -> "JsonlChannel":
        return JsonlChannel(Path(self.path))


class JsonlChannel:
    """Appends ASCII lines and syncs each to the disk. A line that a crash cut is ended before the next one."""

    name = "jsonl"

    def __init__(self, path: Path) -> None:
        self._path = path

    def deliver(self, alert: Alert) -> str:
        line = (json.dumps(_cells(to_ocsf(alert)), ensure_ascii=True, allow_nan=False) + "\n").encode("ascii")
        try:
            file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
            try:
                size = os.fstat(file).st_size
                if size and os.pread(file, 1, size - 1) != b"\n":  # a crash cut the last line: do not join it
                    line = b"\n" + line
                while line:
                    line = line[os.write(file, line) :]
                os.fsync(file)
            finally:
                os.close(file)
        except OSError as error:
            raise RetryLater(f"{self._path}: {error.strerror}") from None
        return f"jsonl:{message_id(alert)}"

    def find(self, alert: Alert) -> str | None:
        """Look through the last 64 MiB of the file; a SIEM drops what is older or rotated by `metadata.uid`."""
        uid = message_id(alert)
        needle = json.dumps(uid).encode("ascii")
        try:
            for line in _backwards(self._path):
                if needle in line and _uid(line) == uid:
                    return f"jsonl:{uid}"
        except FileNotFoundError:
            return None
        except OSError as error:
            raise RetryLater(f"{self._path}: {error.strerror}") from None
        return None


def _uid(line: bytes) -> Any:
    try:
        return json.loads(line)["metadata"]["uid"]
    except (ValueError, KeyError, TypeError):
        return None


def _cells(value: Any, name: str = "") -> Any:
    """Free text becomes harmless as a spreadsheet cell; ids stay as they are, so that they can be joined."""
    if isinstance(value, dict):
        return {key: _cells(item, key) for key, item in value.items()}
    if isinstance(value, list):
        return [_cells(item, name) for item in value]
    return csv_cell(value, len(value) + 1) if isinstance(value, str) and name in _FREE_TEXT and value else value


def _backwards(path: Path) -> Iterator[bytes]:
    """Lines, last first, reading the file in blocks from its end."""
    with path.open("rb") as file:
        at = end = file.seek(0, os.SEEK_END)
        rest = b""
        while at > 0 and end - at < _SEARCHED:
            size = min(_BLOCK, at)
            at -= size
            file.seek(at)
            first, *whole = (file.read(size) + rest).split(b"\n")
            yield from reversed(whole)
            rest = first
        yield rest


plugin = JsonlOptions
