"""The secret behind a sign-in: a browser holds it, the database does not, and each alone is worth nothing.

From one random value come the name under which the visit is stored (a hash), the key that seals the visitor's
token there, and the token against forged forms. A thief of the database finds neither tokens nor a way to sign in;
a thief of the cookie can use the pages until the visit ends, and never the API.
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
    """`raw` is all there is; everything else follows from it."""

    raw: bytes = field(repr=False)

    @classmethod
    def fresh(cls) -> Self:
        return cls(secrets.token_bytes(_BYTES))

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """From a cookie or a link; None for what is no secret of ours."""
        if not _TEXT.fullmatch(text):
            return None
        return cls(base64.urlsafe_b64decode(text + "="))

    @property
    def text(self) -> str:
        return base64.urlsafe_b64encode(self.raw).decode().rstrip("=")

    @property
    def id(self) -> str:
        """What the visit is stored under."""
        return self._derived(b"id").hex()

    @property
    def csrf(self) -> str:
        """What every form of this visit carries."""
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
