"""Proposals that lie in their folders: replayed, verified, and what people say no to."""

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

from guardian.archive.reader import Archive, Window
from guardian.bootstrap.clock import utc_now
from guardian.bootstrap.tightening import Update, backends, held_rows, trust_of
from guardian.config import Settings
from guardian.domain.restriction import Restriction
from guardian.domain.text import some
from guardian.errors import ConfigurationError, ProposalError
from guardian.tightening.backtest import Backtest, Change, backtest
from guardian.tightening.envelope import patched_tools
from guardian.tightening.proposal import Proposal, alike, read_proposal
from guardian.tightening.rejections import reject
from guardian.tightening.sessions import IDLE
from guardian.tightening.verifying import Verified, verify

_NAMED = 5


def backtest_proposal(
    settings: Settings, archive: Archive, folder: Path, update: Update,
    *, window: timedelta | None = None, write_example: Callable[[str], None] | None = None,
) -> Backtest:  # fmt: skip
    """Replay the archive under a proposal, as it lies in its folder: over its own window, or the last `window`.

    `write_example` takes each call that would be decided otherwise, as a line of JSON. Raises ConfigurationError
    where policies or patches beside it say something else, which would not be replayed.
    """
    proposal = _read(folder)
    until = utc_now() if window is not None else proposal.until
    part = Window(proposal.tenant_id, until - window if window is not None else proposal.since, until)
    total = held_rows(archive, part)
    alike(folder, proposal, backends(settings).values())

    def changed(change: Change) -> None:
        if write_example is not None:
            write_example(json.dumps(change.as_json(), default=str))

    return backtest(
        archive.past_calls(part), proposal.restrictions, trust_of(archive, part),
        patched=patched_tools(proposal.grants, proposal.restrictions), on_change=changed,
        progress=lambda done: update(done, total),
    )  # fmt: skip


def _read(folder: Path) -> Proposal:
    """Raises ConfigurationError: whoever names no proposal has not been told that one costs too much."""
    try:
        return read_proposal(folder)
    except ProposalError as error:
        raise ConfigurationError(str(error)) from error


def verify_proposal(archive: Archive, folder: Path, since: datetime | None) -> Verified:
    """What became of a proposal since it was merged (`since`; else since it was made)."""
    proposal = _read(folder)
    merged = since or proposal.made_at
    window = Window(proposal.tenant_id, merged - IDLE, None)
    return verify(archive.past_calls(window), proposal, trust_of(archive, window), since=merged)


def reject_restriction(
    folder: Path, rejections: Path, restriction_id: str, *, reason: str, owner: str
) -> Restriction:
    """Remember a no. Raises ConfigurationError for an id that the proposal does not have."""
    proposal = _read(folder)
    found = next((each for each in proposal.restrictions if each.id == restriction_id), None)
    if found is None:
        ids = [each.id for each in proposal.restrictions]
        known = some(ids, _NAMED) or "none at all"
        raise ConfigurationError(f"{folder} has no restriction {restriction_id!r}; it has {known}")
    reject(rejections, found, reason=reason, owner=owner)
    return found
