"""The secret behind a sign-in: the browser holds it, the database holds what it seals, and each alone is useless.

One random value gives the name under which the visit is stored (a hash), the key that seals the visitor's token
there, and the token against forged forms. Whoever steals the database finds neither tokens nor a way to sign in;
whoever steals the cookie can use the pages until the visit ends, and never the API.
"""

import base64
import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass, field
from typing import Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from guardian.errors import TokenError

_BYTES = 32
_NONCE = 12
_TEXT = re.compile(r"[A-Za-z0-9_-]{43}")


@dataclass(frozen=True, slots=True)
class VisitSecret:
    """`raw` is the whole secret; everything else is derived from it."""

    raw: bytes = field(repr=False)

    @classmethod
    def fresh(cls) -> Self:
        return cls(secrets.token_bytes(_BYTES))

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """Read from a cookie or a link; None for anything that cannot be a secret of ours."""
        if not _TEXT.fullmatch(text):
            return None
        return cls(base64.urlsafe_b64decode(text + "="))

    @property
    def text(self) -> str:
        return base64.urlsafe_b64encode(self.raw).decode().rstrip("=")

    @property
    def id(self) -> str:
        """The name under which the visit is stored."""
        return self._derived(b"id").hex()

    @property
    def csrf(self) -> str:
        """The token that every form of this visit carries."""
        return self._derived(b"csrf").hex()

    def seal(self, content: str) -> bytes:
        nonce = secrets.token_bytes(_NONCE)
        return nonce + AESGCM(self._derived(b"seal")).encrypt(nonce, content.encode(), self.id.encode())

    def unseal(self, sealed: bytes) -> str:
        """Raises TokenError for anything but what this very secret sealed."""
        try:
            plain = AESGCM(self._derived(b"seal")).decrypt(sealed[:_NONCE], sealed[_NONCE:], self.id.encode())
        except (InvalidTag, ValueError) as error:
            raise TokenError("a stored visit cannot be opened: it was altered") from error
        return plain.decode()

    def _derived(self, purpose: bytes) -> bytes:
        return hmac.digest(self.raw, b"guardian.visit/v1 " + purpose, hashlib.sha256)
