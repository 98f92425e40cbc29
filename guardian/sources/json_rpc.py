"""JSON-RPC messages as proxies log them: objects, batches, JSON within a string, event streams, bodies of HTTP
responses. Pure.

An agent chooses whether it sends its calls alone or in a batch, and a server whether it answers in a stream. Text
that holds no message may be what a tool says.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

from guardian.errors import DecodeError
from guardian.sources.facts import json_in, text
from guardian.sources.hostile import agents_own

HTTP = ("status", "status_code", "statusCode")
"""What proxies call the status of an HTTP response."""
RESULT = ("result", "content", "structuredContent")
"""In a response: what came back, also where the proxy left out JSON-RPC's message around it."""
_MARK = "\ufeff"
_FIELD = re.compile("(?:data|event|id|retry)?:")


def is_message(said: Any) -> bool:
    return isinstance(said, Mapping) and agents_own(said)


def messages_of(said: Any) -> list[Mapping[str, Any]]:
    """The message, or those of a batch; none where it is anything else."""
    return [each for each in (said if isinstance(said, list) else [said]) if is_message(each)]


def parsed(said: Any) -> Any:
    """The message or the batch that a string holds, also behind a byte order mark, which some servers take off;
    anything else as it is."""
    if isinstance(said, str) and (bare := said.removeprefix(_MARK)).lstrip().startswith(("{", "[")):
        with suppress(DecodeError):
            if messages_of(read := json_in(bare)):
                return read
    return said


def members(body: Any, name: str) -> list[Any]:
    """What a message has by this name. Servers in Go take `Method` for `method`, and the last of both; others do
    not."""
    return [value for key, value in body.items() if key.casefold() == name] if isinstance(body, Mapping) else []


def lower(headers: Any) -> dict[str, Any]:
    """The headers by lower-case name; a list of one value, as some proxies write it, is that value."""
    told = headers.items() if isinstance(headers, Mapping) else ()
    return {
        name.lower(): value[0] if isinstance(value, list) and len(value) == 1 else value for name, value in told
    }


def came_back(response: Any) -> Any:
    """What came back, without the HTTP response around it: a list where it is a batch or a stream."""
    if isinstance(response, str):
        return _streamed(response) or parsed(response)
    if isinstance(response, Mapping) and not any(name in response for name in ("jsonrpc", *RESULT)):
        body = came_back(response.get("body"))
        return body if isinstance(body, (Mapping, list)) else response
    return response


def answer_in(response: Any) -> Any:
    """What came back for one message; of a stream the last that answers: before it a server tells how far it is,
    or asks something."""
    came = came_back(response)
    answers = list(filter(_answers, messages_of(came)))
    return answers[-1] if isinstance(came, list) and answers else came


def apart(batch: list[Any], response: Any) -> Iterator[tuple[Any, Any]]:
    """Each message of a batch, with the response as it is for this one alone. An empty list says that there are
    answers and none that is surely its own: an agent may give two of its messages the same id."""
    came, http = came_back(response), {}
    if isinstance(response, Mapping) and "jsonrpc" not in response:
        http = {name: response[name] for name in HTTP if name in response}
    told = came if isinstance(came, list) else [came]
    answers = [(_id(each), each) for each in told if _answers(each)]
    others: Any = [] if messages_of(came) else None
    if isinstance(came, Mapping) and "error" in came and _id(came) is None:  # the batch was refused as a whole
        others = came
    asked, found = [_id(each) for each in batch], dict(answers)
    unsure = {own for ids in (asked, [own for own, _ in answers]) for own, n in Counter(ids).items() if n > 1}
    for message, own in zip(batch, asked, strict=True):
        answer = others if own is None or own in unsure else found.get(own, others)
        yield message, {**http, "body": answer} if http else answer


def _answers(said: Any) -> bool:
    """Whether it is an answer: a server asks too, and counts its ids from 0 as well."""
    return isinstance(said, Mapping) and ("result" in said or "error" in said)


def _id(message: Any) -> str | float | None:
    """A message's id; None where it has none, or where it depends on the parser which one. Servers in JavaScript
    answer 1.0 as 1, and round what is long."""
    ids = members(message, "id")
    said = text(ids[0]) if len(ids) == 1 else None
    try:
        return None if said is None else float(said)
    except ValueError:
        return said


def _streamed(said: str) -> list[Mapping[str, Any]]:
    """The messages of an event stream; none where anything else stands between them."""
    lines = said.removeprefix(_MARK).replace("\r\n", "\n").replace("\r", "\n")
    if not all(map(_FIELD.match, filter(None, lines.split("\n")))):
        return []
    found: list[Mapping[str, Any]] = []
    for event in lines.split("\n\n"):
        data = "\n".join(line[5:] for line in event.split("\n") if line.startswith("data:"))
        if "jsonrpc" in data.lower():  # a tool may send events without number, and reading around each takes long
            found += messages_of(parsed(data))
    return found
