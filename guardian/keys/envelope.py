"""Signed envelopes: the compact JWS beside an envelope, checked against the delegation service's public keys."""

import json
from pathlib import Path

from joserfc.jwk import Key

from guardian.domain.envelope import Envelope
from guardian.domain.event import DecisionEvent
from guardian.domain.signal import Signature
from guardian.errors import ConfigurationError
from guardian.keys.files import stamp
from guardian.keys.published import signed, usable
from guardian.telemetry import logger

_log = logger("keys")


class EnvelopeVerifier:
    """Answers whether the JWS of an event was signed by a known key over what this envelope says.

    A gateway may write the envelope anew: its meaning is compared (`Envelope.same_as`), not its bytes.

    The file is read again when it changed, for signers rotate their keys. While it cannot be read, the keys known
    so far stay in force, and it is tried again. What `planted` (gateway, tenant) says is control's own test, which
    nobody signs.
    """

    def __init__(self, jwks: Path, planted: tuple[str, str] | None = None) -> None:
        self._path = jwks
        self._planted = planted
        self._held = stamp(jwks), _load(jwks)
        self._told = self._held[0]  # of the file that the log says cannot be read

    def __call__(self, event: DecisionEvent) -> Signature:
        """ "absent" where the log carries no envelope, "missing" where it carries one that nobody signed, else
        "valid" or "invalid"."""
        if not event.has_envelope:
            return "absent"
        if event.envelope_jws is None:
            return "absent" if (event.gateway, event.envelope.tenant_id) == self._planted else "missing"
        try:
            claimed = Envelope.model_validate_json(signed(event.envelope_jws, self._current()))
        except ValueError:
            return "invalid"
        return "valid" if claimed.same_as(event.envelope_as_told) else "invalid"

    def _current(self) -> tuple[Key, ...]:
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


def _load(jwks: Path, *, tells: bool = True) -> tuple[Key, ...]:
    try:
        listed = json.loads(jwks.read_text(encoding="utf-8"))["keys"]
        keys = tuple(usable(listed, of=str(jwks), tells=tells))
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise ConfigurationError(f"keys.envelope_jwks: {jwks} is no JWK set ({error})") from error
    if not keys:
        raise ConfigurationError(f"keys.envelope_jwks: {jwks} is no JWK set (it holds no key that is known here)")
    return keys
