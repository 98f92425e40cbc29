"""Signed notes: text lines, an empty line, one line per Ed25519 signature (C2SP signed-note)."""

import base64
import binascii
import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from guardian.errors import ConfigurationError, GuardianError
from guardian.keys.signing import KeySet

MOST_CHARACTERS = 16_384
_MOST_SIGNATURES = 16
_DASH = "— "
_ED25519 = b"\x01"

NoteTrouble = Literal["malformed", "origin", "unknown_key", "signature"]


class NoteError(GuardianError):
    """A signed note that is not believed; `code` says why in a word."""

    def __init__(self, code: NoteTrouble, reason: str) -> None:
        super().__init__(reason)
        self.code: NoteTrouble = code


@dataclass(frozen=True, slots=True)
class NoteKey:
    """A public key that notes may be signed with: 32 bytes, and the name that its JWK set gives it."""

    public: bytes
    kid: str

    def id(self, name: str) -> bytes:
        """The four bytes that lead from a signature line to its key."""
        return hashlib.sha256(name.encode() + b"\n" + _ED25519 + self.public).digest()[:4]


class Signature(NamedTuple):
    name: str
    key_id: bytes
    value: bytes


@dataclass(frozen=True, slots=True)
class SignedNote:
    """`text` ends with a newline; it is what the signatures cover."""

    text: str
    signatures: tuple[Signature, ...]


def sign(text: str, name: str, keys: KeySet) -> str:
    """The whole note. `name` is the signer's, without spaces and plus signs. Raises ValueError."""
    if not name or "+" in name or any(c.isspace() for c in name):
        raise ValueError(f"{name!r} cannot name a signer: it is empty, or holds a space or a plus sign")
    if not text.endswith("\n") or any(ord(c) < 0x20 and c != "\n" for c in text):
        raise ValueError("a note's text ends with a newline and holds no control characters")
    private = keys.signing.private_key
    if not isinstance(private, Ed25519PrivateKey):
        raise ConfigurationError("notes are signed with an Ed25519 key; the key file holds another kind")
    key = NoteKey(private.public_key().public_bytes_raw(), str(keys.signing.kid))
    signature = base64.b64encode(key.id(name) + private.sign(text.encode())).decode()
    return f"{text}\n{_DASH}{name} {signature}\n"


def parse(note: str) -> SignedNote:
    """Take a note apart, believing nothing. Raises NoteError."""
    text, separator, below = note.rpartition("\n\n")
    if len(note) > MOST_CHARACTERS or not separator or not below.endswith("\n"):
        raise NoteError("malformed", "it is not a signed note: text, an empty line, signature lines")
    if any(ord(c) < 0x20 and c != "\n" for c in note):
        raise NoteError("malformed", "it holds control characters")
    lines = below[:-1].split("\n")
    if len(lines) > _MOST_SIGNATURES:
        raise NoteError("malformed", f"it has {len(lines)} signature lines, more than {_MOST_SIGNATURES}")
    return SignedNote(text + "\n", tuple(_signature(line) for line in lines))


def verify(note: SignedNote, name: str, keys: Iterable[NoteKey]) -> NoteKey:
    """The known key that signed as `name`. Raises NoteError when there is none, or when its signature is false."""
    known = {key.id(name): key for key in keys}
    signer: NoteKey | None = None
    for signature in note.signatures:
        key = known.get(signature.key_id) if signature.name == name else None
        if key is None:
            continue  # witnesses may sign too; whom we do not know says nothing to us
        try:
            Ed25519PublicKey.from_public_bytes(key.public).verify(signature.value, note.text.encode())
        except InvalidSignature as error:
            raise NoteError("signature", f"the signature of key {key.kid} does not fit the text") from error
        signer = key
    if signer is None:
        ids = ", ".join(sorted({signature.key_id.hex() for signature in note.signatures}))
        raise NoteError(
            "unknown_key",
            f"no known key signed it as {name[:100]!r} (key ids {ids}); give the JWK set with its key",
        )
    return signer


def note_keys(jwks: Mapping[str, Any]) -> tuple[NoteKey, ...]:
    """The Ed25519 keys of a JWK set (RFC 7517); others are passed over. Raises ValueError when none is left."""
    found = []
    entries = jwks.get("keys") if isinstance(jwks, Mapping) else None
    for entry in entries if isinstance(entries, list) else []:
        if isinstance(entry, dict) and entry.get("crv") == "Ed25519" and isinstance(entry.get("x"), str):
            public = base64.urlsafe_b64decode(entry["x"] + "=" * (-len(entry["x"]) % 4))
            if len(public) != 32:
                raise ValueError("an Ed25519 key has 32 bytes")
            found.append(NoteKey(public, str(entry.get("kid", ""))[:128]))
    if not found:
        raise ValueError("it holds no Ed25519 key")
    return tuple(found)


def note_keys_from(path: Path) -> tuple[NoteKey, ...]:
    """Public keys from a JWK-set file. Raises ConfigurationError."""
    try:
        return note_keys(json.loads(path.read_bytes()))
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise ConfigurationError(f"{path} is not a JWK set of Ed25519 keys: {error}") from error


def _signature(line: str) -> Signature:
    name, _, encoded = line.removeprefix(_DASH).partition(" ")
    try:
        value = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        value = b""
    canonical = base64.b64encode(value).decode() == encoded  # the last character's spare bits are part of the note
    if not line.startswith(_DASH) or not name or len(value) < 5 or not canonical:
        raise NoteError("malformed", "a signature line is not '— name base64'")
    return Signature(name, value[:4], value[4:])
