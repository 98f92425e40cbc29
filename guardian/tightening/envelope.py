"""Patches of envelope templates (JSON merge patch, RFC 7396): for the service that hands out the delegation."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from guardian.domain.restriction import Restriction, Scope
from guardian.domain.rules import ForbidDataClass, ForbidTool, MaxRecords
from guardian.domain.text import plain
from guardian.tightening.backtest import Patched
from guardian.tightening.grants import Grant
from guardian.tightening.proposal import Proposal
from guardian.tightening.redacted import nameless
from guardian.tightening.wording import slug

Json = dict[str, Any]
RENAMED = (
    "allowed_tools uses guardian's names ({}): replace them by the template's own before you merge it, or a tool "
    "that the template spells differently is taken away"
)


class EnvelopePatches:
    """One patch for each template in force, of what the template itself can say."""

    def files(self, proposal: Proposal) -> dict[str, str]:
        """One patch per template in force; if a scope has several, `.1`, `.2` … follow the most used one."""
        found: dict[str, str] = {}
        for scope in proposal.scopes:
            for number, grant in enumerate(proposal.grants.get(scope, ())):
                patch = _spelt(grant, self.patch(grant, proposal.of(scope)))
                if patch:
                    name = f"envelope/{slug(scope)}{f'.{number}' if number else ''}.merge-patch.json"
                    found[name] = json.dumps(patch, indent=2, sort_keys=True) + "\n"
        return found

    def patch(self, grant: Grant, restrictions: Iterable[Restriction]) -> Json:
        """What a template can express of the restrictions, in guardian's names; the rest is for the policy engine.

        An empty list of tools would be no limit, so then the template keeps its own list. It also keeps a limit on
        records that is not a number, data classes of which one is redacted, what sessions below hold (they would
        be wider than their parent), and its lifetime: that runs from the envelope's issue, of which no decision
        tells, and a session's from its first call.
        """
        tools, classes, records = list(grant.tools), grant.data_classes, grant.max_records
        listed = classes is not None and not any(map(nameless, classes))
        for restriction in restrictions:
            match restriction.rule:
                case _ if restriction.support.held_below:
                    pass
                case ForbidTool(tool, except_agents=()):
                    tools = [each for each in tools if each != tool]
                case ForbidDataClass(name) if listed:
                    classes = tuple(each for each in classes or () if each != name)
                case MaxRecords(limit) if not grant.records_unread:
                    records = limit if records is None else min(limit, records)
                case _:
                    pass
        patch: Json = {}
        if tools and tools != list(grant.tools):
            patch["allowed_tools"] = tools
        constraints: Json = {}
        if classes != grant.data_classes:
            constraints["data_classes"] = list(classes or ())
        if records != grant.max_records:
            constraints["max_records"] = records
        if constraints:
            patch["resource_constraints"] = constraints
        return patch

    def check(self, proposal: Proposal, files: Mapping[str, str]) -> list[str]:
        """That every patch only takes away from its template, and uses the template's names."""
        problems = []
        for name, text in self.files(proposal).items():
            if files.get(name) != text:
                problems.append(f"{name}: is not what the restrictions say")
        for scope in proposal.scopes:
            for grant in proposal.grants.get(scope, ()):
                patch = self.patch(grant, proposal.of(scope))
                if widens(grant, _spelt(grant, patch)):
                    problems.append(f"{slug(scope)}: the patch would widen its template")
                ours = sorted({*patch.get("allowed_tools", ())} & {*proposal.renamed})
                if ours and grant.spelt is None:
                    problems.append(f"{slug(scope)}: {RENAMED.format(plain(ours[0], 80))}")
        return problems


plugin = EnvelopePatches


def patched_tools(
    proposal_grants: Mapping[Scope, tuple[Grant, ...]], restrictions: Iterable[Restriction]
) -> Patched:
    """The tools that every template lists once it is patched, for the backtest."""
    of: dict[Scope, list[Restriction]] = {}
    for restriction in restrictions:
        of.setdefault(restriction.scope, []).append(restriction)
    patches = EnvelopePatches()
    return {
        (scope, grant.tools): frozenset(patches.patch(grant, of.get(scope, ())).get("allowed_tools", grant.tools))
        for scope, grants in proposal_grants.items()
        for grant in grants
    }


def _spelt(grant: Grant, patch: Json) -> Json:
    """The patch in the template's own names."""
    return patch | {"allowed_tools": grant.own(patch["allowed_tools"])} if "allowed_tools" in patch else patch


def merged(target: Any, patch: Any) -> Any:
    """RFC 7396: the target with the patch applied; null removes."""
    if not isinstance(patch, dict):
        return patch
    made = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            made.pop(name, None)
        else:
            made[name] = merged(made.get(name), value)
    return made


def widens(grant: Grant, patch: Json) -> bool:
    """Whether the patched template grants anything that the template did not."""
    before: Json = {"allowed_tools": grant.own(grant.tools), "resource_constraints": {}}
    if grant.data_classes is not None:
        before["resource_constraints"]["data_classes"] = list(grant.data_classes)
    if grant.max_records is not None:
        before["resource_constraints"]["max_records"] = grant.max_records
    after = merged(before, patch)
    had, has = before["resource_constraints"], after["resource_constraints"]
    more_classes = grant.data_classes is not None and not set(has.get("data_classes", ["*"])) <= set(
        had["data_classes"]
    )
    unread = grant.records_unread and "max_records" in patch.get("resource_constraints", {})
    more_records = unread or (
        grant.max_records is not None and has.get("max_records", float("inf")) > grant.max_records
    )
    tools = after["allowed_tools"]
    more_tools = not set(tools) <= set(before["allowed_tools"]) or (not tools and bool(grant.tools))
    return more_tools or more_classes or more_records
