"""A small audit trail in a real database, somebody with full access to it, and what was exported before."""

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from guardian.audit.checkpoint import origin_base
from guardian.audit.claims import given_claims, stored_claims
from guardian.audit.files import append_note
from guardian.audit.making import make_checkpoint
from guardian.audit.note import NoteKey, note_keys
from guardian.audit.report import Report
from guardian.audit.verify import verify_trail
from guardian.keys.signing import SigningKeys
from guardian.store.control.audit import chain
from guardian.store.control.head import GENESIS
from guardian.store.control.store import ControlStore
from guardian.store.engine import open_engine

NOW = datetime(2026, 5, 12, 12, 0, tzinfo=UTC)
BASE = origin_base("guardian")


@dataclass(frozen=True)
class Trail:
    """One deployment: its database, its keys, and the file that checkpoints are exported to."""

    folder: Path

    @property
    def database(self) -> Path:
        return self.folder / "control.db"

    @property
    def exported(self) -> Path:
        return self.folder / "checkpoints.txt"

    @property
    def keys(self) -> SigningKeys:
        return SigningKeys(self.folder / "signing.jwks.json")

    @property
    def public(self) -> tuple[NoteKey, ...]:
        return note_keys(self.keys.current().jwks())

    def open(self) -> ControlStore:
        return ControlStore.open(f"sqlite:///{self.database}", now=NOW)

    def behind(self) -> ControlStore:
        """As an auditor opens it, or an intruder: no epoch begins, and nothing is migrated."""
        return ControlStore(open_engine(f"sqlite:///{self.database}"), None, lambda: NOW)

    def grow(self, count: int, actor: str = "ann") -> None:
        store = self.open()
        with store.write() as rows:
            for n in range(count):
                rows.audit.append({"action": "revoke", "actor": actor, "n": n})
        store.close()

    def sign(self, keys: SigningKeys | None = None) -> str:
        """A checkpoint, stored and exported."""
        store = self.open()
        made = make_checkpoint(store, (keys or self.keys).current(), base=BASE, now=NOW)
        store.close()
        assert made is not None
        append_note(self.exported, made.note)
        return made.note

    def verify(
        self,
        *files: Path,
        keys: tuple[NoteKey, ...] | None = None,
        restored: tuple[int, ...] = (),
    ) -> Report:
        keys = keys or self.public
        with closing(self.behind()) as store, store.read() as rows:
            return verify_trail(
                rows.audit.raw(),
                rows.audit.end(),
                stored=stored_claims(rows.checkpoints.raw(), keys),
                given=given_claims(files, keys),
                restored=restored,
            )

    def tamper(self, *statements: str) -> None:
        """What somebody with full access to the database does."""
        with closing(sqlite3.connect(self.database)) as connection:
            connection.execute("PRAGMA synchronous=OFF")
            for statement in statements:
                connection.execute(statement)
            connection.commit()

    def rewrite(self, edit: Callable[[int, str], str | None]) -> None:
        """Edit or drop (None) records, then recompute every number, every hash and the head row."""
        with closing(sqlite3.connect(self.database)) as connection:
            connection.execute("PRAGMA synchronous=OFF")
            before, seq = GENESIS, 0
            found = connection.execute("SELECT seq, record FROM control_audit ORDER BY seq").fetchall()
            connection.execute("DELETE FROM control_audit")
            for old, record in found:
                changed = edit(old, record)
                if changed is None:
                    continue
                seq += 1
                changed = changed.replace(f'"seq":{old}', f'"seq":{seq}')
                before = chain(before, changed)
                connection.execute("INSERT INTO control_audit VALUES (?, ?, ?)", (seq, changed, before))
            connection.execute("UPDATE control_head SET audit_seq = ?, audit_hash = ?", (seq, before))
            connection.commit()

    def copy_to(self, folder: Path) -> "Trail":
        shutil.copytree(self.folder, folder)
        return Trail(folder)


@pytest.fixture
def trail(tmp_path: Path) -> Trail:
    """Empty, with a key."""
    folder = tmp_path / "deployment"
    folder.mkdir()
    SigningKeys.create(folder / "signing.jwks.json")
    return Trail(folder)


@pytest.fixture
def signed(template: Trail, tmp_path: Path) -> Trail:
    """Eleven entries; checkpoints at 4 and 9, stored and exported."""
    return template.copy_to(tmp_path / "signed")


@pytest.fixture
def store(trail: Trail) -> Iterator[ControlStore]:
    opened = trail.open()
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Trail:
    """What `signed` is a copy of; not to be altered."""
    folder = tmp_path_factory.mktemp("template") / "deployment"
    folder.mkdir()
    SigningKeys.create(folder / "signing.jwks.json")
    made = Trail(folder)
    for count in (4, 5):
        made.grow(count)
        made.sign()
    made.grow(2)
    made.tamper("PRAGMA wal_checkpoint(TRUNCATE)")
    return made
