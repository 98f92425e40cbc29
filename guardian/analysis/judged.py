"""Findings and feedback: from the archive alone, or with what policy and people said where control was asked."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pandas as pd

from guardian.analysis.archived import ArchiveView
from guardian.analysis.controlled import ControlView
from guardian.analysis.schema import FEEDBACK, FINDINGS, frame
from guardian.analysis.sessions import KEY
from guardian.domain.session import HumanWord
from guardian.wire.findings import FindingView

_LABELS = {HumanWord.CONFIRMED.value: 1, HumanWord.FALSE_POSITIVE.value: 0}


def findings(
    archive: ArchiveView,
    control: ControlView | None = None,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
) -> pd.DataFrame:
    """Oldest first; columns `schema.FINDINGS`. Without control: the archive's drift findings, policy unknown."""
    if control:
        found = frame(list(_told(archive, control)), FINDINGS, raw=True)
        late_enough = found["at"] >= since if since is not None else found["at"].notna()
        early_enough = found["at"] < until if until is not None else found["at"].notna()
        return found[late_enough & early_enough].reset_index(drop=True)
    events = archive.events(since=since, until=until)
    rows = events[events["finding_id"].notna()].assign(kind="drift")
    return frame(rows.drop(columns="effect"), FINDINGS)  # that one is the gateway's


def feedback(archive: ArchiveView, control: ControlView | None = None) -> pd.DataFrame:
    """Oldest first; columns `schema.FEEDBACK`. Without control: the last judgement of each finding, or of the
    session where that is all that is known."""
    if control:
        judged = [(view.finding, view.verdict) for view in _theirs(archive, control) if view.verdict is not None]
        rows = [
            {"tenant_id": finding.tenant_id, "session_id": finding.session_id, "finding_id": finding.id}
            | {"label": verdict.verdict, "drift": finding.drifted(confirmed=verdict.verdict == "confirmed")}
            | {"judged_at": verdict.at, "judged_by": verdict.actor, "reason": verdict.reason}
            for finding, verdict in judged
        ]
        return frame(sorted(rows, key=lambda row: row["judged_at"]), FEEDBACK, raw=True)
    words = archive.words()
    last = words[words["word"].isin(list(_LABELS))].drop_duplicates([*KEY, "finding_id"], keep="last")
    rows_ = last.rename(columns={"word": "label", "at": "judged_at"})
    return frame(rows_.assign(drift=rows_["label"].map(_LABELS)), FEEDBACK)


def _theirs(archive: ArchiveView, control: ControlView) -> Iterator[FindingView]:
    """What control said of the sessions that `archive` sees: of its tenants, and not planted."""
    for view in control.views:
        act = view.finding.act
        planted = archive.planted and act is not None and act.gateway == archive.planted
        if archive.reaches(view.finding.tenant_id) and not planted:
            yield view


def _told(archive: ArchiveView, control: ControlView) -> Iterator[dict[str, Any]]:
    for view in _theirs(archive, control):
        finding, outcome = view.finding, view.outcome
        subject, act = finding.subject, finding.act
        yield {
            "finding_id": finding.id,
            "tenant_id": finding.tenant_id,
            "session_id": finding.session_id,
            "at": finding.time,
            "kind": finding.kind.value,
            "wanted": finding.wanted.value,
            "severity": finding.severity,
            "title": finding.title,
            "agent_id": None if subject is None else subject.agent_id,
            "delegator_id": None if subject is None else subject.delegator_id,
            "purpose": None if subject is None else subject.purpose,
            "tool": None if act is None else act.tool,
            "arguments": None if act is None else act.arguments,
            "argument": None if act is None else act.argument,
            "score": finding.evidence.score,
            "one_in": finding.evidence.one_in,
            "promised": finding.evidence.promised,
            "signals": {reason.signal: reason.value for reason in finding.reasons},
            "breaches": [breach.name for breach in finding.breaches],
            "effect": outcome.effect.value,
            "would_revoke": outcome.would_revoke,
            "mode": outcome.mode,
            "policy_ids": outcome.policy_ids,
            "note": outcome.note,
            "verdict": None if view.verdict is None else view.verdict.verdict,
        }
