"""JSON-RPC messages as proxies log them: objects, JSON within a string, event streams, bodies of HTTP responses.
Pure.

A server chooses whether it answers in a stream. Text that holds no message may be what a tool says.
"""

import re
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from guardian.errors import DecodeError
from guardian.sources.facts import json_in
from guardian.sources.hostile import agents_own

HTTP = ("status", "status_code", "statusCode")
"""What proxies call the status of an HTTP response."""
_FIELD = re.compile("(?:data|event|id|retry)?:")


def messages_of(said: Any) -> list[Mapping[str, Any]]:
    """The message, or those of a batch; none where it is anything else."""
    every = said if isinstance(said, list) else [said]
    return [each for each in every if isinstance(each, Mapping) and agents_own(each)]


def parsed(said: Any) -> Any:
    """The message or the batch that a string holds; anything else as it is."""
    if isinstance(said, str) and said.lstrip().startswith(("{", "[")):
        with suppress(DecodeError):
            if messages_of(read := json_in(said)):
                return read
    return said


def came_back(response: Any) -> Any:
    """What came back, without the HTTP response around it: a list where it is a batch or a stream."""
    if isinstance(response, str):
        return _streamed(response) or parsed(response)
    if isinstance(response, Mapping) and "jsonrpc" not in response:
        body = came_back(response.get("body"))
        return body if isinstance(body, (Mapping, list)) else response
    return response


def answer_in(response: Any) -> Any:
    """What came back for one message; of a stream the last that answers: before it a server tells how far it is,
    or asks something."""
    came = came_back(response)
    answers = [each for each in messages_of(came) if "result" in each or "error" in each]
    return answers[-1] if isinstance(came, list) and answers else came


def _streamed(said: str) -> list[Mapping[str, Any]]:
    """The messages of an event stream; none where anything else stands between them."""
    lines = said.replace("\r\n", "\n").replace("\r", "\n")
    if not all(map(_FIELD.match, filter(None, lines.split("\n")))):
        return []
    found: list[Mapping[str, Any]] = []
    for event in lines.split("\n\n"):
        data = "\n".join(line[5:] for line in event.split("\n") if line.startswith("data:"))
        found += messages_of(parsed(data))
    return found
