"""The JSON-RPC messages in the body of a request that Envoy asked its ext_authz service about. Pure.

The agent chooses how it writes a body, and one that is no JSON here may be JSON upstream, where another parser
reads it: a key twice, a byte order mark, UTF-16, words that follow. So one that may be a call is told from others.
"""

import base64
import re
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from guardian.errors import DecodeError
from guardian.sources.facts import at, json_in, text
from guardian.sources.unread import SIGN, Unread

_UNPARSED = Unread(f"{SIGN} a body that is no JSON")
_BEFORE_JSON = " \t\r\n\f\v\ufeff\ufffd\xfe\xff!"
"""White space and byte order marks, also as they look where the bytes were taken for another encoding: Envoy puts
`!` for each byte that is not UTF-8."""
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|/)")


def message_of(told: Any) -> Any:
    """The JSON-RPC message or messages that the gateway asked about; None where there is none."""
    if isinstance(told, Mapping) and "method" in told and "params" in told:
        return told
    found = [at(told, "parsed_body"), at(told, "request", "body")]
    if not any(map(_is_message, found)):  # the plugin parses a body by its content type, which the agent chooses
        found.append(_written(_body(told)))
    return next(filter(_is_message, found), None)


def hides_call(told: Mapping[str, Any]) -> bool:
    """Whether the body of a request cannot be read, and another parser may find a call in it. A form, a page or a
    file that speaks of calls is none: what begins as JSON does may be one, or is packed and has MCP's headers."""
    if isinstance(told.get("parsed_body"), Unread):  # one message of a batch
        return True
    body = _body(told)
    written = _written(body)
    if not any(isinstance(each, Unread) for each in (written if isinstance(written, list) else [written])):
        return False
    headers = at(told, "attributes", "request", "http", "headers")
    if text(at(headers, "content-encoding")) is not None and any(name.startswith("mcp-") for name in headers):
        return True
    begun = body.replace("\0", "").lstrip(_BEFORE_JSON)
    return begun.startswith(("{", "[")) and "tools/call" in _ESCAPE.sub(_meant, begun)


def _body(told: Any) -> str:
    """The body of the HTTP request, as Envoy hands it on; empty where there is none."""
    http = at(told, "attributes", "request", "http")
    body, packed = at(http, "body"), at(http, "rawBody")  # the bytes, where ext_authz has pack_as_bytes
    if isinstance(packed, str) and not body:
        with suppress(ValueError):
            return base64.b64decode(packed).decode("utf-8", "replace")
    return body if isinstance(body, str) else ""


def _written(body: str) -> Any:
    """The JSON that it holds; `Unread` where it holds anything else, None where nothing."""
    if not body.strip():
        return None
    try:
        return json_in(body.removeprefix("\ufeff"))
    except DecodeError:
        return _UNPARSED


def _is_message(found: Any) -> bool:
    """Whether it is a JSON-RPC message or a batch of them; a list without any is a body of another kind, and so is
    a form, whose fields are lists."""
    return any(
        name.casefold() == "method" and isinstance(value, str)
        for each in (found if isinstance(found, list) else [found])
        if isinstance(each, Mapping)
        for name, value in each.items()
    )


def _meant(escape: re.Match[str]) -> str:
    return chr(int(escape[1], 16)) if escape[1] else "/"
