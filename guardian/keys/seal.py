"""Encryption of stored secrets: Fernet (AES-CBC with HMAC), with rotated keys and a time to live."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from guardian.errors import ConfigurationError, StoreError
from guardian.keys.files import make_secret, read_secret, write_secret

_LOST = (
    "copy it from another monitor of this store; else `guardian seal rotate --lost` makes one that opens nothing"
    " older"
)


@dataclass(frozen=True, slots=True)
class Seal:
    """The first key seals, all of them unseal. Time is an argument, so expiry can be tested and replayed."""

    keys: tuple[bytes, ...] = field(repr=False)
    ttl: timedelta

    def __post_init__(self) -> None:
        if not self.keys:
            raise ConfigurationError("a seal needs at least one key")
        try:
            self._fernets()
        except ValueError as error:
            raise ConfigurationError("a sealing key must be 32 bytes in URL-safe base64") from error

    def seal(self, content: bytes, *, now: datetime) -> bytes:
        return self._fernets().encrypt_at_time(content, int(now.timestamp()))

    def unseal(self, sealed: bytes, *, now: datetime) -> bytes:
        """Raises StoreError when it was altered, sealed with an unknown key, or is past its time to live."""
        try:
            return self._fernets().decrypt_at_time(sealed, int(self.ttl.total_seconds()), int(now.timestamp()))
        except InvalidToken as error:
            raise StoreError(
                f"a sealed record cannot be opened: it is older than {self.ttl}, was altered, or its key is gone"
            ) from error

    def newest(self) -> "Seal":
        """The same with the sealing key alone: without those that are kept to open what they sealed."""
        return Seal(self.keys[:1], self.ttl)

    def opens(self, sealed: bytes, *, now: datetime) -> bool:
        try:
            self.unseal(sealed, now=now)
        except StoreError:
            return False
        return True

    def _fernets(self) -> MultiFernet:
        return MultiFernet([Fernet(key) for key in self.keys])


def create_seal_file(path: Path) -> None:
    """A file with one fresh key. Refuses to overwrite: what is sealed with a lost key is lost."""
    write_secret(path, Fernet.generate_key() + b"\n", replace=False)


def make_seal_file(path: Path) -> None:
    """As `create_seal_file`, unless the file exists."""
    make_secret(path, lambda: Fernet.generate_key() + b"\n")


def rotate_seal_file(path: Path) -> None:
    """A fresh key seals from now on; older ones still unseal."""
    write_secret(path, Fernet.generate_key() + b"\n" + read_secret(path, lost=_LOST), replace=True)


def replace_lost_seal_file(path: Path) -> None:
    """A fresh key in place of one that is gone: what is sealed stays shut. Refuses where any key is there."""
    if path.exists() and path.read_bytes().strip():
        raise ConfigurationError(f"{path} is not lost; rotate it without --lost")
    write_secret(path, Fernet.generate_key() + b"\n", replace=True)


def retire_old_seals(path: Path) -> int:
    """Drop all keys but the newest; what they sealed can no longer be opened. Returns how many were dropped."""
    keys = read_secret(path, lost=_LOST).split()
    if len(keys) > 1:
        write_secret(path, keys[0] + b"\n", replace=True)
    return len(keys[1:])


def load_seal(path: Path, *, ttl: timedelta, lost: str = _LOST) -> Seal:
    """One key a line, the newest first. `lost` is the way out where no backup has the file."""
    keys = tuple(read_secret(path, lost=lost).split())
    try:
        return Seal(keys, ttl)
    except ConfigurationError as error:
        raise ConfigurationError(f"{path}: {error}") from error
