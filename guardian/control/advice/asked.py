"""What a question for advice says of the call: read as a log of it would be, and refused where a part would not be
read. Nobody can let exactly this call through who was not shown all of it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from guardian.control.problems import Refusal
from guardian.domain.strict_json import canonical_json
from guardian.domain.text import plain
from guardian.sources.authzen import CALL, PLACES, action_of
from guardian.sources.facts import at, text
from guardian.sources.unread import unread_in
from guardian.wire.advice import EvaluationRequest

_OF_THE_CALL = frozenset(
    {"argument", "arguments", "arg", "args", "kwargs", "param", "params", "parameter", "parameters", "input",
     "inputs", "record", "records", "dataclass", "dataclasses"}
)  # fmt: skip
"""What tells something of the call itself, by gateways' names for it, also with `tool` before them."""
_WEIGHED = ("arguments", "records", "data_classes", "credential_id")
_READ = frozenset(
    {*(place for places in PLACES.values() for place in places), ("context", "params"), ("context", "envelope")}
)


@dataclass(frozen=True, slots=True)
class Asked:
    """`action` is as `guardian.decision/v1` has it, its tool without the `server` that may be named beside it.
    `beside` is what else tells this call from others, by its place, and is not weighed."""

    action: dict[str, Any]
    server: str | None
    beside: dict[str, Any]


def read_asked(proposed: EvaluationRequest) -> Asked:
    """Raises Refusal where two places differ, and where a part of the call would be passed over."""
    asked = proposed.model_dump()
    call = proposed.action.name == CALL
    tool = proposed.resource.id if call else proposed.action.name
    if asked.get("evaluations"):
        raise Refusal(422, "evaluations: ask about one call at a time")
    _check_agreement(asked)
    _check_places(asked)
    _check_params(asked, tool)
    touched = at(asked, "context", "resource")
    if call and touched is not None and text(at(touched, "type")) is None and text(at(touched, "id")) is None:
        raise Refusal(422, "context.resource: an object with `type` and `id`")
    if not call and touched not in (None, {"type": proposed.resource.type, "id": proposed.resource.id}):
        raise Refusal(422, "context.resource: it says something else than resource")
    read = action_of(asked)
    on = {"type": read["resource_type"], "id": read["resource_id"]}
    action = {"tool": tool, "resource": on if any(on.values()) else None}
    for name in _WEIGHED[:3]:
        sent = next((value for _, value in _sent(asked, name)), None)
        if sent not in (None, ""):
            action[name] = read[name] if _whole(sent, read[name]) else sent
    credential = at(asked, "action", "properties", "credential_id")
    if credential is not None:
        action["credential_id"] = credential
    return Asked(action, read["server"], {place: told for place, told in _beside(asked, touched, call) if told})


def _beside(asked: Mapping[str, Any], touched: Any, call: bool) -> Iterator[tuple[str, Any]]:
    """What is neither weighed nor shown, and may be the very thing that makes it another call."""
    yield "server", next((told for _, told in _sent(asked, "server")), None)
    yield "resource.properties", _without(at(asked, "resource", "properties"), "server")
    yield "action.properties", _without(at(asked, "action", "properties"), *_WEIGHED)
    yield "context.resource", _without(touched, "type", "id") if call else None


def _without(told: Any, *known: str) -> dict[str, Any]:
    return {name: value for name, value in (told or {}).items() if name not in known}


def _whole(sent: Any, read: Any) -> bool:
    """Whether the log's reader takes all that was sent; what it does not is left for the adviser to find
    unreadable."""
    listed = isinstance(sent, list) and isinstance(read, tuple)
    return not (read is None or (isinstance(sent, str) and unread_in(read)) or (listed and len(read) < len(sent)))


def _sent(asked: Mapping[str, Any], name: str) -> Iterator[tuple[str, Any]]:
    """Each place that says it and what it says, the one that counts first."""
    for place in PLACES[name]:
        if (value := at(asked, *place)) is not None:
            yield ".".join(place), value


def _check_agreement(asked: Mapping[str, Any]) -> None:
    for name in PLACES:
        told = [(place, canonical_json(value)) for place, value in _sent(asked, name)]
        for place, value in told[1:]:
            if value != told[0][1]:
                raise Refusal(422, f"{place}: it says something else than {told[0][0]}")


def _check_places(asked: Mapping[str, Any]) -> None:
    left: list[tuple[tuple[str, ...], Any]] = [((), asked)]
    while left:
        part, here = left.pop()
        told = here.items() if isinstance(here, dict) else ((str(n), each) for n, each in enumerate(here))
        for key, value in told:
            place = (*part, key)
            if value is None or place in _READ:
                continue
            if "".join(filter(str.isalnum, key.lower())).removeprefix("tool") in _OF_THE_CALL:
                raise Refusal(
                    422,
                    f"{plain('.'.join(place), 120)}: it would not be read there. Arguments, records and "
                    "data_classes stand in context or action.properties",
                )
            if isinstance(value, (dict, list)):
                left.append((place, value))


def _check_params(asked: Mapping[str, Any], tool: str) -> None:
    """MCP's own parameters name the tool and hold its arguments."""
    params = at(asked, "context", "params")
    if params is None:
        return
    strange = not isinstance(params, dict) or set(params) - {"name", "arguments", "_meta", "task"}
    if strange or params.get("name", tool) != tool:
        raise Refusal(422, "context.params: MCP's: `arguments`, and as `name` the tool that is asked about")
