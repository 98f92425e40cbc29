"""What to do about a log that is text, or JSON inside of text: guardian reads JSON as the gateway wrote it."""

import json
from typing import Any

_TEXTS = ("log", "message", "msg")
_PARSE = "have the collector parse them (fluent-bit: Merge_Log On; filebeat: the parser ndjson)"


def way_to_json(value: bytes) -> str | None:
    """What to do where a record is text around JSON, or no JSON at all; None for other JSON, damaged or not."""
    body = _json(value)
    if isinstance(body, dict):
        for name in _TEXTS:
            if isinstance(text := body.get(name), str) and isinstance(_json(text), dict):
                return f"Its records lie in `{name}` as text: {_PARSE}"
        return None
    try:
        head, brace, rest = value.decode("utf-8").strip().partition("{")
    except UnicodeDecodeError:
        return None
    if brace and head and isinstance(_json(brace + rest), dict):
        return f"Its records lie behind a prefix: {_PARSE}"
    return "It is a text log: have the gateway write JSON" if head and not head.startswith(("[", '"')) else None


def _json(text: bytes | str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
