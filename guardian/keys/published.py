"""What others sign (RFC 7515), checked with the public keys that they publish as a JWK set (RFC 7517)."""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Any

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import JWKRegistry, Key

from guardian.telemetry import logger

_EDWARDS = ["EdDSA", "Ed25519", "Ed448"]
"""The first is an older name of the others (RFC 9864): a key that bears it or its own may sign under either."""
ALGORITHMS = [*_EDWARDS, *(f"{kind}{bits}" for kind in ("ES", "RS", "PS") for bits in (256, 384, 512))]
"""Asymmetric only: whoever can verify must not be able to sign."""

_LAX = jws.JWSRegistry(algorithms=ALGORITHMS, strict_check_header=False)
"""A parameter of the header that is not understood is ignored, unless `crit` names it (RFC 7515, 4)."""
_LAX.max_header_length = 65_536  # it may hold a chain of certificates
_LAX.max_signature_length = 4_096  # RSA of 16384 bits makes 2731 characters

_log = logger("keys")


def usable(listed: Iterable[Any], *, of: str, tells: bool = True) -> Iterator[Key]:
    """The keys that can check a signature. One of an unknown kind must not keep the others from being read (RFC
    7517, 5); the log `tells` of it. Raises TypeError where nothing is listed."""
    for place, told in enumerate(listed, start=1):
        try:
            if told.get("use") == "enc":  # it is there for something else
                continue
            either = told.get("kty") == "OKP" and told.get("alg") in ("EdDSA", told.get("crv"))
            key = JWKRegistry.import_key({k: v for k, v in told.items() if k != "alg" or not either})
            key.check_key_op("verify")
            if not _LAX.filter_algorithms(key, ALGORITHMS[1:]):  # the older name would fit keys that cannot sign
                raise ValueError("none of the algorithms that are known here fits it")
        except (JoseError, ValueError, KeyError, TypeError, AttributeError) as error:
            if tells:
                _log.warning("key_left_out", of=of, place=place, error=f"{type(error).__name__}: {error}"[:300])
        else:
            yield key


def signed(token: str, keys: Iterable[Key]) -> bytes:
    """The signed bytes. Neither a signature nor a key need bear a name (RFC 7515, 4.1.4), and keys of several
    kinds may share one (RFC 7517, 4.5): then each of them is tried. Raises ValueError."""
    try:
        said = jws.extract_compact(token.encode(), registry=_LAX)
        algorithm, named = said.headers()["alg"], said.headers().get("kid")
    except (JoseError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"no compact JWS ({type(error).__name__})") from error
    for key in keys:
        if named is None or key.kid in (None, named):
            with suppress(JoseError, ValueError, TypeError):
                if jws.validate_compact(said, key, registry=_LAX):
                    return said.payload
    raise ValueError(f"none of the keys made this signature (alg {algorithm!r}, kid {named!r})")
