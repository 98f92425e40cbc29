"""How gateways spell the tools that guardian knows by one name: policies must ask for those names.

Nothing is guessed. The names come from calls that a gateway allowed (an agent may have made up the name of one
that was refused) and from envelopes. If there may be more of them, guardian's own name is added and the tool is
`unsure`.
"""

from collections.abc import Collection, Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from guardian.tightening.grants import Grant
from guardian.tightening.history import History

Names = Mapping[str, AbstractSet[str | None]]


@dataclass(frozen=True, slots=True)
class Spellings:
    """`own` maps a tool to the names that policies ask for, unless that is just guardian's name; tools in `unsure`
    may have more names."""

    own: Mapping[str, tuple[str, ...]]
    unsure: frozenset[str]

    @classmethod
    def of(cls, tools: Iterable[str], history: History) -> "Spellings":
        """A tool that was never called gets its name from envelopes, if those spell called tools as calls do."""
        listed = _listed(grant for scope in history.scopes.values() for grant in scope.grants)
        called, owners = history.spelt, _owners(history.spelt)
        both = listed.keys() & called.keys()
        as_called = bool(both) and all(listed[tool] <= called[tool] for tool in both)
        own: dict[str, tuple[str, ...]] = {}
        unsure: set[str] = set()
        for tool in sorted(tools):
            told = called.get(tool) or (listed.get(tool, {None}) if as_called else {None})
            spelt = {each for each in (*told, *listed.get(tool, ())) if each is not None}
            mine = {each for each in spelt if owners.get(each, {tool}) == {tool}}
            if None in told or mine != spelt:
                unsure.add(tool)
                mine |= {tool} if owners.get(tool, {tool}) == {tool} or not mine else set()
            if mine != {tool}:
                own[tool] = tuple(sorted(mine))
        return cls(own, frozenset(unsure))


def unasked(own: Mapping[str, Collection[str]], called: Names) -> dict[str, list[str]]:
    """By tool, the names that calls used for it and no other tool, and that are not among its `own`."""
    found: dict[str, list[str]] = {}
    for name, tools in sorted(_owners(called).items()):
        for tool in tools if len(tools) == 1 else ():
            if name not in own.get(tool, (name,)):
                found.setdefault(tool, []).append(name)
    return found


def _listed(grants: Iterable[Grant]) -> dict[str, set[str | None]]:
    """By tool, its spellings in envelopes; None among them if one is not known."""
    found: dict[str, set[str | None]] = {}
    for grant in grants:
        for tool in grant.tools:
            found.setdefault(tool, set()).update([None] if grant.spelt is None else grant.own([tool]))
    return found


def _owners(called: Names) -> dict[str, set[str]]:
    """By spelling, the tools that it was read as: several if the rule for names was changed."""
    found: dict[str, set[str]] = {}
    for tool, spelt in called.items():
        for each in spelt:
            if each is not None:
                found.setdefault(each, set()).add(tool)
    return found
