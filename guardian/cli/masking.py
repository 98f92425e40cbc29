"""What of a configuration may be shown: passwords, tokens and keys never are."""

import re
from collections.abc import Mapping
from typing import Any

MASK = "**********"

_SECRET = re.compile(r"passw|passphrase|secret|token|key|credential", re.IGNORECASE)
_IN_URL = re.compile(r"^([a-zA-Z][\w+.-]*://[^:@/?]*:).*@", re.DOTALL)
_IN_QUERY = re.compile(r"([?&][^=&]*(?:passw|secret|token|key)[^=&]*=)[^&]*", re.IGNORECASE)
_USER = re.compile(r"^((?!postgresql)[a-zA-Z][\w+.-]*://)[^/?#]*@")  # a database's is a role, and no secret
_HARMLESS = frozenset(
    {
        "security_protocol",
        "sasl_mechanism",
        "sasl_plain_username",
        "sasl_kerberos_name",
        "sasl_kerberos_service_name",
        "sasl_kerberos_domain_name",
        "ssl_cafile",
        "ssl_certfile",
        "ssl_keyfile",
        "ssl_crlfile",
        "ssl_check_hostname",
        "ssl_ciphers",
        "client_id",
        "client_rack",
        "api_version",
        "auto_offset_reset",
        "compression_type",
        "acks",
        "retries",
        "linger_ms",
        "request_timeout_ms",
        "connections_max_idle_ms",
        "max_poll_interval_ms",
        "max_poll_records",
        "max_partition_fetch_bytes",
        "metadata_max_age_ms",
        "reconnect_backoff_ms",
        "reconnect_backoff_max_ms",
        "retry_backoff_ms",
        "fetch_max_bytes",
        "fetch_max_wait_ms",
        "fetch_min_bytes",
    }
)
"""Options of kafka-python that hold no secret; every other one is masked."""


def masked(shown: Mapping[str, Any]) -> dict[str, Any]:
    """Dumped settings with every secret masked."""
    body: dict[str, Any] = _urls(shown)
    kafka = body["kafka"]
    kafka["options"] = {
        name: value if name in _HARMLESS or value is None else MASK for name, value in kafka["options"].items()
    }
    registry = body["source"]["schema_registry"]
    if registry is not None:
        registry["options"] = dict.fromkeys(registry["options"], MASK)
    body["alerts"] = _options(_hosts(shown["alerts"]))
    for section in ("model", "policy"):
        body[section]["options"] = _options(body[section]["options"])
    return body


def masked_url(text: str) -> str:
    """A URL without its password, or the text as it is."""
    if "://" not in text:
        return text
    text = _USER.sub(rf"\g<1>{MASK}@", _IN_URL.sub(rf"\g<1>{MASK}@", text))
    return _IN_QUERY.sub(rf"\g<1>{MASK}", text)


def _hosts(value: Any) -> Any:
    """Of a web-hook's address scheme and host alone: whatever else is in it may be what opens the door."""
    if isinstance(value, Mapping):
        return {name: _hosts(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_hosts(inner) for inner in value]
    return _host(value) if isinstance(value, str) and "://" in value else value


def _host(url: str) -> str:
    """Nothing of it where an `@` may stand in a password that is not escaped, or in the path."""
    scheme, _, rest = url.partition("://")
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
    user, at, host = authority.rpartition("@")
    if "@" in user or "@" in rest.removeprefix(authority) or not re.fullmatch(r"[a-zA-Z][\w+.-]*", scheme):
        return MASK
    behind = rest.removeprefix(authority).strip("/")
    return f"{scheme}://{MASK + at if at else ''}{host}{'/' + MASK if behind else ''}"


def _urls(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _urls(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_urls(inner) for inner in value]
    return masked_url(value) if isinstance(value, str) else value


def _options(value: Any, *, secret: bool = False) -> Any:
    if isinstance(value, Mapping):
        return {name: _options(v, secret=secret or bool(_SECRET.search(str(name)))) for name, v in value.items()}
    if isinstance(value, list):
        return [_options(inner, secret=secret) for inner in value]
    return MASK if secret and value is not None and not isinstance(value, bool) else value
