"""Where the secrets of a deployment lie, and how they are made. Nothing here has a default value."""

import secrets
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from guardian.config import Settings
from guardian.disk import make_folder
from guardian.keys.envelope import EnvelopeVerifier
from guardian.keys.files import make_secret, read_secret, write_secret
from guardian.keys.seal import Seal, create_seal_file, load_seal, make_seal_file
from guardian.keys.signing import SigningKeys


@dataclass(frozen=True, slots=True)
class SecretFiles:
    """The key folder. Control needs `signing`; the monitor `seal`, `fingerprint` and its token."""

    directory: Path

    @property
    def signing(self) -> Path:
        return self.directory / "signing.jwks.json"

    @property
    def seal(self) -> Path:
        return self.directory / "seal.key"

    @property
    def fingerprint(self) -> Path:
        return self.directory / "fingerprint.key"

    @property
    def health(self) -> Path:
        return self.directory / "health.token"

    @property
    def opa(self) -> Path:
        return self.directory / "opa.jwk.json"

    @property
    def advice(self) -> Path:
        return self.directory / "advice.token"

    @property
    def console(self) -> Path:
        return self.directory / "console.key"

    @classmethod
    def of(cls, settings: Settings) -> "SecretFiles":
        return cls(settings.resolve(settings.keys.directory))

    def create(self) -> None:
        """Fresh keys, readable by their owner only. Refuses to overwrite any."""
        make_folder(self.directory, mode=0o700)
        SigningKeys.create(self.signing)
        create_seal_file(self.seal)
        write_secret(self.fingerprint, secrets.token_bytes(32), replace=False)
        write_secret(self.health, secrets.token_urlsafe(32).encode() + b"\n", replace=False)

    def load_seal(self, settings: Settings) -> Seal:
        return load_seal(self.seal, ttl=timedelta(days=settings.store.dead_letter_days))

    def load_fingerprint_key(self) -> bytes:
        return read_secret(self.fingerprint)

    def load_advice_token(self) -> str:
        """What control shows to the monitor's adviser; made on first use, so both must see this folder."""
        make_secret(self.advice, lambda: secrets.token_urlsafe(32).encode() + b"\n")
        return read_secret(self.advice).decode().strip()

    def load_console_seal(self, ttl: timedelta) -> Seal:
        """Seals what a browser keeps on its way to the identity provider and back; made on first use."""
        make_seal_file(self.console)
        return load_seal(self.console, ttl=ttl, lost="delete it and restart control")

    def load_health_token(self) -> str:
        return read_secret(self.health).decode().strip()


def envelope_verifier(settings: Settings) -> EnvelopeVerifier | None:
    """The configured check of envelope signatures; None where no keys are configured."""
    path, test = settings.keys.envelope_jwks, settings.revocation.self_test
    return EnvelopeVerifier(settings.resolve(path), (test.gateway, test.tenant)) if path is not None else None
