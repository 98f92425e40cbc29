"""Proposals that lie in their folders: replayed, verified, and what people say no to."""

import json
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path

from guardian.archive.reader import Archive, Window
from guardian.bootstrap.backends import backends
from guardian.bootstrap.clock import utc_now
from guardian.commands.tightening import Update, held_rows, recorded
from guardian.config import Settings
from guardian.domain.past import PastCall
from guardian.domain.restriction import Restriction
from guardian.domain.text import plain, some
from guardian.errors import ConfigurationError, ProposalError
from guardian.tightening.alike import alike
from guardian.tightening.backtest import Backtest, Change, Unheld, backtest
from guardian.tightening.envelope import patched_tools
from guardian.tightening.folder import read_proposal
from guardian.tightening.history import note_spelling
from guardian.tightening.proposal import Proposal
from guardian.tightening.redacted import marked
from guardian.tightening.rejections import reject
from guardian.tightening.sessions import IDLE
from guardian.tightening.spelling import Names, unasked
from guardian.tightening.verifying import Verified, verify
from guardian.tightening.wording import whom

_NAMED = 5


def backtest_proposal(
    settings: Settings, archive: Archive, folder: Path, update: Update,
    *, window: timedelta | None = None, write_example: Callable[[str], None] | None = None,
) -> Backtest:  # fmt: skip
    """Replay the archive under a proposal, as it lies in its folder: over its own window, or the last `window`.

    `write_example` takes each call that would be decided otherwise, as a line of JSON. Raises ConfigurationError
    where policies or patches beside it say something else, which would not be replayed, where its grants hold
    more than the envelopes that it was made of, or where its policies ask for a tool by other names than calls do.
    """
    proposal = the_proposal(folder)
    until = utc_now() if window is not None else proposal.until
    since = until - window if window is not None else proposal.since
    total = held_rows(archive, Window(proposal.tenant_id, since, until))
    part = Window(proposal.tenant_id, min(since, proposal.since), until)
    alike(folder, proposal, backends(settings))

    def changed(change: Change) -> None:
        if write_example is not None:
            write_example(json.dumps(change.as_json(), default=str))

    calls, trust = recorded(settings, archive, part)
    called: dict[str, set[str | None]] = {}

    def noted() -> Iterator[PastCall]:
        for call in marked(calls(), settings.source.redact):
            if call.allowed:
                note_spelling(called, call)
            yield call

    unheld = Unheld({scope: proposal.grants.get(scope, ()) for scope in proposal.scopes})
    tested = backtest(
        noted(), proposal.restrictions, trust, since=since, merged=proposal.until,
        patched=patched_tools(proposal.grants, proposal.restrictions), on_change=changed,
        on_placed=unheld.note, progress=lambda done: update(done, total),
    )  # fmt: skip
    _only_narrows(folder, unheld)
    _asks_as_called(folder, proposal, called)
    return tested


def _only_narrows(folder: Path, unheld: Unheld) -> None:
    """Raises ConfigurationError for a grant that no envelope held: its patch could widen the template."""
    for scope, grants in unheld.lacking.items():
        for lacking in grants.values():
            what = "there was none" if lacking is None else f"none held {some(lacking, _NAMED, plain)}"
            raise ConfigurationError(
                f"{folder}: a proposal only narrows, and this one grants {whom(scope)} more than any envelope of "
                f"its window held ({what}). Take it out of `grants` and out of the patch; or propose anew. If it "
                "was made with a configuration, give the same one: -c"
            )


def _asks_as_called(folder: Path, proposal: Proposal, called: Names) -> None:
    """Raises ConfigurationError for a tool that gateways call otherwise: its restrictions would refuse nothing."""
    own = {each.rule.tool: proposal.own(each) for each in proposal.restrictions if hasattr(each.rule, "tool")}
    for tool, names in unasked(own, called).items():
        asked, other = (some(each, _NAMED, plain) for each in (own[tool], names))
        raise ConfigurationError(
            f"{folder}: for {plain(tool)} the policies ask by {asked}, and gateways call it {other}, so they "
            "would let that through. Put it into `spelt` and into the policies; or propose anew"
        )


def the_proposal(folder: Path) -> Proposal:
    """Raises ConfigurationError: whoever names no proposal has not been told that one costs too much."""
    try:
        return read_proposal(folder)
    except ProposalError as error:
        raise ConfigurationError(str(error)) from error


def verify_proposal(settings: Settings, archive: Archive, folder: Path, since: datetime | None) -> Verified:
    """What became of a proposal since it was merged (`since`; else since it was made). Raises ConfigurationError
    where no decision came since: of nothing all would seem well."""
    proposal = the_proposal(folder)
    merged = since or proposal.made_at
    calls, trust = recorded(settings, archive, Window(proposal.tenant_id, merged - IDLE, None))
    found = verify(calls(), proposal, trust, since=merged)
    if not found.replayed:
        span = f"since {merged.isoformat()}" + (", which is yet to come" if merged > utc_now() else "")
        raise ConfigurationError(f"{proposal.tenant_id!r}: nothing of this tenant lies in {archive.root} {span}")
    return found


def reject_restriction(
    folder: Path, rejections: Path, restriction_id: str, *, reason: str, owner: str
) -> Restriction:
    """Remember a no. Raises ConfigurationError for an id that the proposal does not have."""
    proposal = the_proposal(folder)
    found = next((each for each in proposal.restrictions if each.id == restriction_id), None)
    if found is None:
        ids = [each.id for each in proposal.restrictions]
        known = some(ids, _NAMED) or "none at all"
        raise ConfigurationError(f"{folder} has no restriction {restriction_id!r}; it has {known}")
    reject(rejections, found, reason=reason, owner=owner)
    return found
