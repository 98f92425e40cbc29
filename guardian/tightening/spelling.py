"""How gateways spell the tools that guardian knows by one name: what policies ask for. Never a guess.

Known are the names in the log of calls that a gateway allowed (what it refused, an agent may have made up), and in
envelopes. Where that is not all, guardian's own name stands beside them, and the name is `unsure`.
"""

from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from guardian.tightening.history import Grant, History

Names = Mapping[str, AbstractSet[str | None]]


@dataclass(frozen=True, slots=True)
class Spellings:
    """By guardian's name every other one that policies ask for; `unsure` may have more."""

    own: Mapping[str, tuple[str, ...]]
    unsure: frozenset[str]

    @classmethod
    def of(cls, tools: Iterable[str], history: History) -> "Spellings":
        """Of a tool that was never called, envelopes tell it where they spell called ones as calls do."""
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


def _listed(grants: Iterable[Grant]) -> dict[str, set[str | None]]:
    """The spellings in envelopes, None among them where one is not known."""
    found: dict[str, set[str | None]] = {}
    for grant in grants:
        for tool in grant.tools:
            found.setdefault(tool, set()).update([None] if grant.spelt is None else grant.own([tool]))
    return found


def _owners(called: Names) -> dict[str, set[str]]:
    """By spelling the names that it was read as: several, where the rule for names was changed."""
    found: dict[str, set[str]] = {}
    for tool, spelt in called.items():
        for each in spelt:
            if each is not None:
                found.setdefault(each, set()).add(tool)
    return found
