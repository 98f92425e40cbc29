"""Whether an answer is guardian's: a detached JWS (RFC 7515, appendix F) with Ed25519, checked by `cryptography`.

The library is imported only here, and only when keys are given: without it a list that verifies cannot be made.
Whom an answer was made for, its signature says also where nobody checks it.
"""

import base64
import binascii
import json
import os
from collections.abc import Mapping
from typing import Any

from .reading import Refused, Revision, Signed

TYPE = "guardian-revocations+jws"
HEADER = "Guardian-Signature"

Keys = Mapping[str, Any] | str | os.PathLike[str]
"""A JWK set (RFC 7517), or a file that holds one. A changed file is read again, and a key that was taken out of it
is no longer believed. While the file cannot be read, the keys known so far stay in force."""


class Verifier:
    """Believes Ed25519 keys of a JWK set and nothing else."""

    def __init__(self, keys: Keys) -> None:
        try:
            from cryptography.exceptions import InvalidSignature
            from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
        except ImportError as error:
            raise ValueError("verify_with needs the package `cryptography` to check signatures") from error
        self._invalid, self._public = InvalidSignature, Ed25519PublicKey
        self._path = None if isinstance(keys, Mapping) else os.fspath(keys)
        self._stamp = self._stamped()
        self._known = self._load(keys if isinstance(keys, Mapping) else self._read())
        if not self._known:
            raise ValueError("verify_with holds no Ed25519 key with a kid")

    def check(
        self,
        payload: bytes,
        signature: str,
        *,
        tenants: frozenset[str] | None,
        since: Revision | None,
        now: float | None,
        window_s: float,
    ) -> Signed:
        """When it was signed, and for whom. Raises Refused unless it was signed for all of `tenants` (None: for
        every tenant) and for a delta from `since` (None: for a whole list).

        `now` is Unix time. A signature that is more than `window_s` older, or newer, is a replay, or one of the
        clocks is wrong. With None any age will do.
        """
        header = self._header(payload, signature)
        reach = _audience(header)
        if "*" not in reach and (tenants is None or not tenants <= reach):
            raise Refused("signature_audience", "it was made for other tenants")
        if header.get("since") != (None if since is None else str(since)):
            raise Refused("signature_gap", f"it leads on from {header.get('since')!s:.40}, not from {since}")
        issued = header.get("iat")
        if type(issued) is not int:
            raise Refused("signature_malformed", "no iat")
        if now is not None and not -window_s <= now - issued <= window_s:
            raise Refused("signature_replayed", f"made {now - issued:.0f} s ago")
        return Signed(issued, reach)

    def _header(self, payload: bytes, signature: str) -> dict[str, Any]:
        header, protected, signed = _parsed(signature)
        if header.get("alg") not in ("Ed25519", "EdDSA"):
            raise Refused("signature_malformed", "not a detached Ed25519 signature")
        if header.get("typ") != TYPE or "crit" in header:
            raise Refused("signature_type")
        key = self._key(header.get("kid"))
        try:
            key.verify(signed, protected.encode() + b"." + base64.urlsafe_b64encode(payload).rstrip(b"="))
        except self._invalid:
            raise Refused("signature_wrong") from None
        return header

    def _key(self, kid: object) -> Any:
        known = isinstance(kid, str) and kid in self._known
        if self._path is not None and (not known or self._stamped() != self._stamp):
            try:
                stamp = self._stamped()
                self._known, self._stamp = self._load(self._read()), stamp  # rotated meanwhile
            except (OSError, ValueError, TypeError, KeyError):
                if not known:
                    raise Refused("signature_unknown_key", "the key file cannot be read") from None
        if not isinstance(kid, str) or kid not in self._known:
            raise Refused("signature_unknown_key")
        return self._known[kid]

    def _stamped(self) -> tuple[int, ...] | None:
        """What changes with the file; None where there is none."""
        try:
            facts = None if self._path is None else os.stat(self._path)
        except OSError:
            return None
        return facts and (facts.st_mtime_ns, facts.st_ctime_ns, facts.st_size, facts.st_ino)

    def _read(self) -> Mapping[str, Any]:
        assert self._path is not None  # noqa: S101 - only called with one
        with open(self._path, "rb") as file:
            told = json.load(file)
        if not isinstance(told, dict):
            raise ValueError(f"{self._path} is not a JWK set")
        return told

    def _load(self, told: Mapping[str, Any]) -> dict[str, Any]:
        listed = told.get("keys")
        if not isinstance(listed, list):
            raise ValueError("verify_with is not a JWK set: it has no keys")
        return {
            key["kid"]: self._public.from_public_bytes(_decoded(key["x"]))
            for key in listed
            if isinstance(key, dict) and key.get("crv") == "Ed25519" and isinstance(key.get("kid"), str)
        }


def reach_of(signature: str) -> frozenset[str]:
    """The tenants that an answer was made for, "*" for every one, unchecked. Raises Refused where it says none."""
    return _audience(_parsed(signature)[0])


def _audience(header: Mapping[str, Any]) -> frozenset[str]:
    audience = header.get("aud")
    if not isinstance(audience, list):
        raise Refused("signature_audience", "it does not say for which tenants it was made")
    return frozenset(map(str, audience))


def _parsed(signature: str) -> tuple[dict[str, Any], str, bytes]:
    """Its protected header, the same as it is signed, and the signature proper."""
    try:
        protected, empty, mac = signature.split(".")
        header, signed = json.loads(_decoded(protected)), _decoded(mac)
    except (ValueError, binascii.Error, RecursionError):
        if not signature:
            raise Refused(
                "signature_missing", f"{HEADER} alone says for which tenants it is; does a proxy take it away?"
            ) from None
        raise Refused("signature_malformed") from None
    if empty or not isinstance(header, dict):
        raise Refused("signature_malformed", "not a detached signature")
    return header, protected, signed


def _decoded(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
