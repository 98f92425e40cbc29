"""Records of foreign formats that cannot be read whole: what the rest of them says. Pure.

An agent chooses its arguments, and thereby influences the result. Parts of those that cannot be read are shown as
unread, or left out, and the call is judged all the same. Who acts, with which tool, and what was decided must be
readable: a call whose tool is not is refused like one that names none.
"""

import dataclasses
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

from guardian.errors import DecodeError
from guardian.sources.facts import Facts, of_no_tool
from guardian.sources.unread import unread_in

_TELL: Mapping[str, tuple[str, ...]] = {
    "id": ("id",), "trace_id": ("trace",), "agent_version": ("agent_version",), "arguments": ("arguments",),
    "resource": ("resource_type", "resource_id"), "records": ("records",), "data_classes": ("data_classes",),
    "result": ("status", "result_records"), "envelope_jws": ("envelope_jws",),
}  # fmt: skip
"""The fields of an event, or of its action, that an agent can influence, and the facts that they come from."""
_CHOSEN = frozenset(
    {"reason", "session", "token", "conversation", *(fact for facts in _TELL.values() for fact in facts)}
)
_DEFAULTS: Mapping[str, Any] = {each.name: each.default for each in dataclasses.fields(Facts)}
_values = attrgetter(*_DEFAULTS)


@dataclass(frozen=True, slots=True)
class Partly:
    """A JSON value with `Unread` in it, why it was not read whole, and the SHA-256 of what it was read from."""

    body: Any
    why: DecodeError
    digest: bytes

    def items(self) -> Iterator[Any]:
        """The items of an array, or the value itself; each is `Partly` only where it has unread parts itself."""
        for item in self.body if isinstance(self.body, list) else (self.body,):
            yield Partly(item, self.why, self.digest) if unread_in(item) else item


def readable(facts: Facts) -> Facts:
    """The facts without unread parts that an agent chose; of arguments, all that could be read stays.

    Raises DecodeError where anything else is unread.
    """
    told = [value for value in _values(facts) if value is not None and type(value) is not str]
    if not unread_in(told):
        return facts
    changes: dict[str, Any] = {}
    for name, value in zip(_DEFAULTS, _values(facts), strict=True):
        if not unread_in(value):
            continue
        if name not in _CHOSEN:
            raise DecodeError("no_tool" if name == "tool" else "not_json", f"{name}: it cannot be read whole")
        changes[name] = json.loads(json.dumps(value)) if name == "arguments" else _DEFAULTS[name]
    return dataclasses.replace(facts, **changes)


def without(facts: Facts, places: Iterable[tuple[int | str, ...]], why: DecodeError) -> Facts:
    """The facts without those behind these fields of an event. Raises `why` where an agent cannot influence all of
    them, or where the tool is among them."""
    named = {str(place[1]) if place[0] == "action" and len(place) > 1 else str(place[0]) for place in places}
    if "tool" in named and named <= {"tool", *_TELL}:
        raise of_no_tool(why, facts.effect)
    if not named <= _TELL.keys():
        raise why
    return dataclasses.replace(facts, **{fact: _DEFAULTS[fact] for name in named for fact in _TELL[name]})
