"""The files of a policy set, read once: what is fingerprinted, checked and put in force is the same bytes."""

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from guardian.errors import PolicyError

CASES = "cases.yaml"
_MOST_BYTES = 4 * 1024 * 1024
_PIECE = re.compile(r'"(?:\\.|[^"\\])*"|//[^\n]*|;|\n|[^";/\n]+|.', re.DOTALL)


@dataclass(frozen=True, slots=True)
class PolicyFiles:
    """A folder's `*.cedar` files by name, in the order of names, its schema and where that is, and its
    cases where it has some.

    Hidden files are none of it: an editor's lock on a policy is not a policy.
    """

    folder: Path
    policies: Mapping[str, str]
    schema: str
    schema_file: Path
    cases: str | None = None

    @classmethod
    def read(cls, folder: Path) -> "PolicyFiles":
        """Raises PolicyError when files are absent, unreadable, or not text."""
        try:
            texts, schemas = sorted(folder.glob("[!.]*.cedar")), sorted(folder.glob("[!.]*.cedarschema"))
            if not texts or len(schemas) != 1:
                raise PolicyError(
                    f"{folder} must hold *.cedar files and exactly one *.cedarschema; it holds {len(texts)} "
                    f"and {len(schemas)}"
                )
            cases = folder / CASES
            return cls(
                folder,
                {file.name: _text(file) for file in texts},
                _text(schemas[0]),
                schemas[0],
                _text(cases) if cases.exists() else None,
            )
        except OSError as error:
            raise PolicyError(f"{error.filename or folder} cannot be read: {error.strerror}") from error

    @property
    def fingerprint(self) -> str:
        """Changes with any byte of any file, and with any name."""
        parts = [*self.policies.items(), ("\x00schema", self.schema), ("\x00cases", self.cases or "")]
        told = hashlib.sha256()
        for name, text in parts:
            for each in (name.encode(), text.encode()):
                told.update(len(each).to_bytes(8) + each)
        return told.hexdigest()


@dataclass(frozen=True, slots=True)
class Statement:
    """One policy's text and the line, from 1, on which it begins."""

    line: int
    text: str


def statements(text: str) -> Iterator[Statement]:
    """Cut Cedar text into policies at the semicolons that are neither in a string nor in a comment.

    Cedar's Python binding says what is wrong but not where. Given one policy at a time, the place is known.
    """
    line, begins, parts = 1, 0, list[str]()
    for piece in _PIECE.findall(text):
        told = piece
        if not begins:
            told = "" if piece.startswith("//") else piece.lstrip()
            begins = line if told else 0
        parts.append(told)
        line += piece.count("\n")
        if piece == ";":
            yield Statement(begins, "".join(parts))
            begins, parts = 0, []
    if begins:
        yield Statement(begins, "".join(parts))


def _text(file: Path) -> str:
    if file.stat().st_size > _MOST_BYTES:
        raise PolicyError(f"{file} has more than {_MOST_BYTES} bytes; is it a policy file?")
    try:
        return file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise PolicyError(f"{file} is not UTF-8 text: {error}") from error
