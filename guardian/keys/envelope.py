"""Signed envelopes: the compact JWS beside an envelope, checked against the delegation service's public keys."""

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import JWKRegistry, Key, KeySet

from guardian.domain.event import DecisionEvent, Envelope
from guardian.errors import ConfigurationError
from guardian.keys.files import stamp
from guardian.telemetry import logger

ALGORITHMS = ["EdDSA", "Ed25519", "ES256", "RS256", "PS256"]
"""Asymmetric only: whoever can verify must not be able to sign."""


_log = logger("keys")


class EnvelopeVerifier:
    """Answers whether the JWS of an event was signed by a known key over what this envelope says.

    A gateway may write the envelope anew: its meaning is compared (`Envelope.same_as`), not its bytes.

    The file is read again when it changed, for signers rotate their keys. While it cannot be read, the keys known
    so far stay in force, and it is tried again.
    """

    def __init__(self, jwks: Path) -> None:
        self._path = jwks
        self._held = stamp(jwks), _load(jwks)
        self._told = self._held[0]  # of the file that the log says cannot be read

    def __call__(self, event: DecisionEvent) -> Literal["absent", "unchecked", "valid", "invalid"]:
        """ "absent" without a signature, else "valid" or "invalid"."""
        if event.envelope_jws is None:
            return "absent"
        try:
            claimed = Envelope.model_validate_json(_signed(event.envelope_jws, self._current()))
        except (JoseError, ValueError, TypeError, AttributeError):  # the last: a header that is no object
            return "invalid"
        return "valid" if claimed.same_as(event.envelope) else "invalid"

    def _current(self) -> KeySet:
        (read, known), now = self._held, stamp(self._path)
        if now != read:
            fresh = now != self._told
            try:
                known = _load(self._path, tells=fresh)
            except ConfigurationError as error:
                if fresh:
                    _log.error("envelope_keys_not_read", error=str(error)[:300])
                self._told = now
                return known
            self._held, self._told = (now, known), now
        return known


def _load(jwks: Path, *, tells: bool = True) -> KeySet:
    try:
        keys = list(_usable(json.loads(jwks.read_text(encoding="utf-8"))["keys"], tells=tells))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigurationError(f"keys.envelope_jwks: {jwks} is no JWK set ({error})") from error
    if not keys:
        raise ConfigurationError(f"keys.envelope_jwks: {jwks} is no JWK set (it holds no key that is known here)")
    return KeySet(keys)


def _usable(listed: Iterable[Mapping[str, Any]], *, tells: bool) -> Iterator[Key]:
    """A key of an unknown kind must not keep the others from being read (RFC 7517, 5); the log `tells` of it."""
    for place, told in enumerate(listed, start=1):
        try:
            same = told.get("alg") in ("EdDSA", "Ed25519")  # two names of one algorithm (RFC 9864)
            yield JWKRegistry.import_key({k: v for k, v in told.items() if not (same and k == "alg")})
        except (JoseError, ValueError, KeyError, TypeError, AttributeError) as error:
            if tells:
                _log.warning("envelope_key_left_out", place=place, error=f"{type(error).__name__}: {error}"[:300])


def _signed(token: str, keys: KeySet) -> bytes:
    """The signed bytes. A signature need not name its key (RFC 7515, 4.1.4), and keys of several kinds may share a
    name (RFC 7517, 4.5): then each of them is tried. Raises ValueError or JoseError."""
    named = jws.extract_compact(token.encode()).headers().get("kid")
    for key in keys:
        if named is None or key.kid == named:
            with suppress(JoseError, ValueError, TypeError):
                return jws.deserialize_compact(token, key, algorithms=ALGORITHMS).payload
    raise ValueError("none of the keys made this signature")
