"""Tokens bound to a client certificate (RFC 8705), where a proxy in front terminates mutual TLS.

The proxy tells which certificate it verified in a header; it is believed only from the proxies that the
configuration names, and only for comparing it with the certificate that a token is bound to. Off by default.
"""

import base64
import binascii
import hashlib
import hmac
import re
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_address
from urllib.parse import unquote_to_bytes

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from guardian.wire.principal import Principal, Role

_HEX = re.compile(r"(?:[0-9A-Fa-f]{2}:?){31}[0-9A-Fa-f]{2}")
_DIGEST = re.compile(r"[0-9A-Fa-f]{64}")
_QUOTED = r'"(?:[^"\\]|\\.)*"'
_ELEMENTS = re.compile(rf'(?:{_QUOTED}|[^",])*')
_PAIRS = re.compile(rf'(?:{_QUOTED}|[^";])*')
_BEGIN = b"-----BEGIN CERTIFICATE-----"
_LONGEST = 16384


@dataclass(frozen=True, slots=True)
class ClientCertificates:
    """`header` is what the proxies at `proxies` set; tokens of `required_for` must be bound.

    The proxy must remove that header from what clients send. It may hold the SHA-256 of the certificate in hex,
    Envoy's X-Forwarded-Client-Cert (its last element counts), RFC 9440's Client-Cert, or URL-encoded PEM.
    """

    header: str
    proxies: tuple[IPv4Network | IPv6Network, ...]
    required_for: frozenset[Role] = frozenset()

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", self.header):
            raise ValueError(f"client_certificates: {self.header!r} is no name of a header")
        if not self.proxies:
            raise ValueError("client_certificates: name the trusted_proxies that may set the header")

    def trusts(self, peer: str | None) -> bool:
        try:
            address = ip_address(peer or "")
        except ValueError:
            return False
        bare = getattr(address, "ipv4_mapped", None) or address  # a socket of both families maps it
        return any(address in network or bare in network for network in self.proxies)


def objection(
    principal: Principal, checked: ClientCertificates | None, *, peer: str | None, told: list[str]
) -> str | None:
    """Why this caller may not use its token here; None where it may. `told` are the header's values, one each.

    A bound token where certificates are not checked is refused: nobody could tell that it was stolen.
    """
    bound = principal.certificate
    if bound is None:
        must = checked is not None and principal.role in checked.required_for
        return f"a token of role {principal.role} must be bound to one" if must else None
    if checked is None:
        return "control.client_certificates names no header that tells of one"
    if len(told) != 1:
        return f"{checked.header} came {len(told)} times"
    if not checked.trusts(peer):
        return f"{peer} is none of the trusted_proxies"
    shown = thumbprint(told[0])
    if shown is None or not hmac.compare_digest(shown.encode(), bound.encode()):
        return f"{checked.header} tells of another, or of none"
    return None


def thumbprint(told: str) -> str | None:
    """`x5t#S256` of the certificate that a proxy's header speaks of; None when it speaks of none."""
    text = told.strip()
    if not text or len(text) > _LONGEST:
        return None
    if _HEX.fullmatch(text):
        return _encoded(bytes.fromhex(text.replace(":", "")))
    if (digest := _envoy_hash(text)) is not None:
        return _encoded(bytes.fromhex(digest))
    try:
        if text.startswith(":") and text.endswith(":") and len(text) > 2:
            certificate = x509.load_der_x509_certificate(base64.b64decode(text[1:-1], validate=True))
        elif (pem := unquote_to_bytes(text)).startswith(_BEGIN):  # and does not only quote one
            certificate = x509.load_pem_x509_certificate(pem)
        else:
            return None
    except (ValueError, binascii.Error):
        return None
    return certificate_thumbprint(certificate)


def _envoy_hash(text: str) -> str | None:
    """The one Hash of X-Forwarded-Client-Cert's last element: a proxy that appends puts its own there, and the
    ones before came with the request. What stands in quotes is a value, whatever it looks like.
    """
    elements = _split(text, _ELEMENTS)
    pairs = [pair.partition("=") for pair in _split(elements[-1], _PAIRS)] if elements else []
    hashes = [value.strip() for name, _, value in pairs if name.strip().lower() == "hash"]
    return hashes[0] if len(hashes) == 1 and _DIGEST.fullmatch(hashes[0]) else None


def _split(text: str, part: re.Pattern[str]) -> list[str]:
    """`text` at the single characters between matches of `part`; empty where a quote is never closed."""
    parts, at = [], 0
    while (found := part.match(text, at)) is not None:
        parts.append(found[0])
        if found.end() == len(text):
            return parts
        if text[found.end()] == '"':
            break
        at = found.end() + 1
    return []


def pem_thumbprint(pem: bytes) -> str:
    """The thumbprint of the first certificate in a PEM file. Raises ValueError when it holds none."""
    return certificate_thumbprint(x509.load_pem_x509_certificate(pem))


def certificate_thumbprint(certificate: x509.Certificate) -> str:
    """RFC 8705 §3.1: the base64url SHA-256 of the DER certificate."""
    return _encoded(hashlib.sha256(certificate.public_bytes(Encoding.DER)).digest())


def _encoded(digest: bytes) -> str:
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
