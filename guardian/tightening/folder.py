"""The folder of files that a proposal is, for a pull request."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from pathlib import Path

from guardian.disk import write_atomically
from guardian.domain.text import some
from guardian.errors import ProposalError
from guardian.tightening.proposal import Proposal
from guardian.tightening.proposal_json import from_json

PROPOSAL, EXAMPLES, REPORT, SUMS = "proposal.json", "denied.jsonl", "REPORT.md", "SHA256SUMS"
_NAMED = 5
_BEGUN = "# not written to its end"


def read_proposal(folder: Path) -> Proposal:
    """From its folder, or from the JSON file itself. Raises ProposalError with the way out."""
    path = folder / PROPOSAL if folder.is_dir() else folder
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ProposalError(f"{path}: no proposal here; `guardian propose --out DIR` writes one") from error
    if _begun(path.parent):
        raise ProposalError(f"{path}: was not written to its end; `guardian propose --out` writes it again")
    return from_json(value)


def write_folder(folder: Path, files: Mapping[str, str]) -> None:
    """Write every file whole, and their digests to SHA256SUMS.

    Files of an earlier proposal that this one does not have are removed; all others are left alone. Where it fails
    in the middle nobody reads what lies there, and the next may take its place. Raises ProposalError as
    `replaceable` does, and OSError with the file that could not be written.
    """
    kept = replaceable(folder, files)
    sums = {name: {digest_of(text.encode())} for name, text in files.items()}
    both = {name: kept.get(name, set()) | sums.get(name, set()) for name in {*kept, *sums}}
    _write(folder / SUMS, f"{_BEGUN}\n{_lines_of(both)}")
    for name, text in files.items():
        _write(folder / name, text)
    for old in rendered(folder, "**/*"):
        if (name := old.relative_to(folder).as_posix()) in kept and name not in files:
            old.unlink()
    _write(folder / SUMS, _lines_of(sums))


def _lines_of(sums: Mapping[str, AbstractSet[str]]) -> str:
    return "".join(f"{digest}  {name}\n" for name in sorted(sums) for digest in sorted(sums[name]))


def _write(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with write_atomically(path) as file:
            file.write(text.encode())
    except OSError as error:  # of a disk that is full nobody says which file it was
        raise OSError(error.errno, error.strerror, str(path)) from error


def _begun(folder: Path) -> bool:
    """Whether a proposal was not written to its end here."""
    path = folder / SUMS
    return path.is_file() and path.read_bytes().startswith(_BEGUN.encode())


def replaceable(folder: Path, files: Iterable[str] = ()) -> Mapping[str, AbstractSet[str]]:
    """The digests of the proposal in the folder, if there is one; returns only if another may take its place. A
    file of one that was not written to its end may have two: that of the one before, too.

    Raises ProposalError if the folder is somebody else's, or if `files` or those of its proposal were edited.
    """
    if not folder.exists():
        return {}
    if not folder.is_dir():
        raise ProposalError(f"{folder} is a file; name a folder for the proposal")
    if any(folder.iterdir()) and not (folder / PROPOSAL).is_file() and not _begun(folder):
        raise ProposalError(f"{folder} is not empty and holds no proposal; name another folder")
    path = folder / SUMS
    if not path.is_file() and any(folder.iterdir()):
        raise ProposalError(
            f"{folder} holds a proposal without {SUMS}, as earlier versions wrote it. Nothing shows whether it "
            "was edited, so it is not overwritten; name another folder, or remove this one if nobody edited it"
        )
    lines = path.read_text(encoding="utf-8", errors="replace").split("\n") if path.is_file() else ()
    sums: dict[str, set[str]] = {}
    for digest, _, name in (line.strip().partition("  ") for line in lines):
        if name:
            sums.setdefault(name, set()).add(digest)
    here = [name for name in sorted({PROPOSAL, *sums, *files} - {SUMS}) if (folder / name).is_file()]
    edited = [name for name in here if digest_of((folder / name).read_bytes()) not in sums.get(name, ())]
    if edited:
        raise ProposalError(
            f"{folder}: {some(edited, _NAMED)} was edited since it was proposed, or was there before, and is not "
            "overwritten; name another folder, or remove this one"
        )
    return sums


def digest_of(content: bytes) -> str:
    """As `sha256sum` prints it for the file with Unix line ends."""
    return hashlib.sha256(content.replace(b"\r\n", b"\n")).hexdigest()


def rendered(folder: Path, pattern: str) -> list[Path]:
    """The files that match within the folders of a proposal's renderings, in the order of their names."""
    below = [path for path in folder.glob("[!.]*") if path.is_dir() and not (path / PROPOSAL).exists()]
    return sorted(path for each in below for path in each.glob(pattern) if path.is_file())
