"""Checkpoints as claims about the trail, from the database and from files; unsigned ones are not believed."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from guardian.audit.checkpoint import Checkpoint, epoch_of, read
from guardian.audit.files import notes_in
from guardian.audit.note import NoteError, NoteKey, parse
from guardian.audit.report import STORED, Claim, Fault, FaultKind
from guardian.store.control.checkpoints import RawCheckpoint


def stored_claims(rows: Iterable[RawCheckpoint], keys: Sequence[NoteKey]) -> Iterator[Claim]:
    """By size, as the database gives them. A note about another size than its row's is no claim."""
    for row in rows:
        where = f"the stored checkpoint of {row.size} entries"
        note = row.note.decode(errors="replace") if row.note is not None else ""
        claim = _claim(note, where, STORED, keys)
        if claim.trouble is None and claim.size != row.size:
            says = f"{where} holds the note of another one, of {claim.size} entries"
            claim = claim._replace(root=None, trouble=Fault("moved", None, says, STORED))
        yield claim._replace(size=row.size)


def given_claims(paths: Iterable[Path], keys: Sequence[NoteKey]) -> list[Claim]:
    """Of every file, by size. Raises ConfigurationError for one that cannot be read, or has no note in it."""
    found: list[Claim] = []
    for path in paths:
        before = len(found)
        for line, note in notes_in(path):
            found.append(_claim(note, f"the checkpoint in {path} line {line}", str(path), keys))
        if len(found) == before:
            found.append(_no_claim("malformed", f"{path} holds no checkpoint", str(path)))
    return sorted(found, key=lambda claim: claim.size)


def _claim(note: str, where: str, source: str, keys: Sequence[NoteKey]) -> Claim:
    try:
        said = read(note, keys=keys)
    except NoteError as error:
        refused = _no_claim(error.code, f"{where} proves nothing: {error}", source)
        if error.code == "unknown_key":  # it may be an older key: a later checkpoint can make up for it
            refused = refused._replace(size=Checkpoint.parse(parse(note).text).size)
        return refused
    return Claim(said.size, said.root, said.chain, epoch_of(said.origin) or 0, where, source)


def _no_claim(kind: FaultKind, says: str, source: str) -> Claim:
    return Claim(0, None, None, 0, "", source, Fault(kind, None, says, source))
