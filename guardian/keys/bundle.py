"""The key that signs OPA bundles: P-256, because OPA verifies no Ed25519."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import ECKey

from guardian.errors import ConfigurationError
from guardian.keys.files import make_secret, read_secret

_ALGORITHM = "ES256"


def _fresh() -> bytes:
    key = ECKey.generate_key("P-256", auto_kid=True)
    key.ensure_kid()
    return json.dumps(key.as_dict(private=True)).encode() + b"\n"


class BundleKey:
    """The key, in a JWK file of its own that is made on first use."""

    def __init__(self, path: Path) -> None:
        make_secret(path, _fresh)
        try:
            self._key = ECKey.import_key(json.loads(read_secret(path)))
        except (ValueError, TypeError, KeyError, JoseError) as error:
            raise ConfigurationError(f"{path} is not a P-256 key as JWK ({type(error).__name__})") from error
        if self._key.curve_name != "P-256" or not self._key.is_private:
            raise ConfigurationError(f"{path} must hold a private P-256 key")

    def sign(self, claims: Mapping[str, Any]) -> str:
        """A JWT over the claims, for `.signatures.json`."""
        header = {"alg": _ALGORITHM, "typ": "JWT"}
        return jws.serialize_compact(header, json.dumps(claims), self._key, algorithms=[_ALGORITHM])

    def public_pem(self) -> bytes:
        """The public half, for `keys:` in OPA's configuration."""
        return self._key.as_pem(private=False)
