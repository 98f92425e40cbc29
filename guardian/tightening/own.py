"""Guardian's own permissions through the same miner: what each role does with control, by the audit trail."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from guardian.domain.finding import OPERATORS
from guardian.domain.past import PastCall
from guardian.domain.rules import ForbidTool
from guardian.tightening.proposal import Proposal
from guardian.tightening.wording import quoted, said, whom

PURPOSE = "guardian_control"
FILE = "cedar/own_permissions.cedar"

UNAUDITED = frozenset({"read", "readRevocations", "readChanges", "readMetrics", "readAudit", "permitCall"})
"""Where control permits these, the audit trail has no line."""
EMERGENCIES = frozenset((
    "breakGlass", "resetBreaker", "setMode", "revoke", "revokeSubject", "reinstate", "reinstateSubject", "protect",
    "propose", "approve",
))  # fmt: skip
"""A quiet quarter, or one in shadow mode, shows no need of these, and the next day may. The last two ask for and
give the second person's word on the others."""

CheckText = Callable[[str, str], Sequence[Any]]


def narrowable(actions: Iterable[str]) -> tuple[str, ...]:
    """Those of control's actions of which the audit trail can show that nobody needs them."""
    return tuple(action for action in actions if action not in UNAUDITED | EMERGENCIES)


def audited_calls(entries: Iterable[Mapping[str, Any]], actions: Sequence[str]) -> Iterator[PastCall]:
    """Decisions of the audit trail as calls: an actor's day is the session, the action is the tool.

    `actions` are what a role may be denied for not asking it. Entries about anything else are skipped.
    """
    granted = tuple(sorted(actions))
    for entry in entries:
        actor, role, action, at = (entry.get(name) for name in ("actor", "role", "action", "at"))
        if not (isinstance(actor, str) and isinstance(role, str) and action in granted and isinstance(at, str)):
            continue
        when = datetime.fromisoformat(at)
        yield PastCall(
            tenant_id=OPERATORS, session_id=f"{actor}/{when.date()}", purpose=PURPOSE, role=role, at=when,
            tool=str(action), allowed=entry.get("allowed") is True, arguments=None, bound=(), resource_type=None,
            resource_id=None, data_classes=None, records=None, allowed_tools=granted, constraints={},
            expires_at=None, agent_id=actor, delegator_id=actor, parent_session_id=None, gateway="control",
            decision_id=str(entry.get("seq", "")), wanted="none", one_in=1.0, tool_spelt=str(action),
            allowed_tools_spelt=(),
        )  # fmt: skip


@dataclass(frozen=True)
class OwnForbids:
    """Forbids for guardian's own policy folder, validated against its schema.

    Of actions only: hours would bind reads too, which are not in the trail, and whoever is called at night.
    """

    check_cedar: CheckText
    schema: str

    def files(self, proposal: Proposal) -> dict[str, str]:
        lines = []
        for restriction in proposal.restrictions:
            role = quoted(restriction.scope.role)
            match restriction.rule:
                case ForbidTool(tool, exempt):
                    action = f"Guardian::Action::{quoted(tool)}"
                    body = f"forbid (principal in Guardian::Role::{role}, action == {action}, resource)"
                    actors = ", ".join(f"Guardian::Actor::{quoted(name)}" for name in exempt)
                    body += f"\nunless {{ [{actors}].contains(principal) }};" if exempt else ";"
                case _:
                    continue
            why = quoted(f"{whom(restriction.scope)} {said(restriction.rule)}: {restriction.why}")
            lines.append(f"@id({quoted(restriction.id)})\n@why({why})\n{body}\n")
        return {FILE: "\n".join(lines)} if lines else {}

    def check(self, proposal: Proposal, files: Mapping[str, str]) -> list[str]:  # noqa: ARG002 - the port's
        """Each policy against guardian's own schema."""
        return [f"{found.policy_id}: {found.text}" for found in self.check_cedar(files.get(FILE, ""), self.schema)]
