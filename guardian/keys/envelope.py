"""Signed envelopes: the compact JWS beside an envelope, checked against the delegation service's public keys."""

import hmac
import json
from pathlib import Path
from typing import Any, Literal

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from guardian.domain.event import DecisionEvent, Envelope
from guardian.errors import ConfigurationError

ALGORITHMS = ["EdDSA", "Ed25519", "ES256", "RS256", "PS256"]
"""Asymmetric only: whoever can verify must not be able to sign."""


class EnvelopeVerifier:
    """Answers whether the JWS of an event was signed by a known key over exactly this envelope."""

    def __init__(self, jwks: Path) -> None:
        try:
            self._keys = KeySet.import_key_set(json.loads(jwks.read_text(encoding="utf-8")))
        except (OSError, ValueError, KeyError, TypeError, JoseError) as error:
            raise ConfigurationError(f"keys.envelope_jwks: {jwks} is no JWK set ({error})") from error

    def __call__(self, event: DecisionEvent) -> Literal["absent", "unchecked", "valid", "invalid"]:
        """ "absent" without a signature, else "valid" or "invalid"."""
        if event.envelope_jws is None:
            return "absent"
        try:
            signed = jws.deserialize_compact(event.envelope_jws, self._keys, algorithms=ALGORITHMS)
            claimed = Envelope.model_validate_json(signed.payload)
        except (JoseError, ValueError, TypeError):
            return "invalid"
        return "valid" if hmac.compare_digest(_canonical(claimed), _canonical(event.envelope)) else "invalid"


def _canonical(envelope: Envelope) -> bytes:
    """Keys sorted, nulls left out, times in one spelling: an absent field and a null one say the same."""
    value = json.loads(envelope.model_dump_json(exclude_unset=True))
    return json.dumps(_without_nulls(value), sort_keys=True, separators=(",", ":")).encode()


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _without_nulls(v) for k, v in value.items() if v is not None}
    return value
