"""A proposal of least privilege as frames: mined from the archive, replayed against it, never applied."""

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import pandas as pd

from guardian.analysis.archived import ArchiveView
from guardian.analysis.schema import PROPOSALS, frame
from guardian.archive.reader import Window
from guardian.commands import tightening
from guardian.commands.windows import held
from guardian.errors import ConfigurationError
from guardian.tightening.backtest import Backtest
from guardian.tightening.backtest import backtest as run
from guardian.tightening.envelope import patched_tools
from guardian.tightening.folder import read_proposal
from guardian.tightening.proposal import Proposal
from guardian.tightening.sessions import IDLE
from guardian.tightening.surface import Surface
from guardian.tightening.trust import Trust
from guardian.tightening.wording import said

_NOWHERE = Path("/nonexistent/rejections")


def propose(
    archive: ArchiveView,
    tenant: str,
    *,
    days: int = 90,
    until: datetime | None = None,
    update: Callable[[int], None] = lambda _: None,
) -> Proposal:
    """What `guardian propose` would say about the last `days` before `until` (default: the archive's last day),
    had guardian planted nothing to test itself. What people rejected is left out where `archive` knows it.
    `update` is told how many calls were read so far, each of them twice in the end.

    Raises ConfigurationError for a tenant that `archive` does not see.
    """
    view = archive.only(tenant)
    (tenant,) = view.scope or (tenant,)  # as it is, not as it is shown
    if not view.days:
        raise ConfigurationError(f"{tenant}: the archive holds nothing of this tenant to propose from")
    end = until or (view.days[-1] + timedelta(days=1)).to_pydatetime()
    window = held(view.archive, tenant, since=end - timedelta(days=days), until=end)
    trust = _trust(view, Window(tenant, window.since, window.until))
    made, _ = tightening.proposed(
        lambda: view.past_calls(since=window.since, until=window.until),
        trust,
        window=window,
        tenant_id=tenant,
        rejections=view.rejections or _NOWHERE,
        update=update,
        wanted=lambda _: True,
    )
    return made


def read(archive: ArchiveView, folder: Path) -> Proposal:
    """A proposal as `guardian propose --out` wrote it. Raises ConfigurationError for another tenant's."""
    found = read_proposal(folder)
    if not archive.reaches(found.tenant_id):
        raise ConfigurationError(f"{folder}: a proposal for a tenant that this handle was not opened for")
    return found


def restrictions(proposal: Proposal) -> pd.DataFrame:
    """One row a restriction; columns `schema.PROPOSALS`."""
    tested = proposal.backtest
    rows = [
        {
            "restriction_id": each.id,
            "tenant_id": each.scope.tenant_id,
            "purpose": each.scope.purpose,
            "role": each.scope.role,
            "parent_role": each.scope.parent_role,
            "kind": each.rule.kind,
            "says": said(each.rule),
            "why": each.why,
            "sessions": each.support.sessions,
            "denied_at_most": each.support.denied_at_most,
            "held_out": each.support.held_out,
            "held_out_broken": each.support.held_out_broken,
            "honest_denied": tested.by_restriction.get(each.id, 0),
            "flagged_denied": tested.stopped_by.get(each.id, 0),
        }
        for each in proposal.restrictions
    ]
    return frame(rows, PROPOSALS, raw=True)


def replay(
    archive: ArchiveView, proposal: Proposal, *, since: datetime, until: datetime | None = None
) -> Backtest:
    """The same restrictions on another window: what they would have done to calls that they were not made from.

    Reading begins eight days earlier, so that sessions and parents that began before are known.
    """
    view = archive.only(proposal.tenant_id)
    end = until or (view.days[-1] + timedelta(days=1)).to_pydatetime()
    begin = since - IDLE
    trust = _trust(view, Window(proposal.tenant_id, begin, end))
    return run(
        view.past_calls(since=begin, until=end),
        proposal.restrictions,
        trust,
        since=since,
        merged=proposal.until,
        patched=patched_tools(proposal.grants, proposal.restrictions),
    )


def _trust(view: ArchiveView, window: Window) -> Trust:
    return tightening.trust_of(view.archive, window, idle=view.idle, planted=view.planted)


def counts(tested: Backtest, surface: Surface | None = None) -> pd.Series:
    """A replay in numbers; with `surface` (`proposal.surface`) also the privileges before and after. All but the
    decisions are of agents that are narrowed: where none is, these are 0, whatever the others did."""
    told = {
        "decisions replayed": tested.replayed,
        "honest calls of narrowed agents": tested.honest,
        "honest calls newly denied": tested.honest_denied,
        "flagged sessions of narrowed agents": tested.flagged_sessions,
        "flagged sessions stopped": tested.flagged_stopped,
        "newly allowed": tested.newly_allowed,
    }
    if tested.refused_alike:
        told["honest calls refused as it refuses them: its cost, if it is merged"] = tested.refused_alike
    if surface is not None:
        told |= {"privileges before": surface.before, "privileges after": surface.after}
    return pd.Series(told, name="count")


def abstentions(proposal: Proposal) -> pd.DataFrame:
    """Where nothing is proposed, and why: purpose, role, why."""
    rows = [(each.scope.purpose, each.scope.role, each.why) for each in proposal.abstentions]
    return pd.DataFrame(rows, columns=["purpose", "role", "why"])
