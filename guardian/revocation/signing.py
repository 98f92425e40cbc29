"""A list that proves where it comes from: detached JWS (RFC 7515, appendix F), Ed25519.

What is signed is the body of an answer; of a 304 its entity tag, and of a `fresh` event its revision, so that also
"nothing changed" is proven. The protected header says who signed (`iss`), when (`iat`), for which tenants (`aud`,
"*" for every one), and for a delta from which revision it leads on (`since`): an old answer, another tenant's or a
delta with a gap before it does not pass for a new one.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from joserfc import jws
from joserfc.jws import JWSRegistry

from guardian.domain.revocation import Revision
from guardian.keys.signing import ALGORITHM, SigningKeys

TYPE = "guardian-revocations+jws"
HEADER = "Guardian-Signature"
_LAX = JWSRegistry(algorithms=[ALGORITHM], strict_check_header=False)  # iss, iat, aud and since are claims


@dataclass(frozen=True, slots=True)
class ListSigner:
    """Signs with the key in force; verifiers take the public one from `/.well-known/jwks.json`."""

    keys: SigningKeys
    issuer: str

    def sign(
        self, payload: bytes, *, reach: frozenset[str] | None, now: datetime, since: Revision | None = None
    ) -> str:
        """The compact serialization without its payload: HEADER..SIGNATURE."""
        key = self.keys.current().signing
        protected: dict[str, Any] = {
            "alg": ALGORITHM,
            "kid": str(key.kid),
            "typ": TYPE,
            "iss": self.issuer,
            "iat": int(now.timestamp()),
            "aud": ["*"] if reach is None else sorted(reach),
        }
        if since is not None:
            protected["since"] = str(since)
        return str(jws.detach_content(jws.serialize_compact(protected, payload, key, registry=_LAX)))
