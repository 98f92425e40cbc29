"""Signing keys in a JWK-set file: one that signs, older ones that only verify, and perhaps the next one to sign.

Ed25519 (RFC 8037), named by the fully-specified algorithm identifier of RFC 9864. Rotation drops the old
private key at once and keeps its public half, so tokens in the field stay valid until they expire or the
key is retired. A running server notices a rotated file by itself, and believes no key that its database says is
retired. Clients that keep a copy of the public keys need the next one before it signs: it is published as soon as
it is prepared.
"""

import json
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any

from joserfc.errors import JoseError
from joserfc.jwk import OKPKey

from guardian.errors import ConfigurationError
from guardian.keys.files import read_secret, stamp, write_secret
from guardian.telemetry import logger

ALGORITHM = "Ed25519"
_log = logger("keys")


@dataclass(frozen=True, slots=True)
class KeySet:
    """The keys as they were at one moment. `active`, which signs, is in `verifying` unless it is retired;
    `prepared`, which signs next, always is."""

    active: OKPKey
    verifying: tuple[OKPKey, ...]
    prepared: OKPKey | None = None

    @property
    def signing(self) -> OKPKey:
        """The key to sign with. Raises ConfigurationError where it is retired."""
        if self.retired:
            raise ConfigurationError(
                f"key {self.active.kid}, which signs here, is retired; copy the file of signing keys from where"
                " `guardian token rotate` was run"
            )
        return self.active

    @property
    def retired(self) -> bool:
        """Whether the one that signs is."""
        return self.active not in self.verifying

    def without(self, kids: Collection[str]) -> "KeySet":
        """Those that are believed where these are retired."""
        kept = tuple(key for key in self.verifying if key.kid not in kids)
        return KeySet(self.active, kept, self.prepared if self.prepared in kept else None)

    def find(self, kid: str) -> OKPKey | None:
        return next((key for key in self.verifying if key.kid == kid), None)

    def jwks(self) -> dict[str, Any]:
        """The public halves (RFC 7517), newest first; safe to publish."""
        return {"keys": [_public(key) for key in self.verifying]}


class SigningKeys:
    """The key file, read again whenever it changes on disk. While it cannot be read, the keys known so far stay in
    force, and it is tried again."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = Lock()
        self._retired = frozenset[str]()
        read, self._file = stamp(path), _load(path)
        self._held = read, self._file
        self._told = read  # of the file that the log says cannot be read

    @classmethod
    def create(cls, path: Path) -> "SigningKeys":
        """Make a file with one fresh key. Refuses to overwrite."""
        key = _fresh()
        _save(path, KeySet(key, (key,)), replace=False)
        return cls(path)

    def current(self) -> KeySet:
        read, known = self._held  # without the lock: every request comes by here
        if stamp(self.path) == read:
            return known
        with self._lock:
            fresh = stamp(self.path)
            if fresh != self._held[0]:
                try:
                    self._file = _load(self.path)
                    self._held = fresh, self._file.without(self._retired)
                except ConfigurationError as error:
                    if fresh != self._told:
                        _log.error("signing_keys_not_read", error=str(error)[:300])
                self._told = fresh
            return self._held[1]

    def readable(self) -> bool:
        """Whether the keys are those that the file holds now."""
        self.current()
        return self._held[0] == stamp(self.path)

    def leave_out(self, kids: frozenset[str]) -> None:
        """Believe none of these, whatever the file holds: they are all that are retired."""
        with self._lock:
            if self._retired != kids:
                self._retired = kids
                self._held = self._held[0], self._file.without(kids)

    def prepare(self) -> str:
        """Publish the key that `rotate` will sign with, if that was not done yet. Returns its kid."""
        before = self._now()
        key = before.prepared
        if key is None:
            key = _fresh()
            _save(self.path, KeySet(before.signing, (key, *before.verifying), key), replace=True)
        return str(key.kid)

    def rotate(self) -> str:
        """Sign with the prepared key, or a fresh one, from now on; the old ones verify until they are retired.

        Returns its kid.
        """
        before = self._now()
        key = before.prepared or _fresh()
        older = (each for each in before.verifying if each is not key)
        _save(self.path, KeySet(key, (key, *older)), replace=True)
        return str(key.kid)

    def retire(self, kid: str) -> None:
        """Stop believing a key: every token that it signed is refused from now on."""
        _save(self.path, self.check_retirable(kid).without({kid}), replace=True)

    def check_retirable(self, kid: str) -> KeySet:
        """The keys as the file says. Raises ConfigurationError for a key that signs, or that it does not hold."""
        before = _load(self.path)
        if before.active.kid == kid:
            raise ConfigurationError(f"key {kid!r} is the one that signs; rotate first, then retire it")
        if before.find(kid) is None:
            known = ", ".join(str(key.kid) for key in before.verifying)
            raise ConfigurationError(f"no key {kid!r} in {self.path}; it holds {known}")
        return before

    def _now(self) -> KeySet:
        """As the file says, of those that are not retired. Raises ConfigurationError where it cannot be read."""
        return _load(self.path).without(self._retired)


def _fresh() -> OKPKey:
    key = OKPKey.generate_key("Ed25519", auto_kid=True)
    key.ensure_kid()
    if str(key.kid).startswith("-"):  # on a command line that would be an option
        return _fresh()
    return key


def _public(key: OKPKey) -> dict[str, Any]:
    return {**key.as_dict(private=False), "kid": key.kid, "use": "sig", "alg": ALGORITHM}


def _save(path: Path, keys: KeySet, *, replace: bool) -> None:
    entries = [_public(key) for key in keys.verifying]
    for entry, key in zip(entries, keys.verifying, strict=True):
        if key in (keys.active, keys.prepared):
            entry["d"] = key.as_dict(private=True)["d"]
    write_secret(path, json.dumps({"keys": entries}, indent=2).encode() + b"\n", replace=replace)


def _load(path: Path) -> KeySet:
    content = read_secret(path)
    try:
        entries = json.loads(content)["keys"]
        keys = tuple(OKPKey.import_key(entry) for entry in entries)
    except (ValueError, KeyError, TypeError, JoseError) as error:
        raise ConfigurationError(f"{path} is not a JWK set of Ed25519 keys ({type(error).__name__})") from error
    if any(key.curve_name != "Ed25519" or not key.kid for key in keys):
        raise ConfigurationError(f"{path} holds a key that is not Ed25519 or has no kid; only those are used")
    private = [key for key in keys if key.is_private]
    if not 1 <= len(private) <= 2:
        raise ConfigurationError(
            f"{path} must hold one private key, and at most the next one, it holds {len(private)}"
        )
    return KeySet(private[-1], keys, private[0] if len(private) == 2 else None)
