"""What kind of act a call is: its tool and, where that is a general one, the operation that it is told to do.

A wrapper (`call_tool {name, arguments}`), an HTTP client, a database or `jira {action}` does many things under one
name. Kinds are only counted: which of a session's acts are near copies of each other.
"""

import re
from collections.abc import Mapping
from hashlib import sha256

from guardian.embedding.consequence import HINTS, STATEMENTS
from guardian.embedding.text import vocabulary, words

_WRAPPED = frozenset(["tool", "tool name", "function", "function name", "method name"])
_NAME_TOO = _WRAPPED | {"name"}
_CALLING = frozenset(vocabulary("call dispatch function functions invoke mcp proxy rpc tool tools"))
"""What a tool is called under whose `name` another one stands; elsewhere a name is a person's or a thing's."""
_PASSED_ON = frozenset(
    ["arguments", "args", "params", "parameters", "input", "kwargs", "tool input", "tool arguments", "tool args"]
)
_NAME = re.compile(r"[A-Za-z][\w./:-]{0,63}", re.ASCII)
_VERBS = frozenset(vocabulary("select insert update delete drop alter truncate grant revoke copy merge create"))
_FIRST = re.compile(r"[\s(]*([A-Za-z]{2,10})\b")
_CHARS = 64
_NUMBER = re.compile(r"\d{2,}")
"""What tells one call from the next, not one operation from another: "order-5512-run"."""


def kind_of(tool: str, arguments: Mapping[str, object] | None) -> str:
    """The tool, with the operation that its own arguments (not nested ones) name. What does not look like the name
    of an operation tells none: names of people and files would make each call a kind of its own.

    >>> kind_of("call_tool", {"name": "crm.export", "arguments": {"scope": "all"}})
    'call_tool crm.export'
    >>> kind_of("db.execute", {"sql": "DROP TABLE audit_log"}), kind_of("create_user", {"name": "Ann"})
    ('db.execute drop', 'create_user')
    >>> kind_of("states.start_execution", {"name": "renewal-of-globex", "input": "{}"})
    'states.start_execution'
    """
    told = {words(name): value for name, value in (arguments or {}).items()}
    passes_on = any(isinstance(told.get(name), (Mapping, str)) for name in _PASSED_ON)
    wrapped = _WRAPPED if _CALLING.isdisjoint(words(tool).split()) else _NAME_TOO
    names = (told.get(name) for name in sorted(wrapped | HINTS if passes_on else HINTS))
    found = [value.lower() for value in names if isinstance(value, str) and _NAME.fullmatch(value)]
    if found:  # all of them: a tool ignores what it does not know, and one that is ignored could hide the others
        return f"{tool} {_short(' '.join(dict.fromkeys(_NUMBER.sub('#', value) for value in found)))}"
    for name in sorted(STATEMENTS):
        value = told.get(name)
        first = _FIRST.match(value[:_CHARS]) if isinstance(value, str) else None
        if first is not None and (verb := first[1].lower()) in _VERBS:
            return f"{tool} {verb}"
    return tool


def _short(told: str) -> str:
    return told if len(told) <= _CHARS else f"{told[:48]}{sha256(told.encode()).hexdigest()[:16]}"
