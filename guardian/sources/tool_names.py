"""One rule for tool names: `mcp__crm__read`, `crm/read`, and `read` of server `crm` are all `crm.read`."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from guardian.errors import ConfigurationError

PATTERNS = (r"mcp__(?P<server>.+?)__(?P<tool>(?s:.+))", r"(?P<server>[^/]+)/(?P<tool>[^/]+)")
NAME = "{server}.{tool}"

_LONGEST = 512  # no event takes more; agents choose names, and a pattern may need the square of their length
_ONE_NAME = re.compile(rf"[^\x00-\x1f\x7f\ud800-\udfff]{{1,{_LONGEST}}}")
_ANY_SERVER = "\0"  # no alias is for it


@dataclass(frozen=True)
class ToolNames:
    """`patterns` split a name into server and tool; the first that matches the whole name counts. `name` puts them
    together again ("{tool}" leaves the server out). `aliases` have the last word.

    A name that no pattern matches keeps its spelling, unless the log names the server beside it and the name has
    no dot of its own. So a name that holds a server already counts, whatever server the log names beside it: what
    a gateway calls a server in its log is often not how its tools are prefixed. A server that may name its tools
    as it likes can therefore make one look like another server's; its gateway has to prefix or refuse such names.

    >>> ToolNames().of("mcp__crm__read"), ToolNames().of("read", server="crm"), ToolNames().of("read")
    ('crm.read', 'crm.read', 'read')
    """

    patterns: tuple[str, ...] = PATTERNS
    name: str = NAME
    aliases: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for pattern in self.patterns:
            try:
                groups = re.compile(pattern).groupindex
            except re.error as error:
                raise ConfigurationError(f"source.tools.patterns: {pattern!r}: {error}") from error
            if not {"server", "tool"} <= set(groups):
                raise ConfigurationError(
                    f"source.tools.patterns: {pattern!r} must name both groups: (?P<server>...) and (?P<tool>...)"
                )
        if "{tool}" not in self.name or self.name.replace("{tool}", "").replace("{server}", "").count("{"):
            raise ConfigurationError(
                f"source.tools.name: {self.name!r} must hold {{tool}}, may hold {{server}}, and no other braces"
            )

    def of(self, tool: str, *, server: str | None = None) -> str:
        """The name that guardian knows the tool by."""
        if tool in self.aliases:
            return self.aliases[tool]
        for pattern in _compiled(self.patterns) if len(tool) <= _LONGEST else ():
            if (found := pattern.fullmatch(tool)) is not None:
                return self._put(found["server"], found["tool"])
        if server and "." not in tool:
            return self._put(server, tool)
        return tool

    def spelt(self, tool: str, *, server: str | None = None) -> str | None:
        """The tool's name as the log spells it; None where the server beside it is part of the name, and for a
        name that no event could hold.

        >>> ToolNames().spelt("mcp__crm__read", server="x"), ToolNames().spelt("read", server="crm")
        ('mcp__crm__read', None)
        """
        beside = bool(server) and self.of(tool, server=_ANY_SERVER) != self.of(tool)
        return None if beside or _ONE_NAME.fullmatch(tool) is None else tool

    def _put(self, server: str, tool: str) -> str:
        name = self.name.replace("{server}", server).replace("{tool}", tool)
        return self.aliases.get(name, name)


@lru_cache(maxsize=16)
def _compiled(patterns: tuple[str, ...]) -> tuple[re.Pattern[str], ...]:
    return tuple(re.compile(pattern) for pattern in patterns)
